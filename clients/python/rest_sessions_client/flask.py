"""Sessions for Flask: `RestSessions(app)` replaces the sessions in signed cookies.

from flask import Flask, session
from rest_sessions_client.flask import RestSessions

app = Flask(__name__)
RestSessions(app)

session["cart"] = [1, 2]
session.login(user.id)   # when the password is right
session.logout()
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any, Self, cast

import flask
from flask import Flask, Request, Response
from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SessionInterface, SessionMixin

from rest_sessions_client.client import Client
from rest_sessions_client.errors import ApiError
from rest_sessions_client.state import (
    MAX_TTL,
    UNKNOWN_IP,
    OnUnavailable,
    RequestSession,
    SessionState,
    is_over_after,
)

# That of Flask's own sessions: it tags tuples, dates, UUIDs and bytes. What JSON can hold stays plain JSON.
_SERIALIZER = TaggedJSONSerializer()


class Session(RequestSession, SessionMixin):
    """`flask.session`. It is loaded when it is first used, and keeps what Flask's own sessions keep."""

    def __init__(self, client: Client, state: SessionState, ttl: int, lifetime: int | None) -> None:
        super().__init__(state, ttl, lifetime)
        self._client = client
        # Set it before the first use: then the session is read without being used, as a polling view should.
        self.peek = False
        # None until the session is loaded. Threads of one request may use it at once.
        self._loaded: dict[str, Any] | None = None
        self._failure: ApiError | None = None
        self._lock = threading.Lock()

    def login(
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
        if ttl is not None:
            # "Remember me": the cookie outlives the browser.
            self.permanent = True
        self._client.run(self._login(str(user_id), ttl, lifetime, max, over))

    def logout(self) -> None:
        """Ends the session. Raises Unavailable if the service is away: then the user is still logged in."""
        self._client.run(self._logout())

    def clear(self) -> None:
        """Removes all data, and ends the session with the response. What is stored afterwards goes into a new one."""
        self._values().clear()
        self._is_cleared = True

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether there is no session yet."""
        self._values()
        return self._state.token is None

    @property
    def modified(self) -> bool:
        """Whether something has changed. It need not be set."""
        return bool(self._state.changes(self._encoded()))

    @modified.setter
    def modified(self, value: bool) -> None:
        """Does nothing: what has changed is seen by itself."""

    def save(self) -> str | None:
        """Sends what has changed. Returns what the cookie becomes: a token, "" for none, None if it stays as it is."""
        if self._loaded is not None and self._failure is None:
            data = self._encoded()
            is_permanence_new = "_permanent" in self._state.changes(data)
            with self._remembered_failure():
                is_saved = self._client.run(self._save(data))
            if is_saved and is_permanence_new and self._state.new_cookie is None and not self._state.is_read_only:
                return self._state.token
        return self._state.new_cookie

    def cookie_age(self) -> int | None:
        """The cookie's Max-Age: as long as the session can last. None to end with the browser, as Flask has it."""
        if self._state.remaining is not None:
            return self._state.remaining
        return MAX_TTL if self.permanent else None

    def popitem(self) -> tuple[str, Any]:
        """Removes the last item, as a dict does."""
        return self._values().popitem()

    def copy(self) -> dict[str, Any]:
        """The data as a dict."""
        return self._values().copy()

    def __getitem__(self, key: str) -> Any:
        return self._values()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def _values(self) -> dict[str, Any]:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._loaded is None:
                with self._remembered_failure():
                    data = self._client.run(self._state.load(peek=self.peek))
                self._loaded = {key: _SERIALIZER.loads(json.dumps(value)) for key, value in data.items()}
            return self._loaded

    @contextlib.contextmanager
    def _remembered_failure(self) -> Iterator[None]:
        """Keeps an error, so that an error page that uses the session as well does not wait for the service again."""
        try:
            yield
        except ApiError as error:
            self._failure = error
            raise

    def _encoded(self) -> dict[str, Any]:
        return {key: json.loads(_SERIALIZER.dumps(value)) for key, value in self._values().items()}


# The same as flask.session, with the type that has `login` and `logout`.
session = cast("Session", flask.session)


class RestSessions(SessionInterface):
    """Makes the sessions of a Flask app those of REST Sessions.

    Flask's settings hold: SESSION_COOKIE_NAME, _DOMAIN, _PATH, _HTTPONLY, _PARTITIONED, and _SAMESITE, which is Lax if
    it is not set. PERMANENT_SESSION_LIFETIME is the idle timeout, `lifetime` the absolute timeout in seconds. The
    cookie is Secure unless `secure` is False, for a server without HTTPS that is not on localhost. Without `client`,
    the address and the key come from REST_SESSIONS_URL, REST_SESSIONS_APP and REST_SESSIONS_KEY.

    While the service is away, the use of a session raises Unavailable. With on_unavailable="anonymous" the session is
    empty instead, and nothing is saved.
    """

    def __init__(
        self,
        app: Flask | None = None,
        client: Client | None = None,
        *,
        lifetime: int | None = None,
        secure: bool = True,
        on_unavailable: OnUnavailable = "raise",
    ) -> None:
        self.client = client or Client()
        self._lifetime = lifetime
        self._secure = secure
        self._on_unavailable: OnUnavailable = on_unavailable
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Sets this as the app's session interface."""
        app.session_interface = self

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's interface
        return self._secure

    def get_cookie_samesite(self, app: Flask) -> str | None:
        return super().get_cookie_samesite(app) or "Lax"

    def open_session(self, app: Flask, request: Request) -> Session:
        """Called by Flask before each request. It calls nothing: the session is loaded when it is used."""
        ttl = int(app.permanent_session_lifetime.total_seconds())
        state = SessionState(
            self.client.calls,
            request.cookies.get(self.get_cookie_name(app)),
            self._on_unavailable,
            is_over_after(ttl),
        )
        state.ip = request.remote_addr or UNKNOWN_IP
        state.user_agent = request.user_agent.string
        return Session(self.client, state, ttl, self._lifetime)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Called by Flask after each request. Sends what has changed, and sets the cookie if the token is a new one."""
        own = cast("Session", session)
        cookie = own.save()
        if own.accessed:
            response.vary.add("Cookie")
        if cookie is None:
            return
        name, options = self.get_cookie_name(app), self._cookie_options(app)
        if cookie:
            response.set_cookie(name, cookie, max_age=own.cookie_age(), **options)
        else:
            response.delete_cookie(name, **options)
        response.vary.add("Cookie")

    def _cookie_options(self, app: Flask) -> dict[str, Any]:
        return {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }
