"""`make bench-instructions` prints how many instructions Redis executes for one call of an operation.

They repeat within 3 %, also while the machine is busy, so they decide between two variants of a script. Arguments
choose operations, and contenders (`handler`, `redis-sessions`), which share one Redis. It runs under Valgrind, which
counts every instruction of the process outside the kernel.
"""

import contextlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from benchmarks.contenders import COMMANDS, FLOOR, HANDLER, LIBRARY, Worker, have_node, worker
from benchmarks.workload import OPERATIONS
from dev.embedded_store import server_process

TURNS = 3
COUNT = 200


@dataclass
class Callgrind:
    """A Redis server under Valgrind that counts its instructions while it is told to."""

    url: str
    pid: int
    output: Path

    def instructions(self, contender: Worker, operation: str) -> int:
        """The instructions of Redis while the contender calls the operation with the prepared requests."""
        self._control("--instr=on")
        self._control("--zero")
        contender.time(operation)
        self._control("--dump")
        self._control("--instr=off")
        [dump] = self.output.parent.glob(f"{self.output.name}.*")
        [total] = [line for line in dump.read_text(encoding="utf-8").splitlines() if line.startswith("totals:")]
        dump.unlink()
        return int(total.split()[1])

    def _control(self, option: str) -> None:
        subprocess.run(["callgrind_control", option, str(self.pid)], check=True, capture_output=True)  # noqa: S607


@contextlib.contextmanager
def callgrind(binary: str) -> Iterator[Callgrind]:
    """Runs the server `binary` under Valgrind while the context lasts. It does not count yet."""
    with tempfile.TemporaryDirectory(prefix="rest-sessions-") as folder:
        output = Path(folder) / "callgrind"
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}"]
        script = Path(folder) / "server"
        script.write_text(f'#!/bin/sh\nexec {shlex.join([*valgrind, binary])} "$@"\n', encoding="utf-8")
        script.chmod(0o700)
        # What Redis does by its own clock would count more, the slower the machine is. It does it once a second.
        with server_process(str(script), "--hz", "1") as url, redis.Redis.from_url(url) as client:
            info: Any = client.info("server")
            yield Callgrind(url, info["process_id"], output)


def measure(binary: str, names: list[str], operations: list[str]) -> Iterator[tuple[str, str, list[float]]]:
    """For each operation and contender: their names, and the instructions of one call in each turn."""
    with callgrind(binary) as server, contextlib.ExitStack() as stack:
        workers = [stack.enter_context(worker(name, server.url)) for name in names]
        for contender in workers:
            contender.fill()
        for operation in operations:
            for contender in workers:
                found = []
                # The first turn only loads the scripts and is not counted.
                for turn in range(TURNS + 1):
                    contender.prepare(operation, COUNT)
                    if turn:
                        found.append(server.instructions(contender, operation) / COUNT)
                    else:
                        contender.time(operation)
                yield operation, contender.name, found


def main() -> None:
    """Prints a line for each operation and contender. Exits with a message when a program is missing."""
    for program in ("valgrind", "redis-server"):
        if shutil.which(program) is None:
            sys.exit(f"This needs {program}. Debian, Ubuntu: apt install valgrind redis-server")
    names = [argument for argument in sys.argv[1:] if argument in COMMANDS and argument != FLOOR] or [HANDLER]
    operations = [argument for argument in sys.argv[1:] if argument not in COMMANDS] or list(OPERATIONS)
    if LIBRARY in names and not have_node():
        sys.exit("This needs Node and npm, for redis-sessions.")
    print(
        f"{'operation':22} {'contender':16} {'instructions':>12}  lowest to highest of {TURNS} turns of {COUNT} calls"
    )
    for operation, name, found in measure("redis-server", names, operations):
        middle = statistics.median(found)
        print(f"{operation:22} {name:16} {middle:12,.0f}  {min(found):,.0f} to {max(found):,.0f}", flush=True)


if __name__ == "__main__":
    main()
