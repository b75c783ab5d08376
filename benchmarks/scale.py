"""From a thousand to a million sessions in one app: the operations, the memory, and how their removal slows readers."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import redis

from benchmarks.contenders import HANDLER, LIBRARY, Worker, worker
from benchmarks.warm import quantiles
from benchmarks.workload import APP
from dev.embedded_store import server_process

OPERATIONS = ("create", "get", "set", "activity", "first page of soapp")
READERS = 4
QUIET_SECONDS = 5.0
# redis-sessions sweeps one session at a time, so it gets only a tenth of the sessions.
LIBRARY_SWEEP_DIVISOR = 10

DAY = 86_400
HOUR = 3_600
EXPIRED_APP = "expired"


def measure(binary: str, sizes: list[int], count: int, *, with_library: bool) -> dict[str, Any]:
    """By size and contender: latencies in µs and bytes per session. Then killall and the sweep at the largest size."""
    names = [HANDLER, *([LIBRARY] if with_library else [])]
    results: dict[str, Any] = {"sizes": {}, "killall": {}, "sweep": {}}
    for size in sizes:
        results["sizes"][size] = {name: at_size(binary, name, size, count, last=size == sizes[-1]) for name in names}
    for name in names:
        largest = results["sizes"][sizes[-1]][name]
        results["killall"][name] = largest.pop("killall")
        results["sweep"][name] = sweep(binary, name, sizes[-1])
    return results


@contextlib.contextmanager
def filled(binary: str, name: str, app: str, size: int, *, age: int, ttl: int) -> Iterator[tuple[str, Worker, int]]:
    """Starts a server, fills it with `size` sessions, and stops it when the context ends.

    Returns its URL, a contender that uses it, and the bytes that the sessions take.
    """
    with server_process(binary) as url, redis.Redis.from_url(url) as client, worker(name, url) as contender:
        contender.order(do="fill")
        before = used_memory(client)
        contender.order(do="fill_many", count=size, app=app, age=age, ttl=ttl)
        yield url, contender, used_memory(client) - before


def at_size(binary: str, name: str, size: int, count: int, *, last: bool) -> dict[str, Any]:
    """What a contender takes at `size` sessions, from `count` calls per operation. With `last` also for killall."""
    with filled(binary, name, APP, size, age=0, ttl=DAY) as (url, contender, used):
        result: dict[str, Any] = {"bytes": used / size}
        for operation in OPERATIONS:
            if name == LIBRARY and operation == "first page of soapp":
                # It has no pages: it lists all sessions of an app or none.
                continue
            contender.order(do="prepare", operation=operation, count=count)
            contender.order(do="time", operation=operation)
            contender.order(do="prepare", operation=operation, count=count)
            result[operation] = quantiles(contender.order(do="time", operation=operation))
        if last:
            result["killall"] = with_readers(url, name, contender, {"do": "killall", "app": APP})
        return result


def sweep(binary: str, name: str, size: int) -> dict[str, Any]:
    """How long a contender takes to sweep `size` expired sessions, and how that slows readers."""
    if name == LIBRARY:
        size //= LIBRARY_SWEEP_DIVISOR
        # Its clock cannot be set: the sessions expire while they are created, and the sweep starts when all have.
        with filled(binary, name, EXPIRED_APP, size, age=0, ttl=10) as (url, contender, _):
            time.sleep(11)
            return {"sessions": size, **with_readers(url, name, contender, {"do": "sweep"})}
    # By the store's clock they expired an hour ago. By Redis's own they expire in an hour, so Redis still has them.
    with filled(binary, name, EXPIRED_APP, size, age=2 * HOUR, ttl=HOUR) as (url, contender, _):
        return {"sessions": size, **with_readers(url, name, contender, {"do": "sweep"})}


def with_readers(url: str, name: str, contender: Worker, order: dict[str, Any]) -> dict[str, Any]:
    """Executes an order while readers call get in other apps.

    Returns its time in seconds, its result, and the readers' latencies in µs, before (`quiet`) and during it.
    """
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(worker(name, url)) for _ in range(READERS)]
        for number, reader in enumerate(readers):
            reader.order(do="fill", app=f"readers{number}")
        quiet = read_in_parallel(readers, QUIET_SECONDS)
        latencies: list[int] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                latencies.extend(read_in_parallel(readers, 1.0))

        reading = threading.Thread(target=read)
        reading.start()
        begin = time.monotonic()
        answer = contender.order(**order)
        taken = time.monotonic() - begin
        done.set()
        reading.join()
        return {
            "seconds": taken,
            "answer": answer,
            "quiet": quantiles(quiet),
            "meanwhile": quantiles(latencies),
        }


def read_in_parallel(readers: list[Worker], seconds: float) -> list[int]:
    """Lets all readers call get in parallel for `seconds`. Returns the nanoseconds of each call."""
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda reader=reader: found.extend(reader.order(do="read", seconds=seconds)))  # type: ignore[misc]
        for reader in readers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def used_memory(client: redis.Redis) -> int:
    """The bytes that Redis uses."""
    info: Any = client.info("memory")
    return int(info["used_memory"])
