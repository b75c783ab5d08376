"""`make key`: prints an entry for the key registry, with a new key."""

import json
import os
import secrets
import sys
from typing import Any

from rest_sessions.access.registry import KeyRegistry
from rest_sessions.errors import ConfigurationError

_KEY_BYTES = 32


def new_entry(name: str, apps: list[str], allow: list[str]) -> dict[str, Any]:
    """A registry entry whose key has 256 random bits."""
    return {"name": name, "key": secrets.token_urlsafe(_KEY_BYTES), "apps": apps, "allow": allow}


def main() -> None:
    """Prints an entry from NAME, APPS and ALLOW. Exits with a message when the registry would not accept it."""
    name, apps, allow = (os.environ.get(variable, "") for variable in ("NAME", "APPS", "ALLOW"))
    entry = new_entry(name, apps.split(","), allow.split(","))
    try:
        KeyRegistry.parse(json.dumps({"keys": [entry]}))
    except ConfigurationError as error:
        sys.exit(f"{error}\nFor example: make key NAME=web APPS=webapp ALLOW=create,get,set,kill")
    print(json.dumps(entry))


if __name__ == "__main__":
    main()
