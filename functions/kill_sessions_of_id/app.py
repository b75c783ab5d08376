"""DELETE /{app}/killsoid/{id}: ends all sessions of one user, or only one, or all except one."""

from operator import itemgetter

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.model import Devices
from rest_sessions.store.sessions import SessionStore


@route("killsoid", metrics={"SessionsKilled": itemgetter("kill")}, is_audited=True)
def handler(store: SessionStore, app: str, id: str, *, devices: Devices) -> Result:
    return {"kill": store.kill_sessions_of_id(app, id, devices)}
