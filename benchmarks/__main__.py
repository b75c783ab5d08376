"""`make bench` measures everything and writes it to docs/. `make bench-quick` prints the handlers and the floor."""

import datetime as dt
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import cold, report, scale, throughput, warm
from benchmarks.contenders import have_node
from dev.containers import require_docker

REDIS = "redis-server"
QUICK_LEGEND = """handler: a whole operation, from API Gateway's event to its answer.
floor: the same commands to Redis over a bare socket, and nothing else. The handler cannot be faster.
target: the highest median of handler / floor that the project accepts. In parentheses: the lowest and highest round."""
SIZES = [1_000, 100_000, 1_000_000]


def first_line(*command: str) -> str:
    """The first line that the command prints. Raises CalledProcessError when the command fails."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def machine() -> dict[str, Any]:
    """The date, and the hardware and versions of this machine (Linux only)."""
    names = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "cpu": names[0].partition(":")[2].strip() if names else platform.machine(),
        "python": platform.python_version(),
        "redis": " ".join(first_line(REDIS, "--version").split()[:3]),
        "node": first_line("node", "--version"),
    }


def say(text: str) -> None:
    """Prints progress to standard error."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Runs the benchmarks. Exits with a message when a program that they need is missing."""
    if sys.argv[1:] == ["quick"]:
        server = next(filter(shutil.which, (REDIS, "valkey-server")))
        print(report.warm(warm.measure(server, rounds=5, count=100, with_library=False)))
        print(f"\n{QUICK_LEGEND}")
        return
    if shutil.which(REDIS) is None:
        sys.exit("This needs redis-server: all contenders use it.")
    require_docker()
    if not have_node():
        sys.exit("This needs Node and npm, for redis-sessions. `make bench-quick` works without them.")
    results: dict[str, Any] = {"machine": machine(), "spread": throughput.spread()}
    say("warm…")
    results["warm"] = warm.measure(REDIS, rounds=15, count=200, with_library=True)
    say("cold…")
    results["cold"] = cold.measure(rounds=15, with_library=True)
    say("throughput…")
    results["throughput"] = throughput.measure()
    say("a million sessions, about ten minutes…")
    results["scale"] = scale.measure(REDIS, SIZES, count=300, with_library=True)
    report.write(results)
    say("docs/performance.md is written")


if __name__ == "__main__":
    main()
