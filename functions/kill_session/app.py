"""DELETE /{app}/kill/{token}: ends one session."""

from operator import itemgetter

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("kill", metrics={"SessionsKilled": itemgetter("kill")})
def handler(store: SessionStore, app: str, token: str) -> Result:
    return {"kill": store.kill_session(app, token)}
