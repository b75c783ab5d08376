"""The API that the end-to-end tests call: the one at URL, with KEY, or else the built stack in containers."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dev.containers import Stack, stack, start_api
from dev.embedded_store import free_port
from tests.leaks import SCANNER

URL = os.environ.get("URL", "")
KEY = os.environ.get("KEY", "")

# Log lines of SAM's gateway. Unlike AWS's gateway, it logs the path of each request, also of refused ones.
PATHS = re.compile(r'^(.* - - \[[^]]*\] "|Lambda authorizer failed to invoke successfully: ).*$', re.MULTILINE)

# The first request to a function waits until its container has started.
SECONDS = 60


@dataclass(frozen=True)
class Api:
    url: str
    key: str

    def client(self, authorization: str | None) -> httpx.Client:
        headers = {} if authorization is None else {"Authorization": authorization}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS)


@pytest.fixture(scope="session")
def local() -> Iterator[Stack]:
    """What `sam local` needs. Tests that use it are skipped for a deployed API."""
    if URL:
        pytest.skip("these run in containers, not at an address")
    with stack(f"rest-sessions-e2e-{os.getpid()}") as local:
        yield local


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e") / "start-api.log"


@pytest.fixture(scope="session")
def api(request: pytest.FixtureRequest, log: Path) -> Iterator[Api]:
    if URL:
        yield Api(URL, KEY)
        return
    local = request.getfixturevalue("local")
    with log.open("w", encoding="utf-8") as output, start_api(local, free_port(), output) as url:
        yield Api(url, local.key)
    SCANNER.add_output(PATHS.sub("", log.read_text(encoding="utf-8")), "process")


@pytest.fixture(scope="session")
def http(api: Api) -> Iterator[httpx.Client]:
    with api.client(f"Bearer {api.key}") as client:
        yield client


@pytest.fixture
def app(http: httpx.Client) -> Iterator[str]:
    """An app that nobody else uses. All its sessions are killed at the end."""
    name = f"e2e-{os.urandom(6).hex()}"
    yield name
    assert http.delete(f"/{name}/killall").status_code == 200
