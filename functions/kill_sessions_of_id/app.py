"""DELETE /{app}/killsoid/{id}: ends all sessions of one user."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="killsoid")
def handler(store: SessionStore, request: Request) -> Result:
    return {"kill": store.kill_sessions_of_id(request.app, request.id)}
