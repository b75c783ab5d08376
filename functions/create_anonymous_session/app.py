"""PUT /{app}/create: creates a session without a user and answers with its token."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.model import Data, Timeouts
from rest_sessions.store.sessions import SessionStore


@route("create", metrics={"SessionsCreated": lambda _: 1})
def handler(
    store: SessionStore, app: str, *, ip: str, timeouts: Timeouts, own_token: str | None, details: bool, data: Data
) -> Result:
    return store.create_anonymous_session(app, ip, timeouts, data, own_token).answer(details=details)
