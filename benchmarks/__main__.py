"""`make bench`: all of it, into docs/. `make bench-quick`: the handlers and the floor, on the terminal."""

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
SIZES = [1_000, 100_000, 1_000_000]


def first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def machine() -> dict[str, Any]:
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
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    if shutil.which(REDIS) is None:
        sys.exit("redis-server is needed: it is what all contenders run on")
    if sys.argv[1:] == ["quick"]:
        print(report.warm(warm.measure(REDIS, rounds=5, count=100, with_library=False)))
        return
    require_docker()
    if not have_node():
        sys.exit("Node and npm are needed, for redis-sessions. Without them: make bench-quick")
    results: dict[str, Any] = {"machine": machine(), "spread": throughput.spread()}
    say("warm…")
    results["warm"] = warm.measure(REDIS, rounds=15, count=200, with_library=True)
    say("cold…")
    results["cold"] = cold.measure(rounds=15, with_library=True)
    say("throughput…")
    results["throughput"] = throughput.measure()
    say("a million sessions, for some ten minutes…")
    results["scale"] = scale.measure(REDIS, SIZES, count=300, with_library=True)
    report.write(results)
    say("docs/performance.md is written")


if __name__ == "__main__":
    main()
