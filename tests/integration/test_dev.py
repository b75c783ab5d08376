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
from tests.servers import Servers

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


def key_in(greeting: str) -> dict[str, str]:
    """The header with the key that the greeting tells, if it does."""
    return dict(re.findall(r"(Authorization): (Bearer [^']+)", greeting))


def test_on_fakeredis_where_no_server_is_installed(path_without_servers: str) -> None:
    dev = Dev({"PATH": path_without_servers})
    use_a_session(dev.url)
    assert "fakeredis" in dev.greeting
    assert dev.stop() == ""
    assert dev.process.returncode == 0


@pytest.mark.skipif(not any(map(shutil.which, SERVERS)), reason="no server is on the PATH")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ends_the_server_that_it_started(how: signal.Signals) -> None:
    # In a terminal, where Ctrl-C is not ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        dev = Dev({})
    finally:
        signal.signal(signal.SIGINT, before)
    use_a_session(dev.url)
    children = Path(f"/proc/{dev.process.pid}/task/{dev.process.pid}/children").read_text().split()
    assert len(children) == 1
    dev.stop(how)
    assert dev.process.returncode == 0
    assert not Path(f"/proc/{children[0]}").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ends_though_connections_are_kept(how: signal.Signals) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        dev = Dev({})
    finally:
        signal.signal(signal.SIGINT, before)
    with (
        httpx.Client(base_url=dev.url) as kept,
        socket.create_connection((LOOPBACK, dev.port)),
        socket.create_connection((LOOPBACK, dev.port)) as sending,
    ):
        sending.sendall(b"POST /nothing HTTP/1.1\r\nContent-Length: 10\r\n\r\nhello")
        assert kept.get("/ping").text == "PONG"
        assert dev.stop(how) == ""
    assert dev.process.returncode == 0


def test_ends_where_ctrl_c_is_ignored() -> None:
    """As in a script's background, where a shell ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        dev = Dev({})
    finally:
        signal.signal(signal.SIGINT, before)
    dev.stop()
    assert dev.process.returncode == 0


@pytest.mark.parametrize("auth", ["0", "1"])
def test_changes_nothing_in_the_home_folder(auth: str, tmp_path: Path) -> None:
    dev = Dev({"HOME": str(tmp_path), "AUTH": auth})
    with httpx.Client(base_url=dev.url, headers=key_in(dev.greeting)) as http:
        # SAM CLI reports after 50 requests.
        assert {http.get("/webapp/activity", params={"dt": 10}).status_code for _ in range(60)} == {200}
    dev.stop()
    assert list(tmp_path.iterdir()) == []


def test_greets_with_address_store_and_a_line_to_try() -> None:
    dev = Dev({})
    try:
        assert f"http://{LOOPBACK}:{dev.port}" in dev.greeting
        assert "Store: " in dev.greeting
        [console] = re.findall(r"Console: (\S+)\n", dev.greeting)
        assert httpx.get(console).headers["content-type"].startswith("text/html")
        [line] = re.findall(r"curl .*", dev.greeting)
        answer = subprocess.run(line.replace("curl", "curl -s", 1), shell=True, capture_output=True, check=True)
        assert b'{"token":"Z' in answer.stdout
    finally:
        dev.stop()


def test_greets_with_plain_text_alone() -> None:
    dev = Dev({"AUTH": "1"})
    assert dev.stop() == ""
    assert dev.greeting.startswith(f"REST Sessions listens on {dev.url}\n")
    assert dev.greeting.isprintable() or set(filter(lambda c: not c.isprintable(), dev.greeting)) == {"\n"}
    assert "API_KEYS" in dev.greeting
    assert "make key" in dev.greeting


@pytest.mark.parametrize("cluster", ["0", "1"])
def test_names_a_store_that_does_not_answer_and_no_password(cluster: str) -> None:
    dev = Dev(
        {"REDIS_URL": f"redis://user:secret@{LOOPBACK}:1/{'' if cluster == '1' else '0'}", "REDIS_CLUSTER": cluster}
    )
    try:
        [line] = re.findall("Store: .*", dev.greeting)
        assert f"{LOOPBACK}:1" in line
        assert "UNREACHABLE" in line
        answer = httpx.get(f"{dev.url}/ping")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {
            "name": "storeUnavailable",
            "message": "The session store is unavailable; try again",
        }
    finally:
        assert "secret" not in dev.greeting + dev.stop()


def test_names_a_store_that_refuses_the_password(servers: Servers) -> None:
    url = servers.get("redis-server").url.replace("redis://", "redis://nobody:secret@")
    dev = Dev({"REDIS_URL": url})
    dev.stop()
    assert re.search("Store: .*, UNREACHABLE: ", dev.greeting)
    assert "secret" not in dev.greeting


def test_says_nothing_of_a_store_that_answers(servers: Servers) -> None:
    dev = Dev({"REDIS_URL": servers.get("redis-server").url})
    dev.stop()
    assert "UNREACHABLE" not in dev.greeting


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL must have the form redis://"),
        ({"REDIS_URL": "redis://localhost:port"}, "REDIS_URL must have the form redis://"),
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
