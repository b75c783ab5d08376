"""A Redis Cluster."""

import threading
from collections.abc import Sequence
from typing import Any

from redis.exceptions import AskError, ClusterDownError, NoScriptError, TryAgainError

from rest_sessions.settings import Settings

from .commands import PlainCommand, first_key, is_script
from .node import Node
from .redis_py import ClusterMap


class Cluster:
    """A cluster. Only its primaries are used.

    Commands go to all nodes at once and bypass redis-py's client: its pipeline would retry each failed command by
    itself, for longer than a client waits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._map: ClusterMap | None = None
        self._nodes: dict[str, Node] = {}

    def execute(self, commands: Sequence[PlainCommand]) -> list[Any]:
        """The replies to `commands`. An error reply is an exception in the list.

        A plain command runs after the scripts before it. Raises redis-py's errors of the connection.
        """
        cluster_map = self._connected()
        indexes: dict[str, list[int]] = {}
        for index, command in enumerate(commands):
            indexes.setdefault(self._node_name(cluster_map, command), []).append(index)
        replies: list[Any] = [None] * len(commands)
        unread: list[Any] = []
        try:
            for name, node_indexes in indexes.items():
                unread.append(self._nodes[name].send([commands[index] for index in node_indexes]))
            for (name, node_indexes), connection in zip(indexes.items(), tuple(unread), strict=True):
                for index, reply in zip(
                    node_indexes, self._nodes[name].receive(connection, len(node_indexes)), strict=True
                ):
                    replies[index] = reply
                unread.remove(connection)
        except BaseException:
            # The next command must not read the replies of this one.
            for connection in unread:
                connection.disconnect()
            raise
        redirected_script = False
        for index, command in enumerate(commands):
            if isinstance(replies[index], (AskError, ClusterDownError, TryAgainError)):
                replies[index] = _follow(cluster_map, command, replies[index])
                redirected_script |= is_script(command)
            elif redirected_script and not is_script(command):
                # It ran before the script that was redirected.
                replies[index] = cluster_map.execute(command)
        return replies

    def reset(self) -> None:
        """Prepares a retry: closes idle connections, and reloads the map because slots may have moved."""
        self.disconnect()
        if self._map is not None:
            self._map.reload()

    def disconnect(self) -> None:
        """Closes all connections that no thread is using. The next command connects again."""
        for node in tuple(self._nodes.values()):
            node.close_idle_connections()
        if self._map is not None:
            self._map.disconnect()

    def _connected(self) -> ClusterMap:
        with self._lock:
            if self._map is None:
                self._map = ClusterMap(self._settings)
            return self._map

    def _node_name(self, cluster_map: ClusterMap, command: PlainCommand) -> str:
        node = cluster_map.node_of(first_key(command))
        name: str = node.name
        if name not in self._nodes:
            # Two threads may meet a new node at once. Both then use the one that was stored first.
            self._nodes.setdefault(name, Node(cluster_map.pool_of(node)))
        return name


def _follow(cluster_map: ClusterMap, command: PlainCommand, redirection: Any) -> Any:
    """Returns the reply to `command` by way of redis-py's client, which follows redirections and retries for a moment.

    A NoScriptError is returned, so that the caller can send the script's text.
    """
    if isinstance(redirection, AskError):
        cluster_map.add_master(redirection.host, redirection.port)
    try:
        return cluster_map.execute(command)
    except NoScriptError as error:
        return error
