"""The clients in README.md work as they stand."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Dev

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:3000"
KEY = "key-of-the-readme-" + "0123456789abcdef" * 2
REGISTRY = f'{{"keys": [{{"name": "web", "key": "{KEY}", "apps": ["webapp"], "allow": ["create", "get", "set"]}}]}}'
# How each language is run from standard input.
COMMANDS = {"python": [sys.executable, "-"], "js": ["node", "--input-type=module"], "php": ["php"]}


@pytest.fixture(scope="module", params=["0", "1"], ids=["open", "with a key"])
def dev(request: pytest.FixtureRequest) -> Iterator[Dev]:
    dev = Dev({"AUTH": request.param, "API_KEYS": REGISTRY})
    yield dev
    dev.stop()


@pytest.mark.parametrize("language", COMMANDS)
def test_clients(dev: Dev, language: str) -> None:
    [program] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert ADDRESS in program
    assert "Bearer KEY" in program
    if shutil.which(COMMANDS[language][0]) is None:
        pytest.skip(f"{language} is not installed")
    ran = subprocess.run(
        COMMANDS[language],
        input=program.replace(ADDRESS, dev.url).replace("Bearer KEY", f"Bearer {KEY}"),
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout.strip(), ran.stderr) == ("12", "")
