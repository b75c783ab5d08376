"""A Redis-compatible server for development: an installed one, or else fakeredis."""

import contextlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from redis.backoff import NoBackoff
from redis.retry import Retry

LOOPBACK = "127.0.0.1"
SERVERS = ("valkey-server", "redis-server")
_START_SECONDS = 10.0
_PORTS = range(20_000, 32_000)


class _RequestHandler(TCPFakeRequestHandler):  # type: ignore[misc]
    """Keeps a connection open after an error reply, like a real server.

    fakeredis closes it, but a client must go on after a NOSCRIPT in a pipeline.
    """

    # With Nagle's algorithm, every reply of a pipeline after the first waits 40 ms for the client's delayed ACK.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        read_response = self.current_client.read_response

        def read_response_or_error(*args: Any, **kwargs: Any) -> Any:
            try:
                return read_response(*args, **kwargs)
            except redis.ResponseError as error:
                return error

        self.current_client.read_response = read_response_or_error


@contextlib.contextmanager
def fakeredis_server() -> Iterator[str]:
    """Runs a fakeredis server in this process while the context lasts. Returns its URL."""
    server = TcpFakeServer((LOOPBACK, 0))
    server.RequestHandlerClass = _RequestHandler
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="fakeredis", daemon=True)
    thread.start()
    try:
        yield f"redis://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def server_process(binary: str, *options: str, port: int | None = None) -> Iterator[str]:
    """Runs `binary`, a Redis or Valkey server without persistence, while the context lasts. Returns its URL.

    It uses a free port unless one is given. Raises RuntimeError with the server's log when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="rest-sessions-") as folder:
        port = port or free_port()
        log = Path(folder) / "server.log"
        command = [binary, "--bind", LOOPBACK, "--port", str(port), "--dir", folder, "--save", "", "--appendonly", "no"]
        # In its own process group the server does not receive Ctrl-C: this function ends it, after its clients.
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            ) as process,
        ):
            try:
                _wait_until_ready(process, port, log)
                yield f"redis://{LOOPBACK}:{port}"
            finally:
                process.terminate()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    client = redis.Redis(LOOPBACK, port, retry=Retry(NoBackoff(), 0))
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.ping()
        except (redis.AuthenticationError, redis.BusyLoadingError):
            # It runs, but requires a password or is still loading.
            return
        except redis.ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}") from None
            time.sleep(0.02)
        else:
            client.close()
            return


def free_port() -> int:
    """A free port below the range that systems use for outgoing connections.

    So no outgoing connection can take the port before the server does, or connect to itself while nobody listens.
    """
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - no secret
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind((LOOPBACK, port))
            return port


@contextlib.contextmanager
def embedded_store() -> Iterator[tuple[str, str]]:
    """Runs a store while the context lasts. Returns its URL and a name for it."""
    for name in SERVERS:
        if binary := shutil.which(name):
            with server_process(binary) as url:
                yield url, name
            return
    with fakeredis_server() as url:
        yield url, "fakeredis, in this process"
