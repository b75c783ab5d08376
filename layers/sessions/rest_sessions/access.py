"""Who may do what: keys, and what each allows."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .errors import ConfigurationError

# Named as in the routes.
OPERATIONS = ("create", "get", "set", "kill", "soid", "killsoid", "soapp", "killall", "activity")
EVERYTHING = "*"

_SEPARATOR = ","

_FIELDS = {"name", "key", "apps", "allow"}
# Access logs are JSON that API Gateway makes by pasting.
_NAME = re.compile(r'[^"\\\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}')
_KEY = re.compile(r"[!-~]{32,512}")
_APP = re.compile(r"\*|[A-Za-z0-9_-]{3,20}")
_OPERATION = re.compile(rf"\*|{'|'.join(OPERATIONS)}")


@dataclass(frozen=True)
class Caller:
    """The bearer of a key: its `name`, the `apps` it may touch and the operations it may call there; `*` is all."""

    name: str
    apps: frozenset[str]
    allow: frozenset[str]

    @classmethod
    def anyone(cls, name: str) -> "Caller":
        """A caller whose rights are decided elsewhere."""
        return cls(name, frozenset({EVERYTHING}), frozenset({EVERYTHING}))

    def to_context(self) -> dict[str, str]:
        """The caller as an authorizer's context, flat so that access logs can show each part of it."""
        return {
            "name": self.name,
            "apps": _SEPARATOR.join(sorted(self.apps)),
            "allow": _SEPARATOR.join(sorted(self.allow)),
        }

    @classmethod
    def from_context(cls, context: Any) -> "Caller | None":
        """The caller that `to_context` described; None for anything else."""
        match context:
            case {"name": str(name), "apps": str(apps), "allow": str(allow)}:
                return _caller(name, apps, allow)
        return None

    def may(self, operation: str, app: str) -> bool:
        return bool(self.apps & {app, EVERYTHING}) and bool(self.allow & {operation, EVERYTHING})


# A few app servers make all the calls.
@lru_cache(maxsize=64)
def _caller(name: str, apps: str, allow: str) -> Caller:
    return Caller(name, frozenset(apps.split(_SEPARATOR)), frozenset(allow.split(_SEPARATOR)))


class KeyRegistry:
    """The keys there are, each with its caller."""

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        self._callers = callers

    @classmethod
    def parse(cls, text: str) -> "KeyRegistry":
        """The registry in a JSON document.

        `{"keys": [{"name": "web", "key": "…", "apps": ["webapp"], "allow": ["create", "get"]}]}`

        Raises ConfigurationError, which says where the document is wrong and never what is in it.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise ConfigurationError("it is not JSON") from None
        if not isinstance(document, dict) or document.keys() != {"keys"} or not isinstance(document["keys"], list):
            raise ConfigurationError('it is not an object with the one member "keys", a list')
        callers: dict[bytes, Caller] = {}
        for place, entry in enumerate(document["keys"]):
            key, caller = _parse_entry(f"keys[{place}]", entry)
            if key in callers:
                raise ConfigurationError(f"keys[{place}] has the key of an earlier entry")
            callers[key] = caller
        return cls(callers)

    def find(self, key: str) -> Caller | None:
        """The bearer of `key`. How long this takes tells nothing of the keys there are."""
        digest = _digest(key)
        found = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def _digest(key: str) -> bytes:
    # Of one length whatever the key's.
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def _parse_entry(place: str, entry: Any) -> tuple[bytes, Caller]:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise ConfigurationError(f"{place} is not an object with just name, key, apps and allow")
    if not _is_match(_NAME, entry["name"]):
        raise ConfigurationError(f"{place}.name is not a text of 1 to 64 characters without quotes and backslashes")
    if not _is_match(_KEY, entry["key"]):
        raise ConfigurationError(f"{place}.key is not a text of 32 to 512 visible ASCII characters")
    apps = _parse_list(f"{place}.apps", entry["apps"], _APP, "app names")
    allow = _parse_list(f"{place}.allow", entry["allow"], _OPERATION, f"operations ({' '.join(OPERATIONS)})")
    return _digest(entry["key"]), Caller(entry["name"], apps, allow)


def _parse_list(place: str, value: Any, pattern: re.Pattern[str], what: str) -> frozenset[str]:
    items: Sequence[Any] = [EVERYTHING] if value == EVERYTHING else value
    if not isinstance(items, list) or not items or not all(_is_match(pattern, item) for item in items):
        raise ConfigurationError(f'{place} is not "*" or a list of {what}')
    return frozenset(items)


def _is_match(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
