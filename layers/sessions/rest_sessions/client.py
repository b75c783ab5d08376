"""The connection to Redis or Valkey: one server or a cluster, with short timeouts and one retry."""

import builtins
import os
import re
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.cluster import PRIMARY, ClusterNode, RedisCluster
from redis.connection import Connection, ConnectionPool, SSLConnection
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AskError,
    ClusterDownError,
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
from .time_limit import seconds_left, time_limit

DEFAULT_PORT = 6379
CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 1.0
# Twice connecting and twice waiting for an answer: signing in, other addresses, other nodes and further round trips of
# the same request take no more. It leaves a second of the five within which a caller is answered.
CALL_SECONDS = 4.0

PlainCommand = tuple[str | bytes | int, ...]
Command = ScriptCall | PlainCommand

# A connection that died while its Lambda environment was frozen, or a server that stopped being the primary: a new
# connection may find a server that answers.
_WORTH_A_RETRY = (ConnectionError, TimeoutError, ReadOnlyError, ClusterError)
# The server is there and cannot take the command now.
_UNAVAILABLE = (*_WORTH_A_RETRY, OutOfMemoryError, TryAgainError, RedisClusterException)
_UNAVAILABLE_REPLY = re.compile(
    # Redis 6.2 puts what a command of a script was answered at the end of an error of its own.
    "(Error running script .*-)?(BUSY|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|READONLY) "
)

_RUN_SCRIPT = ("EVALSHA", "EVAL")

# Closing a socket so discards what was not sent yet, and tells the server, instead of sending on.
_ABORT = struct.pack("ii", 1, 0)


class Client:
    """Sends commands to the store of `settings`; connects when it is first used, and again after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._server = (_Cluster if settings.redis_cluster else _Server)(settings)

    def run(self, *commands: Command) -> list[Any]:
        """The replies to `commands`, sent in one round trip.

        What fails for want of a connection is sent once more, all of it, so a command may run twice; but none runs
        after this has returned, unless it has reached the server by then.
        Raises StoreUnavailable when that fails too, when the server cannot serve now, or after CALL_SECONDS.
        """
        with time_limit(CALL_SECONDS):
            try:
                try:
                    return self._send(commands)
                except _WORTH_A_RETRY:
                    self._server.recover()
                    return self._send(commands)
            except _UNAVAILABLE as error:
                raise StoreUnavailable(_reason(error)) from error
            except ResponseError as error:
                if _UNAVAILABLE_REPLY.match(str(error)):
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


class _Node:
    """One server, by redis-py's connections alone: its clients and pipelines would take most of a call's time."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._idle: list[Any] = []

    def send(self, commands: Sequence[PlainCommand]) -> Any:
        """The connection on which the replies to `commands` will come: for `replies`, or to be disconnected."""
        try:
            connection = self._idle.pop()
        except IndexError:
            # Not made by the pool itself, which would count those that failed and, after a hundred, make no more.
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            packed = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type]
            connection.send_packed_command([packed], check_health=False)
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def replies(self, connection: Any, count: int) -> list[Any]:
        """The next replies; what the server refuses is an exception among them. Keeps the connection."""
        found = [_reply(connection) for _ in range(count)]
        self._idle.append(connection)
        return found

    def drop_idle_connections(self) -> None:
        # One by one, as another thread may take one for itself.
        with suppress(IndexError):
            while True:
                self._idle.pop().disconnect()


class _Server:
    """A single server, the primary. One that was demoted still answers reads, without what its successor was told, so
    that a session could seem missing, or a killed one alive. But it refuses writes, and each batch ends with one.
    """

    def __init__(self, settings: Settings) -> None:
        self._node = _Node(_Pool.from_url(settings.redis_url, **_options(settings)))
        self._write_of_nothing = ("UNLINK", f"{settings.namespace}:nothing")

    def exchange(self, commands: Sequence[PlainCommand]) -> list[Any]:
        """The replies to `commands`; what the server refuses is an exception among them."""
        connection = self._node.send([*commands, self._write_of_nothing])
        try:
            *replies, written = self._node.replies(connection, len(commands) + 1)
        except BaseException:
            connection.disconnect()
            raise
        if isinstance(written, ReadOnlyError):
            raise written
        return replies

    def recover(self) -> None:
        """Makes ready for another try: idle connections lead to the same server as the one that failed."""
        self._node.drop_idle_connections()


class _Cluster:
    """A cluster, whose replicas serve nobody. redis-py's client knows its nodes and follows it as it changes; commands
    go past that client, to all nodes at once, as its pipeline would try each failed command again by itself, for longer
    than a caller waits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: RedisCluster | None = None
        self._nodes: dict[str, _Node] = {}

    def exchange(self, commands: Sequence[PlainCommand]) -> list[Any]:
        """As that of a server."""
        client = self._connected()
        places: dict[str, list[int]] = {}
        for place, command in enumerate(commands):
            places.setdefault(self._node_name(client, command), []).append(place)
        replies: list[Any] = [None] * len(commands)
        waiting: list[Any] = []
        try:
            for name, of_node in places.items():
                waiting.append(self._nodes[name].send([commands[place] for place in of_node]))
            for (name, of_node), connection in zip(places.items(), tuple(waiting), strict=True):
                for place, reply in zip(of_node, self._nodes[name].replies(connection, len(of_node)), strict=True):
                    replies[place] = reply
                waiting.remove(connection)
        except BaseException:
            # Replies that nobody has read must not meet the next command.
            for connection in waiting:
                connection.disconnect()
            raise
        script_came_late = False
        for place, command in enumerate(commands):
            is_script = command[0] in _RUN_SCRIPT
            if isinstance(replies[place], (AskError, ClusterDownError, TryAgainError)):
                replies[place] = self._follow(client, command, replies[place])
                script_came_late |= is_script
            elif script_came_late and not is_script:
                # Plain commands that follow a script are sent to come after it.
                replies[place] = client.execute_command(*command)  # type: ignore[no-untyped-call]
        return replies

    def recover(self) -> None:
        """Makes ready for another try: a node may have lost its slots to another."""
        for node in tuple(self._nodes.values()):
            node.drop_idle_connections()
        if self._client is not None:
            # After the nodes that it knows, which may all be gone, the one that the settings name.
            address = urlsplit(self._settings.redis_url)
            self._client.nodes_manager.initialize([(address.hostname or "", address.port or DEFAULT_PORT)])

    def _connected(self) -> RedisCluster:
        # Making it asks the cluster for its nodes, and so fails while there are none.
        with self._lock:
            if self._client is None:
                self._client = RedisCluster.from_url(
                    self._settings.redis_url, connection_pool_class=_Pool, **_options(self._settings)
                )
            return self._client

    def _node_name(self, client: RedisCluster, command: PlainCommand) -> str:
        key = _first_key(command)
        node: Any = client.get_default_node() if key is None else client.get_node_from_key(key)  # type: ignore[no-untyped-call]
        name: str = node.name
        if name not in self._nodes:
            # Of two threads that meet it first, both take what the first of them put there.
            self._nodes.setdefault(name, _Node(client.get_redis_connection(node).connection_pool))
        return name

    @staticmethod
    def _follow(client: RedisCluster, command: PlainCommand, reply: Any) -> Any:
        """The reply of the node to which the first one points, or which will answer when it can."""
        if isinstance(reply, AskError):
            # A master that joined lately may be unknown to redis-py, as no slot is its own yet.
            node = ClusterNode(reply.host, reply.port, PRIMARY)  # type: ignore[no-untyped-call]
            client.nodes_manager.nodes_cache.setdefault(node.name, node)
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError as error:
            return error


class _Socket:
    """A connected socket that waits no longer than the call has time, and sends nothing once it is closed.

    redis-py's timeout begins anew with each piece of a reply. And what TCP could not deliver yet when a call gives up
    would be delivered later: after a second try, or after the caller has killed the session that it would write.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._socket = connected
        self._seconds: float | None = None

    def sendall(self, data: bytes) -> None:
        self._set_timeout()
        self._socket.sendall(data)

    def recv_into(self, buffer: bytearray) -> int:
        self._set_timeout()
        return self._socket.recv_into(buffer)

    def _set_timeout(self) -> None:
        seconds = seconds_left(ANSWER_TIMEOUT_SECONDS)
        if not seconds:
            # Caught by redis-py, which has one of the same name.
            raise builtins.TimeoutError
        # It is a call of the system, and almost always of the same value.
        if seconds != self._seconds:
            self._socket.settimeout(seconds)
            self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _InTime:
    """How the connections here are made."""

    def _connect(self) -> _Socket:
        return _Socket(super()._connect())  # type: ignore[misc]

    @property
    def socket_connect_timeout(self) -> float:
        """For each address of the host; without time left, 0 fails at once."""
        return seconds_left(CONNECT_TIMEOUT_SECONDS)

    @property
    def socket_timeout(self) -> float:
        """For TLS's handshake, which does not take 0."""
        return seconds_left(ANSWER_TIMEOUT_SECONDS) or 0.001


class _Connection(_InTime, Connection):  # type: ignore[misc]
    """To a server, in clear."""


class _TlsConnection(_InTime, SSLConnection):  # type: ignore[misc]
    """To a server, by TLS."""

    def can_read(self, timeout: float = 0) -> bool:
        # redis-py's pool refuses connections with a reply that nobody read, and would take for one a session ticket,
        # which a server sends after the handshake.
        return super().can_read(timeout) and self._sock.pending() > 0  # type: ignore[attr-defined]


class _Pool(ConnectionPool):
    """What makes the connections of a server, or of each node of a cluster; the URL says of which class."""

    def __init__(self, connection_class: type[Connection] = Connection, **options: Any) -> None:
        of_ours = _TlsConnection if issubclass(connection_class, SSLConnection) else _Connection
        super().__init__(of_ours, **options)


def _first_key(command: PlainCommand) -> Any:
    match command:
        case (name, _, _, key, *_) if name in _RUN_SCRIPT:
            return key
        case (_, key, *_):
            return key
    return None


def _options(settings: Settings) -> dict[str, Any]:
    # redis-py would try many times, for longer than API Gateway waits: `run` alone decides on a retry.
    # RESP2 and no client name spare a new connection three round trips.
    return {
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
    name = type(error).__name__
    # An error of the connection tells host and cause. A server's reply may quote arguments, and stays untold but for
    # the code at its beginning, if it is one of those that are known.
    if isinstance(error, (ConnectionError, TimeoutError)):
        return f"{name}: {error}"
    reply = _UNAVAILABLE_REPLY.match(str(error))
    return f"{name}: {reply[2]}" if reply else name
