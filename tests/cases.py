"""One case for each route: what the tests must know about it beyond its source, its event and the template.

A case has the name of the function's folder, of its event and of the store's method: all three are the same.
"""

from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from rest_sessions.model import ALL_DEVICES, App, AppsPage, Created, Cursor, Page, Session, Timeouts
from rest_sessions.store.sessions import SessionStore
from tests.events import EVENTS

APP = EVENTS["get_session"]["pathParameters"]["app"]
ID = EVENTS["create_session"]["pathParameters"]["id"]
TOKEN = EVENTS["get_session"]["pathParameters"]["token"]

SESSION = Session(id=ID, r=3, w=2, ttl=3600, idle=5, ip="198.51.100.24", data={"n": "12345678901234567890.10"})
SESSION_JSON = (
    '{"id":"user@example.com","r":3,"w":2,"ttl":3600,"idle":5,"ip":"198.51.100.24","d":{"n":12345678901234567890.10}}'
)
HANDLE = TOKEN[2:24]
CURSOR = Cursor(1_768_469_400, HANDLE)


class _Everything:
    """Stands for the principal's method that tells which apps it sees. As such a method, it sees all."""

    def __call__(self, app: str) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return callable(other)

    __hash__ = None


@dataclass(frozen=True)
class Case:
    """What a route does with its sample event, and what that costs."""

    # The expected call of the store's method, the result that it returns in a test, and the answer's body for that.
    call: Any
    result: Any
    answer: str
    # The answer's body when the app of the event has no sessions. None if every answer is different.
    on_empty: str | None
    # How many round trips to Redis the call takes on an open connection.
    round_trips: int
    # The CloudWatch metrics that `result` causes.
    metrics: dict[str, int] = field(default_factory=dict)

    def run(self, name: str, store: SessionStore, token: str) -> Any:
        """Makes the call on a real store, with a real token in place of the sample."""
        _, args, kwargs = self.call
        return getattr(store, name)(*(token if arg == TOKEN else arg for arg in args), **kwargs)


CASES = {
    "create_session": Case(
        call=mock.call(
            APP,
            ID,
            "198.51.100.24",
            Timeouts(3600),
            {"name": '"Peter"', "cart": "3", "member": "true"},
            login=None,
            cap=None,
            own_token=None,
        ),
        result=Created(TOKEN, HANDLE),
        answer=f'{{"token":"{TOKEN}"}}',
        on_empty=None,
        round_trips=1,
        metrics={"SessionsCreated": 1},
    ),
    "create_anonymous_session": Case(
        call=mock.call(APP, "198.51.100.24", Timeouts(lifetime=604_800), {"cart": "[1,2]"}, None),
        result=Created(TOKEN, HANDLE),
        answer=f'{{"token":"{TOKEN}"}}',
        on_empty=None,
        round_trips=1,
        metrics={"SessionsCreated": 1},
    ),
    "get_session": Case(
        call=mock.call(APP, TOKEN, peek=False, details=False),
        result=SESSION,
        answer=SESSION_JSON,
        on_empty="{}",
        round_trips=1,
    ),
    "set_session": Case(
        call=mock.call(
            APP, TOKEN, {"cart": "4", "member": None}, ttl=None, replace=False, expected_w=None, details=False
        ),
        result=SESSION,
        answer=SESSION_JSON,
        on_empty="{}",
        round_trips=1,
    ),
    "touch_session": Case(
        call=mock.call(APP, TOKEN, ttl=2_592_000, details=False),
        result=SESSION,
        answer=SESSION_JSON,
        on_empty="{}",
        round_trips=1,
    ),
    "rotate_session": Case(
        call=mock.call(APP, TOKEN, 30),
        result=TOKEN,
        answer=f'{{"token":"{TOKEN}"}}',
        on_empty="{}",
        round_trips=1,
        metrics={"SessionsRotated": 1},
    ),
    "list_sessions_of_id": Case(
        call=mock.call(APP, ID, 50, None, details=False),
        result=Page([SESSION]),
        answer=f'{{"sessions":[{SESSION_JSON}]}}',
        on_empty='{"sessions":[]}',
        round_trips=2,
    ),
    "list_sessions_of_app": Case(
        call=mock.call(APP, 600, 100, None, details=False),
        result=Page([SESSION, SESSION], CURSOR),
        answer=f'{{"sessions":[{SESSION_JSON},{SESSION_JSON}],"next":"{CURSOR}"}}',
        on_empty='{"sessions":[]}',
        round_trips=2,
    ),
    "count_active_users": Case(
        call=mock.call(APP, 600),
        result=4,
        answer='{"activity":4}',
        on_empty='{"activity":0}',
        round_trips=1,
    ),
    "kill_session": Case(
        call=mock.call(APP, TOKEN),
        result=1,
        answer='{"kill":1}',
        on_empty='{"kill":0}',
        round_trips=1,
        metrics={"SessionsKilled": 1},
    ),
    "kill_sessions_of_id": Case(
        call=mock.call(APP, ID, ALL_DEVICES),
        result=2,
        answer='{"kill":2}',
        on_empty='{"kill":0}',
        round_trips=2,
        metrics={"SessionsKilled": 2},
    ),
    "kill_sessions_of_app": Case(
        call=mock.call(APP),
        result=7,
        answer='{"kill":7}',
        on_empty='{"kill":0}',
        round_trips=1,
        metrics={"SessionsKilled": 7},
    ),
    "list_apps": Case(
        call=mock.call(_Everything(), 50, ""),
        result=AppsPage([App(APP, 12, 7)], APP),
        answer=f'{{"apps":[{{"app":"{APP}","sessions":12,"users":7}}],"next":"{APP}"}}',
        on_empty=None,
        round_trips=2,
    ),
    "ping": Case(
        call=mock.call(),
        result="PONG",
        answer="PONG",
        on_empty="PONG",
        round_trips=1,
    ),
}

# The functions that use a session, and answer `{}` for a missing one.
USES = [function for function, case in CASES.items() if case.on_empty == "{}"]
# The functions that end sessions.
KILLS = [function for function, case in CASES.items() if "SessionsKilled" in case.metrics]
