"""GET /ping: PONG when the store answers."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs=None)
def handler(store: SessionStore, request: Request) -> Result:
    return store.ping()
