"""GET /{app}/get/{token}: a session; the read is counted and starts its time anew."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="get")
def handler(store: SessionStore, request: Request) -> Result:
    return store.get_session(request.app, request.token)
