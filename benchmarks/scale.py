"""From a thousand to a million sessions in one app: operations, memory, and what removing them all does to readers."""

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
# Its clean-up takes one session after the other, so it gets a tenth.
SWEPT_BY_LIBRARY = 10

DAY = 86_400
HOUR = 3_600
EXPIRED_APP = "expired"


def measure(binary: str, sizes: list[int], count: int, *, with_library: bool) -> dict[str, Any]:
    """For each size and contender p50 and p99 in µs and bytes a session; then killall and sweep of the most."""
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
    """A server of its own with so many sessions, a contender on it, and the bytes that they take."""
    with server_process(binary) as url, redis.Redis.from_url(url) as client, worker(name, url) as contender:
        contender.order(do="fill")
        before = used_memory(client)
        contender.order(do="fill_many", count=size, app=app, age=age, ttl=ttl)
        yield url, contender, used_memory(client) - before


def at_size(binary: str, name: str, size: int, count: int, *, last: bool) -> dict[str, Any]:
    with filled(binary, name, APP, size, age=0, ttl=DAY) as (url, contender, used):
        result: dict[str, Any] = {"bytes": used / size}
        for operation in OPERATIONS:
            if name == LIBRARY and operation == "first page of soapp":
                # It has no pages: all of the app's sessions or none.
                continue
            contender.order(do="prepare", operation=operation, count=count)
            contender.order(do="time", operation=operation)
            contender.order(do="prepare", operation=operation, count=count)
            result[operation] = quantiles(contender.order(do="time", operation=operation))
        if last:
            result["killall"] = beside_readers(url, name, contender, {"do": "killall", "app": APP})
        return result


def sweep(binary: str, name: str, size: int) -> dict[str, Any]:
    if name == LIBRARY:
        size //= SWEPT_BY_LIBRARY
        # Its time cannot be set: these expire while they are made, and are swept when all have.
        with filled(binary, name, EXPIRED_APP, size, age=0, ttl=10) as (url, contender, _):
            time.sleep(11)
            return {"sessions": size, **beside_readers(url, name, contender, {"do": "sweep"})}
    # Expired an hour ago by the store's clock; by Redis's own, which would drop them, not for another.
    with filled(binary, name, EXPIRED_APP, size, age=2 * HOUR, ttl=HOUR) as (url, contender, _):
        return {"sessions": size, **beside_readers(url, name, contender, {"do": "sweep"})}


def beside_readers(url: str, name: str, contender: Worker, order: dict[str, Any]) -> dict[str, Any]:
    """How long the order took, in seconds, what it answered, and the readers' p99 in µs before and meanwhile."""
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(worker(name, url)) for _ in range(READERS)]
        for number, reader in enumerate(readers):
            reader.order(do="fill", app=f"readers{number}")
        quiet = together(readers, QUIET_SECONDS)
        latencies: list[int] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                latencies.extend(together(readers, 1.0))

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


def together(readers: list[Worker], seconds: float) -> list[int]:
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
    info: Any = client.info("memory")
    return int(info["used_memory"])
