"""The handlers of the template's functions, called as Lambda calls them: with events of API Gateway."""

import copy
import json
from typing import Any

from dev.gateway import ROOT, Context, Handler

EVENTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "events").glob("*.json")}
APP = EVENTS["get_session"]["pathParameters"]["app"]
KEY = EVENTS["authorize"]["identitySource"][0].partition(" ")[2]
REGISTRY = json.dumps({"keys": [{"name": "web", "key": KEY, "apps": "*", "allow": "*"}]})


class Api:
    """The functions by the names of their folders, each with its sample event, of which some parts are changed."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    def call(self, name: str, status: int = 200, *, path=(), query=(), headers=(), caller=None, **parts) -> Any:
        """What the function answers with `status`; a changed part that is None is left out."""
        event = copy.deepcopy(EVENTS[name]) | parts
        for part, changes in (("pathParameters", path), ("queryStringParameters", query), ("headers", headers)):
            changed = {**event.get(part, {}), **dict(changes)}
            event[part] = {key: value for key, value in changed.items() if value is not None}
        if caller:
            event["requestContext"]["authorizer"] = {"lambda": caller}
        function = "".join(word.capitalize() for word in name.split("_"))
        response = self._handlers[function](event, Context())
        assert response.get("statusCode", 200) == status, (name, response)
        return response

    def ask(self, name: str, status: int = 200, **parts) -> Any:
        """What is in the body of that answer."""
        return json.loads(self.call(name, status, **parts)["body"])

    def create(self, **parts) -> str:
        token: str = self.ask("create_session", **parts)["token"]
        return token
