"""The operations of the API, written once for both clients: as generators that do no input or output.

A generator yields what is to be done, a Request or a Pause, and gets back the Answer to a request, or NoAnswer. Its
return value is the result. `Client` and `AsyncClient` run it, each in its way.
"""

import json
import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from rest_sessions_client.errors import (
    Conflict,
    InvalidFormat,
    NoAnswer,
    SessionNotFound,
    Unavailable,
    UnexpectedAnswer,
    error_of,
)
from rest_sessions_client.models import App, Created, Session

T = TypeVar("T")
Data = Mapping[str, Any]

_OK, _BAD_REQUEST, _CONFLICT = 200, 400, 409
# How often `update` starts again because others wrote in between.
_MAX_ATTEMPTS = 100
# API Gateway and proxies change a path that contains these, so that two users could become one.
_UNSAFE = re.compile(r"[/?%]|^\.{0,2}$")
# What `killsoid` ends without a handle. It is no text, so that no text can mean it.
_ALL: Any = object()
# It has no form in a URL.
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Request:
    """A request to be sent, whose answer must be there at `deadline`, a time of the monotonic clock."""

    method: str
    path: str = field(repr=False)
    body: bytes | None = field(repr=False)
    deadline: float


@dataclass(frozen=True)
class Pause:
    """Seconds to wait."""

    seconds: int


@dataclass(frozen=True)
class Answer:
    """An answer of the service."""

    status: int
    retry_after: str | None
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a listing, and the cursor of the next part, None if this is the last one."""

    items: list[T]
    next: str | None


Steps = Generator[Request | Pause, Answer | NoAnswer, T]


class Calls:
    """The operations of the API in one app. A method has the name of its operation."""

    def __init__(self, app: str, timeout: float) -> None:
        self._app = app
        self._timeout = timeout

    def create(
        self,
        id: str | None = None,
        *,
        ip: str,
        data: Data | None = None,
        ttl: int | None = None,
        lifetime: int | None = None,
        no_resave: bool = False,
        from_: str | None = None,
        grace: int | None = None,
        max: int | None = None,
        over: str | None = None,
        token: str | None = None,
        details: bool = False,
    ) -> Steps[Created]:
        """Creates a session of the user `id`, or an anonymous one.

        With `from_`, a token, this is a login: the session takes over the data of the session of that token, which is
        closed, and can be read for another `grace` seconds. With `max`, the user has at most so many sessions
        afterwards: more end, least recently used first, or with over="refuse" TooManySessions is raised. `token` is the
        caller's own token; TokenInUse is raised if a session has or had it.
        """
        return self._call(
            Created.parse,
            "PUT",
            ("create",) if id is None else ("create", id),
            {
                "ip": ip,
                "ttl": ttl,
                "lifetime": lifetime,
                "no_resave": no_resave,
                "from": from_,
                "grace": grace,
                "max": max,
                "over": over,
                "token": token,
                "details": details,
            },
            data,
        )

    def get(self, token: str, *, peek: bool = False, details: bool = False) -> Steps[Session | None]:
        """Reads a session. This is a use of it: the idle timeout starts again, unless with `peek`."""
        return self._session("GET", ("get", token), {"peek": peek, "details": details})

    def set(
        self,
        token: str,
        data: Data,
        *,
        ttl: int | None = None,
        replace: bool = False,
        w: int | None = None,
        details: bool = False,
    ) -> Steps[Session | None]:
        """Writes the keys of `data`; None removes a key, and with `replace` all keys that `data` leaves out go.

        With `w` it writes only if the session's `w` is this number, else it raises Conflict. `ttl` is a new idle
        timeout.
        """
        query = {"ttl": ttl, "replace": replace, "w": w, "details": details}
        return self._session("POST", ("set", token), query, data, may_repeat=w is None)

    def touch(self, token: str, *, ttl: int | None = None, details: bool = False) -> Steps[Session | None]:
        """Starts the idle timeout again, or sets a new one. Returns the session without its data."""
        return self._session("POST", ("touch", token), {"ttl": ttl, "details": details})

    def rotate(self, token: str, *, grace: int | None = None) -> Steps[str | None]:
        """Gives the session a new token. The old one works until `grace` seconds after the first use of the new one."""
        return self._call(_token_or_none, "POST", ("rotate", token), {"grace": grace})

    def kill(self, token: str) -> Steps[int]:
        """Ends a session. Returns 1, or 0 if there was none."""
        return self._call(_number("kill"), "DELETE", ("kill", token))

    def killsoid(self, id: str, *, handle: str = _ALL, except_: str = _ALL) -> Steps[int]:
        """Ends all sessions of a user, or only that with `handle`, or all but that with `except_`. Returns how many.

        Raises Conflict, and ends nothing, if `except_` is the handle of no live session of this user.
        """
        given = {name: value for name, value in (("handle", handle), ("except", except_)) if value is not _ALL}
        if None in given.values():
            # A handle that is missing must not end all sessions.
            raise InvalidFormat("A handle must not be None", _BAD_REQUEST)
        return self._call(_number("kill"), "DELETE", ("killsoid", id), given)

    def killall(self) -> Steps[int]:
        """Ends all sessions of the app. Returns how many."""
        return self._call(_number("kill"), "DELETE", ("killall",))

    def soid(
        self, id: str, *, limit: int | None = None, cursor: str | None = None, details: bool = False
    ) -> Steps[Page[Session]]:
        """The sessions of a user, most recently used first, `limit` a page."""
        query = {"limit": limit, "cursor": cursor, "details": details}
        return self._page(("soid", id), query, "sessions", Session.parse)

    def soapp(
        self, dt: int, *, limit: int | None = None, cursor: str | None = None, details: bool = False
    ) -> Steps[Page[Session]]:
        """The sessions of the app that were used in the last `dt` seconds, most recently used first."""
        query = {"dt": dt, "limit": limit, "cursor": cursor, "details": details}
        return self._page(("soapp",), query, "sessions", Session.parse)

    def activity(self, dt: int) -> Steps[int]:
        """How many users were active in the last `dt` seconds."""
        return self._call(_number("activity"), "GET", ("activity",), {"dt": dt})

    def apps(self, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[App]]:
        """The apps that the key may use, by name."""
        return self._page(None, {"limit": limit, "cursor": cursor}, "apps", App.parse)

    def ping(self) -> Steps[str]:
        """Returns "PONG" if the service and its store answer."""
        answer = yield from self._send("GET", "/ping", None, may_repeat=True)
        if answer.body != b"PONG":
            raise _unexpected(answer)
        return "PONG"

    def update(self, token: str, change: Callable[[dict[str, Any]], Data]) -> Steps[Session | None]:
        """Changes data that depend on themselves, such as a counter, and loses no write of another.

        `change` takes the data and returns what `set` is to write. It is called again if somebody else wrote in
        between. Returns the session as it is now, None if it ended. Raises Unavailable if it cannot tell whether it
        wrote.
        """
        unsure: Unavailable | None = None
        w = 0
        for _ in range(_MAX_ATTEMPTS):
            session = yield from self.get(token, peek=True)
            if session is None:
                return None
            if unsure and session.w != w:
                raise unsure
            w = session.w
            changes = change(session.data)
            if not changes:
                return session
            try:
                return (yield from self.set(token, changes, w=w))
            except Conflict:
                # The first try of this write may have come late.
                if unsure:
                    raise unsure from None
            except Unavailable as error:
                if unsure:
                    raise
                unsure = error
        raise Conflict(f"Others wrote in between {_MAX_ATTEMPTS} times", _CONFLICT)

    def _session(
        self, method: str, path: tuple[str, ...], query: Data, data: Data | None = None, *, may_repeat: bool = True
    ) -> Steps[Session | None]:
        return self._call(_session_or_none, method, path, query, data, may_repeat=may_repeat)

    def _page(self, path: tuple[str, ...] | None, query: Data, name: str, parse: Callable[[Data], T]) -> Steps[Page[T]]:
        def parse_page(answer: Data) -> Page[T]:
            return Page([parse(item) for item in answer[name]], answer.get("next"))

        return self._call(parse_page, "GET", path, query)

    def _call(
        self,
        parse: Callable[[Data], T],
        method: str,
        path: tuple[str, ...] | None,
        query: Data | None = None,
        data: Data | None = None,
        *,
        may_repeat: bool = True,
    ) -> Steps[T]:
        """Calls a route of the app, or `/apps` without a path. A session that is missing is an empty answer."""
        segments = ("apps",) if path is None else (self._app, *path)
        if any(_UNSAFE.search(segment) for segment in segments):
            raise InvalidFormat("An app, id or token must not be empty, only dots, or contain / ? %", _BAD_REQUEST)
        given = {
            name: 1 if value is True else value
            for name, value in (query or {}).items()
            if value is not None and value is not False
        }
        if any(_HALF_PAIR.search(str(text)) for text in (*segments, *given.values())):
            raise InvalidFormat("An id or a parameter must not contain half of a surrogate pair", _BAD_REQUEST)
        url = "".join("/" + quote(segment, safe="") for segment in segments)
        body = None
        if data is not None:
            text = json.dumps(dict(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            # Half a surrogate pair in the data is refused by the service, in words.
            body = text.encode("utf-8", "surrogatepass")
        try:
            answer = yield from self._send(method, f"{url}?{urlencode(given)}", body, may_repeat=may_repeat)
        except SessionNotFound:
            answer = Answer(_OK, None, b"{}")
        return _parsed(answer, parse)

    def _send(self, method: str, path: str, body: bytes | None, *, may_repeat: bool) -> Steps[Answer]:
        """Sends a request, and again, once, if the service asks for that or the connection was lost."""
        request = Request(method, path, body, time.monotonic() + self._timeout)
        try:
            return _checked((yield request))
        except Unavailable as error:
            seconds = error.retry_after
            if not may_repeat or seconds is None or time.monotonic() + seconds >= request.deadline:
                raise
        yield Pause(seconds)
        return _checked((yield request))


def _checked(answer: Answer | NoAnswer) -> Answer:
    if isinstance(answer, NoAnswer):
        raise answer
    if answer.status != _OK:
        raise error_of(answer.status, answer.body, answer.retry_after)
    return answer


def _parsed(answer: Answer, parse: Callable[[Data], T]) -> T:
    # These errors may hold the answer, with its token or data: no error is raised while they are handled.
    with suppress(ValueError, TypeError, KeyError):
        members = json.loads(answer.body)
        if isinstance(members, dict):
            return parse(members)
    raise _unexpected(answer)


def _unexpected(answer: Answer) -> UnexpectedAnswer:
    return UnexpectedAnswer("This is no answer of a REST Sessions API: check the URL", answer.status)


def _session_or_none(answer: Data) -> Session | None:
    return Session.parse(answer) if answer else None


def _token_or_none(answer: Data) -> str | None:
    return str(answer["token"]) if answer else None


def _number(name: str) -> Callable[[Data], int]:
    return lambda answer: int(answer[name])
