"""Sockets that keep the deadline of a request."""

import socket
import struct
from typing import Any

from rest_sessions.deadline import remaining

CONNECT_TIMEOUT_SECONDS = 1.0
REPLY_TIMEOUT_SECONDS = 1.0

# With this SO_LINGER, closing a socket resets the connection and discards what was not sent yet.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class DeadlineSocket:
    """A connected socket that keeps the deadline, and discards unsent data when it is closed.

    redis-py's timeout starts again with each piece of a reply. And TCP would still deliver the unsent data of a closed
    socket, perhaps after the retry, or after a client killed the session that the data would write.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket = connected
        self._timeout: float | None = None

    def sendall(self, data: bytes) -> None:
        """Sends all of `data`. Raises TimeoutError."""
        self._set_timeout()
        self._socket.sendall(data)

    def recv_into(self, buffer: bytearray) -> int:
        """Receives into `buffer`. Returns the number of bytes. Raises TimeoutError."""
        self._set_timeout()
        return self._socket.recv_into(buffer)

    def _set_timeout(self) -> None:
        timeout = remaining(REPLY_TIMEOUT_SECONDS)
        if not timeout:
            raise TimeoutError
        # settimeout is a system call, and the value almost never changes.
        if timeout != self._timeout:
            self._socket.settimeout(timeout)
            self._timeout = timeout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
