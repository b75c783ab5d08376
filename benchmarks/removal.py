"""How `killall` and the sweep that follows it slow readers, in windows of time that alternate with quiet ones."""

import contextlib
import threading
import time
from typing import Any

from benchmarks.contenders import HANDLER, Worker, say, worker
from benchmarks.figures import quantiles
from benchmarks.scale import DAY, filled
from benchmarks.workload import APP

READERS = 4
# Each window has readers all the time. A removal starts this long after its window.
WINDOW_SECONDS = 4.0
LEAD_SECONDS = 0.5

EXPIRED_APP = "expired"


def measure(binary: str, name: str, size: int, turns: int) -> dict[str, Any]:
    """For each turn, of `killall` and of the sweep after it: see `beside_readers`. Only ours needs that sweep.

    `killall` answers at once; what it put aside, the next sweep removes.
    """
    removals: dict[str, list[dict[str, Any]]] = {"killall": []}
    if name == HANDLER:
        removals["sweep after killall"] = []
    with filled(binary, name, size) as (url, contender, _), contextlib.ExitStack() as stack:
        readers = [stack.enter_context(worker(name, url)) for _ in range(READERS)]
        for number, reader in enumerate(readers):
            reader.fill(app=f"readers{number}")
        for turn in range(turns):
            say(f"{name}: killall of {size:,} sessions, turn {turn + 1} of {turns}")
            if turn:
                contender.order(do="fill_many", count=size, app=APP, age=0, ttl=DAY)
            removals["killall"].append(beside_readers(readers, contender, {"do": "killall", "app": APP}))
            if name == HANDLER:
                removals["sweep after killall"].append(beside_readers(readers, contender, {"do": "sweep"}))
    return {"sessions": size, "removals": removals}


def sweep_of_expired(binary: str, size: int, turns: int) -> dict[str, Any]:
    """The same of a sweep that finds `size` expired sessions."""
    found = []
    with filled(binary, HANDLER, 1) as (url, contender, _), contextlib.ExitStack() as stack:
        readers = [stack.enter_context(worker(HANDLER, url)) for _ in range(READERS)]
        for number, reader in enumerate(readers):
            reader.fill(app=f"readers{number}")
        for turn in range(turns):
            say(f"sweep of {size:,} expired sessions, turn {turn + 1} of {turns}")
            # By the store's clock they expired an hour ago. By Redis's own they expire in an hour: Redis has them.
            contender.order(do="fill_many", count=size, app=EXPIRED_APP, age=2 * 3600, ttl=3600)
            found.append(beside_readers(readers, contender, {"do": "sweep"}))
    return {"sessions": size, "removals": {"sweep of expired sessions": found}}


def beside_readers(readers: list[Worker], contender: Worker, order: dict[str, Any]) -> dict[str, Any]:
    """Executes an order while readers call get in other apps.

    Returns its time in seconds, its result, and the readers' latencies in µs: in the quiet window before it, and in
    the window of the order, which goes on until the order is executed.
    """
    quiet = read(readers, WINDOW_SECONDS)
    meanwhile: list[int] = []
    done = threading.Event()

    def read_on() -> None:
        meanwhile.extend(read(readers, WINDOW_SECONDS))
        while not done.is_set():
            meanwhile.extend(read(readers, 1.0))

    reading = threading.Thread(target=read_on)
    reading.start()
    time.sleep(LEAD_SECONDS)
    begin = time.monotonic()
    answer = contender.order(**order)
    taken = time.monotonic() - begin
    done.set()
    reading.join()
    return {"seconds": taken, "answer": answer, "quiet": quantiles(quiet), "meanwhile": quantiles(meanwhile)}


def read(readers: list[Worker], seconds: float) -> list[int]:
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
