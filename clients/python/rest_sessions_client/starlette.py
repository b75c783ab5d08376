"""Sessions for Starlette and FastAPI: a middleware in place of Starlette's own.

from fastapi import FastAPI, Request
from rest_sessions_client.starlette import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware)

request.session["cart"] = [1, 2]
await request.session.login(user.id)   # when the password is right
await request.session.logout()
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rest_sessions_client.client import AsyncClient
from rest_sessions_client.errors import ApiError
from rest_sessions_client.state import MAX_TTL, OnUnavailable, RequestSession, SessionState, is_over_after

_TWO_WEEKS = 1_209_600


class Session(RequestSession, dict[str, Any]):
    """`request.session`. It is loaded before the application runs. If that fails, its first use raises the error."""

    def __init__(self, client: AsyncClient, state: SessionState, ttl: int, lifetime: int | None) -> None:
        super().__init__(state, ttl, lifetime)
        self._client = client
        self._failure: ApiError | None = None
        # Whether the application has used it, so that the response varies with the cookie.
        self.accessed = False

    def mark_accessed(self) -> None:
        """Called by Starlette when the application takes `request.session`."""
        self.accessed = True
        if self._failure is not None:
            raise self._failure

    async def load(self, *, peek: bool) -> None:
        """Reads the session from the service."""
        try:
            self.update(await self._client.run(self._state.load(peek=peek)))
        except ApiError as error:
            # A page that does not use the session works without the service.
            self._failure = error
            self._state.is_read_only = True

    async def login(
        self,
        user_id: object,
        *,
        ttl: int | None = None,
        lifetime: int | None = None,
        max: int | None = None,
        over: str | None = None,
    ) -> None:
        """Makes this the session of a user, with a new token, and keeps its data. Call it at login.

        Call it again when the user's rights or password change: then the old token is dead at once. `ttl` and
        `lifetime` are the idle and the absolute timeout in seconds, `max` and `over` limit the user's sessions, as in
        `Client.create`. Raises TooManySessions, Unavailable and other errors of the client.
        """
        await self._client.run(self._login(str(user_id), ttl, lifetime, max, over))

    async def logout(self) -> None:
        """Ends the session. Raises Unavailable if the service is away: then the user is still logged in."""
        await self._client.run(self._logout())

    def clear(self) -> None:
        """Removes all data, and ends the session with the response. What is stored afterwards goes into a new one."""
        super().clear()
        self._is_cleared = True

    async def save(self) -> str | None:
        """Sends what has changed. Returns what the cookie becomes: a token, "" for none, None if it stays as it is."""
        await self._client.run(self._save(self))
        return self._state.new_cookie

    def cookie_age(self) -> int:
        """The cookie's Max-Age in seconds: as long as the session can last."""
        return MAX_TTL if self._state.remaining is None else self._state.remaining

    def _values(self) -> dict[str, Any]:
        return self

    def _encoded(self) -> dict[str, Any]:
        return self


def session_of(connection: HTTPConnection) -> Session:
    """The same as `request.session`, with the type that has `login` and `logout`."""
    return cast("Session", connection.session)


class SessionMiddleware:
    """Gives each request its session as `request.session`, and saves what has changed before the response starts.

    `ttl` is the idle timeout, `lifetime` the absolute one, both in seconds. The cookie is Secure unless `secure` is
    False, for a server without HTTPS that is not on localhost. Requests to a path in `peek` read the session without
    using it, as polling should. Without `client`, the address and the key come from REST_SESSIONS_URL,
    REST_SESSIONS_APP and REST_SESSIONS_KEY.

    While the service is away, the use of a session raises Unavailable. With on_unavailable="anonymous" the session is
    empty instead, and nothing is saved.
    """

    def __init__(
        self,
        app: ASGIApp,
        client: AsyncClient | None = None,
        *,
        ttl: int = _TWO_WEEKS,
        lifetime: int | None = None,
        session_cookie: str = "session",
        path: str = "/",
        domain: str | None = None,
        same_site: Literal["lax", "strict", "none"] = "lax",
        secure: bool = True,
        peek: Sequence[str] = (),
        on_unavailable: OnUnavailable = "raise",
    ) -> None:
        self._app = app
        self._client = client or AsyncClient()
        self._ttl = ttl
        self._lifetime = lifetime
        self._peek = frozenset(peek)
        self._on_unavailable: OnUnavailable = on_unavailable
        self._cookie: dict[str, Any] = {
            "key": session_cookie,
            "path": path,
            "domain": domain,
            "samesite": same_site,
            "secure": secure,
            "httponly": True,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request. In a WebSocket, what changes before it is accepted is saved."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        session = self._session(HTTPConnection(scope))
        await session.load(peek=scope["path"].removeprefix(scope.get("root_path", "")) in self._peek)
        scope["session"] = session

        async def send_with_session(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                await self._finish(session, message)
            await send(message)

        await self._app(scope, receive, send_with_session)

    def _session(self, connection: HTTPConnection) -> Session:
        state = SessionState(
            self._client.calls,
            connection.cookies.get(self._cookie["key"]),
            self._on_unavailable,
            is_over_after(self._ttl),
        )
        if connection.client:
            state.ip = connection.client.host
        state.user_agent = connection.headers.get("user-agent", "")
        return Session(self._client, state, self._ttl, self._lifetime)

    async def _finish(self, session: Session, message: Message) -> None:
        cookie = await session.save()
        message.setdefault("headers", [])
        headers = MutableHeaders(scope=message)
        if session.accessed or cookie is not None:
            headers.add_vary_header("Cookie")
        if cookie is not None:
            # Starlette writes the header.
            response = Response()
            if cookie:
                response.set_cookie(value=cookie, max_age=session.cookie_age(), **self._cookie)
            else:
                response.delete_cookie(**self._cookie)
            headers.append("set-cookie", response.headers["set-cookie"])
