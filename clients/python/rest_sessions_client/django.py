"""Sessions for Django: a session engine, a middleware, and what a page of devices needs.

    SESSION_ENGINE = "rest_sessions_client.django"
    REST_SESSIONS = {"URL": "https://sessions.example.com", "APP": "webapp", "KEY": key}

The middleware `rest_sessions_client.django.SessionMiddleware` takes the place of Django's own.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY as USER_KEY
from django.contrib.sessions import middleware
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.http import http_date

from rest_sessions_client.client import Client
from rest_sessions_client.errors import ConfigurationError, Conflict, InvalidFormat
from rest_sessions_client.models import Session
from rest_sessions_client.state import MAX_TTL, MIN_TTL, UNKNOWN_IP, SessionState, accepted, is_token

_CLIENT_SETTINGS = ("URL", "APP", "KEY", "TIMEOUT")
_ON_UNAVAILABLE = "ON_UNAVAILABLE"
_EXPIRY_KEY = "_session_expiry"


def _options() -> Mapping[str, Any]:
    options: Mapping[str, Any] = getattr(settings, "REST_SESSIONS", {})
    if unknown := sorted(options.keys() - {*_CLIENT_SETTINGS, _ON_UNAVAILABLE}):
        raise ImproperlyConfigured(f"REST_SESSIONS has no setting {', '.join(unknown)}")
    return options


@cache
def client() -> Client:
    """The client of REST_SESSIONS["URL"], ["APP"], ["KEY"] and ["TIMEOUT"], or of the environment's variables."""
    options = {name.lower(): value for name, value in _options().items() if name in _CLIENT_SETTINGS}
    try:
        return Client(**options)
    except ConfigurationError as error:
        raise ImproperlyConfigured(f"REST_SESSIONS: {error}") from None


def _forget_client(*, setting: str, **_: Any) -> None:
    if setting == "REST_SESSIONS" and client.cache_info().currsize:
        client().close()
        client.cache_clear()


# In tests, settings change.
setting_changed.connect(_forget_client)


class SessionStore(SessionBase):  # type: ignore[misc]
    """A session of Django.

    What `cycle_key` begins happens when the session is saved, or when its new key is asked for: by then the user is
    known, and it is one call. A session whose data name a user is that user's to REST Sessions as well.
    """

    def __init__(self, session_key: str | None = None) -> None:
        self._state = SessionState(client().calls, session_key, _options().get(_ON_UNAVAILABLE, "raise"), self._is_over)
        self._is_cycled = False
        self._has_new_expiry = False
        # Set it before the first use: then the session is read without being used, as a polling view should.
        self.peek = False
        super().__init__(session_key)

    def describe(self, ip: str, user_agent: str) -> None:
        """Tells where the request comes from, for the page of devices."""
        self._state.ip, self._state.user_agent = ip, user_agent

    @property
    def modified(self) -> bool:
        """Whether there is something to save. There is not if a login closed the session, or the service is away."""
        return self._is_modified and (self._is_cycled or not self._state.is_read_only)

    @modified.setter
    def modified(self, value: bool) -> None:
        self._is_modified = value

    @property
    def session_key(self) -> str | None:
        """The token that the browser is to have."""
        if self._is_cycled:
            self.save()
        key: str | None = self._session_key
        return key

    @property
    def handle(self) -> str | None:
        """The session's public name, for a page of devices; None if there is no session yet."""
        if self._is_cycled:
            self.save()
        self._get_session()
        return self._state.handle

    @property
    def changes_cookie(self) -> bool:
        """Whether the response sets or removes the cookie. A slow response must not undo what a login has set since."""
        return self._state.new_cookie is not None or (self._has_new_expiry and not self._state.is_read_only)

    @property
    def has_fixed_end(self) -> bool:
        """Whether the session ends at a time that `set_expiry` was given, and not after some time without a use."""
        return isinstance(self.get(_EXPIRY_KEY), str)

    def exists(self, session_key: str | None) -> bool:
        """Whether there is a session with this key. It is not used by that."""
        if self._is_cycled and session_key == self._state.token:
            # Django's `cycle_key` ends the old session at once.
            self.save()
        if not is_token(session_key):
            return False
        session = client().get(session_key, peek=True)
        return session is not None and not session.closed

    def load(self) -> dict[str, Any]:
        data = client().run(self._state.load(peek=self.peek))
        self._session_key = self._state.new_cookie or self._state.token
        if self._state.new_cookie:
            # Only then Django sets the cookie.
            self.modified = True
        return data

    def create(self) -> None:
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        if must_create:
            self._state.forget()
        data = self._get_session(no_load=must_create)
        user, expiry = data.get(USER_KEY), data.get(_EXPIRY_KEY)
        ttl = accepted(self.get_expiry_age(expiry=expiry))
        self._has_new_expiry |= _EXPIRY_KEY in self._state.changes(data)
        if user is not None and self._state.user not in (None, str(user)):
            # Nothing of one user goes to another, who may have logged in on another platform.
            for key in data.keys() - self._state.changes(data).keys():
                del data[key]
        is_alive = True
        if self._is_cycled or (user is not None and str(user) != self._state.user):
            self._is_cycled = False
            is_alive = client().run(self._state.replace(data, None if user is None else str(user), ttl=ttl))
        if is_alive:
            is_alive = client().run(self._state.save(data, ttl=ttl, new_ttl=ttl if self._has_new_expiry else None))
        if not is_alive:
            raise UpdateError
        self._session_key = self._state.new_cookie or self._state.token

    def delete(self, session_key: str | None = None) -> None:
        if session_key is None or session_key == self._session_key:
            client().run(self._state.end())
        elif is_token(session_key):
            client().kill(session_key)

    def flush(self) -> None:
        super().flush()
        self._state.forget()
        self._is_cycled = False

    async def aflush(self) -> None:
        await sync_to_async(self.flush)()

    def cycle_key(self) -> None:
        self._get_session()
        self._is_cycled = True
        self.modified = True

    async def acycle_key(self) -> None:
        await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Does nothing: the service removes expired sessions."""

    def _is_over(self, session: Session) -> bool:
        expiry = session.data.get(_EXPIRY_KEY)
        last_use = timezone.now() - timedelta(seconds=session.idle)
        age: int = self.get_expiry_age(modification=last_use, expiry=expiry)
        return age < session.idle and (bool(expiry) or age < MIN_TTL)


class SessionMiddleware(middleware.SessionMiddleware):  # type: ignore[misc]
    """Django's, which also keeps the visitor's address and user agent, and sets the cookie only if its token changed.

    The address is REMOTE_ADDR: behind a proxy, see that it is the visitor's.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if not issubclass(self.SessionStore, SessionStore):
            raise ImproperlyConfigured(f'{type(self).__name__} needs SESSION_ENGINE = "{__name__}"')
        # Says at the start what is missing in the settings.
        client()

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.session.describe(request.META.get("REMOTE_ADDR") or UNKNOWN_IP, request.headers.get("User-Agent", ""))

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        answer: HttpResponseBase = super().process_response(request, response)
        cookie = answer.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is None:
            return answer
        if not request.session.changes_cookie:
            del answer.cookies[settings.SESSION_COOKIE_NAME]
        elif cookie["max-age"] and not request.session.has_fixed_end:
            # The cookie is not set again, so that it has to last as long as a session that is in use.
            cookie["max-age"], cookie["expires"] = MAX_TTL, http_date(time.time() + MAX_TTL)
        return answer


def sessions_of(user: Any) -> list[Session]:
    """The sessions of a user, most recently used first. Each has a `handle`, an `ip`, an `age` and an `idle` time."""
    return list(client().soid(_user_id(user), details=True))


def end_session(user: Any, handle: str) -> int:
    """Ends the session of a user with this handle: "log out this device". Returns 1, or 0 if there was none."""
    with suppress(InvalidFormat):
        return client().killsoid(_user_id(user), handle=handle)
    return 0


def end_other_sessions(request: HttpRequest) -> int:
    """Ends the other sessions of the user who sends the request. Returns how many.

    Raises Conflict, and ends none, if the session of the request has ended.
    """
    handle = request.session.handle
    if handle is None:
        raise Conflict("The request has no session that could be spared")
    return client().killsoid(_user_id(request.user), except_=handle)


def _user_id(user: Any) -> str:
    text: str = user._meta.pk.value_to_string(user)  # noqa: SLF001 - as Django's login does
    return text
