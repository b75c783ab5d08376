"""GET /{app}/activity: how many users were active in the last dt seconds."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("activity")
def handler(store: SessionStore, app: str, dt: int) -> Result:
    return {"activity": store.count_active_users(app, dt)}
