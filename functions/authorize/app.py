"""The API's authorizer: finds out who sends a request, by the key in the Authorization header."""

import os
from typing import Any

from rest_sessions.access.source import KeySource
from rest_sessions.http.authorizer import authorize

_keys = KeySource.from_environment(os.environ)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return authorize(event, _keys)
