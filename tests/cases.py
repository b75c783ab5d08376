"""One case for each function: what the tests know about it and cannot read from its source, its event or the template.

A case has the name of its function's folder, which is also that of its event and of the store's method.
"""

from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from rest_sessions.model import Cursor, Page, Session
from rest_sessions.store.sessions import SessionStore
from tests.events import EVENTS

APP = EVENTS["get_session"]["pathParameters"]["app"]
ID = EVENTS["create_session"]["pathParameters"]["id"]
TOKEN = EVENTS["get_session"]["pathParameters"]["token"]

SESSION = Session(id=ID, r=3, w=2, ttl=3600, idle=5, ip="198.51.100.24", data={"n": "12345678901234567890.10"})
SESSION_JSON = (
    '{"id":"user@example.com","r":3,"w":2,"ttl":3600,"idle":5,"ip":"198.51.100.24","d":{"n":12345678901234567890.10}}'
)
CURSOR = Cursor(1_768_469_400, "0123456789abcdef" * 2)


@dataclass(frozen=True)
class Case:
    """What a route does with its sample event."""

    # The call of the store's method, what the method returns in a test, and the answer's body.
    call: Any
    result: Any
    answer: str
    # The body on a store without sessions of the event's app. None where each answer differs.
    on_empty: str | None
    # The round trips to Redis on a warm connection.
    round_trips: int
    # What CloudWatch is told of `result`.
    metrics: dict[str, int] = field(default_factory=dict)

    def run(self, name: str, store: SessionStore, token: str) -> Any:
        """Makes the call on a real store, with a real token."""
        _, args, kwargs = self.call
        return getattr(store, name)(*(token if arg == TOKEN else arg for arg in args), **kwargs)


CASES = {
    "create_session": Case(
        call=mock.call(APP, ID, "198.51.100.24", 3600, False, {"name": '"Peter"', "cart": "3", "member": "true"}),
        result=TOKEN,
        answer=f'{{"token":"{TOKEN}"}}',
        on_empty=None,
        round_trips=1,
        metrics={"SessionsCreated": 1},
    ),
    "get_session": Case(
        call=mock.call(APP, TOKEN),
        result=SESSION,
        answer=SESSION_JSON,
        on_empty="{}",
        round_trips=1,
    ),
    "set_session": Case(
        call=mock.call(APP, TOKEN, {"cart": "4", "member": None}),
        result=SESSION,
        answer=SESSION_JSON,
        on_empty="{}",
        round_trips=1,
    ),
    "list_sessions_of_id": Case(
        call=mock.call(APP, ID, 50, None),
        result=Page([SESSION]),
        answer=f'{{"sessions":[{SESSION_JSON}]}}',
        on_empty='{"sessions":[]}',
        round_trips=2,
    ),
    "list_sessions_of_app": Case(
        call=mock.call(APP, 600, 100, None),
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
        call=mock.call(APP, ID),
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
        round_trips=2,
        metrics={"SessionsKilled": 7},
    ),
    "ping": Case(
        call=mock.call(),
        result="PONG",
        answer="PONG",
        on_empty="PONG",
        round_trips=1,
    ),
}
