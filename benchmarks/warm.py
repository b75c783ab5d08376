"""Warm operations: the handler, the floor and redis-sessions take turns on one Redis."""

import contextlib
import statistics
from typing import Any

import redis

from benchmarks.contenders import FLOOR, HANDLER, LIBRARY, worker
from benchmarks.workload import NEW_OPERATIONS, OPERATIONS
from dev.embedded_store import server_process

# Redis counts the time of a command in a script or transaction twice: by itself, and as part of EVALSHA or EXEC.
# To count it once, `summary` adds up the commands that the handler sends itself, and for redis-sessions all but EXEC.
HANDLER_COMMANDS = {"evalsha", "sadd", "zcount"}
HANDLER_COMMANDS_OF_KILLSOID = {"evalsha", "zrangebylex"}
TRANSACTION_COMMANDS = {"exec"}


def measure(binary: str, rounds: int, count: int, *, with_library: bool) -> dict[str, Any]:
    """The summaries of all rounds, by operation and contender. A round calls each operation `count` times."""
    names = [HANDLER, FLOOR, *([LIBRARY] if with_library else [])]
    results: dict[str, Any] = {operation: {name: [] for name in names} for operation in OPERATIONS}
    results |= {operation: {HANDLER: [], FLOOR: []} for operation in NEW_OPERATIONS}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(server_process(binary))
        client = stack.enter_context(redis.Redis.from_url(url))
        workers = [stack.enter_context(worker(name, url)) for name in names]
        for contender in workers:
            contender.order(do="fill")
        # The first round only warms up and is not recorded.
        for turn in range(rounds + 1):
            for operation, found in results.items():
                order = workers[turn % len(workers) :] + workers[: turn % len(workers)]
                for contender in [one for one in order if one.name in found]:
                    contender.order(do="prepare", operation=operation, count=count)
                    before = server_counts(client)
                    nanoseconds = contender.order(do="time", operation=operation)
                    after = server_counts(client)
                    if turn:
                        found[contender.name].append(summary(operation, nanoseconds, before, after))
    return results


def server_counts(client: redis.Redis) -> dict[str, float]:
    """The µs that Redis has spent on each command, and as `_reads` how often it has read from a socket."""
    stats: Any = client.info("commandstats")
    info: Any = client.info("stats")
    microseconds = {name.removeprefix("cmdstat_"): value["usec"] for name, value in stats.items()}
    return {**microseconds, "_reads": info["total_reads_processed"]}


def summary(
    operation: str, nanoseconds: list[int], before: dict[str, float], after: dict[str, float]
) -> dict[str, float]:
    """The latencies and, per call, the time inside Redis (`redis`), all in µs. Also the round trips per call."""
    count = len(nanoseconds)
    used = {name: after[name] - before.get(name, 0) for name in after}
    # Two of the reads were the INFO commands of the second `server_counts`.
    reads = used.pop("_reads") - 2
    if used.get("evalsha"):
        sent = HANDLER_COMMANDS_OF_KILLSOID if operation == "killsoid" else HANDLER_COMMANDS
    else:
        sent = used.keys() - TRANSACTION_COMMANDS
    own_time = sum(used.get(name, 0) for name in sent if not name.startswith("info"))
    return {**quantiles(nanoseconds), "redis": own_time / count, "round_trips": reads / count}


def quantiles(nanoseconds: list[int]) -> dict[str, float]:
    """The median (p50), p99 and maximum, in µs."""
    ordered = sorted(nanoseconds)
    return {
        "p50": statistics.median(ordered) / 1000,
        "p99": ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))] / 1000,
        "max": ordered[-1] / 1000,
    }
