"""The programs in README.md and docs/clients.md work as they stand."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, Service, running_service

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLIENTS = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:3000"
# How each language is run from standard input, in a folder where its client is found.
COMMANDS = {"python": [sys.executable, "-"], "js": ["node", "--input-type=module"], "php": ["php"]}
FOLDERS = {"python": "python", "js": "node", "php": "php"}


@pytest.fixture(scope="module")
def open_service() -> Iterator[Service]:
    with running_service() as service:
        yield service


def output_of(language: str, program: str, service: Service) -> str:
    if shutil.which(COMMANDS[language][0]) is None:
        pytest.skip(f"{language} is not installed")
    assert ADDRESS in program
    ran = subprocess.run(
        COMMANDS[language],
        input=program.replace(ADDRESS, service.url).replace("vendor/autoload.php", "src/autoload.php"),
        cwd=ROOT / "clients" / FOLDERS[language],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    return ran.stdout.strip()


@pytest.mark.parametrize("language", COMMANDS)
def test_a_session_in_each_language(open_service: Service, language: str) -> None:
    [program] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert output_of(language, program, open_service) == "3"


def test_the_client_by_itself(open_service: Service) -> None:
    [program] = re.findall(r"```python\n(from rest_sessions_client import Client\n.*?)```", CLIENTS, re.DOTALL)
    assert re.fullmatch(r"12\n[A-Za-z0-9]{22} 192\.0\.2\.7 0", output_of("python", program, open_service))
