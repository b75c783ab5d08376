"""GET /ping: PONG when Redis answers."""

from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route(None)
def handler(store: SessionStore) -> Result:
    return store.ping()
