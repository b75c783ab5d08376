"""The cases in clients/conformance, which all clients pass."""

import json
import subprocess

import pytest
from conftest import PHP, TESTS, command, environment

from tests.conftest import running_service

CONFORMANCE = json.loads((PHP.parent / "conformance" / "cases.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wrong() -> dict[str, list[str | None]]:
    """What was wrong with each case, from one run of all."""
    with running_service(AUTH="1", API_KEYS=json.dumps(CONFORMANCE["registry"])) as service:
        finished = subprocess.run(
            [*command(), str(TESTS / "conformance.php")],
            env=environment(REST_SESSIONS_URL=service.url),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert (finished.returncode, finished.stderr) == (0, "")
    return json.loads(finished.stdout)


@pytest.mark.parametrize("case", CONFORMANCE["cases"], ids=lambda case: case["name"])
def test_case(case: dict, wrong: dict[str, list[str | None]]) -> None:
    assert wrong[case["name"]] == [None] * len(case.get("each", [None]))
