"""The measurements of `make soak`: the table at the end of docs/reliability.md."""

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
    """The rows of the table, by the text in their first column."""

    rows: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, measured: str, promised: str = "", *, kept: bool = True) -> None:
        """Adds a row: what was measured, and what is promised. A promise that is not kept is marked as missed."""
        verdict = "" if not promised else "kept" if kept else "**missed**"
        self.rows[what] = (
            f"| {what} | {measured} | {promised} | {verdict} | {datetime.now(tz=UTC).date().isoformat()} |"
        )

    def write(self, servers: Sequence[str]) -> None:
        """Writes the rows, which replace those of earlier runs. `servers` are the installed binaries."""
        text, heading, table = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)
        assert heading, f"{DOCUMENT} has no place for the figures"
        earlier = {row.split(" | ")[0].removeprefix("| "): row for row in table.splitlines() if row.endswith(" |")}
        rows = {what: row for what, row in {**earlier, **self.rows}.items() if not what.startswith(("what", "---"))}
        versions = [_version(server) for server in servers]
        machine = ", ".join([f"Python {platform.python_version()}", *versions, f"{os.cpu_count()} cores for all"])
        head = ["| what | measured | promised | verdict | on |", "| --- | --- | --- | --- | --- |"]
        DOCUMENT.write_text(
            "\n".join([f"{text}{HEADING}", f"{machine}.", "", *head, *sorted(rows.values()), ""]), encoding="utf-8"
        )


def _version(server: str) -> str:
    output = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    # "Redis server v=7.0.15 sha=…", "Valkey server v=8.1.1 sha=…"
    return re.sub(r"^(\w+) server v=(\S+).*", r"\1 \2", output.strip())
