"""A TCP proxy on loopback that observes and disturbs the traffic between a store and its server."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from dev.embedded_store import LOOPBACK, free_port
from tests.servers import Server
from tests.waiting import wait_until

# Handles a piece of a reply: forwards it to the client, or disturbs it.
ReplyHandler = Callable[[socket.socket, bytes], None]

# Smaller than a large request, so that the rest of the request stays in the sender's buffer.
_RECEIVE_BUFFER = 4096


def forward(client: socket.socket, reply: bytes) -> None:
    client.sendall(reply)


def drop(client: socket.socket, reply: bytes) -> None:
    pass


def cut_in_half(client: socket.socket, reply: bytes) -> None:
    client.sendall(reply[: len(reply) // 2])
    raise ConnectionAbortedError


def delayed(seconds: float) -> ReplyHandler:
    def on_reply(client: socket.socket, reply: bytes) -> None:
        time.sleep(seconds)
        client.sendall(reply)

    return on_reply


def byte_by_byte(client: socket.socket, reply: bytes) -> None:
    """Without the last byte: all four bytes of `:0` would arrive before the deadline of a request."""
    for byte in reply[:-1]:
        time.sleep(0.6)
        client.sendall(bytes([byte]))


class Proxy:
    """Forwards each connection to the port `target`. Counts connections and round trips.

    `on_reply` handles the replies. A new value also applies to open connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.on_reply: ReplyHandler = forward
        self.round_trips = 0
        self.connections = 0
        self._links: set[_Link] = set()
        self._hold: threading.Event | None = None
        self.port = free_port()
        self.accept()

    def accept(self) -> None:
        """Accepts connections. Call it again after `refuse`."""
        listener = socket.create_server((LOOPBACK, self.port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Closes all connections and refuses new ones."""
        # While a thread waits in accept(), a closed socket would still listen.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Closes all connections. New ones are still accepted."""
        for link in tuple(self._links):
            link.close()

    def hold_next(self) -> threading.Event:
        """Forwards no request of the next connection until the returned event is set."""
        self._hold = threading.Event()
        return self._hold

    def wait_for_no_connection(self) -> None:
        wait_until(lambda: not self._links)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                hold, self._hold = self._hold, None
                link = _Link(self, client)
                self._links.add(link)
                threading.Thread(target=link.run, args=(hold,), daemon=True).start()


class _Link:
    """A client's connection, and the connection to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None
        self._answered = True

    def run(self, hold: threading.Event | None) -> None:
        with contextlib.suppress(OSError):
            self._server = socket.create_connection((LOOPBACK, self._proxy.target))
            threading.Thread(target=self._forward_replies, args=(self._server,), daemon=True).start()
            if hold:
                hold.wait()
            while data := self._client.recv(1 << 16):
                # A busy machine may read one batch in two parts. The second begins in the middle of a command.
                if data.startswith(b"*"):
                    self._answered = False
                self._server.sendall(data)
        self.close()

    def _forward_replies(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if not self._answered:
                    self._answered = True
                    self._proxy.round_trips += 1
                self._proxy.on_reply(self._client, data)
        self.close()

    def close(self) -> None:
        self._proxy._links.discard(self)
        for end in (self._client, self._server):
            if end:
                # This wakes the thread that reads from it.
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.refuse()


@contextlib.contextmanager
def proxy_before(server: Server) -> Iterator[Proxy]:
    """A proxy to a standalone server. Skips the test on a cluster."""
    if server.is_cluster:
        pytest.skip("a cluster's client bypasses the proxy: it uses the addresses that the cluster announces")
    with proxy_to(urlsplit(server.url).port or 6379) as proxy:
        yield proxy
