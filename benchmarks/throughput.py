"""Gets per second with 1 to 64 parallel clients, what saturates, and how 16 partitions spread load."""

import contextlib
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from benchmarks.contenders import HANDLER, Worker, say, worker
from benchmarks.figures import counters, quantiles
from benchmarks.removal import read
from rest_sessions.store.keys import PARTITIONS, Keyspace, partition_number_of_id
from tests.servers import Server, Servers

CLIENTS = [1, 2, 4, 8, 16, 32, 64]
# So few that a client is filled quickly, although its sessions are then used more than once a second.
SESSIONS_OF_CLIENT = 200
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
    """By number of clients: gets per second, their latencies in µs, and how many cores Redis and the clients use.

    `idle` is how many cores are idle, and `steal` how many the machine's host keeps for others.
    """
    results = {}
    with contextlib.ExitStack() as stack:
        nodes = server.nodes(stack.enter_context(server.connect()))
        clients: list[Worker] = []
        for count in CLIENTS:
            say(f"{server.name}: {count} clients")
            new = [
                stack.enter_context(worker(HANDLER, server.url, REDIS_CLUSTER="1" if server.is_cluster else "0"))
                for _ in range(count - len(clients))
            ]
            for number, client in enumerate(new, len(clients)):
                client.fill(app=f"client{number}", count=SESSIONS_OF_CLIENT)
            clients += new
            begin, before = time.monotonic(), used_seconds(nodes, clients)
            latencies = read(clients, SECONDS)
            after, taken = used_seconds(nodes, clients), time.monotonic() - begin
            cores = {name: (after[name] - before[name]) / taken for name in after}
            results[count] = {"per_second": len(latencies) / SECONDS, **quantiles(latencies), **cores}
    return results


def used_seconds(nodes: list[Any], clients: list[Worker]) -> dict[str, float]:
    """The CPU time so far, in seconds: of Redis, of the clients, idle and stolen (Linux only)."""
    tick = os.sysconf("SC_CLK_TCK")
    # user, nice, system, idle, iowait, irq, softirq, steal
    cpu = [int(ticks) for ticks in Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]]
    # utime and stime are the fields 14 and 15. Only the second, the name, can have spaces.
    stats = [Path(f"/proc/{client.process.pid}/stat").read_text(encoding="utf-8") for client in clients]
    fields = [stat.rpartition(")")[2].split() for stat in stats]
    return {
        "redis": sum(counters(node)["cpu"] for node in nodes) / 1e6,
        "clients": sum(int(each[11]) + int(each[12]) for each in fields) / tick,
        "idle": (cpu[3] + cpu[4]) / tick,
        "steal": cpu[7] / tick,
    }


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
