"""A process that serves many requests does not grow, and opens no further connection."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.figures import Figures
from tests.handler_worker import DATUM
from tests.handlers import KEY
from tests.leaks import SCANNER
from tests.servers import Servers

WARM_UP = 5_000
KILOBYTES = 3_000


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Servers to which only this test connects."""
    with Servers() as servers:
        yield servers


@pytest.mark.parametrize("name", ["redis-server", "redis-cluster"])
def test_a_serving_process_does_not_grow(
    servers: Servers, name: str, soak: bool, figures: Figures, tmp_path: Path
) -> None:
    requests = 200_000 if soak else 20_000
    server = servers.get(name)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "SERVER": server.name,
        **server.environment,
        "WARM_UP": str(WARM_UP),
        "REQUESTS": str(requests),
    }
    output = tmp_path / "output"
    with output.open("w", encoding="utf-8") as stdout:
        command = [sys.executable, "-m", "tests.handler_worker", str(tmp_path)]
        worker = subprocess.run(command, env=environment, stdout=stdout, stderr=stdout, check=False)
    assert worker.returncode == 0, output.read_text(encoding="utf-8")[-2000:]
    SCANNER.add_secret("key", KEY)
    SCANNER.add_secret("datum", DATUM)
    for token in (tmp_path / "tokens").read_text(encoding="ascii").split():
        SCANNER.add_secret("token", token)
    SCANNER.add_output(output.read_text(encoding="utf-8"), "process")

    before, after = json.loads((tmp_path / "measured").read_text(encoding="ascii"))
    grown = after["kilobytes"] - before["kilobytes"]
    opened = after["connections"] - before["connections"]
    what = f"A process that serves {requests:,} requests, {name}"
    figures.add(
        f"{what}: grows by", f"{grown / 1000:.1f} MB", f"at most {KILOBYTES // 1000} MB", kept=grown <= KILOBYTES
    )
    figures.add(f"{what}: further connections", str(opened), "0", kept=opened == 0)
    assert grown <= KILOBYTES
    assert opened == 0
    assert after["clients"] == before["clients"]
