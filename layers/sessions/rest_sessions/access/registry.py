"""The registry of keys: a JSON document that gives each key its principal."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rest_sessions.errors import ConfigurationError
from rest_sessions.limits import APP, CONTROLS_AND_SURROGATES

from .principal import EVERYTHING, OPERATIONS, Principal

_FIELDS = {"name", "key", "apps", "allow"}
# API Gateway pastes the name into its access log, which is JSON, without escaping it.
_NAME = re.compile(rf'[^"\\{CONTROLS_AND_SURROGATES}]{{1,64}}')
_KEY = re.compile(r"[!-~]{32,512}")
_APP = re.compile(rf"\*|{APP.pattern}")
_OPERATION = re.compile(rf"\*|{'|'.join(OPERATIONS)}")


class KeyRegistry:
    """All keys, each with its principal. It holds the digest of a key, not the key."""

    def __init__(self, principals: Mapping[bytes, Principal]) -> None:
        self._principals = principals

    @classmethod
    def parse(cls, text: str) -> "KeyRegistry":
        """The registry in a JSON document of this form:

        `{"keys": [{"name": "web", "key": "…", "apps": ["webapp"], "allow": ["create", "get"]}]}`

        Raises ConfigurationError, which says where the document is wrong and never quotes it.
        """
        try:
            document = json.loads(text, object_pairs_hook=_unique_members)
        except (ValueError, RecursionError):
            raise ConfigurationError("it is not JSON") from None
        if not isinstance(document, dict) or document.keys() != {"keys"} or not isinstance(document["keys"], list):
            raise ConfigurationError('it is not an object with the one member "keys", a list')
        principals: dict[bytes, Principal] = {}
        for place, entry in enumerate(document["keys"]):
            key, principal = _parse_entry(f"keys[{place}]", entry)
            if key in principals:
                raise ConfigurationError(f"keys[{place}] has the key of an earlier entry")
            principals[key] = principal
        return cls(principals)

    def find(self, key: str) -> Principal | None:
        """The principal of `key`. The time that this takes tells nothing about the known keys."""
        digest = _digest(key)
        found = None
        for known, principal in self._principals.items():
            if hmac.compare_digest(known, digest):
                found = principal
        return found


def _unique_members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ConfigurationError("an object in it has a member twice")
    return members


def _digest(key: str) -> bytes:
    # Comparing digests, which all have one length, hides the length of the key.
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def _parse_entry(place: str, entry: Any) -> tuple[bytes, Principal]:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise ConfigurationError(f"{place} is not an object with just name, key, apps and allow")
    if not _is_match(_NAME, entry["name"]):
        raise ConfigurationError(
            f"{place}.name is not a text of 1 to 64 characters without double quotes, backslashes and "
            "control characters"
        )
    if not _is_match(_KEY, entry["key"]):
        raise ConfigurationError(f"{place}.key is not a text of 32 to 512 visible ASCII characters")
    apps = _parse_list(f"{place}.apps", entry["apps"], _APP, "app names")
    allow = _parse_list(f"{place}.allow", entry["allow"], _OPERATION, f"operations ({' '.join(OPERATIONS)})")
    return _digest(entry["key"]), Principal(entry["name"], apps, allow)


def _parse_list(place: str, value: Any, pattern: re.Pattern[str], what: str) -> frozenset[str]:
    items: Sequence[Any] = [EVERYTHING] if value == EVERYTHING else value
    if not isinstance(items, list) or not items or not all(_is_match(pattern, item) for item in items):
        raise ConfigurationError(f'{place} is neither "*" nor a non-empty list of {what}')
    return frozenset(items)


def _is_match(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
