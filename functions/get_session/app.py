"""GET /{app}/get/{token}: reads a session. The read is counted and starts the idle timeout again."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("get")
def handler(store: SessionStore, app: str, token: str) -> Result:
    return store.get_session(app, token)
