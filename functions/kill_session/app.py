"""DELETE /{app}/kill/{token}: ends one session."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="kill")
def handler(store: SessionStore, request: Request) -> Result:
    return {"kill": store.kill_session(request.app, request.token)}
