"""GET /apps: the apps that the key may use, with the numbers of their sessions and users."""

from rest_sessions.access.principal import Principal
from rest_sessions.http.response import Result
from rest_sessions.http.route import route
from rest_sessions.store.sessions import SessionStore


@route("apps")
def handler(store: SessionStore, principal: Principal, *, apps_limit: int, apps_cursor: str) -> Result:
    return store.list_apps(principal.sees, apps_limit, apps_cursor)
