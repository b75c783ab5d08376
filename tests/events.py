"""The sample events that `sam local invoke` takes as well, and variations of them."""

import copy
import json
from pathlib import Path
from typing import Any

_FILES = sorted((Path(__file__).parents[1] / "events").glob("*.json"))

EVENTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in _FILES}
REQUESTS = [name for name, event in EVENTS.items() if "routeKey" in event and name != "authorize"]


def request(name: str, *, path=(), query=(), headers=(), **parts) -> dict[str, Any]:
    """A copy of the event with some parts changed; a part that is None is left out."""
    event = copy.deepcopy(EVENTS[name])
    for part, changes in (("pathParameters", path), ("queryStringParameters", query), ("headers", headers)):
        changed = {**event.get(part, {}), **dict(changes)}
        event[part] = {key: value for key, value in changed.items() if value is not None}
    event |= parts
    return {part: value for part, value in event.items() if value is not None}
