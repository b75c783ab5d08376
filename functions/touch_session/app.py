"""POST /{app}/touch/{token}: starts the idle timeout of a session again and answers without its data."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("touch")
def handler(store: SessionStore, app: str, token: str, *, new_ttl: int | None, details: bool) -> Result:
    return store.touch_session(app, token, ttl=new_ttl, details=details)
