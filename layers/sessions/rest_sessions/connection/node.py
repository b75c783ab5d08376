"""One Redis server and the connections to it."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hiredis import pack_command
from redis.exceptions import ResponseError

from .commands import PlainCommand
from .redis_py import Pool


class Node:
    """A standalone server or one node of a cluster.

    It uses redis-py's connections without its clients and pipelines, which would take most of a call's time.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._idle: list[Any] = []

    def send(self, commands: Sequence[PlainCommand]) -> Any:
        """Sends `commands` and returns their connection. Pass it to `receive`, or disconnect it."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.new_connection()
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
        self._idle.append(connection)
        return replies

    def close_idle_connections(self) -> None:
        """Closes each connection that no thread is using."""
        # One at a time, because another thread may take one meanwhile.
        with suppress(IndexError):
            while True:
                self._idle.pop().disconnect()


def _read_reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
