"""GET /{app}/get/{token}: reads a session. Unless it peeks, this starts the idle timeout again and is counted."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("get")
def handler(store: SessionStore, app: str, token: str, *, peek: bool, details: bool) -> Result:
    return store.get_session(app, token, peek=peek, details=details)
