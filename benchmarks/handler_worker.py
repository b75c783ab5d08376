"""The contender of this project: the handler of each function, from API Gateway's event to the answer."""

import hashlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.workload import APP, CAP, CHANGES, DATA, DT, IP, LISTED, LISTED_APP, POOL, SESSIONS_OF_USER
from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Command
from rest_sessions.model import Timeouts
from rest_sessions.runtime import load_settings, open_store
from rest_sessions.store.replies import OK
from rest_sessions.store.sessions import SessionStore

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = {
    "create": "create_session",
    "get": "get_session",
    "set": "set_session",
    "touch": "touch_session",
    "rotate": "rotate_session",
    "kill": "kill_session",
    "soid": "list_sessions_of_id",
    "killsoid": "kill_sessions_of_id",
    "soapp": "list_sessions_of_app",
    "activity": "count_active_users",
}

Event = dict[str, Any]

BATCH = 500


class Batch:
    """Takes the place of the client, but only collects commands. Replies to each as to a create."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def run(self, *commands: Command, again: Sequence[Command] | None = None) -> list[Any]:  # noqa: ARG002
        self.commands += commands
        return [[OK, 0, 1, 0]] * len(commands)


class Context:
    """The part of Lambda's context object that the functions use."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"


def load(function: str) -> Callable[[Event, Context], dict[str, Any]]:
    """The handler of a function."""
    spec = importlib.util.spec_from_file_location(function, ROOT / "functions" / function / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Callable[[Event, Context], dict[str, Any]] = module.handler
    return handler


class Contender:
    """Makes events, calls handlers, and measures how long the handlers take."""

    def __init__(self) -> None:
        self._handlers = {operation: load(function) for operation, function in FUNCTIONS.items()}
        events = ROOT / "events"
        self._events = {
            operation: json.loads((events / f"{function}.json").read_text(encoding="utf-8"))
            for operation, function in FUNCTIONS.items()
        }
        self._app = APP
        self._tokens: list[str] = []
        self._users = 0

    def event(
        self, operation: str, *, app: str = "", query: Event | None = None, body: Any = None, **path: str
    ) -> Event:
        """An event like the sample of the operation, with these path and query parameters and this JSON body."""
        sample = self._events[operation]
        context = {**sample["requestContext"], "authorizer": {"lambda": {"name": "web", "apps": "*", "allow": "*"}}}
        event = {**sample, "requestContext": context, "pathParameters": {"app": app or self._app, **path}}
        event["queryStringParameters"] = query or {}
        if body is not None:
            event["body"] = json.dumps(body)
        return event

    def call(self, operation: str, event: Event) -> Any:
        """The JSON answer to an event. Raises AssertionError when the status is not 200."""
        answer = self._handler(operation)(event, Context())
        assert answer["statusCode"] == 200, answer
        return json.loads(answer["body"])

    def _handler(self, operation: str) -> Callable[[Event, Context], dict[str, Any]]:
        return self._handlers[operation.rpartition(" ")[2]]

    def create(self, id: str, app: str = "", **query: str) -> str:
        """Creates a session. Returns its token."""
        event = self.event("create", app=app, id=id, query={"ip": IP, **query}, body=DATA)
        token: str = self.call("create", event)["token"]
        return token

    def fill(self, app: str, count: int) -> None:
        """Creates the `count` sessions that the operations read, and makes `app` the default app."""
        self._app = app
        self._tokens = [self.create(f"user{i}") for i in range(count)]
        for i in range(LISTED):
            self.create(f"user{i}", LISTED_APP)

    def _token(self, number: int) -> str:
        """One of the tokens. Each comes once before any comes again."""
        return self._tokens[number % len(self._tokens)]

    def fill_many(self, count: int, app: str, age: int, ttl: int) -> None:
        """Creates `count` sessions, one per user, as if `age` seconds ago. Sends create's commands in large batches."""
        settings = load_settings()
        client = Client(settings)
        batch = Batch()
        store = SessionStore(batch, settings.namespace, lambda: time.time() - age)  # type: ignore[arg-type]
        data = {key: json.dumps(value) for key, value in DATA.items()}
        for i in range(count):
            store.create_session(app, f"user{i:07}", IP, Timeouts(ttl), data=data)
            if len(batch.commands) >= BATCH or i == count - 1:
                client.run(*batch.commands)
                batch.commands.clear()

    def read(self, seconds: float) -> list[int]:
        """Calls get again and again for `seconds`. Returns the nanoseconds of each call."""
        taken: list[int] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            taken += self.time("get", self.events("get", 20))
        return taken

    def events(self, operation: str, count: int) -> list[Event]:  # noqa: C901, PLR0911, PLR0912 - a table with one case per operation
        """`count` events for the operation. Creates the sessions that they need.

        Raises ValueError for an unknown operation.
        """
        first = self._users
        self._users += count
        new = [f"new{first + i}" for i in range(count)]
        match operation:
            case "create":
                return [self.event("create", id=id, query={"ip": IP}, body=DATA) for id in new]
            case "get":
                return [self.event("get", token=self._token(first + i)) for i in range(count)]
            case "set":
                return [self.event("set", token=self._token(first + i), body=CHANGES) for i in range(count)]
            case "touch":
                return [self.event("touch", token=self._token(first + i)) for i in range(count)]
            case "rotate":
                return [self.event("rotate", token=self.create(id)) for id in new]
            case "login: create":
                visits = [{"ip": IP, "from": self.create(id)} for id in new]
                return [self.event("create", id=id, query=query) for id, query in zip(new, visits, strict=True)]
            case "cap reached: create":
                for _ in range(CAP):
                    self.create("capped", max=str(CAP))
                return [self.event("create", id="capped", query={"ip": IP, "max": str(CAP)}, body=DATA) for _ in new]
            case "pointer: get":
                # Of 16 such tokens, one is in the partition of its user.
                own = [hashlib.sha256(id.encode()).hexdigest() for id in new]
                return [
                    self.event("get", token=self.create(id, token=token)) for id, token in zip(new, own, strict=True)
                ]
            case "kill":
                return [self.event("kill", token=self.create(id)) for id in new]
            case "soid" | "killsoid":
                ids = [f"soid{i % 20}" for i in range(count)] if operation == "soid" else new
                for id in dict.fromkeys(ids):
                    missing = SESSIONS_OF_USER - len(self.call("soid", self.event("soid", id=id))["sessions"])
                    for _ in range(missing):
                        self.create(id)
                return [self.event(operation, id=id) for id in ids]
            case "soapp":
                return [self.event("soapp", app=LISTED_APP, query={"dt": str(DT)}) for _ in range(count)]
            case "first page of soapp":
                query = {"dt": str(DT), "limit": str(LISTED)}
                return [self.event("soapp", query=query) for _ in range(count)]
            case "activity":
                return [self.event("activity", query={"dt": str(DT)}) for _ in range(count)]
        raise ValueError(operation)

    def time(self, operation: str, events: list[Event]) -> list[int]:
        """The nanoseconds that the handler takes for each event. Raises AssertionError when a status is not 200."""
        handler = self._handler(operation)
        context = Context()
        now = time.perf_counter_ns
        taken = []
        for event in events:
            start = now()
            answer = handler(event, context)
            taken.append(now() - start)
            assert answer["statusCode"] == 200, answer
        return taken


def serve(contender: Any) -> None:
    """Executes orders from standard input and writes their results to standard output, each as a line of JSON."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Logs and metrics go to /dev/null: the time to write them is measured, but nobody reads them.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = None
        if order["do"] == "fill":
            contender.fill(order.get("app", APP), order.get("count", POOL))
        elif order["do"] == "fill_many":
            contender.fill_many(order["count"], order["app"], order["age"], order["ttl"])
        elif order["do"] == "read":
            answer = contender.read(order["seconds"])
        elif order["do"] == "killall":
            answer = open_store().kill_sessions_of_app(order["app"])
        elif order["do"] == "sweep":
            answer = open_store().sweep_expired().total
        elif order["do"] == "prepare":
            prepared = contender.events(order["operation"], order["count"])
        elif order["do"] == "count_commands":
            answer = contender.count_commands(order["operation"], prepared)
        else:
            answer = contender.time(order["operation"], prepared)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(Contender())
