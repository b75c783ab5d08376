"""What `make dev` answers where API Gateway answers by itself, its connections, and the viewer of docs/openapi.yaml."""

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPMessage, parse_headers
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import yaml
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from dev.connection import MAX_BODY_BYTES, KeptConnection
from dev.embedded_store import LOOPBACK
from tests.conftest import Dev

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
ROUTES = [
    [method.upper(), path] for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"
]
PATHS = {re.sub(r"{\w+}", "webapp", path) for _, path in ROUTES}
# An HTTP API has a route for each method that it names, and no other.
WITHOUT_ROUTE = [
    *[(method, path) for path in sorted(PATHS) for method in METHODS if [method, path] not in
      [[m, re.sub(r"{\w+}", "webapp", p)] for m, p in ROUTES]],
    *[(method, path) for path in ("/", "/nothing", "/webapp/nothing/here", "/webapp//soapp") for method in METHODS],
    *[(method, path) for path in ("/openapi.yaml", "/api.html") for method in ("OPTIONS", "POST")],
    ("GET", "/api.html/nothing"),
    ("GET", "/api.html/../flask_swagger_ui.py"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["0", "1"], ids=["open", "with a key"])
def dev(request: pytest.FixtureRequest) -> Iterator[Dev]:
    dev = Dev({"AUTH": request.param})
    yield dev
    assert dev.stop() == ""


@pytest.fixture
def http(dev: Dev) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dev.url) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), WITHOUT_ROUTE)
def test_a_path_or_method_without_a_route_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.content == (b"" if method == "HEAD" else b'{"message":"Not Found"}')


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "localhost:80", "[::1]:65535"])
def test_answers_under_its_own_names(http: httpx.Client, host: str) -> None:
    assert http.get("/ping", headers={"Host": host}).content == b"PONG"


@pytest.mark.parametrize("path", ["/ping", "/webapp/activity?dt=10", "/nothing", "/openapi.yaml", "/api.html"])
@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            "evil.example",
            "evil.example:3000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.localhost",
        ),
        *(
            "evil.localhost",
            "127.0.0.2",
            "0.0.0.0",
            "127.0.0.1@evil.example",
            "127.0.0.1:3000:1",
            "localhost:x",
            "[::2]",
            "127.0.0.1, a",
        ),
    ],
)
def test_refuses_another_name(http: httpx.Client, host: str, path: str) -> None:
    answer = http.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json() == {"message": "The Host must be 127.0.0.1, localhost or [::1]"}


def test_serves_the_document_with_itself_as_the_only_server(http: httpx.Client) -> None:
    served = yaml.safe_load(http.get("/openapi.yaml").text)
    assert served == {**DOCUMENT, "servers": [{"url": "/"}]}


def test_shows_the_document_with_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/api.html")
    assert page.status_code == 200
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert any(file.endswith(".js") for file in files)
    for file in [*files, *re.findall(r'"url": "([^"]+)"', page.text)]:
        address = urljoin(str(page.url), file)
        assert urlsplit(address).netloc == urlsplit(str(page.url)).netloc
        assert http.get(address).status_code == 200
    # Whatever else the page would load.
    assert re.match(r"default-src 'self'( 'unsafe-inline')?;", page.headers["content-security-policy"])
    assert '"validatorUrl": null' in page.text


def test_serves_the_console_to_everybody(http: httpx.Client) -> None:
    page = http.get("/console")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert page.text.startswith("<!doctype html>")


def test_no_app_loses_a_route_to_the_console(http: httpx.Client) -> None:
    assert http.get("/console/activity", params={"dt": 10}).status_code in (200, 401)


def test_no_app_loses_a_route_to_the_viewer(http: httpx.Client) -> None:
    # An app's name has no dot.
    for app in ("api", "docs", "openapi", "static"):
        assert http.get(f"/{app}/activity", params={"dt": 10}).status_code in (200, 401)


class Answer(NamedTuple):
    status: int
    reason: bytes
    headers: HTTPMessage
    body: bytes


class Wire:
    """A connection that sends bytes as they are. It reads answers as a strict client does: by their lengths."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), timeout=10)
        self._file = self.socket.makefile("rb")

    def send(self, *lines: str, body: bytes = b"") -> None:
        """Sends the lines with an empty one behind, and the body."""
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self, method: str = "GET") -> Answer:
        version, status, reason = self._file.readline().split(b" ", 2)
        assert version == b"HTTP/1.1"
        headers = parse_headers(self._file)
        if method == "HEAD" or status in (b"100", b"204", b"304"):
            return Answer(int(status), reason, headers, b"")
        return Answer(int(status), reason, headers, self._file.read(int(headers["Content-Length"])))

    def is_closed(self) -> bool:
        """Waits for what comes next. True if that is the end."""
        return self._file.read(1) == b""

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@pytest.fixture
def connect(dev: Dev) -> Iterator[Callable[[], Wire]]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(Wire(dev.port)))


@pytest.fixture
def wire(connect: Callable[[], Wire]) -> Wire:
    return connect()


# A body that would be another request, if its beginning were taken for one.
REQUEST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"%x\r\n%b\r\n5\r\nhello\r\n0\r\n\r\n" % (len(REQUEST), REQUEST)


@pytest.mark.parametrize("body", [b"", REQUEST, REQUEST * 10_000], ids=["no body", "a body", "a large body"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "chunked"])
@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (200, ["GET /ping HTTP/1.1"]),
        (421, ["GET /ping HTTP/1.1", "Host: evil.example"]),
        (404, ["HEAD /ping HTTP/1.1"]),
        (404, ["POST /nothing HTTP/1.1"]),
        (304, ["GET /api.html/index.css HTTP/1.1", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"]),
        # The status depends on the key and the body.
        (None, ["PUT /webapp/create/user123?ip=::1 HTTP/1.1"]),
        (None, ["DELETE /webapp/kill/none HTTP/1.1"]),
    ],
)
def test_the_next_request_begins_behind_the_body(
    wire: Wire, status: int | None, lines: list[str], body: bytes, is_chunked: bool
) -> None:
    if is_chunked:
        lines = [*lines, "Transfer-Encoding: chunked"]
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"2\r\nab\r\n0\r\n\r\n"
    elif body:
        lines = [*lines, f"Content-Length: {len(body)}"]
    for _ in range(2):
        wire.send(*lines, body=body)
    wire.send("GET /ping HTTP/1.1", "Connection: close")
    for _ in range(2):
        answer = wire.answer(method=lines[0].split(" ")[0])
        assert answer.status == status or status is None
        assert "Connection" not in answer.headers
    assert wire.answer().body == b"PONG"
    assert wire.is_closed()


def test_hands_over_a_body_in_chunks(http: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b'{"na', b'me":', b'"Peter"}')

    headers = {"Content-Type": "application/json"}
    created = http.put("/webapp/create/user123?ip=::1", content=chunks(), headers=headers)
    if created.status_code == 200:
        assert http.get(f"/webapp/get/{created.json()['token']}").json()["d"] == {"name": "Peter"}
    else:
        assert created.status_code == 401


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: -1"], REQUEST),
        (["Content-Length: +1"], REQUEST),
        (["Content-Length: 1_0"], REQUEST),
        (["Content-Length: x"], REQUEST),
        (["Content-Length:"], REQUEST),
        ([f"Content-Length: {'9' * 5000}"], REQUEST),
        (["Content-Length: 0", f"Content-Length: {len(REQUEST)}"], REQUEST),
        (["Content-Length: 0", "Transfer-Encoding: chunked"], CHUNKED),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], CHUNKED),
        (["Transfer-Encoding: gzip, chunked"], CHUNKED),
        (["Transfer-Encoding: identity"], REQUEST),
        (["no header", f"Content-Length: {len(REQUEST)}"], REQUEST),
        ([f"Content-Length : {len(REQUEST)}"], REQUEST),
        (["Transfer-Encoding: chunked"], REQUEST),
        (["Transfer-Encoding: chunked"], b"-1\r\n" + REQUEST),
        (["Transfer-Encoding: chunked"], b"1\r\n" + REQUEST),
    ],
)
def test_closes_a_connection_where_the_end_of_a_body_is_uncertain(wire: Wire, lines: list[str], body: bytes) -> None:
    wire.send("POST /nothing HTTP/1.1", *lines, body=body)
    answer = wire.answer()
    assert (answer.status, answer.headers["Connection"]) == (400, "close")
    assert answer.body == b'{"message":"Bad Request"}'
    assert wire.is_closed()


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("Content-Length: 12", b'{"a":1}'),
        ("Transfer-Encoding: chunked", b'7\r\n{"a":1}\r\n'),
        ("Transfer-Encoding: chunked", b'8\r\n{"a":1}'),
        ("Transfer-Encoding: chunked", b'ffffffffffff\r\n{"a":1}'),
    ],
)
def test_refuses_a_body_that_ends_early(wire: Wire, line: str, body: bytes) -> None:
    wire.send("PUT /webapp/create/user123?ip=::1 HTTP/1.1", "Content-Type: application/json", line, body=body)
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer().status == 400
    assert wire.is_closed()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "chunked"])
def test_a_client_that_sends_too_much_gets_the_answer(wire: Wire, is_chunked: bool) -> None:
    # More than fits in the buffers between the two, so that the client is still sending when it is refused.
    size = 3 * MAX_BODY_BYTES
    line, before = ("Transfer-Encoding: chunked", b"%x\r\n" % size) if is_chunked else (f"Content-Length: {size}", b"")
    wire.send("POST /nothing HTTP/1.1", line, body=before + bytes(size))
    answer = wire.answer()
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
    assert json.loads(answer.body).keys() == {"message"}
    assert wire.is_closed()


def test_takes_a_body_of_the_largest_size(wire: Wire) -> None:
    wire.send("POST /nothing HTTP/1.1", f"Content-Length: {MAX_BODY_BYTES}", body=bytes(MAX_BODY_BYTES))
    wire.send("POST /nothing HTTP/1.1", "Transfer-Encoding: chunked", body=b"%x\r\n" % MAX_BODY_BYTES)
    wire.socket.sendall(bytes(MAX_BODY_BYTES) + b"\r\n0\r\n\r\n")
    assert [wire.answer().status for _ in range(2)] == [404, 404]


def test_asks_for_a_body_that_waits_for_that(wire: Wire) -> None:
    for _ in range(2):
        wire.send("POST /nothing HTTP/1.1", "Expect: 100-continue", "Content-Length: 5")
        assert wire.answer().status == 100
        wire.socket.sendall(b"hello")
        assert wire.answer().status == 404


@pytest.mark.parametrize(
    "lines",
    [
        ["GET /ping HTTP/1.1", "Connection: close"],
        ["GET /ping HTTP/1.1", "Connection: TE, Close"],
        ["GET /ping HTTP/1.1", "Connection: TE", "Connection: close"],
        ["GET /ping HTTP/1.0"],
        # Such a client would not understand the 100.
        ["GET /ping HTTP/1.0", "Connection: keep-alive", "Expect: 100-continue"],
        ["GET /ping"],
    ],
)
def test_closes_a_connection_for_a_client_that_expects_that(wire: Wire, lines: list[str]) -> None:
    wire.send(*lines)
    answer = wire.answer()
    assert (answer.status, answer.headers["Connection"], answer.body) == (200, "close", b"PONG")
    assert wire.is_closed()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /webapp/get/{token} and more HTTP/1.1"], 400),
        (["GET /webapp/get/{token} HTTP/1.x"], 400),
        (["GET http://[{token} HTTP/1.1"], 400),
        (["/webapp/get/{token}"], 400),
        (["GET /webapp/get/{token} HTTP/2.0"], 505),
        (["GET /webapp/get/{token}" + "x" * 65_536 + " HTTP/1.1"], 414),
        (["GET /webapp/get/{token} HTTP/1.1", "X: " + "x" * 65_536], 431),
        (["GET /webapp/get/{token} HTTP/1.1", *["X: x"] * 101], 431),
    ],
)
def test_a_request_that_is_none_is_refused_without_its_token(wire: Wire, lines: list[str], status: int) -> None:
    token = "T0ken" * 12
    wire.send("GET /ping HTTP/1.1")
    wire.send(*(line.replace("{token}", token) for line in lines), body=REQUEST)
    assert wire.answer().body == b"PONG"
    answer = wire.answer()
    assert (answer.status, answer.headers["Connection"]) == (status, "close")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.body).keys() == {"message"}
    assert token.encode() not in answer.reason + answer.body
    assert wire.is_closed()
    # The fixture `dev` checks that nothing was printed.


def test_nothing_is_printed_when_a_client_leaves_early(connect: Callable[[], Wire]) -> None:
    for sent in (b"", b"GET", b"GET /ping HTTP/1.1\r\n", REQUEST, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"):
        wire = connect()
        wire.socket.sendall(sent)
        # Closes with a reset.
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
    wire = connect()
    wire.send("GET /ping HTTP/1.1")
    assert wire.answer().body == b"PONG"


def test_many_connections_are_kept(connect: Callable[[], Wire]) -> None:
    wires = [connect() for _ in range(200)]
    for _ in range(3):
        for wire in wires:
            wire.send("GET /ping HTTP/1.1")
        assert {wire.answer().body for wire in wires} == {b"PONG"}


def test_an_answer_does_not_wait_for_a_confirmation(wire: Wire) -> None:
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        wire.send("GET /ping HTTP/1.1")
        wire.answer()
        seconds.append(time.perf_counter() - start)
    # Linux confirms after 40 ms what it does not have to confirm at once, which it does for the first packets.
    assert min(seconds[10:]) < 0.02


@contextlib.contextmanager
def serving(answer: Response, **attributes: float) -> Iterator[Wire]:
    """A connection to a server that always gives this answer. The attributes replace those of the connection."""
    handler = type("Handler", (KeptConnection,), attributes)
    server = make_server(LOOPBACK, 0, answer, threaded=True, request_handler=handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with contextlib.closing(Wire(server.port)) as wire:
            yield wire
    finally:
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("sent", [b"", b"GET /", b"GET / HTTP/1.1\r\n", REQUEST])
def test_an_idle_connection_is_closed(sent: bytes) -> None:
    with serving(Response("PONG"), timeout=KeptConnection.timeout / 1000) as wire:
        wire.socket.sendall(sent)
        if sent == REQUEST:
            assert wire.answer().body == b"PONG"
        assert wire.is_closed()


def test_a_client_that_reads_until_the_end_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dev.connection._LINGER_SECONDS", 60)
    with serving(Response("PONG")) as wire:
        wire.send("GET / HTTP/1.0")
        assert wire.answer().body == b"PONG"
        assert wire.is_closed()


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
def test_every_answer_has_an_end(status: int) -> None:
    with serving(Response(iter([b"a", b"b"]), status)) as wire:
        for method in ("GET", "HEAD", "GET"):
            wire.send(f"{method} / HTTP/1.1")
            answer = wire.answer(method)
            assert answer.status == status
            assert answer.body in (b"", b"ab")
