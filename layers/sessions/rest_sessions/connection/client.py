"""Sends batches of commands to Redis, with one retry, and with errors that say whether Redis can serve."""

import re
from collections.abc import Sequence
from typing import Any

from redis.exceptions import (
    ClusterError,
    ConnectionError,
    InvalidResponse,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from rest_sessions.deadline import deadline
from rest_sessions.errors import StoreUnavailable
from rest_sessions.limits import REQUEST_SECONDS
from rest_sessions.settings import Settings

from .cluster import Cluster
from .commands import Command, ScriptCall, by_sha, by_text
from .standalone import Standalone

# What `Client.run` raises when the server refuses a command for another reason than that it cannot serve now.
CommandRefused = ResponseError

# A retry on a new connection may succeed. For example, the connection died while its Lambda environment was frozen, the
# server is no longer the primary, or the cluster is changing.
_RETRYABLE = (ConnectionError, TimeoutError, ReadOnlyError, ClusterError)
# The server cannot take the command now.
_UNAVAILABLE = (*_RETRYABLE, InvalidResponse, MovedError, OutOfMemoryError, TryAgainError, RedisClusterException)
_UNAVAILABLE_REPLY = re.compile(
    # Redis 6.2 wraps the reply to a script's command in an error of its own.
    "(Error running script .*-)?(BUSY|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|READONLY) "
)


class Client:
    """Sends commands to the standalone server or the cluster in `settings`.

    It connects when it is first used, and again after a failure. Threads may share it.
    """

    def __init__(self, settings: Settings) -> None:
        self._server = (Cluster if settings.redis_cluster else Standalone)(settings)

    def run(self, *commands: Command, again: Sequence[Command] | None = None) -> list[Any]:
        """Sends `commands` as one batch and returns their replies.

        That is one round trip, and a second one for scripts that a server does not know or commands that a cluster
        redirects. On a lost connection, a timeout, a demoted primary or an error of the cluster, the whole batch is
        resent once, so a command may run twice. After this method has returned, nothing more is sent; only what has
        already reached the server may still run.

        `again` is what a retry sends in place of `commands`, for a script that must know that it may have run already.

        Raises StoreUnavailable when the retry fails too, when the server cannot serve now, or after REQUEST_SECONDS.
        Raises CommandRefused when the server refuses a command.
        """
        with deadline(REQUEST_SECONDS):
            try:
                try:
                    return self._send(commands)
                except _RETRYABLE:
                    self._server.reset()
                    return self._send(commands if again is None else again)
            except _UNAVAILABLE as error:
                raise StoreUnavailable(_reason(error)) from error
            except ResponseError as error:
                if _UNAVAILABLE_REPLY.match(str(error)):
                    raise StoreUnavailable(_reason(error)) from error
                raise

    def disconnect(self) -> None:
        """Closes all connections that no thread is using. The next command connects again."""
        self._server.disconnect()

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        replies = self._server.execute([by_sha(command) for command in commands])
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # A plain command must run after the scripts before it. So those after the first unknown script are resent.
            following = [i for i in range(unknown[0], len(commands)) if not isinstance(commands[i], ScriptCall)]
            again = sorted([*unknown, *following])
            for i, reply in zip(again, self._server.execute([by_text(commands[i]) for i in again]), strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


def _reason(error: Exception) -> str:
    name = type(error).__name__
    # A connection's error tells host and cause. A server's reply may quote arguments, so only a known code at its
    # beginning is told.
    if isinstance(error, (ConnectionError, TimeoutError)):
        return f"{name}: {error}"
    # A cluster's client follows it.
    if isinstance(error, MovedError):
        return f"{name}: the server is a node of a cluster; set REDIS_CLUSTER=1"
    reply = _UNAVAILABLE_REPLY.match(str(error))
    return f"{name}: {reply[2]}" if reply else name
