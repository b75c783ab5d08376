"""A plain GET and SET over a bare socket: the measure by which AWS meters other commands (see ecpu.py)."""

import os
import time
from typing import Any

from benchmarks.floor_worker import BareClient
from benchmarks.handler_worker import serve
from benchmarks.workload import PLAIN_BYTES, POOL

VALUE = "x" * PLAIN_BYTES


class Plain:
    """Sends one command at a time."""

    def __init__(self) -> None:
        self._client = BareClient(os.environ["REDIS_URL"])

    def fill(self, app: str, count: int) -> None:  # noqa: ARG002 - as in the other contenders
        """Sets the keys that GET reads."""
        self.time("SET", self.events("SET", count))

    def events(self, operation: str, count: int) -> list[Any]:
        """`count` commands."""
        value = (VALUE,) if operation == "SET" else ()
        return [(operation, f"plain:{i % POOL}", *value) for i in range(count)]

    def time(self, operation: str, commands: list[Any]) -> list[int]:  # noqa: ARG002 - as in the other contenders
        """The nanoseconds of each command."""
        taken = []
        for command in commands:
            start = time.perf_counter_ns()
            [reply] = self._client.run(command)
            taken.append(time.perf_counter_ns() - start)
            assert reply in (b"OK", VALUE.encode()), reply
        return taken


if __name__ == "__main__":
    serve(Plain())
