"""What `make soak` measured, as the last part of docs/reliability.md."""

import platform
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

    def write(self, servers: str) -> None:
        """Puts the table in place of the one of the last run."""
        text, heading, _ = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)
        assert heading, f"{DOCUMENT} has no place for the figures"
        today = datetime.now(tz=UTC).date().isoformat()
        machine = f"Python {platform.python_version()}, {servers}, on one machine of two cores"
        table = "| what | measured | promised | |\n| --- | --- | --- | --- |\n" + "".join(self.rows)
        DOCUMENT.write_text(f"{text}{HEADING}\n{today}, {machine}.\n\n{table}", encoding="utf-8")
