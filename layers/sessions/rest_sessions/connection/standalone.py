"""One Redis server that is not part of a cluster."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import MovedError, ReadOnlyError

from rest_sessions.settings import Settings

from .commands import PlainCommand
from .node import Node
from .redis_py import Pool


class Standalone:
    """A standalone server, which must be the primary.

    A demoted primary still answers reads, but lacks what the new primary has written: a session could seem missing, or
    a killed one alive. It refuses writes, so each batch ends with one. The write removes a key that never exists.
    """

    def __init__(self, settings: Settings) -> None:
        self._node = Node(Pool.of(settings))
        self._fence = ("UNLINK", f"{settings.namespace}:nothing")

    def execute(self, commands: Sequence[PlainCommand]) -> list[Any]:
        """The replies to `commands`. An error reply is an exception in the list.

        Raises ReadOnlyError when the server is not the primary, MovedError when it is a node of a cluster, and the
        connection's errors.
        """
        connection = self._node.send([*commands, self._fence])
        try:
            *replies, fenced = self._node.receive(connection, len(commands) + 1)
        except BaseException:
            connection.disconnect()
            raise
        if isinstance(fenced, (ReadOnlyError, MovedError)):
            raise fenced
        return replies

    def disconnect(self) -> None:
        """Closes all connections that no thread is using. The next command connects again."""
        self._node.close_idle_connections()

    def reset(self) -> None:
        """Prepares a retry: the idle connections lead to the server that has just failed."""
        self.disconnect()
