"""Sessions in real Starlette and FastAPI apps, over a real service."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Body, FastAPI
from fastapi import Request as FastAPIRequest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from rest_sessions_client import AsyncClient, Client, Session
from rest_sessions_client.errors import NoAnswer, TooManySessions
from rest_sessions_client.starlette import SessionMiddleware
from tests.conftest import Service
from tests.recorder import Recorder

NOBODY_LISTENS = "http://127.0.0.1:1"


async def nothing() -> None:
    pass


class Site:
    """A Starlette app with an endpoint for each thing that a session is used for."""

    def __init__(self, client: AsyncClient, **options: Any) -> None:
        # What the endpoint `write` awaits between reading the session and changing it.
        self.meanwhile: Callable[[], Awaitable[object]] = nothing
        endpoints = (self.untouched, self.read, self.polled, self.write, self.append, self.clear, self.log_in,
                     self.log_out, self.fail)  # fmt: skip
        self.app = Starlette(
            routes=[
                *(Route(f"/{endpoint.__name__}", endpoint, methods=["GET", "POST"]) for endpoint in endpoints),
                WebSocketRoute("/socket", self.socket),
            ],
            middleware=[Middleware(SessionMiddleware, client=client, peek=["/polled"], **options)],
        )

    def browser(self) -> TestClient:
        return TestClient(self.app, "https://testserver", headers={"user-agent": "Firefox"}, client=("192.0.2.7", 1))

    async def untouched(self, request: Request) -> Response:
        return JSONResponse("no session")

    async def read(self, request: Request) -> Response:
        return JSONResponse({"data": request.session, "user": request.session.user})  # type: ignore[attr-defined]

    async def polled(self, request: Request) -> Response:
        return await self.read(request)

    async def write(self, request: Request) -> Response:
        await self.meanwhile()
        request.session.update(await request.json())
        return JSONResponse("written")

    async def append(self, request: Request) -> Response:
        request.session["list"].append(len(request.session["list"]))
        return JSONResponse("appended")

    async def clear(self, request: Request) -> Response:
        request.session.clear()
        return JSONResponse("cleared")

    async def log_in(self, request: Request) -> Response:
        options: dict[str, Any] = dict(request.query_params)
        limits = {name: int(value) for name, value in options.items() if value.isdecimal()}
        await request.session.login(options["user"], **{"over": options.get("over"), **limits})  # type: ignore[attr-defined]
        return JSONResponse("logged in")

    async def log_out(self, request: Request) -> Response:
        await request.session.logout()  # type: ignore[attr-defined]
        return JSONResponse("logged out")

    async def fail(self, request: Request) -> Response:
        request.session["a"] = "of a failed request"
        raise ZeroDivisionError

    async def socket(self, socket: WebSocket) -> None:
        socket.session["before"] = socket.session.get("a")
        await socket.accept()
        await socket.send_json(dict(socket.session))
        await socket.close()


@pytest.fixture
def async_client(service: Service, app: str) -> AsyncClient:
    return AsyncClient(service.url, app, service.key)


@pytest.fixture
def site(async_client: AsyncClient) -> Site:
    return Site(async_client)


@pytest.fixture
def browser(site: Site) -> Iterator[TestClient]:
    # All requests in one event loop, as on a server.
    with site.browser() as browser:
        yield browser


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def token_of(browser: TestClient) -> str:
    return browser.cookies["session"]


def data_of(browser: TestClient) -> Any:
    return browser.get("/read").json()["data"]


def write(browser: TestClient, **data: Any) -> httpx2.Response:
    return browser.post("/write", json=data)


def test_calls_of_each_kind_of_request(browser: TestClient, sent: Recorder) -> None:
    write(browser, a=1)
    assert sent.take() == ["create"]
    for path, calls in (
        # Starlette's sessions are read without await, so it cannot be known which requests will use theirs.
        ("/untouched", ["get"]),
        ("/read", ["get"]),
        ("/log_in?user=peter", ["get", "create"]),
        ("/log_out", ["get", "kill"]),
        ("/read", []),
    ):
        assert browser.get(path).status_code == 200
        assert (path, sent.take()) == (path, calls)
    write(browser, list=[])
    sent.take()
    browser.get("/append")
    assert sent.take() == ["get", "set"]
    assert data_of(browser) == {"list": [0]}


def test_parallel_requests_lose_nothing(service: Service, app: str, async_client: AsyncClient) -> None:
    async def run() -> Any:
        site = Site(async_client)
        transport = httpx2.ASGITransport(site.app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://testserver") as browser:
            await browser.post("/write", json={"first": True})
            barrier = asyncio.Barrier(25)
            site.meanwhile = barrier.wait
            async with asyncio.timeout(30):
                await asyncio.gather(*(browser.post("/write", json={f"k{n}": n}) for n in range(25)))
            data = (await browser.get("/read")).json()["data"]
        await async_client.aclose()
        return data

    assert asyncio.run(run()) == {"first": True, **{f"k{n}": n for n in range(25)}}


class TestCookie:
    def test_is_safe_and_lasts_as_long_as_the_session_can(self, browser: TestClient, async_client: AsyncClient) -> None:
        header = write(browser, a=1).headers["set-cookie"]
        assert set(header.lower().split("; ")[1:]) == {
            "httponly", "secure", "samesite=lax", "path=/", "max-age=34560000",
        }  # fmt: skip
        header = Site(async_client, lifetime=86_400).browser().post("/write", json={"a": 1}).headers["set-cookie"]
        assert "Max-Age=86400" in header

    def test_follows_the_options(self, async_client: AsyncClient) -> None:
        site = Site(
            async_client, session_cookie="sid", path="/app", domain="example.com", same_site="strict", secure=False
        )
        header = site.browser().post("/write", json={"a": 1}).headers["set-cookie"]
        assert header.startswith("sid=Z")
        assert set(header.lower().split("; ")[1:]) == {
            "httponly", "samesite=strict", "path=/app", "domain=example.com", "max-age=34560000",
        }  # fmt: skip

    def test_is_set_only_if_the_token_changed(self, browser: TestClient) -> None:
        assert "set-cookie" in write(browser, a=1).headers
        assert "set-cookie" not in write(browser, a=2).headers
        assert "set-cookie" not in browser.get("/read").headers

    def test_the_response_varies_with_it(self, browser: TestClient) -> None:
        assert write(browser, a=1).headers["vary"] == "Cookie"
        assert browser.get("/read").headers["vary"] == "Cookie"
        assert "vary" not in browser.get("/untouched").headers

    @pytest.mark.parametrize("value", ["x", "x" * 65, "../" + "x" * 61])
    def test_that_is_malformed_is_none(self, browser: TestClient, sent: Recorder, value: str) -> None:
        browser.cookies.set("session", value, domain="testserver.local")
        assert data_of(browser) == {}
        assert sent.take() == []

    def test_of_a_session_that_has_ended_stays(self, browser: TestClient, client: Client) -> None:
        write(browser, a=1)
        ended = token_of(browser)
        client.kill(ended)
        assert "set-cookie" not in browser.get("/read").headers
        write(browser, b=2)
        assert token_of(browser) != ended
        assert data_of(browser) == {"b": 2}

    def test_a_rotated_token_is_replaced_and_the_request_keeps_the_old(
        self, browser: TestClient, client: Client, sent: Recorder
    ) -> None:
        write(browser, a=1)
        old = token_of(browser)
        new = client.rotate(old)
        sent.take()
        sent.tokens.clear()
        write(browser, b=2)
        assert sent.take() == ["get", "rotate", "set"]
        assert set(sent.tokens) == {old}
        assert token_of(browser) == new
        assert data_of(browser) == {"a": 1, "b": 2}


class TestLogin:
    def test_keeps_the_data_and_names_the_user(self, browser: TestClient, client: Client) -> None:
        write(browser, cart=[1])
        browser.get("/log_in?user=peter&ttl=600&lifetime=6000")
        assert browser.get("/read").json() == {"data": {"cart": [1]}, "user": "peter"}
        [device] = client.soid("peter", details=True)
        assert (device.ip, device.data["_user_agent"]) == ("192.0.2.7", "Firefox")
        assert (device.ttl, device.lifetime) == (600, 6000)

    def test_again_makes_the_old_token_worthless(self, browser: TestClient, client: Client) -> None:
        browser.get("/log_in?user=peter")
        old = token_of(browser)
        browser.get("/log_in?user=peter")
        assert client.get(old) is None
        assert browser.get("/read").json()["user"] == "peter"

    def test_as_another_user_takes_nothing(self, browser: TestClient) -> None:
        browser.get("/log_in?user=peter")
        write(browser, secret="of peter")
        browser.get("/log_in?user=anna")
        assert browser.get("/read").json() == {"data": {}, "user": "anna"}

    def test_limits_the_sessions(self, site: Site, browser: TestClient) -> None:
        browser.get("/log_in?user=peter&max=1")
        with site.browser() as other, pytest.raises(TooManySessions):
            other.get("/log_in?user=peter&max=1&over=refuse")

    def test_a_late_request_sees_the_session_and_changes_nothing(self, site: Site, browser: TestClient) -> None:
        write(browser, a=1)
        with site.browser() as late:
            late.cookies = browser.cookies
            visitor = token_of(browser)
            browser.get("/log_in?user=peter")
            late.cookies.set("session", visitor, domain="testserver.local")
            answer = write(late, b=2)
            assert "set-cookie" not in answer.headers
            assert data_of(late) == {"a": 1}


class TestLogout:
    def test_ends_the_session_and_the_cookie(self, browser: TestClient, client: Client) -> None:
        browser.get("/log_in?user=peter")
        token = token_of(browser)
        browser.get("/log_out")
        assert client.get(token) is None
        assert "session" not in browser.cookies

    def test_a_slow_request_revives_nothing(
        self, site: Site, browser: TestClient, async_client: AsyncClient, client: Client,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        write(browser, a=1)
        token = token_of(browser)
        site.meanwhile = lambda: async_client.kill(token)
        with caplog.at_level(logging.WARNING):
            answer = write(browser, b=2)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert list(client.soapp(60)) == []
        assert len(caplog.records) == 1

    def test_by_clear(self, browser: TestClient, client: Client) -> None:
        write(browser, a=1)
        browser.get("/clear")
        assert "session" not in browser.cookies
        assert list(client.soapp(60)) == []


def test_a_failed_request_saves_nothing(site: Site, browser: TestClient) -> None:
    write(browser, a=1)
    with pytest.raises(ZeroDivisionError):
        browser.get("/fail")
    assert data_of(browser) == {"a": 1}


def test_a_polled_path_does_not_use_the_session(browser: TestClient, client: Client) -> None:
    write(browser, a=1)
    before = client.get(token_of(browser), peek=True).r
    assert browser.get("/polled").json()["data"] == {"a": 1}
    assert client.get(token_of(browser), peek=True).r == before


def test_a_polled_path_of_a_mounted_app(async_client: AsyncClient, client: Client) -> None:
    mounted = Starlette(routes=[Mount("/inside", Site(async_client).app)])
    browser = TestClient(mounted, "https://testserver")
    browser.post("/inside/write", json={"a": 1})
    before = client.get(token_of(browser), peek=True).r
    assert browser.get("/inside/polled").json()["data"] == {"a": 1}
    assert client.get(token_of(browser), peek=True).r == before


@pytest.mark.parametrize(("idle", "is_alive"), [(5, True), (6, False)])
def test_a_timeout_below_ten_seconds_is_kept(
    async_client: AsyncClient, idle: int, is_alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Site(async_client, ttl=5).browser()
    write(browser, a=1)
    parse = Session.parse.__func__
    monkeypatch.setattr(Session, "parse", classmethod(lambda cls, answer: parse(cls, {**answer, "idle": idle})))
    assert (data_of(browser) == {"a": 1}) is is_alive


def test_a_websocket_has_the_session_and_saves_what_changes_before_it_is_accepted(browser: TestClient) -> None:
    write(browser, a=1)
    with browser.websocket_connect("wss://testserver/socket", headers={"cookie": f"session={token_of(browser)}"}) as ws:
        assert ws.receive_json() == {"a": 1, "before": 1}
    assert data_of(browser) == {"a": 1, "before": 1}


def test_each_event_loop_has_its_own_connections(site: Site) -> None:
    # Without a context, Starlette's test client runs each request in an event loop of its own.
    browser = site.browser()
    write(browser, a=1)
    assert data_of(browser) == {"a": 1}


class TestServiceAway:
    @staticmethod
    def browser_of(**options: Any) -> TestClient:
        browser = Site(AsyncClient(NOBODY_LISTENS, "webapp"), **options).browser()
        browser.cookies.set("session", "x" * 64)
        return browser

    def test_a_page_without_the_session_works(self) -> None:
        assert self.browser_of().get("/untouched").json() == "no session"

    def test_a_page_with_the_session_raises(self) -> None:
        with pytest.raises(NoAnswer, match="cannot be reached"):
            self.browser_of().get("/read")

    def test_the_session_may_be_empty_instead(self, sent: Recorder) -> None:
        browser = self.browser_of(on_unavailable="anonymous")
        assert data_of(browser) == {}
        answer = write(browser, a=1)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert set(sent.take()) == {"get"}
        browser.cookies.clear()
        assert write(browser, a=1).status_code == 200

    def test_a_logout_is_not_pretended(self) -> None:
        with pytest.raises(NoAnswer):
            self.browser_of(on_unavailable="anonymous").get("/log_out")


def test_fastapi(service: Service, app: str, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """With the client from the environment, in endpoints with and without async."""
    for name, value in (("URL", service.url), ("APP", app), ("KEY", service.key)):
        monkeypatch.setenv(f"REST_SESSIONS_{name}", value)
    api = FastAPI()
    api.add_middleware(SessionMiddleware)

    @api.post("/items")
    def add(request: FastAPIRequest, name: Annotated[str, Body()]) -> list[str]:
        request.session["items"] = [*request.session.get("items", []), name]
        return request.session["items"]

    @api.post("/login")
    async def login(request: FastAPIRequest) -> str:
        await request.session.login("peter")  # type: ignore[attr-defined]
        return "logged in"

    with TestClient(api, "https://testserver") as browser:
        browser.post("/items", json="a")
        browser.post("/login")
        assert browser.post("/items", json="b").json() == ["a", "b"]
    assert [session.data["items"] for session in client.soid("peter")] == [["a", "b"]]
