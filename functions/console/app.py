"""GET /console: the page of the console. GET /console/key: what the key allows that the page was given."""

import os
from pathlib import Path
from typing import Any

from rest_sessions.http.console import respond_key, respond_page

_AUTH_MODE = os.environ["AUTH_MODE"]
_PAGE = respond_page(Path(__file__).parent)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return _PAGE if event["routeKey"] == "GET /console" else respond_key(event, _AUTH_MODE)
