"""PUT /{app}/create/{id}: a new session of a user; its token."""

from rest_sessions.http import Request, Result, route
from rest_sessions.store import SessionStore


@route(needs="create")
def handler(store: SessionStore, request: Request) -> Result:
    return {
        "token": store.create_session(
            request.app,
            request.id,
            ip=request.ip,
            ttl=request.ttl,
            no_resave=request.no_resave,
            data=request.initial_data,
        )
    }
