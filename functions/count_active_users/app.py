"""GET /{app}/activity: how many users were active in the last dt seconds."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="activity")
def handler(store: SessionStore, request: Request) -> Result:
    return {"activity": store.count_active_users(request.app, request.dt)}
