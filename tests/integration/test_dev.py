"""`make dev`, as a new user starts it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dev.embedded_store import LOOPBACK, SERVERS
from tests.conftest import Dev
from tests.leaks import SCANNER

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path_without_servers(tmp_path: Path) -> str:
    """A PATH with only the Python interpreter."""
    (tmp_path / "python").symlink_to(sys.executable)
    return str(tmp_path)


def use_a_session(url: str) -> None:
    with httpx.Client(base_url=url) as http:
        token = http.put("/webapp/create/user123", params={"ip": "192.168.99.22"}).json()["token"]
        assert http.get(f"/webapp/get/{token}").json()["id"] == "user123"
        assert http.delete(f"/webapp/kill/{token}").json() == {"kill": 1}


def test_runs_on_fakeredis_if_no_server_is_installed(path_without_servers: str) -> None:
    dev = Dev({"PATH": path_without_servers})
    use_a_session(dev.url)
    assert "fakeredis" in dev.greeting
    assert dev.stop() == ""
    assert dev.process.returncode == 0


@pytest.mark.skipif(not any(map(shutil.which, SERVERS)), reason="no server is on the PATH")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stops_the_server_that_it_started(how: signal.Signals) -> None:
    dev = Dev({})
    use_a_session(dev.url)
    children = Path(f"/proc/{dev.process.pid}/task/{dev.process.pid}/children").read_text().split()
    assert len(children) == 1
    dev.stop(how)
    assert dev.process.returncode == 0
    assert not Path(f"/proc/{children[0]}").exists()


def test_prints_the_address_the_store_and_an_example() -> None:
    dev = Dev({})
    try:
        assert f"http://{LOOPBACK}:{dev.port}" in dev.greeting
        assert "Store: " in dev.greeting
        [line] = re.findall(r"curl .*", dev.greeting)
        answer = subprocess.run(line.replace("curl", "curl -s", 1), shell=True, capture_output=True, check=True)
        assert b'{"token":"Z' in answer.stdout
    finally:
        dev.stop()


def test_does_not_print_the_password_of_the_store() -> None:
    dev = Dev({"REDIS_URL": f"redis://user:secret@{LOOPBACK}:1/0"})
    try:
        answer = httpx.get(f"{dev.url}/ping")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {
            "name": "storeUnavailable",
            "message": "The session store is unavailable; try again",
        }
    finally:
        assert "secret" not in dev.greeting + dev.stop()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL must be set, to redis://"),
        ({"REDIS_URL": "redis://localhost:port"}, "REDIS_URL must be set, to redis://"),
        ({"NAMESPACE": "{x}"}, "NAMESPACE must be"),
        ({"MISSING_SESSION": "403"}, "MISSING_SESSION must be empty or 404"),
        ({"REDIS_URL": "redis://127.0.0.1:1", "REDIS_CLUSTER": "yes"}, "REDIS_CLUSTER must be 0 or 1"),
        ({"PORT": "taken"}, "is not free"),
        ({"PORT": "http"}, "PORT must be a number from 1 to 65535"),
        ({"PORT": "0"}, "PORT must be a number from 1 to 65535"),
        ({"AUTH": "yes"}, "AUTH must be 1 (a key is required) or 0"),
    ],
)
def test_prints_what_is_wrong_and_exits(environment: dict[str, str], message: str, path_without_servers: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        if environment.get("PORT") == "taken":
            environment = {"PORT": str(taken.getsockname()[1])}
        started = subprocess.run(
            [sys.executable, "-m", "dev"],
            env={"PATH": path_without_servers, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    SCANNER.add_output(started.stdout + started.stderr, "process")
    assert started.returncode == 1
    assert message in started.stderr
    assert "Traceback" not in started.stderr


def test_answers_404_for_a_missing_session_if_configured() -> None:
    dev = Dev({"MISSING_SESSION": "404"})
    try:
        for answer in (
            httpx.get(f"{dev.url}/webapp/get/{'a' * 64}"),
            httpx.post(f"{dev.url}/webapp/set/{'a' * 64}", json={"a": 1}),
        ):
            assert (answer.status_code, answer.json()["name"]) == (404, "notFound")
        assert httpx.delete(f"{dev.url}/webapp/kill/{'a' * 64}").json() == {"kill": 0}
    finally:
        dev.stop()
