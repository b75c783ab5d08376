"""`make bench` measures everything and writes it to docs/. `make bench-quick` prints the handlers and the floor."""

import datetime as dt
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import cold, layers, pairs, removal, report, scale, throughput
from benchmarks.contenders import HANDLER, LIBRARY, have_node, say
from dev.containers import require_docker

REDIS = "redis-server"
QUICK_LEGEND = """handler: a whole operation, from API Gateway's event to its answer.
floor: the same commands to Redis over a bare socket, and nothing else. The handler cannot be faster.
target: the highest median of handler / floor that the project accepts. In parentheses: the lowest and highest round."""

THOUSAND = 1_000
HUNDRED_THOUSAND = 100_000
MILLION = 1_000_000


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


def main() -> None:
    """Runs the benchmarks. Exits with a message when a program that they need is missing."""
    if sys.argv[1:] == ["quick"]:
        server = next(filter(shutil.which, (REDIS, "valkey-server")))
        print(report.latency(pairs.measure_quickly(server), report.Targets()))
        print(f"\n{QUICK_LEGEND}")
        return
    if shutil.which(REDIS) is None:
        sys.exit("This needs redis-server: all contenders use it.")
    require_docker()
    if not have_node():
        sys.exit("This needs Node and npm, for redis-sessions. `make bench-quick` works without them.")
    report.write(
        {
            "machine": machine(),
            "pairs": pairs.measure(REDIS, rounds=5, count=4000),
            "commands": pairs.commands(REDIS),
            "layers": layers.measure(REDIS, rounds=9, count=2000),
            "memory": scale.memory(REDIS, (THOUSAND, HUNDRED_THOUSAND)),
            "scale": scale.measure(REDIS, (THOUSAND, MILLION), rounds=9, count=300),
            "removal": {
                HANDLER: removal.measure(REDIS, HANDLER, MILLION, turns=3),
                # It sends all sessions in one transaction: a million would take minutes to create and to end.
                LIBRARY: removal.measure(REDIS, LIBRARY, HUNDRED_THOUSAND, turns=1),
                "expired": removal.sweep_of_expired(REDIS, HUNDRED_THOUSAND, turns=3),
            },
            "throughput": throughput.measure(),
            "spread": throughput.spread(),
            "cold": cold.measure(rounds=15, with_library=True),
        }
    )
    say("docs/performance.md is written")


if __name__ == "__main__":
    main()
