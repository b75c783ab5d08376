"""The servers that the tests run on. Each starts when a test first needs it."""

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from redis.cluster import RedisCluster

from dev.embedded_store import LOOPBACK, fakeredis_server, free_port, server_process
from rest_sessions.settings import Settings

FAKEREDIS = "fakeredis"
BINARIES = ("redis-server", "valkey-server")
# The name of each cluster, and the binary of its three masters.
CLUSTERS = {"redis-cluster": "redis-server", "valkey-cluster": "valkey-server"}
REAL = (*BINARIES, *CLUSTERS)

_CLUSTER_SECONDS = 20


@dataclass(frozen=True)
class Server:
    name: str
    url: str

    @property
    def is_cluster(self) -> bool:
        return self.name in CLUSTERS

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a function uses this server."""
        return {"REDIS_URL": self.url, "REDIS_CLUSTER": "1" if self.is_cluster else "0"}

    def settings(self, namespace: str) -> Settings:
        return Settings(self.url, self.is_cluster, namespace, missing_session_is_error=False)

    def connect(self) -> redis.Redis | RedisCluster:
        """A plain Redis client, for a look at what the store did."""
        return (RedisCluster if self.is_cluster else redis.Redis).from_url(self.url, protocol=2)

    def nodes(self, client: redis.Redis | RedisCluster) -> list[redis.Redis]:
        """A client of each node. `client` is the result of `connect`."""
        return [node.redis_connection for node in client.get_nodes()] if self.is_cluster else [client]

    def keys(self, namespace: str) -> set[str]:
        with self.connect() as client:
            return {key.decode() for key in client.scan_iter(f"{namespace}:*", count=1000)}


def value_of(client: redis.Redis | RedisCluster, key: str) -> Any:
    """The value of a key, of whatever type."""
    match client.type(key):
        case b"hash":
            return client.hgetall(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case b"set":
            return client.smembers(key)
        case _:
            return client.get(key)


def cluster_options() -> list[str]:
    """The options of a server that is a node of a cluster."""
    return ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]


class Servers(contextlib.ExitStack):
    """Starts servers by name, each of them once. Stops them all at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[str, Server] = {}

    def get(self, name: str) -> Server:
        if name not in self._running:
            self._running[name] = Server(name, self._start(name))
        return self._running[name]

    def _start(self, name: str) -> str:
        if name == FAKEREDIS:
            return self.enter_context(fakeredis_server())
        if name in CLUSTERS:
            return self.start_cluster(binary_of(CLUSTERS[name]))
        return self.enter_context(server_process(binary_of(name)))

    def start_cluster(self, binary: str, *options: str, replicas: int = 0) -> str:
        """Starts a cluster of three masters, each with so many `replicas`; the URL of one of its nodes."""
        urls = [
            self.enter_context(server_process(binary, *cluster_options(), *options)) for _ in range(3 * (1 + replicas))
        ]
        nodes = [url.removeprefix("redis://") for url in urls]
        create = ["--cluster", "create", *nodes, "--cluster-replicas", str(replicas), "--cluster-yes"]
        command = [binary_of("redis-cli"), *create]
        subprocess.run(command, check=True, capture_output=True, timeout=_CLUSTER_SECONDS)
        give_up = time.monotonic() + _CLUSTER_SECONDS
        for node in nodes:
            with redis.Redis(LOOPBACK, int(node.rpartition(":")[2]), decode_responses=True) as client:
                while client.cluster("INFO")["cluster_state"] != "ok":
                    assert time.monotonic() < give_up, "the cluster did not form"
                    time.sleep(0.05)
        return urls[0]


def binary_of(name: str) -> str:
    path = shutil.which(name)
    if path:
        return path
    reason = f"{name} is not on the PATH"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI has to have it")
    pytest.skip(reason)
