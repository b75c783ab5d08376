"""DELETE /{app}/killall: ends all sessions of an app."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore

# Below what API Gateway waits. Called again, it goes on where it stopped.
_SECONDS = 25


@route(needs="killall", seconds=_SECONDS)
def handler(store: SessionStore, request: Request) -> Result:
    return {"kill": store.kill_sessions_of_app(request.app)}
