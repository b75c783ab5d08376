import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator

import httpx
import hypothesis
import pytest

# Powertools reads this when the package imports it.
os.environ["POWERTOOLS_SERVICE_NAME"] = "rest-sessions"

from dev.embedded_store import LOOPBACK, free_port
from rest_sessions.connection.client import Client
from rest_sessions.store.sessions import SessionStore
from tests import leaks
from tests.figures import Figures
from tests.leaks import SCANNER
from tests.servers import BINARIES, FAKEREDIS, REAL, Server, Servers

# Schemathesis generates its tests during collection, where no fixture is available. They read this profile instead.
hypothesis.settings.register_profile("soak", deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="at the length of make soak and make fuzz")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(leaks.Plugin())
    if config.getoption("soak"):
        hypothesis.settings.load_profile("soak")


def pytest_report_header() -> str:
    """The servers that the tests run on. A missing one is reported here once, not at each skipped test."""
    binaries = [f"{name} ({shutil.which(name) or 'missing: its tests are skipped'})" for name in BINARIES]
    return f"stores: {FAKEREDIS}, {', '.join(binaries)}, and a cluster of each"


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether to run at the length of `make soak`."""
    return bool(pytestconfig.getoption("soak"))


@pytest.fixture(scope="session")
def figures(soak: bool) -> Iterator[Figures]:
    """Where a test records its measurements."""
    figures = Figures()
    yield figures
    if soak:
        figures.write([name for name in BINARIES if shutil.which(name)])


class Clock:
    """A clock that stands still until a test sets it."""

    def __init__(self, now: float = 1_700_000_000) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with Servers() as servers:
        yield servers


@pytest.fixture(params=[FAKEREDIS, *REAL])
def server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """Each server: fakeredis, standalone servers and clusters."""
    return servers.get(request.param)


@pytest.fixture(params=REAL)
def real_server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """Each server except fakeredis, for tests of races between threads or of the commands that a server receives."""
    return servers.get(request.param)


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(server: Server, namespace: str, clock: Clock) -> SessionStore:
    return SessionStore(Client(server.settings(namespace)), namespace, clock)


@pytest.fixture
def real_store(real_server: Server, namespace: str, clock: Clock) -> SessionStore:
    return SessionStore(Client(real_server.settings(namespace)), namespace, clock)


@pytest.fixture
def keys(server: Server, namespace: str) -> Callable[[], set[str]]:
    """Returns the keys that are in the test's namespace now."""
    return lambda: server.keys(namespace)


# `make dev AUTH=1` without API_KEYS generates a key and prints it. No other key may be printed.
GENERATED_KEY = re.compile(r"(?<=curl -H 'Authorization: Bearer )[^']+")


class Dev:
    """`python -m dev`, which is what `make dev` runs, in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = free_port()
        SCANNER.add_registry(environment.get("API_KEYS", ""))
        names = ("HOME", "PATH", "TMPDIR", "PYTHONPYCACHEPREFIX")
        inherited = {name: os.environ[name] for name in names if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dev"],
            env={**inherited, "PYTHONPATH": os.pathsep.join(sys.path), "PORT": str(self.port), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # A test that fails before it ends this process must not leave it running, nor wait for it.
        atexit.register(self.process.kill)
        assert self.process.stdout is not None
        self.greeting = ""
        for line in self.process.stdout:
            self.greeting += line
            if line.startswith("Ctrl-C"):
                break
        assert re.search(r"listens on", self.greeting), self.greeting
        SCANNER.add_output(GENERATED_KEY.sub("", self.greeting), "process")
        # Read continuously, because a full pipe would block the process.
        self._output: list[str] = []
        self._reader = threading.Thread(target=self._output.extend, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """Ends it and returns what it printed since its greeting.

        A script's background processes ignore SIGINT, and so does everything that they start.
        """
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=10)
        finally:
            self.process.kill()
            self._reader.join()
        self.process.stdout.close()
        output = "".join(self._output)
        SCANNER.add_output(output, "process")
        return output


HTTP_NAMESPACE = f"test-http-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def devs(servers: Servers) -> Iterator[Callable[[Server], Dev]]:
    running: dict[str, Dev] = {}

    def get(server: Server) -> Dev:
        if server.name not in running:
            running[server.name] = Dev(
                {
                    **server.environment,
                    "NAMESPACE": HTTP_NAMESPACE,
                    "POWERTOOLS_METRICS_DISABLED": "false",
                }
            )
        return running[server.name]

    yield get
    for dev in running.values():
        dev.stop()


@pytest.fixture
def http(devs: Callable[[Server], Dev], server: Server) -> Iterator[httpx.Client]:
    """An HTTP client of `make dev`, which runs on each server in turn."""
    with httpx.Client(base_url=devs(server).url, timeout=20) as client:
        yield client


@pytest.fixture
def app() -> str:
    """An app that no other test uses."""
    return f"app-{uuid.uuid4().hex[:12]}"
