"""PUT /{app}/create/{id}: creates a session of a user and answers with its token."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.model import Data
from rest_sessions.store.sessions import SessionStore


@route("create", metrics={"SessionsCreated": lambda _: 1})
def handler(store: SessionStore, app: str, id: str, *, ip: str, ttl: int, no_resave: bool, data: Data) -> Result:
    return {"token": store.create_session(app, id, ip, ttl, no_resave, data)}
