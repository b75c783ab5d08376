"""Calls the handlers of the template's functions as Lambda does, with events of API Gateway."""

import json
from typing import Any

from dev.gateway import Context, Handler
from tests.events import EVENTS, logical_id, request

APP = EVENTS["get_session"]["pathParameters"]["app"]
KEY = EVENTS["authorize"]["identitySource"][0].partition(" ")[2]
REGISTRY = json.dumps({"keys": [{"name": "web", "key": KEY, "apps": "*", "allow": "*"}]})


class Api:
    """The functions by the names of their folders. Each call sends the sample event with changes."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    def call(self, name: str, status: int = 200, *, principal=None, **changes) -> Any:
        """The function's answer to its event with `changes`, sent by `principal`. Its status must be `status`."""
        event = request(name, **changes)
        if principal:
            event["requestContext"]["authorizer"] = {"lambda": principal}
        response = self._handlers[logical_id(name)](event, Context())
        assert response.get("statusCode", 200) == status, (name, response)
        return response

    def ask(self, name: str, status: int = 200, **changes) -> Any:
        """The JSON in the body of that answer."""
        return json.loads(self.call(name, status, **changes)["body"])

    def create(self, **changes) -> str:
        token: str = self.ask("create_session", **changes)["token"]
        return token
