"""GET /{app}/soid/{id}: the sessions of one user."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="soid")
def handler(store: SessionStore, request: Request) -> Result:
    return store.list_sessions_of_id(request.app, request.id, request.limit, request.cursor)
