"""The only module that relies on the internals of redis-py: how it connects, pools and follows a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.cluster import PRIMARY, ClusterNode, RedisCluster
from redis.connection import Connection, ConnectionPool, SSLConnection
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from rest_sessions.deadline import remaining
from rest_sessions.settings import Settings

from .commands import Argument, PlainCommand, first_key
from .sign_in import sign_in_options
from .sockets import CONNECT_TIMEOUT_SECONDS, REPLY_TIMEOUT_SECONDS, DeadlineSocket

_DEFAULT_PORT = 6379


class _WithDeadline:
    """Makes a connection of redis-py keep the deadline of the request."""

    def _connect(self) -> DeadlineSocket:
        return DeadlineSocket(super()._connect())  # type: ignore[misc]

    @property
    def socket_connect_timeout(self) -> float:
        """Seconds for each address of the host. 0 fails at once."""
        return remaining(CONNECT_TIMEOUT_SECONDS)

    @property
    def socket_timeout(self) -> float:
        """Seconds for the TLS handshake. Never 0, which would make the socket non-blocking."""
        return remaining(REPLY_TIMEOUT_SECONDS) or 0.001


class _PlainConnection(_WithDeadline, Connection):  # type: ignore[misc]
    """A connection without TLS."""


class _TlsConnection(_WithDeadline, SSLConnection):  # type: ignore[misc]
    """A connection with TLS."""

    def can_read(self, timeout: float = 0) -> bool:
        # redis-py's pool refuses a connection that has an unread reply. It would mistake a session ticket, which the
        # server sends after the handshake, for one.
        return super().can_read(timeout) and self._sock.pending() > 0  # type: ignore[attr-defined]


class Pool(ConnectionPool):
    """Makes the connections to one server. The URL's scheme decides whether they use TLS."""

    def __init__(self, connection_class: type[Connection] = Connection, **options: Any) -> None:
        use_tls = issubclass(connection_class, SSLConnection)
        super().__init__(_TlsConnection if use_tls else _PlainConnection, **options)

    @classmethod
    def of(cls, settings: Settings) -> Any:
        """The pool of the server in `settings`."""
        return cls.from_url(settings.redis_url, **_options(settings))

    def take_connection(self) -> Any:
        """Returns a connection that redis-py has used and released, or else a new one, not yet connected.

        The pool's own method also counts connections that failed, and after a hundred of them makes no more.
        """
        with suppress(IndexError):
            connection = self._available_connections.pop()
            self._created_connections -= 1
            return connection
        return self.connection_class(**self.connection_kwargs)

    def disconnect_free_connections(self, moving_address_src: str | None = None) -> None:
        """Does nothing. The cluster client would close the connection with which it has just asked for the slots."""


class _ClusterClient(RedisCluster):
    """redis-py's cluster client, which does not ask COMMAND where a command has its keys: `first_key` knows."""

    def command(self, **_: Any) -> dict[str, Any]:
        return {}

    def determine_slot(self, *command: Any) -> int:
        slot: int = self.keyslot(first_key(command))  # type: ignore[no-untyped-call]
        return slot


class ClusterMap:
    """redis-py's cluster client: it knows which node has which slot, and follows redirections."""

    def __init__(self, settings: Settings) -> None:
        """Asks the cluster for its nodes. Raises redis-py's errors when it does not answer."""
        self._settings = settings
        self._pools: dict[tuple[str, int], Pool] = {}
        with _no_cluster_is_unavailable():
            self._client = _ClusterClient.from_url(
                settings.redis_url, connection_pool_class=self._pool, **_options(settings)
            )

    def _pool(self, **options: Any) -> Pool:
        # One for each address. redis-py asks again for the node that told it the slots.
        return self._pools.setdefault((options["host"], options["port"]), Pool(**options))

    def node_of(self, key: Argument | None) -> Any:
        """The primary that has the slot of `key`, or any node for None. Its `name` is unique."""
        if key is None:
            return self._client.get_default_node()  # type: ignore[no-untyped-call]
        return self._client.get_node_from_key(key)  # type: ignore[no-untyped-call]

    def pool_of(self, node: Any) -> Pool:
        """The pool of a node that `node_of` returned."""
        return self._client.get_redis_connection(node).connection_pool  # type: ignore[return-value]

    def execute(self, command: PlainCommand) -> Any:
        """The reply to one command, from whichever node the cluster points to. Raises an error reply."""
        return self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    def add_master(self, host: str, port: int) -> None:
        """Adds a primary that has no slots yet. The map that redis-py reads has only nodes with slots."""
        node = ClusterNode(host, port, PRIMARY)  # type: ignore[no-untyped-call]
        self._client.nodes_manager.nodes_cache.setdefault(node.name, node)

    def reload(self) -> None:
        """Reads the current map from a known node, or from the address in the settings if no known node answers."""
        address = urlsplit(self._settings.redis_url)
        with _no_cluster_is_unavailable():
            self._client.nodes_manager.initialize([(address.hostname or "", address.port or _DEFAULT_PORT)])

    def disconnect(self) -> None:
        """Closes the connections that redis-py keeps for itself."""
        for pool in self._pools.values():
            pool.disconnect(inuse_connections=False)


@contextmanager
def _no_cluster_is_unavailable() -> Iterator[None]:
    try:
        yield
    except (TypeError, IndexError, ValueError, AttributeError) as error:
        # redis-py takes for granted that a reply has the form of slots.
        raise RedisClusterException("The server did not reply with the slots of a cluster") from error


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "socket_timeout": REPLY_TIMEOUT_SECONDS,
        # redis-py would retry for longer than API Gateway waits. `Client.run` alone decides on a retry.
        "retry": Retry(NoBackoff(), 0),
        # RESP2 and not telling the library's name save a new connection three round trips.
        "protocol": 2,
        "driver_info": None,
        **sign_in_options(settings),
    }
