"""A server on loopback that answers as a test tells it to."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

LOOPBACK = "127.0.0.1"
# Seconds after which a server and a test stop waiting, so that a fault is a failure and no standstill.
PATIENCE = 10


class Received(NamedTuple):
    """A request. `connection` is the number of the TCP connection on which it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "ScriptedServer"

    def setup(self) -> None:
        super().setup()
        self.number = next(self.server.numbers)

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.command, self.path, headers, body, self.number))
        self.server.arrived.release()
        self.server.next_answer()(self)

    do_GET = do_PUT = do_POST = do_DELETE = do_CONNECT = serve  # noqa: N815 - the names that the base class calls

    def log_message(self, *_: object) -> None:
        pass


# What a server does with a request that it has read.
Answer = Callable[[Connection], None]


def reply(body: object = "", status: int = 200, **headers: str) -> Answer:
    """An answer with this text, or with this object as JSON."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    answer = "\r\n".join([*lines, "", ""]).encode() + content
    return lambda connection: connection.wfile.write(answer)


def last(answer: Answer) -> Answer:
    """An answer after which the connection closes, which the answer does not say."""

    def send(connection: Connection) -> None:
        answer(connection)
        hang_up(connection)

    return send


def hang_up(connection: Connection) -> None:
    connection.close_connection = True


def reset(connection: Connection) -> None:
    # To close without lingering sends a reset.
    connection.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.connection.close()
    hang_up(connection)


def silence(connection: Connection) -> None:
    connection.server.is_over.wait(PATIENCE)
    hang_up(connection)


def trickle(beginning: str) -> Answer:
    """An answer that begins so, and goes on with a byte every now and then."""

    def send(connection: Connection) -> None:
        connection.wfile.write(beginning.encode())
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not connection.server.is_over.wait(0.05):
            connection.wfile.write(b"x")
        hang_up(connection)

    return send


class ScriptedServer(ThreadingHTTPServer):
    """Gives one answer after the other, and the last one to all further requests."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__((LOOPBACK, 0), Connection)
        self.url = f"http://{LOOPBACK}:{self.server_port}"
        self.received: list[Received] = []
        self.numbers = iter(range(1, 1000))
        self.is_over = threading.Event()
        # Released for each request that has come, and each connection that has been closed.
        self.arrived, self.closed = threading.Semaphore(0), threading.Semaphore(0)
        self._answers = list(answers)

    def next_answer(self) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.release()

    def handle_error(self, *_: object) -> None:
        """A client that has waited long enough hangs up."""


@contextlib.contextmanager
def scripted(*answers: Answer) -> Iterator[ScriptedServer]:
    with ScriptedServer(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.is_over.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fails if the block takes longer."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds
