"""One Redis server that is not part of a cluster."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import MovedError, ReadOnlyError, ResponseError

from rest_sessions.settings import Settings

from .commands import PlainCommand, is_write
from .node import Node
from .redis_py import Pool


class Standalone:
    """A standalone server, which must be the primary.

    A demoted primary still answers reads, but lacks what the new primary has written: a session could seem missing, or
    a killed one alive. It refuses writes, so each batch has one: if none of its commands is a write, it ends with the
    removal of a key that never exists.
    """

    def __init__(self, settings: Settings) -> None:
        self._node = Node(Pool.of(settings))
        self._fence = ("UNLINK", f"{settings.namespace}:nothing")

    def execute(self, commands: Sequence[PlainCommand]) -> list[Any]:
        """The replies to `commands`. An error reply is an exception in the list.

        Raises ReadOnlyError when the server is not the primary, MovedError when it is a node of a cluster, and the
        connection's errors.
        """
        sent = commands if any(map(is_write, commands)) else [*commands, self._fence]
        connection = self._node.send(sent)
        try:
            replies = self._node.receive(connection, len(sent))
        except BaseException:
            connection.disconnect()
            raise
        for reply in replies:
            if isinstance(reply, (ReadOnlyError, MovedError)):
                raise reply
            # Redis 6.2 wraps the refusal of a script's command in an error of its own.
            if isinstance(reply, ResponseError) and "-READONLY " in str(reply):
                raise ReadOnlyError("The server is not the primary")
        return replies[: len(commands)]

    def disconnect(self) -> None:
        """Closes all connections that no thread is using. The next command connects again."""
        self._node.close_idle_connections()

    def reset(self) -> None:
        """Prepares a retry: the idle connections lead to the server that has just failed."""
        self.disconnect()
