"""The clients: `Client` for threads, `AsyncClient` for asyncio and trio. Both have the operations of `Calls`."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from functools import wraps
from importlib.metadata import version
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx2
from anyio.lowlevel import EventLoopToken, current_token

from rest_sessions_client.calls import Answer, Calls, Page, Pause, Request, Steps
from rest_sessions_client.errors import ApiError, ConfigurationError, ConnectionLost, NoAnswer

P = ParamSpec("P")
T = TypeVar("T")

_USER_AGENT = f"rest-sessions-client/{version('rest-sessions-client')}"
_KEY = re.compile(r"[!-~]+")
# The threads limit the connections. API Gateway and proxies close an idle connection after about a minute.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30)


class _Operation(Generic[P, T]):
    """A method of both clients, made of the steps of a call: it returns the result, or a coroutine for it."""

    def __init__(self, steps: Callable[Concatenate[Calls, P], Steps[T]]) -> None:
        self._steps = steps

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Calls, P], Steps[T]]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: "Client | AsyncClient | None", owner: type) -> Any:
        if client is None:
            return self._steps

        @wraps(self._steps)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._steps(client.calls, *args, **kwargs))

        return call


class _Listing(Generic[P, T]):
    """A method of both clients that iterates over a listing, and gets its pages when they are needed."""

    def __init__(self, steps: Callable[Concatenate[Calls, P], Steps[Page[T]]]) -> None:
        self._steps = steps

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Calls, P], Steps[Page[T]]]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, client: "Client | AsyncClient | None", owner: type) -> Any:
        if client is None:
            return self._steps

        @wraps(self._steps)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            def page(cursor: dict[str, str]) -> Steps[Page[T]]:
                return self._steps(client.calls, *args, **{**kwargs, **cursor})  # type: ignore[arg-type]

            return client.iterate(page)

        return call


class _Operations:
    """The address of the service, and the operations."""

    def __init__(
        self, url: str | None = None, app: str | None = None, key: str | None = None, timeout: float = 3.0
    ) -> None:
        """A client of the API at `url` for `app`.

        What is not given comes from REST_SESSIONS_URL, REST_SESSIONS_APP and REST_SESSIONS_KEY. Without a key none is
        sent. `timeout` is how many seconds a call may wait for the service. Raises ConfigurationError.
        """
        self._url = _checked_url(url or _setting("URL"))
        self._headers = {"User-Agent": _USER_AGENT, "Content-Type": "application/json"}
        key = key or os.environ.get("REST_SESSIONS_KEY")
        if key:
            if not _KEY.fullmatch(key):
                raise ConfigurationError("The key has a space, or a character outside ASCII")
            self._headers["Authorization"] = f"Bearer {key}"
        self.calls = Calls(app or _setting("APP"), timeout)
        # What httpx2's transports get. We do not use its clients: they log each URL, and so the tokens.
        self._options: dict[str, Any] = {"limits": _LIMITS, "proxy": _proxy_for(self._url)}

    create = _Operation(Calls.create)
    get = _Operation(Calls.get)
    set = _Operation(Calls.set)
    update = _Operation(Calls.update)
    touch = _Operation(Calls.touch)
    rotate = _Operation(Calls.rotate)
    kill = _Operation(Calls.kill)
    killsoid = _Operation(Calls.killsoid)
    killall = _Operation(Calls.killall)
    soid = _Listing(Calls.soid)
    soapp = _Listing(Calls.soapp)
    activity = _Operation(Calls.activity)
    apps = _Listing(Calls.apps)
    ping = _Operation(Calls.ping)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url}>"

    def _request(self, request: Request) -> httpx2.Request:
        return httpx2.Request(
            request.method,
            self._url + request.path,
            headers=self._headers,
            content=request.body,
            extensions={"timeout": httpx2.Timeout(_seconds_until(request.deadline)).as_dict()},
        )


class Client(_Operations):
    """A client for any number of threads."""

    def __init__(
        self, url: str | None = None, app: str | None = None, key: str | None = None, timeout: float = 3.0
    ) -> None:
        super().__init__(url, app, key, timeout)
        self._open()

    def _open(self) -> None:
        # In this order: another thread must not see the process before it sees the connections.
        self._transport = httpx2.HTTPTransport(**self._options)
        self._process = os.getpid()

    def run(self, steps: Steps[T]) -> T:
        """Runs the steps of a call, or of several."""
        answer = None
        try:
            while True:
                # A generator takes None first, and after a pause.
                answer = self._take(steps.send(cast("Answer", answer)))
        except StopIteration as end:
            result: T = end.value
            return result
        except ApiError as error:
            # A debug page shows the variables of each frame: in those of the steps is the token.
            raise error.with_traceback(None) from None

    def iterate(self, page: Callable[[dict[str, str]], Steps[Page[T]]]) -> Iterator[T]:
        """The items of all pages. `page` makes the steps of the page at a cursor."""
        cursor: dict[str, str] = {}
        while True:
            got = self.run(page(cursor))
            yield from got.items
            if got.next is None:
                return
            cursor = {"cursor": got.next}

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, step: Request | Pause) -> Answer | NoAnswer | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        if self._process != os.getpid():
            # On its parent's connections a forked process would read its parent's answers.
            self._open()
        try:
            response = self._transport.handle_request(self._request(step))
            try:
                body = bytearray()
                for part in response.iter_bytes():
                    body += part
                    if time.monotonic() > step.deadline:
                        # httpx2 limits the wait for each part of the answer, not for all of them.
                        return _no_answer(TimeoutError())
            finally:
                response.close()
        except httpx2.RequestError as error:
            return _no_answer(error)
        return Answer(response.status_code, response.headers.get("retry-after"), bytes(body))


class AsyncClient(_Operations):
    """A client for asyncio and trio. It may be used in several event loops."""

    def __init__(
        self, url: str | None = None, app: str | None = None, key: str | None = None, timeout: float = 3.0
    ) -> None:
        super().__init__(url, app, key, timeout)
        # A connection belongs to the event loop in which it was opened.
        self._transports: dict[EventLoopToken, httpx2.AsyncHTTPTransport] = {}

    async def run(self, steps: Steps[T]) -> T:
        """Runs the steps of a call, or of several."""
        answer = None
        try:
            while True:
                # A generator takes None first, and after a pause.
                answer = await self._take(steps.send(cast("Answer", answer)))
        except StopIteration as end:
            result: T = end.value
            return result
        except ApiError as error:
            # A debug page shows the variables of each frame: in those of the steps is the token.
            raise error.with_traceback(None) from None

    async def iterate(self, page: Callable[[dict[str, str]], Steps[Page[T]]]) -> AsyncIterator[T]:
        """The items of all pages. `page` makes the steps of the page at a cursor."""
        cursor: dict[str, str] = {}
        while True:
            got = await self.run(page(cursor))
            for item in got.items:
                yield item
            if got.next is None:
                return
            cursor = {"cursor": got.next}

    def _open(self) -> httpx2.AsyncHTTPTransport:
        for loop in [loop for loop in self._transports if _is_closed(loop)]:
            # Its sockets are closed with it.
            del self._transports[loop]
        transport = self._transports[current_token()] = httpx2.AsyncHTTPTransport(**self._options)
        return transport

    async def aclose(self) -> None:
        """Closes the connections of this event loop."""
        if transport := self._transports.pop(current_token(), None):
            await transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _take(self, step: Request | Pause) -> Answer | NoAnswer | None:
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
            return None
        transport = self._transports.get(current_token()) or self._open()
        try:
            # httpx2 limits the wait for each part of the answer, not for all of them.
            with anyio.fail_after(_seconds_until(step.deadline)):
                response = await transport.handle_async_request(self._request(step))
                try:
                    body = await response.aread()
                finally:
                    await response.aclose()
        except (httpx2.RequestError, TimeoutError) as error:
            return _no_answer(error)
        return Answer(response.status_code, response.headers.get("retry-after"), body)


def _is_closed(loop: EventLoopToken) -> bool:
    """Whether an event loop of asyncio is closed. Of trio's it cannot be told."""
    return isinstance(loop.native_token, asyncio.AbstractEventLoop) and loop.native_token.is_closed()


def _setting(name: str) -> str:
    variable = f"REST_SESSIONS_{name}"
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(f"Pass {name.lower()}, or set {variable}")
    return value


def _checked_url(url: str) -> str:
    try:
        address = urlsplit(url)
        httpx2.URL(url)
        is_url = address.port is None or address.port > 0
    except (ValueError, httpx2.InvalidURL):
        is_url = False
    is_text = url.isprintable() and " " not in url
    if not is_text or not is_url or address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigurationError("The URL must have the form https://HOST or http://HOST:PORT")
    if address.username is not None or "?" in url or "#" in url:
        raise ConfigurationError("The URL must have no user, query or fragment: the key is passed as key")
    return url.rstrip("/")


def _proxy_for(url: str) -> httpx2.Proxy | None:
    """The proxy that the environment names for a URL. Who writes no scheme means http."""
    address = urlsplit(url)
    proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)
    if not proxy:
        return None
    with suppress(ValueError, httpx2.InvalidURL):
        return httpx2.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    raise ConfigurationError(f"{address.scheme.upper()}_PROXY is not the URL of a proxy")


def _seconds_until(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


def _no_answer(error: httpx2.RequestError | TimeoutError) -> NoAnswer:
    """What to raise for an error of httpx2, which holds the request with its token, and may quote its headers."""
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return NoAnswer("REST Sessions did not answer in time")
    if isinstance(error, httpx2.ConnectError):
        return NoAnswer(f"REST Sessions cannot be reached: {error}")
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return ConnectionLost("The connection to REST Sessions was lost before the answer")
    return NoAnswer(f"REST Sessions cannot be called ({type(error).__name__})")
