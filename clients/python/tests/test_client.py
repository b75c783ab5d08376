"""What is Python's own in the client. What all clients have in common is in test_conformance.py."""

import inspect
import json
import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from rest_sessions_client import AsyncClient, Client, errors
from rest_sessions_client.calls import Answer, Calls, Page, Request
from rest_sessions_client.errors import (
    ApiError,
    ConfigurationError,
    Conflict,
    ConnectionLost,
    Forbidden,
    InvalidFormat,
    InvalidJson,
    InvalidValue,
    NoAnswer,
    RestSessionsError,
    StoreUnavailable,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from rest_sessions_client.models import App, Created, Session
from tests.conftest import ROOT, Service, free_port, running_service
from tests.servers import PATIENCE, ScriptedServer, hang_up, last, reply, reset, scripted, silence, trickle, within

KEY = "the-key-that-nobody-may-see-in-a-log"
TOKEN = "Z" + "0123456789abcdef" * 3 + "nobodymaysee123"
OTHER_TOKEN = "A" + TOKEN[1:]
DATA = {"card": "nobody-may-see-this"}
SECRETS = (KEY, TOKEN, OTHER_TOKEN, "nobody-may-see-this")
SESSION = {"id": "user123", "r": 1, "w": 1, "ttl": 7200, "idle": 0, "ip": "192.0.2.7"}
STORE_UNAVAILABLE = {"name": "storeUnavailable", "message": "The session store is unavailable; try again"}
OPENAPI = (ROOT / "docs/openapi.yaml").read_text(encoding="utf-8")
# A test of a timeout may take so much longer on a busy machine.
SLOW = 1.5
# How the client is used: `run(url, call, …)` makes the calls one after the other, and returns the last result.
Run = Callable[..., Any]


@pytest.fixture(params=["Client", "AsyncClient on asyncio", "AsyncClient on trio"])
def run(request: pytest.FixtureRequest) -> Run:
    name, _, backend = request.param.partition(" on ")

    def run_client(url: str, *calls: Callable[[Any], Any], app: str = "webapp", key: str | None = KEY, **options: Any):
        def run_calls() -> Any:
            with Client(url, app, key, **options) as client:
                for call in calls:
                    result = call(client)
                    result = list(result) if inspect.isgenerator(result) else result
            return result

        async def run_calls_async() -> Any:
            async with AsyncClient(url, app, key, **options) as client:
                for call in calls:
                    result = call(client)
                    result = [item async for item in result] if inspect.isasyncgen(result) else await result
            return result

        return anyio.run(run_calls_async, backend=backend) if name == "AsyncClient" else run_calls()

    return run_client


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "APP", "KEY"):
        monkeypatch.delenv(f"REST_SESSIONS_{name}", raising=False)


def get(client: Any) -> Any:
    return client.get(TOKEN)


def set_(client: Any) -> Any:
    return client.set(TOKEN, DATA)


def set_with_w(client: Any) -> Any:
    return client.set(TOKEN, DATA, w=1)


def add_one(client: Any) -> Any:
    return client.update(TOKEN, lambda data: {"n": data.get("n", 0) + 1})


def free_url() -> str:
    """A URL at which nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


def operations(server: ScriptedServer) -> list[str]:
    return [request.path.split("/")[2] for request in server.received]


# Configuration


def test_arguments_come_before_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(reply("{}")) as server:
        for name, value in {"URL": server.url, "APP": "env-app", "KEY": "env-key"}.items():
            monkeypatch.setenv(f"REST_SESSIONS_{name}", value)
        run(None, get, app=None, key=None)
        run(None, get, app="arg-app", key="arg-key")
    assert [(request.path.split("/")[1], request.headers["authorization"]) for request in server.received] == [
        ("env-app", "Bearer env-key"),
        ("arg-app", "Bearer arg-key"),
    ]


def test_without_a_key_none_is_sent(run: Run) -> None:
    with scripted(reply("{}")) as server:
        run(server.url, get, key=None)
    [request] = server.received
    assert "authorization" not in request.headers


@pytest.mark.parametrize("end", ["", "/", "/stage", "/stage/"])
def test_the_url_may_have_a_path(run: Run, end: str) -> None:
    with scripted(reply("{}")) as server:
        run(server.url + end, get)
    [request] = server.received
    assert request.path.partition("?")[0] == f"{end.rstrip('/')}/webapp/get/{TOKEN}"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("name", ["URL", "APP"])
def test_a_missing_setting_is_named(kind: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"URL": "http://127.0.0.1:3000", "APP": "webapp"} | {name: ""}
    for setting, value in settings.items():
        monkeypatch.setenv(f"REST_SESSIONS_{setting}", value)
    with pytest.raises(ConfigurationError, match=f"REST_SESSIONS_{name}"):
        kind()


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "url",
    [
        "secret.example",
        "secret.example:3000",
        "//secret.example",
        "ftp://secret.example",
        "https://",
        "https://:443",
        "https://secret.example:0",
        "https://secret.example:65536",
        "https://secret.example:port",
        "https://[::secret",
        "https://secret@api.example",
        "https://secret:secret@api.example",
        "https://@secret.example",
        "https://secret.example/?key=secret",
        "https://secret.example/#secret",
        "https://secret.example?",
        "https://secret.example/#",
        "https://secret.example\n",
        " https://secret.example",
        "https://secret .example",
        "https://secret.example/a b",
    ],
)
def test_a_wrong_url_is_refused_and_not_repeated(kind: type, url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        kind(url, "webapp", KEY)
    assert "secret" not in str(raised.value)
    assert all(isinstance(error, ConfigurationError) for error in chain(raised.value))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("key", ["secret key", "secret\n", "secret\r\nX-Header: 1", "sécret", " "])
def test_a_wrong_key_is_refused_and_not_repeated(kind: type, key: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        kind("http://127.0.0.1:3000", "webapp", key)
    assert "cret" not in str(raised.value)


def test_the_key_is_required_and_decides(run: Run, app: str) -> None:
    entry = {"name": "reader", "key": KEY, "apps": [app], "allow": ["get"]}
    with running_service(AUTH="1", API_KEYS=json.dumps({"keys": [entry]})) as service:
        assert run(service.url, get, app=app) is None
        with pytest.raises(Unauthorized, match="REST_SESSIONS_KEY"):
            run(service.url, get, app=app, key=None)
        with pytest.raises(Forbidden, match="does not know this key"):
            run(service.url, get, app=app, key=KEY[::-1])
        for forbidden in (set_, lambda client: client.soid("user123")):
            with pytest.raises(Forbidden, match="may not do this"):
                run(service.url, forbidden, app=app)
        with pytest.raises(Forbidden, match="may not do this"):
            run(service.url, get, app="other-app")


# Errors


def named_errors() -> dict[str, int]:
    """The name and the status of each error in docs/openapi.yaml."""
    statuses = {
        component: int(status)
        for status, component in re.findall(r'"(\d+)":\s+\$ref: "#/components/responses/(\w+)"', OPENAPI)
    }
    responses = OPENAPI.partition("\n  responses:\n")[2]
    sections = re.split(r"^    (\w+):$", responses, flags=re.MULTILINE)[1:]
    return {
        name: statuses[component]
        for component, section in zip(sections[::2], sections[1::2], strict=True)
        for names in re.findall(r"name: \{(?:enum|const): \[?([\w, ]+)", section)
        for name in names.split(", ")
    }


def all_errors(error: type = RestSessionsError) -> Iterator[type]:
    yield error
    for subclass in error.__subclasses__():
        if subclass.__module__ == errors.__name__:
            yield from all_errors(subclass)


@pytest.mark.parametrize(("name", "status"), named_errors().items())
def test_each_error_of_the_api_has_a_class(run: Run, name: str, status: int) -> None:
    [kind] = [error for error in all_errors() if vars(error).get("name") == name]
    with scripted(reply({"name": name, "message": "What is wrong"}, status)) as server:
        if name == "notFound":
            assert run(server.url, get) is None
            return
        with pytest.raises(ApiError, match=r"^What is wrong$") as raised:
            run(server.url, get)
    assert (type(raised.value), raised.value.name, raised.value.status) == (kind, name, status)


def test_the_errors_docstring_draws_the_classes() -> None:
    drawn = {}
    parents = []
    for line in errors.__doc__.split("\n\n")[1].splitlines():
        branch, name, text = re.fullmatch(r"([│├└─ ]*)(\w+)(.*)", line).groups()
        parents[len(branch) // 4 :] = [name]
        status, api_name = re.fullmatch(r"\s*(\d{3})?\s*([a-z]+[A-Z]\w*|forbidden|conflict)?.*", text).groups()
        drawn[name] = (parents[-2] if len(parents) > 1 else "Exception", status, api_name)
    statuses = named_errors()
    for error in all_errors():
        parent, status, name = drawn.pop(error.__name__)
        assert (error.__base__.__name__, vars(error).get("name")) == (parent, name), error
        if status and name:
            assert statuses[name] == int(status), error
    assert not drawn


def test_both_clients_have_all_operations() -> None:
    for name, steps in vars(Calls).items():
        if not name.startswith("_"):
            for kind in (Client, AsyncClient):
                client = kind("http://127.0.0.1:3000", "webapp")
                method = getattr(client, name)
                assert method.__doc__ == steps.__doc__
                assert inspect.getattr_static(kind, name)._steps is steps


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Unauthorized), (403, Forbidden), (429, TooManyRequests), (500, Unavailable)]
    + [(status, Unavailable) for status in (502, 503, 504)],
)
@pytest.mark.parametrize("message", ["Words of a gateway", None])
def test_what_api_gateway_answers_by_itself(run: Run, status: int, kind: type, message: str | None) -> None:
    with scripted(reply({"message": message}, status)) as server, pytest.raises(ApiError) as raised:
        run(server.url, get)
    assert (type(raised.value), raised.value.status) == (kind, status)
    assert "Words" not in str(raised.value)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply("<html>Welcome</html>", Content_Type="text/html"),
        reply(""),
        reply("[]"),
        reply("null"),
        reply('"PONG"'),
        reply("{"),
        reply("\ufffd"),
        reply({"status": "ok"}),
        reply({"sessions": [{}], "apps": [{}]}),
        reply("<html>Not found</html>", 404),
        reply({"message": "Not Found"}, 404),
        reply({"name": "notOurs", "message": "Not Found"}, 404),
        reply("[]", 400),
        reply('{"name": []}', 400),
        reply("", 204),
        reply("", 301, Location="https://elsewhere.example/"),
        reply("", 302, Location="/login"),
        reply("", 307, Location="/login"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.create("user123", ip="192.0.2.7"),
        get,
        set_,
        lambda client: client.rotate(TOKEN),
        lambda client: client.kill(TOKEN),
        lambda client: client.killsoid("user123"),
        lambda client: client.killall(),
        lambda client: client.activity(600),
        lambda client: client.soid("user123"),
        lambda client: client.apps(),
        lambda client: client.ping(),
    ],
)
def test_an_answer_of_something_else(run: Run, call: Callable, answer: Callable) -> None:
    with scripted(answer) as server, pytest.raises(UnexpectedAnswer, match="URL") as raised:
        run(server.url, call)
    assert len(server.received) == 1
    assert all(isinstance(error, RestSessionsError) for error in chain(raised.value))


def test_a_service_that_answers_404_for_a_missing_session(run: Run, app: str) -> None:
    with running_service(MISSING_SESSION="404") as service:
        for call in (get, set_, set_with_w, add_one, lambda client: client.touch(TOKEN), lambda c: c.rotate(TOKEN)):
            assert run(service.url, call, app=app) is None
        assert run(service.url, lambda client: client.kill(TOKEN), app=app) == 0


# Secrets


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, its cause and its context, and theirs."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def test_no_text_of_an_object_has_a_secret() -> None:
    session = Session.parse(SESSION | {"d": DATA})
    for thing in (
        Client("http://127.0.0.1:3000", "webapp", KEY),
        AsyncClient("http://127.0.0.1:3000", "webapp", KEY),
        Calls("webapp", 3),
        session,
        Page([session], None),
        Created(TOKEN),
        App("webapp", 1, 1),
        Request("GET", f"/webapp/get/{TOKEN}", json.dumps(DATA).encode(), 0),
        Answer(200, None, json.dumps(DATA).encode()),
        Calls("webapp", 3).get(TOKEN),
    ):
        for text in (repr(thing), str(thing), f"{thing}"):
            assert not any(secret in text for secret in SECRETS), type(thing)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([hang_up], ConnectionLost),
        ([reset], ConnectionLost),
        ([reply(STORE_UNAVAILABLE, 503)], StoreUnavailable),
        ([reply("<html>")], UnexpectedAnswer),
        ([reply("<html>", 404)], UnexpectedAnswer),
        ([reply({"message": "No"}, 401)], Unauthorized),
        ([silence], NoAnswer),
        ([], NoAnswer),
    ],
)
@pytest.mark.parametrize("call", [get, set_, set_with_w, add_one, lambda client: client.create(ip="::1", data=DATA)])
def test_an_error_holds_no_request(run: Run, answers: list, kind: type, call: Callable) -> None:
    with scripted(*answers) as server, pytest.raises(kind) as raised:
        run(server.url if answers else free_url(), call, timeout=0.2 if silence in answers else 3)
    assert type(raised.value) is kind
    for error in chain(raised.value):
        assert isinstance(error, RestSessionsError)
        assert not any(secret in f"{error} {error!r} {vars(error)}" for secret in SECRETS)


def test_no_logger_tells_a_secret(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    answer = reply(SESSION | {"d": DATA, "token": OTHER_TOKEN})
    answers = [answer, hang_up, answer, answer, reply(STORE_UNAVAILABLE, 503)]
    with scripted(*answers) as server:
        # Now the loggers exist.
        for name in ("", *logging.root.manager.loggerDict):
            caplog.set_level(1, logger=name)
        run(server.url, get, get, lambda client: client.create("user123", ip="192.0.2.7", from_=OTHER_TOKEN))
        with pytest.raises(StoreUnavailable):
            run(server.url, set_)
    with pytest.raises(NoAnswer):
        run(free_url(), get)
    text = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    assert any(record.name.startswith("httpcore2") for record in caplog.records)
    assert not any(secret in text for secret in (*SECRETS, "/webapp", "user123"))


# The network


def test_nothing_listens(run: Run) -> None:
    with within(SLOW), pytest.raises(NoAnswer, match="cannot be reached") as raised:
        run(free_url(), get)
    assert (type(raised.value), raised.value.status, raised.value.name) == (NoAnswer, None, None)


def test_a_server_that_never_answers(run: Run) -> None:
    with scripted(silence) as server, within(0.5 + SLOW), pytest.raises(NoAnswer, match="did not answer in time"):
        run(server.url, get, timeout=0.5)
    assert len(server.received) == 1


def test_an_answer_without_an_end(run: Run) -> None:
    answer = trickle("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    with scripted(answer) as server, within(0.5 + SLOW), pytest.raises(NoAnswer, match="did not answer in time"):
        run(server.url, get, timeout=0.5)


def test_a_connection_is_kept(run: Run) -> None:
    with scripted(reply(SESSION)) as server:
        run(server.url, *[get, set_] * 10)
    assert [request.connection for request in server.received] == [1] * 20


def test_a_kept_connection_that_was_closed_meanwhile(run: Run) -> None:
    def when_it_is_closed(call: Callable) -> Callable:
        return lambda client: (server.closed.acquire(timeout=PATIENCE), call(client))[1]

    with scripted(last(reply(SESSION)), last(reply(SESSION)), reply(SESSION)) as server:
        run(server.url, get, when_it_is_closed(set_), when_it_is_closed(set_with_w))
    assert [request.connection for request in server.received] == [1, 2, 3]


@pytest.mark.parametrize("lose", [hang_up, reset])
@pytest.mark.parametrize("call", [get, set_, lambda client: client.create(ip="192.0.2.7", data=DATA)])
def test_a_call_whose_answer_was_lost_is_sent_again_once(run: Run, lose: Callable, call: Callable) -> None:
    answer = reply(SESSION | {"token": TOKEN})
    with scripted(answer, lose, answer) as server:
        run(server.url, get, call)
    _, first, second = server.received
    assert (first.method, first.path, first.body) == (second.method, second.path, second.body)
    with scripted(lose) as server, pytest.raises(ConnectionLost):
        run(server.url, call)
    assert len(server.received) == 2


def test_the_service_asks_to_be_called_again(run: Run) -> None:
    with scripted(reply(STORE_UNAVAILABLE, 503, Retry_After="1"), reply(SESSION)) as server:
        start = time.monotonic()
        assert run(server.url, get).w == 1
        assert 1 <= time.monotonic() - start < 1 + SLOW
    assert len(server.received) == 2


def test_the_service_stays_unavailable(run: Run) -> None:
    with scripted(reply(STORE_UNAVAILABLE, 503, Retry_After="1")) as server, within(3), pytest.raises(StoreUnavailable):
        run(server.url, get, timeout=3)
    assert len(server.received) == 2


def test_after_a_pause_only_the_rest_of_the_timeout_is_left(run: Run) -> None:
    answers = [reply(STORE_UNAVAILABLE, 503, Retry_After="1"), silence]
    with scripted(*answers) as server, within(2.9), pytest.raises(NoAnswer, match="did not answer in time"):
        run(server.url, get, timeout=2)
    assert len(server.received) == 2


@pytest.mark.parametrize("seconds", ["3", "60", "1000000000000", "-1", "0.5", "", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_that_is_too_long_or_no_number_of_seconds(run: Run, seconds: str) -> None:
    answer = reply(STORE_UNAVAILABLE, 503, Retry_After=seconds)
    with scripted(answer) as server, within(SLOW), pytest.raises(StoreUnavailable):
        run(server.url, get, timeout=3)
    assert len(server.received) == 1


@pytest.mark.parametrize("answer", [hang_up, reset, reply(STORE_UNAVAILABLE, 503, Retry_After="0")])
def test_set_with_w_is_not_repeated(run: Run, answer: Callable) -> None:
    with scripted(answer, reply(SESSION)) as server, pytest.raises(Unavailable):
        run(server.url, set_with_w)
    assert len(server.received) == 1


def test_pages_are_called_with_their_cursor_when_they_are_needed(run: Run) -> None:
    pages = [
        reply({"sessions": [SESSION | {"ip": "1"}, SESSION | {"ip": "2"}], "next": "17-a"}),
        reply({"sessions": [], "next": "16-b"}),
        reply({"sessions": [SESSION | {"ip": "3"}]}),
    ]
    with scripted(*pages) as server:
        listed = run(server.url, lambda client: client.soapp(600, limit=2))
    assert [session.ip for session in listed] == ["1", "2", "3"]
    queries = [request.path.partition("?")[2] for request in server.received]
    assert queries == ["dt=600&limit=2", "dt=600&limit=2&cursor=17-a", "dt=600&limit=2&cursor=16-b"]
    with scripted(*pages) as server, Client(server.url, "webapp") as client:
        sessions = client.soid("user123")
        assert not server.received
        assert next(sessions).ip == "1"
        assert len(server.received) == 1


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(reply(SESSION)) as proxy, scripted(reply(SESSION)) as server:
        monkeypatch.setenv(name, proxy.url)
        run("http://sessions.invalid", get)
        assert proxy.received[0].path.startswith(f"http://sessions.invalid/webapp/get/{TOKEN}")
        # Without a scheme, as many have it.
        monkeypatch.setenv(name, proxy.url.removeprefix("http://"))
        run("http://sessions.invalid", get)
        assert len(proxy.received) == 2
        monkeypatch.setenv("NO_PROXY", "elsewhere.invalid,127.0.0.1")
        run(server.url, get)
    assert (len(proxy.received), len(server.received)) == (2, 1)


def test_a_proxy_that_is_no_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for proxy in ("ftp://user:secret@proxy", "http://user:secret@proxy:port", "user:secret@proxy:port"):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        with pytest.raises(ConfigurationError, match="HTTP_PROXY") as raised:
            Client("http://sessions.invalid", "webapp")
        assert all(isinstance(error, ConfigurationError) for error in chain(raised.value))
        assert "secret" not in str(raised.value)


def test_a_proxy_that_refuses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(reply("", 407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:secret@"))
        with pytest.raises(NoAnswer, match="ProxyError") as raised:
            run("https://sessions.invalid", get)
    assert [(request.method, request.path) for request in proxy.received] == [("CONNECT", "sessions.invalid:443")]
    assert all(isinstance(error, NoAnswer) and "secret" not in str(error) for error in chain(raised.value))


# Processes, threads and event loops


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own() -> None:
    with scripted(reply(SESSION)) as server, Client(server.url, "webapp") as client:
        client.get(TOKEN)
        child = os.fork()
        if child == 0:
            # The child must leave this test at once, without a word.
            try:
                client.get(TOKEN)
                client.get(TOKEN)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        client.get(TOKEN)
    assert [request.connection for request in server.received] == [1, 2, 2, 1]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client_in_two_event_loops(backend: str) -> None:
    with scripted(reply(SESSION)) as server:
        client = AsyncClient(server.url, "webapp")

        async def call() -> None:
            async with client:
                await client.get(TOKEN)
                await client.get(TOKEN)

        anyio.run(call, backend=backend)
        anyio.run(call, backend=backend)
    assert [request.connection for request in server.received] == [1, 1, 2, 2]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_async_clients_in_one_event_loop(backend: str) -> None:
    async def call() -> None:
        async with AsyncClient(server.url, "webapp") as first, AsyncClient(server.url, "webapp") as second:
            await first.get(TOKEN)
            await second.get(TOKEN)
            await first.aclose()
            await second.get(TOKEN)

    with scripted(reply(SESSION)) as server:
        anyio.run(call, backend=backend)
    assert [request.connection for request in server.received] == [1, 2, 2]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_call_disturbs_no_other(backend: str) -> None:
    async def call() -> None:
        async with AsyncClient(server.url, "webapp") as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.get, TOKEN)
                await anyio.to_thread.run_sync(server.arrived.acquire, True, PATIENCE)
                tasks.cancel_scope.cancel()
            assert (await client.get(TOKEN)).w == 1

    with scripted(silence, reply(SESSION)) as server:
        anyio.run(call, backend=backend)
    assert [request.connection for request in server.received] == [1, 2]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_counter_loses_nothing(kind: type, service: Service, app: str) -> None:
    with Client(service.url, app, service.key) as client:
        token = client.create("user123", ip="192.0.2.7").token

    def count(_: int) -> None:
        with Client(service.url, app, service.key, timeout=20) as own:
            for _ in range(25):
                own.update(token, lambda data: {"n": data.get("n", 0) + 1})

    async def count_async() -> None:
        async def count_some() -> None:
            for _ in range(25):
                await shared.update(token, lambda data: {"n": data.get("n", 0) + 1})

        async with AsyncClient(service.url, app, service.key, timeout=20) as shared, anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(count_some)

    if kind is AsyncClient:
        anyio.run(count_async)
    else:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(count, range(8)))
    with Client(service.url, app, service.key) as client:
        session = client.get(token)
    assert (session.data, session.w) == ({"n": 200}, 201)


def test_threads_share_a_client(service: Service, app: str) -> None:
    with Client(service.url, app, service.key, timeout=20) as client:
        start = threading.Barrier(8)

        def write(number: int) -> None:
            start.wait()
            for step in range(25):
                token = client.create(f"user{number}", ip=f"{number}.{step}", data={"n": step}).token
                session = client.get(token)
                assert (session.id, session.ip, session.data) == (f"user{number}", f"{number}.{step}", {"n": step})

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(write, range(8)))
        assert client.activity(600) == 8
        assert client.killall() == 200


# update


def test_the_change_is_made_again_after_a_conflict(run: Run, service: Service, app: str) -> None:
    seen = []

    def change(data: dict) -> dict:
        seen.append(data["n"])
        if len(seen) < 3:
            # Another request comes in between.
            other.set(token, {"n": data["n"] + 10})
        return {"n": data["n"] + 1}

    with Client(service.url, app, service.key) as other:
        token = other.create("user123", ip="192.0.2.7", data={"n": 0}).token
        session = run(service.url, lambda client: client.update(token, change), app=app, key=service.key)
    assert seen == [0, 10, 20]
    assert session.data == {"n": 21}


def test_update_gives_up_some_time(run: Run) -> None:
    conflict = reply({"name": "conflict", "message": "w is 2, not 1: read the session again"}, 409)
    with scripted(*[reply(SESSION), conflict] * 100) as server, pytest.raises(Conflict, match="100 times"):
        run(server.url, add_one)
    assert len(server.received) == 200


def conditional_set(w: int) -> str:
    return f"set {w}"


@pytest.mark.parametrize("lose", [hang_up, reset, reply(STORE_UNAVAILABLE, 503, Retry_After="0")])
def test_a_lost_write_that_did_not_happen_is_sent_again(run: Run, lose: Callable) -> None:
    answers = [reply(SESSION), lose, reply(SESSION), reply(SESSION | {"w": 2, "d": {"n": 1}})]
    with scripted(*answers) as server:
        assert run(server.url, add_one).data == {"n": 1}
    assert operations(server) == ["get", "set", "get", "set"]
    assert server.received[1] == server.received[3]._replace(connection=server.received[1].connection)
    assert "w=1" in server.received[3].path


@pytest.mark.parametrize("lose", [hang_up, reset])
def test_a_lost_write_after_which_w_has_changed_is_not_sent_again(run: Run, lose: Callable) -> None:
    with scripted(reply(SESSION), lose, reply(SESSION | {"w": 2})) as server, pytest.raises(ConnectionLost) as raised:
        run(server.url, add_one)
    assert operations(server) == ["get", "set", "get"]
    assert all(isinstance(error, RestSessionsError) for error in chain(raised.value))


def test_a_lost_write_that_comes_late_is_not_made_twice(run: Run) -> None:
    conflict = reply({"name": "conflict", "message": "w is 2, not 1: read the session again"}, 409)
    with scripted(reply(SESSION), hang_up, reply(SESSION), conflict) as server, pytest.raises(ConnectionLost):
        run(server.url, add_one)
    assert operations(server) == ["get", "set", "get", "set"]


def test_a_write_that_is_lost_twice(run: Run) -> None:
    with scripted(reply(SESSION), hang_up, reply(SESSION), hang_up) as server, pytest.raises(ConnectionLost):
        run(server.url, add_one)
    assert operations(server) == ["get", "set", "get", "set"]


def test_a_session_that_ends_during_an_update(run: Run) -> None:
    with scripted(reply(SESSION), reply("{}")) as server:
        assert run(server.url, add_one) is None
    assert operations(server) == ["get", "set"]


def test_an_empty_change_writes_nothing(run: Run) -> None:
    with scripted(reply(SESSION)) as server:
        assert run(server.url, lambda client: client.update(TOKEN, lambda _: {})).w == 1
    assert operations(server) == ["get"]
    assert "peek=1" in server.received[0].path


def test_an_error_of_the_change_is_passed_on(run: Run) -> None:
    with scripted(reply(SESSION)) as server, pytest.raises(ZeroDivisionError):
        run(server.url, lambda client: client.update(TOKEN, lambda _: {"n": 1 // 0}))
    assert operations(server) == ["get"]


# Values that only Python has


def test_numbers_keep_their_digits(run: Run, service: Service, app: str) -> None:
    data = {"big": 2**200, "id": 2**53 + 1, "zero": -0.0, "one": 1.0, "third": 1 / 3}

    def write(client: Any) -> Any:
        return client.create(token=OTHER_TOKEN, ip="192.0.2.7", data=data)

    session = run(service.url, write, lambda client: client.get(OTHER_TOKEN), app=app, key=service.key)
    assert session.data == data
    assert [type(value) for value in session.data.values()] == [int, int, float, float, float]
    assert math.copysign(1, session.data["zero"]) == -1


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, object(), b"bytes"])
def test_what_is_no_json_is_not_sent(run: Run, value: object) -> None:
    with scripted(reply(SESSION)) as server, pytest.raises((ValueError, TypeError)):
        run(server.url, lambda client: client.set(TOKEN, {"a": [value]}))
    assert not server.received


def test_half_a_surrogate_pair_is_refused(run: Run, service: Service, app: str) -> None:
    for call, kind in (
        (lambda client: client.create("a\ud800", ip="192.0.2.7"), InvalidFormat),
        (lambda client: client.create("user123", ip="\udfff"), InvalidFormat),
        (lambda client: client.get("\ud800" * 64), InvalidFormat),
        (lambda client: client.create(ip="192.0.2.7", data={"a": "\ud83d"}), InvalidJson),
        (lambda client: client.create(ip="192.0.2.7", data={"\ud83d": 1}), InvalidJson),
    ):
        with pytest.raises(kind) as raised:
            run(service.url, call, app=app, key=service.key)
        assert all(isinstance(error, RestSessionsError) for error in chain(raised.value))


@pytest.mark.parametrize("app", ["ab", "a" * 21, "web.app", "a/b", "..", "wéb"])
def test_an_app_of_a_wrong_form(run: Run, service: Service, app: str) -> None:
    with pytest.raises(InvalidFormat):
        run(service.url, lambda client: client.create(ip="192.0.2.7"), app=app, key=service.key)


def test_a_session_without_data_has_empty_data(run: Run) -> None:
    with scripted(reply(SESSION)) as server:
        assert run(server.url, get).data == {}


def test_flags_are_sent_as_one_or_not_at_all(run: Run) -> None:
    with scripted(reply(SESSION)) as server:
        run(server.url, lambda client: client.get(TOKEN, peek=True, details=False), set_with_w)
    assert [request.path.partition("?")[2] for request in server.received] == ["peek=1", "w=1"]
    with scripted(reply({"name": "invalidValue", "message": "No"}, 400)) as server, pytest.raises(InvalidValue):
        run(server.url, lambda client: client.set(TOKEN, DATA, w=0))
    assert server.received[0].path.endswith("?w=0")
