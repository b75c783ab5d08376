"""DELETE /{app}/killall: ends all sessions of an app, however many."""

from operator import itemgetter

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("killall", metrics={"SessionsKilled": itemgetter("kill")}, is_audited=True)
def handler(store: SessionStore, app: str) -> Result:
    return {"kill": store.kill_sessions_of_app(app)}
