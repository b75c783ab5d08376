"""POST /{app}/set/{token}: writes data of a session; the session after that."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="set")
def handler(store: SessionStore, request: Request) -> Result:
    return store.set_session(request.app, request.token, request.changes)
