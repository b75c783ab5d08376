"""What `make soak` measured, as the last part of docs/reliability.md."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "reliability.md"
HEADING = "## Figures of the last `make soak`\n"


@dataclass
class Figures:
    """Rows of a table, in the order in which they were measured."""

    rows: list[str] = field(default_factory=list)

    def add(self, what: str, measured: str, promised: str = "", *, kept: bool = True) -> None:
        """Notes what was measured of what was promised; a promise that was not kept stays visible as missed."""
        verdict = "" if not promised else "kept" if kept else "**missed**"
        self.rows.append(f"| {what} | {measured} | {promised} | {verdict} |\n")

    def write(self, servers: Sequence[str]) -> None:
        """Puts the table in place of the one of the last run, which was on the servers of these binaries."""
        text, heading, _ = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)
        assert heading, f"{DOCUMENT} has no place for the figures"
        today = datetime.now(tz=UTC).date().isoformat()
        versions = [_version(server) for server in servers]
        machine = ", ".join([f"Python {platform.python_version()}", *versions, f"{os.cpu_count()} cores for all"])
        table = "| what | measured | promised | |\n| --- | --- | --- | --- |\n" + "".join(self.rows)
        DOCUMENT.write_text(f"{text}{HEADING}\n{today}, {machine}.\n\n{table}", encoding="utf-8")


def _version(server: str) -> str:
    told = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    # "Redis server v=7.0.15 sha=…", "Valkey server v=8.1.1 sha=…"
    return re.sub(r"^(\w+) server v=(\S+).*", r"\1 \2", told.strip())
