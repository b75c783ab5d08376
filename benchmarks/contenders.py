"""The contenders. Each runs in its own process, which executes orders; all use one Redis."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import workload

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / "benchmarks" / "node"

HANDLER = "handler"
FLOOR = "floor"
LIBRARY = "redis-sessions"

COMMANDS = {
    HANDLER: [sys.executable, "-m", "benchmarks.handler_worker"],
    FLOOR: [sys.executable, "-m", "benchmarks.floor_worker"],
    LIBRARY: ["node", NODE / "worker.mjs"],
}


@dataclasses.dataclass
class Worker:
    """A running contender."""

    name: str
    process: subprocess.Popen[str]

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


def have_node() -> bool:
    """Whether Node and npm are installed. If so, installs redis-sessions on first use."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    if not (NODE / "node_modules" / "redis-sessions").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=NODE, check=True)  # noqa: S607
    return True
