"""The API's authorizer: who calls, by the key in the Authorization header."""

import os
from typing import Any

from rest_sessions.authorizer import authorize
from rest_sessions.key_source import KeySource

_keys = KeySource.from_environment(os.environ)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return authorize(event, _keys)
