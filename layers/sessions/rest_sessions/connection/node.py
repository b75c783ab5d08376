"""One Redis server and the connections to it."""

from collections.abc import Sequence
from contextlib import suppress
from time import time
from typing import Any

from hiredis import pack_command
from redis.exceptions import ResponseError

from .commands import PlainCommand
from .redis_py import Pool

# AWS's load balancers and NAT drop an idle flow after about 350 seconds without telling either side. Wall-clock time
# counts, because a monotonic clock may stop while a Lambda environment is frozen.
MAX_IDLE_SECONDS = 300


class Node:
    """A standalone server or one node of a cluster.

    It uses redis-py's connections without its clients and pipelines, which would take most of a call's time.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # Each with the time of its last use.
        self._idle: list[tuple[float, Any]] = []

    def send(self, commands: Sequence[PlainCommand]) -> Any:
        """Sends `commands` and returns their connection. Pass it to `receive`, or disconnect it."""
        connection = self._idle_connection() or self._pool.take_connection()
        try:
            packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type]
            connection.send_packed_command([packed], check_health=False)
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def receive(self, connection: Any, count: int) -> list[Any]:
        """The next `count` replies. An error reply is an exception in the list. The connection becomes idle."""
        replies = [_read_reply(connection) for _ in range(count)]
        self._idle.append((time(), connection))
        return replies

    def close_idle_connections(self) -> None:
        """Closes each connection that no thread is using."""
        # One at a time, because another thread may take one meanwhile.
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].disconnect()

    def _idle_connection(self) -> Any:
        while True:
            try:
                last_used, connection = self._idle.pop()
            except IndexError:
                return None
            if abs(time() - last_used) < MAX_IDLE_SECONDS:
                return connection
            connection.disconnect()


def _read_reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
