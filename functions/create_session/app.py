"""PUT /{app}/create/{id}: creates a session of a user and answers with its token."""

from collections.abc import Iterator
from typing import Any

from rest_sessions.access.principal import Operation
from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.model import Cap, Data, Login, Timeouts
from rest_sessions.store.sessions import SessionStore


def _needs(*, login: Login | None, cap: Cap | None, **_: Any) -> Iterator[Operation]:
    if login:
        yield from ("get", "kill")
    if cap and not cap.refuses:
        yield "killsoid"


@route(
    "create",
    needs=_needs,
    metrics={"SessionsCreated": lambda _: 1, "SessionsKilled": lambda result: result.get("kill", 0)},
)
def handler(
    store: SessionStore,
    app: str,
    id: str,
    *,
    ip: str,
    timeouts: Timeouts,
    login: Login | None,
    cap: Cap | None,
    own_token: str | None,
    details: bool,
    data: Data,
) -> Result:
    created = store.create_session(app, id, ip, timeouts, data, login=login, cap=cap, own_token=own_token)
    return created.answer(details=details)
