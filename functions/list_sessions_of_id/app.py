"""GET /{app}/soid/{id}: the sessions of one user."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.model import Cursor
from rest_sessions.store.sessions import SessionStore


@route("soid")
def handler(
    store: SessionStore, app: str, id: str, *, limit: int | None, cursor: Cursor | None, details: bool
) -> Result:
    return store.list_sessions_of_id(app, id, limit, cursor, details=details)
