import contextlib
import os
import random
import re
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rest_sessions_client import Client

ROOT = Path(__file__).parents[3]
LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A free port below those of outgoing connections, which so cannot take it while a server starts again."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server((LOOPBACK, port)):
            return port


class Service:
    """`make dev`, or another `program` that does the same, in a process of its own."""

    def __init__(self, program: str = "dev", **environment: str) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.process = subprocess.Popen(
            [ROOT / ".venv" / "bin" / "python", "-m", program],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'sessions'}",
                "PYTHONPYCACHEPREFIX": str(ROOT / ".venv" / "pycache"),
                "PORT": str(port),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.greeting = ""
        for line in self.process.stdout:
            self.greeting += line
            if line.startswith("Ctrl-C"):
                # A full pipe would stop the service at its next line of the audit log.
                self._reader = threading.Thread(target=self.process.stdout.read)
                self._reader.start()
                return
        raise RuntimeError(f"make dev did not start:\n{self.greeting}")

    @property
    def key(self) -> str:
        """The key that `make dev AUTH=1` has made."""
        [key] = re.findall(r"Bearer ([^']+)'", self.greeting)
        return key

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        self._reader.join()
        self.process.stdout.close()


@contextlib.contextmanager
def running_service(program: str = "dev", **environment: str) -> Iterator[Service]:
    service = Service(program, **environment)
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies of this machine do not serve loopback."""
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """A service with a key that allows everything."""
    with running_service(AUTH="1") as service:
        yield service


@pytest.fixture
def app() -> str:
    """An app of the test's own."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(service: Service, app: str) -> Iterator[Client]:
    with Client(service.url, app, service.key) as client:
        yield client
