"""The service that the tests of the console use, and Chromium with the console in it."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser
from tab import EVERYTHING, REGISTRY, Console, secret_of

from clients.python.tests.conftest import Service, no_proxies, running_service  # noqa: F401 - a fixture
from demo.browser import CHROMIUM, chromium
from rest_sessions_client import Client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not any(map(shutil.which, CHROMIUM)):
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs Chromium (Debian, Ubuntu: apt install chromium)"))


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service that needs one of KEYS. A file's own, so that its apps fit on one page."""
    with running_service(AUTH="1", API_KEYS=REGISTRY) as service:
        yield service


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def app() -> str:
    """An app of the test's own."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(service: Service, app: str) -> Iterator[Client]:
    """May do everything in the app."""
    with Client(service.url, app, secret_of(EVERYTHING)) as client:
        yield client
        client.killall()


@pytest.fixture
def consoles(browser: Browser, service: Service) -> Iterator[Callable[..., Console]]:
    """Makes a tab with the console, in a profile of its own, which takes the options of Playwright's contexts."""
    with ExitStack() as stack:
        made = []

        def make(url: str = service.url, **options: Any) -> Console:
            context = stack.enter_context(browser.new_context(**options))
            made.append(Console(context.new_page(), url))
            return made[-1]

        yield make
        for console in made:
            console.check()


@pytest.fixture
def console(consoles: Callable[..., Console]) -> Console:
    return consoles()
