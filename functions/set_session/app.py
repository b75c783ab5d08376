"""POST /{app}/set/{token}: writes data of a session and answers with the session after that."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.model import Data
from rest_sessions.store.sessions import SessionStore


@route("set")
def handler(
    store: SessionStore,
    app: str,
    token: str,
    *,
    new_ttl: int | None,
    replace: bool,
    expected_w: int | None,
    details: bool,
    changes: Data,
) -> Result:
    return store.set_session(app, token, changes, ttl=new_ttl, replace=replace, expected_w=expected_w, details=details)
