"""The connection to Redis or Valkey: one server or a cluster, with short timeouts and one retry."""

import os
import threading
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
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
        self._settings = settings
        self._lock = threading.Lock()
        self._redis: Redis | RedisCluster | None = None

    def run(self, *commands: Command) -> list[Any]:
        """The replies to `commands`, sent in one round trip.

        What fails for want of a connection is sent once more, all of it, so a command may run twice.
        Raises StoreUnavailable when that fails too, or when the server cannot serve now.
        """
        try:
            try:
                return self._send(commands)
            except _WORTH_A_RETRY:
                self._drop_idle_connections()
                return self._send(commands)
        except _UNAVAILABLE as error:
            raise StoreUnavailable(_reason(error)) from error
        except ResponseError as error:
            if str(error).startswith(_UNAVAILABLE_CODES):
                raise StoreUnavailable(_reason(error)) from error
            raise

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        redis = self._connected()
        if len(commands) == 1:
            try:
                return [redis.execute_command(*_by_sha(commands[0]))]  # type: ignore[no-untyped-call]
            except NoScriptError:
                return [redis.execute_command(*_by_text(commands[0]))]  # type: ignore[no-untyped-call]
        replies = self._pipeline([_by_sha(command) for command in commands])
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # Plain commands that follow a script are sent to come after it, and so are sent again.
            follow = [i for i in range(unknown[0], len(commands)) if not isinstance(commands[i], ScriptCall)]
            again = sorted([*unknown, *follow])
            for i, reply in zip(again, self._pipeline([_by_text(commands[i]) for i in again]), strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _pipeline(self, commands: Sequence[PlainCommand]) -> list[Any]:
        pipeline = self._connected().pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(pipeline.execute(raise_on_error=False))

    def _connected(self) -> Redis | RedisCluster:
        with self._lock:
            if self._redis is None:
                # redis-py would try many times, for longer than API Gateway waits: `run` alone decides on a retry.
                # RESP2 and no client name spare a new connection three round trips.
                options: dict[str, Any] = {
                    "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
                    "socket_timeout": ANSWER_TIMEOUT_SECONDS,
                    "retry": Retry(NoBackoff(), 0),
                    "protocol": 2,
                    "driver_info": None,
                }
                options |= _sign_in(self._settings)
                client = RedisCluster if self._settings.redis_cluster else Redis
                self._redis = client.from_url(self._settings.redis_url, **options)
            return self._redis

    def _drop_idle_connections(self) -> None:
        # They lead to the same server as the one that failed. A cluster's client looks after its own.
        with self._lock:
            if isinstance(self._redis, Redis):
                self._redis.connection_pool.disconnect(inuse_connections=False)


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
