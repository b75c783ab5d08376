"""The layers of a handler's `get`: calls that each do what the one before does, and one layer more."""

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.floor_worker import BareClient
from benchmarks.handler_worker import Contender, Context, serve
from benchmarks.workload import SECONDS_BETWEEN_USES
from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Command
from rest_sessions.http import route
from rest_sessions.http.response import respond
from rest_sessions.runtime import load_settings
from rest_sessions.store.replies import MISSING
from rest_sessions.store.sessions import SessionStore

BARE = "Redis, and a bare socket with hiredis"
CLIENT = "client: connection, deadline, fence against a demoted primary"
STORE = "store: the script call, the Session"
ANSWER = "answer: JSON"
HANDLER = "event: parameters, authorisation"
LAYERS = (BARE, CLIENT, STORE, ANSWER, HANDLER)


class Recorder:
    """Takes the place of the client. Keeps the command of the last call, and replies that there is no session."""

    command: Command

    def run(self, command: Command, *, again: Sequence[Command] | None = None) -> list[Any]:  # noqa: ARG002
        """A reply to `command`."""
        self.command = command
        return [[MISSING]]


class Layers(Contender):
    """Makes calls that reach down to Redis from each layer. Its clock goes on between two turns without a pause."""

    def __init__(self) -> None:
        settings = load_settings()
        self._ahead = 0.0
        self._bare = BareClient(settings.redis_url)
        self._client = Client(settings)
        self._recorder = Recorder()
        self._store = SessionStore(self._client, settings.namespace, self._now)
        self._recording_store = SessionStore(self._recorder, settings.namespace, self._now)  # type: ignore[arg-type]
        # The handlers that `super` loads call this for their store.
        route.open_store = lambda: self._store  # type: ignore[assignment]
        super().__init__()

    def _now(self) -> float:
        return time.time() + self._ahead

    def events(self, operation: str, count: int) -> list[Any]:
        """`count` calls of the layer that `operation` names, each of another session."""
        self._ahead += SECONDS_BETWEEN_USES
        return [self._call(operation, event) for event in super().events("get", count)]

    def _call(self, layer: str, event: dict[str, Any]) -> Callable[[], Any]:
        if layer == HANDLER:
            return partial(self._handler("get"), event, Context())
        path = event["pathParameters"]
        get = partial(self._store.get_session, path["app"], path["token"])
        if layer == ANSWER:
            return lambda: respond(get())
        if layer == STORE:
            return get
        self._recording_store.get_session(path["app"], path["token"])
        return partial((self._client if layer == CLIENT else self._bare).run, self._recorder.command)

    def time(self, operation: str, events: list[Any]) -> list[int]:
        """The nanoseconds of each call."""
        taken = []
        for call in events:
            start = time.perf_counter_ns()
            answer = call()
            taken.append(time.perf_counter_ns() - start)
            assert answer, operation
        return taken


if __name__ == "__main__":
    os.environ["REDIS_CLUSTER"] = "0"
    serve(Layers())
