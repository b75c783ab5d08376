"""POST /{app}/rotate/{token}: gives a session a new token and answers with that."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("rotate", metrics={"SessionsRotated": lambda _: 1})
def handler(store: SessionStore, app: str, token: str, *, rotation_grace: int) -> Result:
    new_token = store.rotate_session(app, token, rotation_grace)
    return None if new_token is None else {"token": new_token}
