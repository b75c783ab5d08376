"""The connection to Redis or Valkey: one server or a cluster, with short timeouts and one retry."""

import os
import threading
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import ConnectionPool
from redis.credentials import CredentialProvider
from redis.exceptions import (
    ClusterError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
    TryAgainError,
)
from redis.retry import Retry

from .errors import StoreUnavailable
from .iam import TokenSigner
from .scripts import ScriptCall
from .settings import Settings

# Twice connecting and twice waiting for an answer stay under 5 seconds.
CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 1.0

PlainCommand = tuple[str | bytes | int, ...]
Command = ScriptCall | PlainCommand

# A connection that died while its Lambda environment was frozen, or a server that stopped being the primary: a new
# connection may find a server that answers.
_WORTH_A_RETRY = (ConnectionError, TimeoutError, ReadOnlyError, ClusterError)
# The server is there and cannot take the command now.
_UNAVAILABLE = (*_WORTH_A_RETRY, OutOfMemoryError, TryAgainError, RedisClusterException)
_UNAVAILABLE_CODES = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY")


class Client:
    """Sends commands to the store of `settings`; connects when it is first used, and again after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._server = (_Cluster if settings.redis_cluster else _Server)(settings)

    def run(self, *commands: Command) -> list[Any]:
        """The replies to `commands`, sent in one round trip.

        What fails for want of a connection is sent once more, all of it, so a command may run twice.
        Raises StoreUnavailable when that fails too, or when the server cannot serve now.
        """
        try:
            try:
                return self._send(commands)
            except _WORTH_A_RETRY:
                self._server.drop_idle_connections()
                return self._send(commands)
        except _UNAVAILABLE as error:
            raise StoreUnavailable(_reason(error)) from error
        except ResponseError as error:
            if str(error).startswith(_UNAVAILABLE_CODES):
                raise StoreUnavailable(_reason(error)) from error
            raise

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        replies = self._server.exchange([_by_sha(command) for command in commands])
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # Plain commands that follow a script are sent to come after it, and so are sent again.
            follow = [i for i in range(unknown[0], len(commands)) if not isinstance(commands[i], ScriptCall)]
            again = sorted([*unknown, *follow])
            for i, reply in zip(again, self._server.exchange([_by_text(commands[i]) for i in again]), strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


class _Server:
    """One server, by redis-py's connections alone: its clients and pipelines would take most of a call's time."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ConnectionPool.from_url(settings.redis_url, **_options(settings))
        self._idle: list[Any] = []

    def exchange(self, commands: Sequence[PlainCommand]) -> list[Any]:
        """The replies to `commands`; what the server refuses is an exception among them."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.make_connection()
        try:
            connection.send_packed_command([b"".join(map(pack_command, commands))], check_health=False)
            replies = [_reply(connection) for _ in commands]
        except BaseException:
            connection.disconnect()
            raise
        self._idle.append(connection)
        return replies

    def drop_idle_connections(self) -> None:
        # They lead to the same server as the one that failed.
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()


class _Cluster:
    """A cluster, by redis-py's client, which follows it as it changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._cluster: RedisCluster | None = None

    def exchange(self, commands: Sequence[PlainCommand]) -> list[Any]:
        """As that of a server."""
        cluster = self._connected()
        # One command has no need of a pipeline, which takes longer to make than to send.
        if len(commands) == 1:
            try:
                return [cluster.execute_command(*commands[0])]  # type: ignore[no-untyped-call]
            except NoScriptError as error:
                return [error]
        pipeline = cluster.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(pipeline.execute(raise_on_error=False))

    def drop_idle_connections(self) -> None:
        """redis-py looks after them."""

    def _connected(self) -> RedisCluster:
        # Making it asks the cluster for its nodes, and so fails while there are none.
        with self._lock:
            if self._cluster is None:
                self._cluster = RedisCluster.from_url(self._settings.redis_url, **_options(self._settings))
            return self._cluster


def _options(settings: Settings) -> dict[str, Any]:
    # redis-py would try many times, for longer than API Gateway waits: `run` alone decides on a retry.
    # RESP2 and no client name spare a new connection three round trips.
    return {
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": ANSWER_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        **_sign_in(settings),
    }


def _sign_in(settings: Settings) -> dict[str, Any]:
    if settings.redis_iam_cache:
        return {"credential_provider": _IamUser(settings.redis_user, settings.redis_iam_cache)}
    parts = {"username": settings.redis_user, "password": settings.redis_password}
    return {name: value for name, value in parts.items() if value}


class _IamUser(CredentialProvider):
    """Asked by redis-py at each new connection, so a token needs no renewal."""

    def __init__(self, user: str, cache: str) -> None:
        self._user = user
        self._signer = TokenSigner(cache, user, os.environ)

    def get_credentials(self) -> tuple[str, str]:
        try:
            return self._user, self._signer.sign()
        except OSError as error:
            raise ConnectionError(f"No AWS credentials: {error}") from error


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _by_sha(command: Command) -> PlainCommand:
    if isinstance(command, ScriptCall):
        return ("EVALSHA", command.script.sha, len(command.keys), *command.keys, *command.args)
    return command


def _by_text(command: Command) -> PlainCommand:
    if isinstance(command, ScriptCall):
        return ("EVAL", command.script.text, len(command.keys), *command.keys, *command.args)
    return command


def _reason(error: Exception) -> str:
    # An error of the connection tells host and cause. A server's reply may quote arguments, and stays untold.
    return (
        f"{type(error).__name__}: {error}"
        if isinstance(error, (ConnectionError, TimeoutError))
        else type(error).__name__
    )
