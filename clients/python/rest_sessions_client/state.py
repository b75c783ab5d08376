"""What the sessions of Django, Flask and Starlette have in common: the calls of one request, and what it changed."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeGuard

from rest_sessions_client.calls import Calls, Steps
from rest_sessions_client.errors import Unavailable
from rest_sessions_client.models import Session

OnUnavailable = Literal["raise", "anonymous"]

MIN_TTL = 10
# 400 days: the most that browsers keep a cookie, and that the API takes.
MAX_TTL = 34_560_000
# In place of an address that is not known. The API requires one.
UNKNOWN_IP = "unknown"

# The browser's user agent is kept with the session's data, for a page of devices. The application does not see it.
USER_AGENT = "_user_agent"
_MAX_USER_AGENT = 256
# The API removes a key whose value is null, so that a null which is to stay is written as this.
_NULL = {"$null": True}
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")

_logger = logging.getLogger("rest_sessions_client")


def is_token(text: str | None) -> TypeGuard[str]:
    """Whether a text, from a cookie for example, may be a token."""
    return text is not None and _TOKEN.fullmatch(text) is not None


class SessionState:
    """The session of the browser that sends a request, as far as this request knows it.

    It is made for each request, from the token in the cookie; a malformed token is none. `load` comes first, and `save`
    sends what has changed since: two requests at once that change different keys both keep their change. A session that
    ended meanwhile is never made anew.
    """

    def __init__(
        self,
        calls: Calls,
        cookie: str | None,
        on_unavailable: OnUnavailable = "raise",
        is_over: Callable[[Session], bool] = lambda _: False,
    ) -> None:
        """`is_over` tells whether a session is over that the service still has, because its timeout is below 10 s."""
        self._calls = calls
        self._on_unavailable = on_unavailable
        self._is_over = is_over
        # The token with which this request calls; None without a session.
        self.token = cookie if is_token(cookie) else None
        # What the browser's cookie becomes: a new token, "" for none, None if it stays as it is.
        self.new_cookie: str | None = None
        # A login closed the session, or the service is away: nothing is saved.
        self.is_read_only = False
        self._is_ended = False
        self.user: str | None = None
        self.handle: str | None = None
        # The seconds until the session's absolute timeout, if it has one.
        self.remaining: int | None = None
        self.ip = UNKNOWN_IP
        self.user_agent = ""
        # The JSON of each value, as loaded or saved; None before that.
        self._saved: dict[str, str] | None = None

    def load(self, *, peek: bool = False) -> Steps[dict[str, Any]]:
        """Reads the session, and returns its data, which are empty if there is none."""
        self._saved = {}
        if self.token is None:
            return {}
        try:
            session = yield from self._calls.get(self.token, peek=peek, details=True)
        except Unavailable:
            if self._on_unavailable == "raise":
                raise
            self.is_read_only = True
            _logger.warning("REST Sessions is unavailable: a request goes on with an empty session, which is not saved")
            return {}
        if session and self._is_over(session):
            yield from self._calls.kill(self.token)
            session = None
        if session is None:
            # The cookie stays: a response to another request may just have set a new one.
            self.token = None
            return {}
        if session.rotated:
            # This request goes on with the old token: the new one is first used when the browser has it.
            self.new_cookie = yield from self._calls.rotate(self.token)
        self.is_read_only = session.closed
        self.user, self.handle = session.id, session.handle
        if session.lifetime is not None:
            self.remaining = session.lifetime - (session.age or 0)
        data = {key: None if value == _NULL else value for key, value in session.data.items() if key != USER_AGENT}
        self._saved = _texts(data)
        return data

    def changes(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The values in `data` that differ from those loaded or saved, and None for each key that is gone."""
        saved = self._saved or {}
        texts = _texts(data)
        changed = {key: _sent(value) for key, value in data.items() if texts[str(key)] != saved.get(str(key))}
        return {**changed, **dict.fromkeys(saved.keys() - texts.keys())}

    def save(
        self, data: Mapping[str, Any], *, ttl: int, lifetime: int | None = None, new_ttl: int | None = None
    ) -> Steps[bool]:
        """Sends what has changed, or creates an anonymous session. Returns False if the session has ended.

        `ttl` and `lifetime` are for a session that is created, `new_ttl` for one that exists.
        """
        if self._is_ended:
            return False
        if self.is_read_only:
            return True
        if self.token is None:
            yield from self._create(None, data, ttl=ttl, lifetime=lifetime)
            return True
        if self._saved is None:
            # Only what is known to be in the session can be removed from it.
            yield from self.load()
            if self.token is None:
                return False
        changes = self.changes(data)
        if changes:
            session = yield from self._calls.set(
                self.token, changes, ttl=None if new_ttl is None else _accepted(new_ttl), details=True
            )
            if session is None:
                return False
            if session.rotated and self.new_cookie is None:
                self.new_cookie = yield from self._calls.rotate(self.token)
            self._saved = _texts(data)
        return True

    def replace(
        self,
        data: Mapping[str, Any],
        user: str | None,
        *,
        ttl: int,
        lifetime: int | None = None,
        max: int | None = None,
        over: str | None = None,
    ) -> Steps[None]:
        """Ends the session, and goes on with a new one of `user`, as at login or when rights change.

        A user's session takes over what an anonymous one, or one of the same user, has at this moment, on the service.
        """
        if self._saved is None:
            yield from self.load()
        old, grace = self.token, None if self.user is None else 0
        if old is None or user is None:
            yield from self._create(user, data, ttl=ttl, lifetime=lifetime, max=max, over=over)
            if old is not None:
                yield from self._calls.kill(old)
            return
        # The service gives nothing of another user's session.
        sent = self.changes(data) if self.user in (None, user) else data
        yield from self._create(
            user, data, sent, ttl=ttl, lifetime=lifetime, max=max, over=over, from_=old, grace=grace
        )

    def end(self) -> Steps[None]:
        """Ends the session. What is saved afterwards is lost, unless `forget` comes first."""
        if self.token is not None:
            yield from self._calls.kill(self.token)
        self._is_ended = True

    def forget(self) -> None:
        """Goes on as with a new visitor. The browser loses its cookie."""
        self.token = self.user = self.handle = self.remaining = None
        self.new_cookie = ""
        self.is_read_only = self._is_ended = False
        self._saved = {}

    def _create(
        self,
        user: str | None,
        data: Mapping[str, Any],
        sent: Mapping[str, Any] | None = None,
        *,
        ttl: int,
        lifetime: int | None = None,
        **options: Any,
    ) -> Steps[None]:
        body = {key: _sent(value) for key, value in data.items()} if sent is None else dict(sent)
        if self.user_agent:
            body[USER_AGENT] = self.user_agent[:_MAX_USER_AGENT]
        created = yield from self._calls.create(
            user, ip=self.ip, data=body, ttl=_accepted(ttl), lifetime=lifetime, details=True, **options
        )
        self.token = self.new_cookie = created.token
        self.user, self.handle, self.remaining = user, created.handle, lifetime
        self.is_read_only = False
        self._saved = _texts(data)


class RequestSession:
    """What the sessions of Flask and Starlette have in common, beside being mappings.

    Their changes go with the response. A change inside a value is noticed as well.
    """

    def __init__(self, state: SessionState, ttl: int, lifetime: int | None) -> None:
        self._state = state
        self._ttl = ttl
        self._lifetime = lifetime
        # A session that the application has cleared, and that stays empty, ends with the response.
        self._is_cleared = False

    @property
    def user(self) -> str | None:
        """The user who has logged in; None in an anonymous session."""
        self._values()
        return self._state.user

    @property
    def handle(self) -> str | None:
        """The session's public name, for a page of devices; None if there is no session yet."""
        self._values()
        return self._state.handle

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {'a user' if self._state.user else 'a visitor'}>"

    def _values(self) -> dict[str, Any]:
        """The data, which are loaded."""
        raise NotImplementedError

    def _encoded(self) -> dict[str, Any]:
        """The data as JSON can hold them."""
        raise NotImplementedError

    def _save(self) -> Steps[None]:
        data = self._encoded()
        if not data and self._state.token is None:
            # No session is made for nothing.
            return
        if not data and self._is_cleared and not self._state.is_read_only:
            yield from self._logout()
            return
        is_saved = yield from self._state.save(data, ttl=self._ttl, lifetime=self._lifetime)
        if not is_saved:
            _logger.warning("A session ended during a request, for example by a logout: its changes are dropped")

    def _login(
        self, user: str, ttl: int | None, lifetime: int | None, max: int | None, over: str | None
    ) -> Steps[None]:
        return self._state.replace(
            self._encoded(), user, ttl=ttl or self._ttl, lifetime=lifetime or self._lifetime, max=max, over=over
        )

    def _logout(self) -> Steps[None]:
        yield from self._state.end()
        self._state.forget()
        self._values().clear()


def _accepted(ttl: int) -> int:
    return min(max(ttl, MIN_TTL), MAX_TTL)


def _sent(value: Any) -> Any:
    return _NULL if value is None else value


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): json.dumps(value, allow_nan=False) for key, value in data.items()}
