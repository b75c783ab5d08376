"""GET /{app}/soapp: the sessions of an app that were used in the last dt seconds."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="soapp")
def handler(store: SessionStore, request: Request) -> Result:
    return store.list_sessions_of_app(request.app, request.dt, request.limit, request.cursor)
