"""Each operation, warm: handler, floor and redis-sessions take turns on one Redis."""

import contextlib
import statistics
from typing import Any

import redis

from benchmarks.contenders import FLOOR, HANDLER, LIBRARY, worker
from benchmarks.workload import OPERATIONS
from dev.embedded_store import server_process

# EXEC and scripts have the time of their commands, which Redis counts for themselves as well: of a contender's commands
# those that it sends by themselves are added up.
OF_OURS = {"evalsha", "sadd", "zcount"}
OF_OURS_IN_KILLSOID = {"evalsha", "zrangebylex"}
OF_A_TRANSACTION = {"exec"}


def measure(binary: str, rounds: int, count: int, *, with_library: bool) -> dict[str, Any]:
    """For each operation and contender, by round: p50 and p99 in µs, Redis's own µs and round trips an operation."""
    names = [HANDLER, FLOOR, *([LIBRARY] if with_library else [])]
    results: dict[str, Any] = {operation: {name: [] for name in names} for operation in OPERATIONS}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(server_process(binary))
        client = stack.enter_context(redis.Redis.from_url(url))
        workers = [stack.enter_context(worker(name, url)) for name in names]
        for contender in workers:
            contender.order(do="fill")
        # The first round warms up, and is not counted.
        for turn in range(rounds + 1):
            for operation in OPERATIONS:
                order = workers[turn % len(workers) :] + workers[: turn % len(workers)]
                for contender in order:
                    contender.order(do="prepare", operation=operation, count=count)
                    before = server_counts(client)
                    nanoseconds = contender.order(do="time", operation=operation)
                    after = server_counts(client)
                    if turn:
                        results[operation][contender.name].append(summary(operation, nanoseconds, before, after))
    return results


def server_counts(client: redis.Redis) -> dict[str, float]:
    stats: Any = client.info("commandstats")
    info: Any = client.info("stats")
    microseconds = {name.removeprefix("cmdstat_"): value["usec"] for name, value in stats.items()}
    return {**microseconds, "_reads": info["total_reads_processed"]}


def summary(
    operation: str, nanoseconds: list[int], before: dict[str, float], after: dict[str, float]
) -> dict[str, float]:
    count = len(nanoseconds)
    used = {name: after[name] - before.get(name, 0) for name in after}
    # Two of them were the looks at the statistics themselves.
    reads = used.pop("_reads") - 2
    if used.get("evalsha"):
        sent = OF_OURS_IN_KILLSOID if operation == "killsoid" else OF_OURS
    else:
        sent = used.keys() - OF_A_TRANSACTION
    own_time = sum(used.get(name, 0) for name in sent if not name.startswith("info"))
    return {**quantiles(nanoseconds), "redis": own_time / count, "round_trips": reads / count}


def quantiles(nanoseconds: list[int]) -> dict[str, float]:
    """In µs."""
    ordered = sorted(nanoseconds)
    return {
        "p50": statistics.median(ordered) / 1000,
        "p99": ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))] / 1000,
        "max": ordered[-1] / 1000,
    }
