"""GET /{app}/soapp: the sessions of an app that were used in the last dt seconds."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.model import Cursor
from rest_sessions.store.sessions import SessionStore


@route("soapp")
def handler(
    store: SessionStore, app: str, *, dt: int, limit: int | None, cursor: Cursor | None, details: bool
) -> Result:
    return store.list_sessions_of_app(app, dt, limit, cursor, details=details)
