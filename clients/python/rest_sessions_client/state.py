"""What the sessions of Django, Flask and Starlette have in common: the calls of one request, and what it changed."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeGuard

from rest_sessions_client.calls import Calls, Steps
from rest_sessions_client.errors import Unavailable
from rest_sessions_client.models import Session

OnUnavailable = Literal["raise", "anonymous"]

MIN_TTL = 10
# 400 days: the most that browsers keep a cookie, and that the API takes.
MAX_TTL = 34_560_000
# In place of an address that is not known. The API requires one, of at most 45 characters.
UNKNOWN_IP = "unknown"
_MAX_IP = 45

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


def accepted(ttl: float) -> int:
    """The idle timeout that the service takes which is closest to `ttl`."""
    return min(max(int(ttl), MIN_TTL), MAX_TTL)


def is_over_after(ttl: int) -> Callable[[Session], bool]:
    """Whether a session is over, for an idle timeout of the application that may be below that of the service."""
    return lambda session: ttl < MIN_TTL and session.ttl <= MIN_TTL and session.idle > ttl


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
        """`is_over` tells whether a session is over that the service still has, as its timeout is at least 10 s."""
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
        session = None
        try:
            if self.token is not None:
                session = yield from self._calls.get(self.token, peek=peek, details=True)
                if session and self._is_over(session):
                    yield from self._calls.kill(self.token)
                    session = None
        except Unavailable:
            if self._on_unavailable == "raise":
                raise
            self.is_read_only = True
            self._saved = {}
            _logger.warning("REST Sessions is unavailable: a request goes on with an empty session, which is not saved")
            return {}
        if session is None:
            # The cookie stays: a response to another request may just have set a new one.
            self.token = None
            self._saved = {}
            return {}
        self.is_read_only = session.closed
        self.user, self.handle = session.id, session.handle
        if session.lifetime is not None:
            self.remaining = session.lifetime - (session.age or 0)
        data = {key: _received(value) for key, value in session.data.items() if key != USER_AGENT}
        self._saved = _texts(data)
        if session.rotated:
            yield from self._rotate()
        return data

    def changes(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """The values in `data` that differ from those loaded or saved, and None for each key that is gone."""
        saved = self._saved or {}
        texts = _texts(data)
        changed = {
            _name(key): _sent(value) for key, value in data.items() if texts[_name(key)] != saved.get(_name(key))
        }
        return {**changed, **dict.fromkeys(saved.keys() - texts.keys())}

    def save(
        self, data: Mapping[Any, Any], *, ttl: int, lifetime: int | None = None, new_ttl: int | None = None
    ) -> Steps[bool]:
        """Sends what has changed, or creates an anonymous session. Returns False if the session has ended.

        `ttl` and `lifetime` are for a session that is created, `new_ttl` for one that exists.
        """
        if self._is_ended:
            return False
        if self.is_read_only:
            return True
        try:
            if self.token is None:
                yield from self._create(None, data, ttl=ttl, lifetime=lifetime)
                return True
            return (yield from self._update(self.token, data, new_ttl))
        except Unavailable:
            if self._on_unavailable == "raise":
                raise
            _logger.warning("REST Sessions is unavailable: what a request changed in its session is not saved")
            return True

    def replace(
        self,
        data: Mapping[Any, Any],
        user: str | None,
        *,
        ttl: int,
        lifetime: int | None = None,
        max: int | None = None,
        over: str | None = None,
    ) -> Steps[bool]:
        """Goes on with a new session, as at login or when rights change. Returns False if an anonymous one had ended.

        The session of a user takes over what the service has now of an anonymous one, or one of the same user, which is
        closed. Another user's session is ended.
        """
        if self._saved is None:
            yield from self.load()
        old, grace = self.token, None if self.user is None else 0
        options = {"ttl": ttl, "lifetime": lifetime, "max": max, "over": over}
        if user is not None and old is not None:
            if self.user not in (None, user):
                # The service takes nothing from it: what `data` has is sent.
                self._saved = {}
            yield from self._create(user, data, from_=old, grace=grace, **options)
            return True
        if self.is_read_only and user is None:
            return True
        self._saved = {}
        yield from self._create(user, data, **options)
        if old is not None and not (yield from self._calls.kill(old)):
            # A logout came before: nothing is revived.
            yield from self.end()
            self.new_cookie = None
            return False
        return True

    def end(self) -> Steps[bool]:
        """Ends the session. Returns whether there was one. Unless `forget` comes next, nothing is saved any more."""
        self._is_ended = True
        return self.token is not None and bool((yield from self._calls.kill(self.token)))

    def forget(self) -> None:
        """Goes on as with a new visitor. The browser loses its cookie."""
        self.token = self.user = self.handle = self.remaining = None
        self.new_cookie = ""
        self.is_read_only = self._is_ended = False
        self._saved = {}

    def _create(self, user: str | None, data: Mapping[Any, Any], **options: Any) -> Steps[None]:
        changes = self.changes(data)
        agent = {USER_AGENT: self.user_agent[:_MAX_USER_AGENT]} if self.user_agent else {}
        created = yield from self._calls.create(
            user, ip=self.ip[:_MAX_IP], data={**changes, **agent}, details=True, **options
        )
        self.token = self.new_cookie = created.token
        self.user, self.handle, self.remaining = user, created.handle, options["lifetime"]
        self.is_read_only = False
        self._saved = _texts(data)
        if created.from_ == 0:
            # The old session had ended, so that only the changes are there. The next `save` sends the rest.
            self._saved = {key: text for key, text in self._saved.items() if key in changes}

    def _update(self, token: str, data: Mapping[Any, Any], new_ttl: int | None) -> Steps[bool]:
        if self._saved is None:
            # Only what is known to be in the session can be removed from it.
            yield from self.load()
            if self.token is None:
                return False
        changes = self.changes(data)
        if not changes:
            return True
        session = yield from self._calls.set(token, changes, ttl=new_ttl, details=True)
        if session is None:
            return False
        self._saved = _texts(data)
        if session.rotated and self.new_cookie is None:
            yield from self._rotate()
        return True

    def _rotate(self) -> Steps[None]:
        """Gets the new token for the cookie. The request goes on with the old one, as the browser has no other yet."""
        if self.token is not None:
            # The old token works on, and the next request tries again.
            with suppress(Unavailable):
                self.new_cookie = yield from self._calls.rotate(self.token)


class RequestSession:
    """What the sessions of Flask and Starlette have in common, beside being mappings.

    Their changes go with the response. A change inside a value is noticed as well.
    """

    def __init__(self, state: SessionState, ttl: int, lifetime: int | None) -> None:
        self._state = state
        self._ttl = ttl
        self._lifetime = lifetime
        # The application has cleared the session: what is stored afterwards goes into a new one.
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
        # No data, which may get into a log.
        return f"<{type(self).__name__}>"

    def _values(self) -> dict[str, Any]:
        """The data, which are loaded."""
        raise NotImplementedError

    def _encoded(self) -> dict[str, Any]:
        """The data as JSON can hold them."""
        raise NotImplementedError

    def _save(self, data: Mapping[str, Any]) -> Steps[bool]:
        """Sends what has changed. Returns False if the session has ended, and then the changes are lost."""
        state = self._state
        if self._is_cleared and state.token is not None and not state.is_read_only:
            is_saved = yield from state.end()
            if is_saved:
                state.forget()
        else:
            is_saved = True
        # No session is made for nothing.
        if is_saved and (data or state.token is not None):
            is_saved = yield from state.save(data, ttl=accepted(self._ttl), lifetime=self._lifetime)
        if not is_saved:
            _logger.warning("A session ended during a request, for example by a logout: its changes are dropped")
        return is_saved

    def _login(
        self, user: str, ttl: int | None, lifetime: int | None, max: int | None, over: str | None
    ) -> Steps[bool]:
        values = self._values()
        if self._state.user not in (None, user):
            # Nothing of one user goes to another.
            values.clear()
        self._is_cleared = False
        return self._state.replace(
            self._encoded(),
            user,
            ttl=accepted(self._ttl) if ttl is None else ttl,
            lifetime=self._lifetime if lifetime is None else lifetime,
            max=max,
            over=over,
        )

    def _logout(self) -> Steps[None]:
        yield from self._state.end()
        self._state.forget()
        self._values().clear()


def _name(key: Any) -> str:
    """A key as JSON writes it."""
    return key if isinstance(key, str) else json.dumps(key)


def _sent(value: Any) -> Any:
    return _NULL if value is None else value


def _received(value: Any) -> Any:
    return None if isinstance(value, dict) and value.keys() == _NULL.keys() and value["$null"] is True else value


def _texts(data: Mapping[Any, Any]) -> dict[str, str]:
    return {_name(key): json.dumps(value, allow_nan=False) for key, value in data.items()}
