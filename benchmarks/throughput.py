"""Gets per second with 1 to 64 parallel clients, on one Redis and on a cluster; and how 16 partitions spread load."""

import contextlib
from collections import Counter
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from benchmarks.contenders import HANDLER, Worker, worker
from benchmarks.scale import read_in_parallel
from benchmarks.warm import quantiles
from rest_sessions.store.keys import PARTITIONS, Keyspace, partition_number_of_id
from tests.servers import Server, Servers

CLIENTS = [1, 2, 4, 8, 16, 32, 64]
SECONDS = 2.0
MASTERS = 3
APPS = [1, 10, 1000]
USERS = 100_000


def measure() -> dict[str, Any]:
    """The results of `on_server`, for a standalone server and a cluster."""
    with Servers() as servers:
        return {
            "redis-server": on_server(servers.get("redis-server")),
            "cluster": on_server(servers.get("redis-cluster")),
        }


def on_server(server: Server) -> dict[int, dict[str, float]]:
    """By number of clients: gets per second, and their latencies in µs."""
    results = {}
    with contextlib.ExitStack() as stack:
        clients: list[Worker] = []
        for count in CLIENTS:
            new = [
                stack.enter_context(worker(HANDLER, server.url, REDIS_CLUSTER="1" if server.is_cluster else "0"))
                for _ in range(count - len(clients))
            ]
            for number, client in enumerate(new, len(clients)):
                client.order(do="fill", app=f"client{number}")
            clients += new
            latencies = read_in_parallel(clients, SECONDS)
            results[count] = {"per_second": len(latencies) / SECONDS, **quantiles(latencies)}
    return results


def spread() -> dict[str, Any]:
    """How much the busiest primary has, by number of apps, and the busiest partition. The mean is 1."""
    keyspace = Keyspace("rs")
    slots_per_master = -(-REDIS_CLUSTER_HASH_SLOTS // MASTERS)
    masters = {}
    for apps in APPS:
        keys = [p.ids for app in range(apps) for p in keyspace.partitions(f"app{app:04}")]
        loads = Counter(key_slot(key.encode()) // slots_per_master for key in keys)
        masters[apps] = max(loads.values()) / (len(keys) / MASTERS)
    users = Counter(partition_number_of_id(f"user{i}@example.com") for i in range(USERS))
    return {"masters": masters, "partitions": max(users.values()) / (USERS / PARTITIONS)}
