"""The sample events, which `sam local invoke` also uses, and variations of them."""

import base64
import copy
import json
import re
from pathlib import Path
from typing import Any

_FILES = sorted((Path(__file__).parents[1] / "events").glob("*.json"))

EVENTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in _FILES}

_ROUTES = [event.get("routeKey", "") for event in EVENTS.values()]
# The word before the token, in the path of each route that has one.
WORDS_BEFORE_TOKEN = sorted(set(re.findall(r"(\w+)/\{token}", " ".join(_ROUTES))))


def request(name: str, *, path=(), query=(), headers=(), **parts) -> dict[str, Any]:
    """A copy of the event with changes. A part that is set to None is removed."""
    event = copy.deepcopy(EVENTS[name])
    for part, changes in (("pathParameters", path), ("queryStringParameters", query), ("headers", headers)):
        changed = {**event.get(part, {}), **dict(changes)}
        event[part] = {key: value for key, value in changed.items() if value is not None}
    event |= parts
    return {part: value for part, value in event.items() if value is not None}


def in_base64(body: bytes) -> dict[str, Any]:
    """The parts of an event whose body is in base64."""
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def logical_id(name: str) -> str:
    """The template's name of the function, such as `GetSession` for `get_session`."""
    # A parameter has the name Console.
    return "ConsolePage" if name == "console" else "".join(word.capitalize() for word in name.split("_"))


def http_request(name: str, *, app: str, token: str = "") -> dict[str, Any]:
    """The event as an HTTP request for this app and token: the arguments of httpx's `request`."""
    event = EVENTS[name]
    method, _, route = event["routeKey"].partition(" ")
    path = route.format(**{**event.get("pathParameters", {}), "app": app, "token": token})
    return {
        "method": method,
        "url": path,
        "params": event.get("queryStringParameters"),
        "content": event.get("body"),
        "headers": {name: event["headers"][name] for name in ("content-type",) if name in event["headers"]},
    }
