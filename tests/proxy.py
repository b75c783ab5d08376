"""A TCP proxy on loopback, to see and disturb what passes between the store and its server."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from dev.embedded_store import LOOPBACK


class Proxy:
    """Forwards each connection to `port`, and counts how often an answer followed a request."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.round_trips = 0
        self.connections = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        server = socket.create_connection((LOOPBACK, self._target))
        self._sockets += [client, server]
        answered = True

        def answers() -> None:
            nonlocal answered
            while data := server.recv(1 << 16):
                if not answered:
                    answered = True
                    self.round_trips += 1
                client.sendall(data)

        def run_until_closed() -> None:
            with contextlib.suppress(OSError):
                answers()
            self.cut()

        threading.Thread(target=run_until_closed, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                answered = False
                server.sendall(data)
        self.cut()

    def cut(self) -> None:
        """Ends all connections; new ones are still taken."""
        while self._sockets:
            with contextlib.suppress(OSError):
                self._sockets.pop().close()

    def close(self) -> None:
        self._listener.close()
        self.cut()


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
