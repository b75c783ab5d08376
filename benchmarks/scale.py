"""What many sessions in one app cost: the operations at two sizes in turns, and the memory of a session."""

import contextlib
import statistics
from collections.abc import Iterator

import redis

from benchmarks.contenders import HANDLER, LIBRARY, Worker, pinned, say, two_cores, worker
from benchmarks.figures import used_memory
from benchmarks.workload import APP
from dev.embedded_store import server_process

OPERATIONS = ("get", "create", "activity", "set", "first page of soapp")
# How many of the sessions get and set choose from, at each size.
POOL = 1000
# `create` makes the small app larger with every turn, so it gets few calls.
CREATES = 50
DAY = 86_400


def measure(binary: str, sizes: tuple[int, int], rounds: int, count: int) -> dict[str, dict[str, list[float]]]:
    """By operation and size: the p50 of each turn, in µs. Two servers stay filled, and take turns."""
    found: dict[str, dict[str, list[float]]] = {op: {str(size): [] for size in sizes} for op in OPERATIONS}
    first, second = two_cores()
    with contextlib.ExitStack() as stack:
        contenders = {}
        for size in sizes:
            say(f"scale: filling a server with {size:,} sessions")
            with pinned(first):
                url = stack.enter_context(server_process(binary))
            with pinned(second):
                contenders[size] = stack.enter_context(worker(HANDLER, url))
            contenders[size].fill(count=POOL)
            contenders[size].order(do="fill_many", count=size - POOL, app=APP, age=0, ttl=DAY)
        # The first round only warms up and is not recorded.
        for number in range(rounds + 1):
            say(f"scale: round {number} of {rounds}")
            for operation in OPERATIONS:
                for size in sizes if number % 2 else reversed(sizes):
                    contenders[size].prepare(operation, CREATES if operation == "create" else count)
                    p50 = statistics.median(contenders[size].time(operation)) / 1000
                    if number:
                        found[operation][str(size)].append(p50)
    return found


def memory(binary: str, sizes: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """By size and contender: the bytes of Redis's memory for each session. Both have the same ids and data."""
    found: dict[str, dict[str, float]] = {}
    for size in sizes:
        say(f"memory: {size:,} sessions")
        found[str(size)] = {}
        for name in (HANDLER, LIBRARY):
            with filled(binary, name, size) as (_, _, used):
                found[str(size)][name] = used / size
    return found


@contextlib.contextmanager
def filled(binary: str, name: str, size: int) -> Iterator[tuple[str, Worker, int]]:
    """Starts a server, fills it with `size` sessions, and stops it when the context ends.

    Returns its URL, a contender that uses it, and the bytes that the sessions take.
    """
    with server_process(binary) as url, redis.Redis.from_url(url) as client, worker(name, url) as contender:
        # Scripts and connections take memory too.
        contender.fill(count=1)
        before = used_memory(client)
        contender.order(do="fill_many", count=size, app=APP, age=0, ttl=DAY)
        yield url, contender, used_memory(client) - before
