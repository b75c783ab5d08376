"""The contenders. Each runs in its own process, which executes orders; all use one Redis."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import workload

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / "benchmarks" / "node"

HANDLER = "handler"
FLOOR = "floor"
LIBRARY = "redis-sessions"
PLAIN = "plain"
LAYERS = "layers"

COMMANDS = {
    HANDLER: [sys.executable, "-m", "benchmarks.handler_worker"],
    FLOOR: [sys.executable, "-m", "benchmarks.floor_worker"],
    PLAIN: [sys.executable, "-m", "benchmarks.plain_worker"],
    LAYERS: [sys.executable, "-m", "benchmarks.layers_worker"],
    LIBRARY: ["node", NODE / "worker.mjs"],
}


def say(text: str) -> None:
    """Prints progress to standard error."""
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass
class Worker:
    """A running contender."""

    name: str
    process: subprocess.Popen[str]
    last_use: float = 0.0

    def order(self, **order: Any) -> Any:
        """Sends an order and waits for the result. Exits with a message when the process has ended."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with exit code {self.process.wait()}")
        return json.loads(line)

    def fill(self, **options: Any) -> None:
        """Creates the sessions that the operations use."""
        self.order(do="fill", **options)
        self.last_use = time.monotonic()

    def prepare(self, operation: str, count: int) -> None:
        """Prepares `count` calls. Waits as long as no session may be used again yet."""
        self.order(do="prepare", operation=operation, count=count)
        if operation in workload.USES:
            time.sleep(max(0.0, self.last_use + workload.SECONDS_BETWEEN_USES - time.monotonic()))

    def time(self, operation: str) -> list[int]:
        """Makes the prepared calls. Returns the nanoseconds of each."""
        taken: list[int] = self.order(do="time", operation=operation)
        if operation in workload.USES:
            self.last_use = time.monotonic()
        return taken


@contextlib.contextmanager
def worker(name: str, redis_url: str, **settings: str) -> Iterator[Worker]:
    """Runs the contender `name` while the context lasts, with `settings` as further environment variables."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'sessions'}",
        "REDIS_URL": redis_url,
        "NAMESPACE": name,
        "AUTH_MODE": "token",
        "POWERTOOLS_SERVICE_NAME": "bench",
        **settings,
        "WORKLOAD": json.dumps({key: value for key, value in vars(workload).items() if key.isupper()}),
    }
    with subprocess.Popen(
        COMMANDS[name],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Worker(name, process)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait()


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """The processes that start while the context lasts run on this core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def two_cores() -> tuple[int, int]:
    """Two cores of this machine. Exits with a message when it has only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("This needs two cores.")
    return cores[0], cores[1]


def have_node() -> bool:
    """Whether Node and npm are installed. If so, installs redis-sessions on first use."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    if not (NODE / "node_modules" / "redis-sessions").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=NODE, check=True)  # noqa: S607
    return True
