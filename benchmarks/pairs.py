"""What an operation costs: Redis's CPU time, the wall-clock time, bytes and round trips.

The contenders take turns on one Redis, some thousands of calls each, so that a change of the machine's speed meets all
of them. Each turn of ours makes a pair with the turn of another contender beside it; only ratios of pairs are compared.
Nothing is subtracted and nothing estimated: Redis's CPU time is all that its process uses during a turn.

Where Redis and its client run decides what a round trip costs, so they are pinned: both on one core, or each on its
own. On two cores Redis falls asleep between two calls, and waking it is a part of what a call costs.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping

import redis

from benchmarks.contenders import FLOOR, HANDLER, LIBRARY, PLAIN, Worker, pinned, say, two_cores, worker
from benchmarks.figures import counters, quantiles
from benchmarks.workload import NEW_OPERATIONS, OPERATIONS
from dev.embedded_store import server_process

ONE_CORE = "one core"
TWO_CORES = "two cores"
# ElastiCache Serverless is a cluster. This one has a single node, so that one process has all the costs.
CLUSTER = "cluster of one, two cores"

PLAIN_OPERATIONS = ("GET", "SET")
# These take so many times as long as the others, so their turns have fewer calls.
WEIGHTS = {"killsoid": 5, "soapp": 20}
CLUSTER_OPTIONS = ("--cluster-enabled", "yes")
SLOTS = 16_384

Turns = dict[str, dict[str, list[dict[str, float]]]]


def measure(binary: str, rounds: int, count: int) -> dict[str, Turns]:
    """The figures of all turns, by placement, operation and contender. A turn has at most `count` calls."""
    both = dict.fromkeys(OPERATIONS, (HANDLER, LIBRARY))
    all_three = dict.fromkeys(OPERATIONS, (HANDLER, FLOOR, LIBRARY))
    new = dict.fromkeys(NEW_OPERATIONS, (HANDLER,))
    plain = dict.fromkeys(PLAIN_OPERATIONS, (PLAIN,))
    ours = dict.fromkeys((*OPERATIONS, "touch"), (HANDLER,))
    return {
        ONE_CORE: place(binary, ONE_CORE, both, rounds, count),
        TWO_CORES: place(binary, TWO_CORES, all_three | new, rounds, count),
        CLUSTER: place(binary, CLUSTER, ours | plain, rounds, count),
    }


def measure_quickly(binary: str) -> Turns:
    """The figures of the handler and the floor on two cores, in under a minute."""
    return place(binary, TWO_CORES, dict.fromkeys(OPERATIONS, (HANDLER, FLOOR)), rounds=3, count=500)


def commands(binary: str) -> dict[str, float]:
    """How many commands the handler of each operation sends to Redis."""
    found = {}
    with server_process(binary) as url, worker(FLOOR, url) as floor:
        floor.fill()
        for operation in (*OPERATIONS, "touch"):
            # The first call of a script may send it twice.
            for _ in range(2):
                floor.prepare(operation, 10)
                found[operation] = floor.order(do="count_commands", operation=operation)
    return found


def place(binary: str, placement: str, contenders: Mapping[str, tuple[str, ...]], rounds: int, count: int) -> Turns:
    """The figures of all turns in one placement, by operation and contender.

    `contenders` has the names of the contenders of each operation.
    """
    first, second = two_cores()
    is_cluster = placement == CLUSTER
    names = list(dict.fromkeys(name for group in contenders.values() for name in group))
    found: Turns = {operation: {name: [] for name in group} for operation, group in contenders.items()}
    with contextlib.ExitStack() as stack:
        with pinned(first):
            url = stack.enter_context(server_process(binary, *(CLUSTER_OPTIONS if is_cluster else ())))
        client = stack.enter_context(redis.Redis.from_url(url))
        if is_cluster:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            wait_for_cluster(client)
        with pinned(first if placement == ONE_CORE else second):
            workers = [stack.enter_context(worker(name, url, REDIS_CLUSTER=str(int(is_cluster)))) for name in names]
        for contender in workers:
            contender.fill()
        # The first round only warms up and is not recorded.
        for number in range(rounds + 1):
            say(f"{placement}: round {number} of {rounds}")
            for operation, contender in schedule(contenders, workers, number):
                calls = count // WEIGHTS.get(operation, 1)
                figures = turn(client, contender, operation, calls if number else min(calls, 100))
                if number:
                    found[operation][contender.name].append(figures)
    return found


def wait_for_cluster(client: redis.Redis) -> None:
    """Waits until the cluster serves all slots."""
    while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
        time.sleep(0.05)


def schedule(
    contenders: Mapping[str, tuple[str, ...]], workers: list[Worker], number: int
) -> Iterator[tuple[str, Worker]]:
    """The turns of a round. In each round another contender begins."""
    start = number % len(workers)
    for operation, names in contenders.items():
        for contender in workers[start:] + workers[:start]:
            if contender.name in names:
                yield operation, contender


def turn(client: redis.Redis, contender: Worker, operation: str, calls: int) -> dict[str, float]:
    """The figures of one turn, for each call: times in µs, bytes and round trips."""
    contender.prepare(operation, calls)
    before = counters(client)
    nanoseconds = contender.time(operation)
    after = counters(client)
    return {**quantiles(nanoseconds), **{name: (after[name] - before[name]) / calls for name in after}}
