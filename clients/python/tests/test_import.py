"""`rest-sessions-import`, on sessions that redis-sessions itself has made."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from rest_sessions_client import Client, Session
from rest_sessions_client.errors import TokenInUse
from tests.conftest import LOOPBACK, ROOT, Service

NODE = ROOT / "benchmarks" / "node"
COMMAND = str(Path(sys.executable).parent / "rest-sessions-import")
NOBODY_LISTENS = "http://127.0.0.1:1"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("node", "npm", "redis-server"))), reason="Node, npm or redis-server is not installed"
)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    port = 20_000 + os.getpid() % 10_000
    folder = tmp_path_factory.mktemp("redis")
    server = subprocess.Popen(
        ["redis-server", "--bind", LOOPBACK, "--port", str(port), "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    redis = Redis(LOOPBACK, port, decode_responses=True)
    deadline = time.monotonic() + 10
    while True:
        try:
            redis.ping()
            break
        except RedisConnectionError:
            assert server.poll() is None
            assert time.monotonic() < deadline
    yield redis
    redis.close()
    server.terminate()
    server.wait()


class Old:
    """A store of redis-sessions."""

    def __init__(self, redis: Redis, service: Service, count: int) -> None:
        self.redis = redis
        self.service = service
        self.namespace = uuid.uuid4().hex
        self.apps = [f"web-{uuid.uuid4().hex[:8]}", f"forum-{uuid.uuid4().hex[:8]}"]
        self.port = redis.connection_pool.connection_kwargs["port"]
        if not (NODE / "node_modules").is_dir():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=NODE, check=True)
        made = subprocess.run(
            ["node", Path(__file__).parent / "make_sessions.cjs", NODE / "node_modules" / "redis-sessions",
             str(self.port), self.namespace, str(count), *self.apps],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        self.sessions: list[dict[str, Any]] = [json.loads(line) for line in made.stdout.splitlines()]
        self.clients = {app: Client(service.url, app, service.key) for app in self.apps}

    @property
    def live(self) -> list[dict[str, Any]]:
        return [session for session in self.sessions if not session["killed"]]

    def command(self, *options: str, redis: str | None = None, url: str | None = None) -> list[str]:
        address = redis or f"redis://{LOOPBACK}:{self.port}"
        return [COMMAND, address, "--namespace", self.namespace, "--url", url or self.service.url, *options]

    def run(self, *options: str, key: str | None = None, **addresses: str) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            self.command(*options, **addresses),
            env={"REST_SESSIONS_KEY": key or self.service.key},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        for session in self.sessions:
            assert session["token"] not in ran.stdout + ran.stderr
        assert self.service.key not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        return ran

    def copy_of(self, session: dict[str, Any]) -> Session | None:
        return self.clients[session["app"]].get(session["token"])

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def dump(self) -> dict[str, bytes]:
        """All that the store holds."""
        raw = Redis(LOOPBACK, self.port)
        dumps = {key: raw.dump(key) for key in sorted(raw.scan_iter(f"{self.namespace}:*"))}
        raw.close()
        return dumps


@pytest.fixture
def old(redis: Redis, service: Service, request: pytest.FixtureRequest) -> Iterator[Old]:
    old = Old(redis, service, getattr(request, "param", 60))
    yield old
    old.close()


def test_copies_each_live_session(old: Old) -> None:
    before = old.dump()
    ran = old.run()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{len(old.live)} imported, 0 there already, 0 expired, 0 skipped\n"
    for session in old.sessions:
        copy = old.copy_of(session)
        if session["killed"]:
            assert copy is None
            continue
        assert copy is not None
        assert (copy.id, copy.ip, copy.data) == (session["id"], session["ip"], session.get("d", {}))
        assert copy.no_resave is session["no_resave"]
        assert session["ttl"] - 30 <= copy.ttl <= session["ttl"]
    assert old.dump() == before


def test_keeps_the_remaining_time(old: Old) -> None:
    first, second, third = old.live[:3]
    for session, idle in ((first, 100), (second, second["ttl"] - 60), (third, third["ttl"] + 1)):
        old.redis.hset(f"{old.namespace}:{session['app']}:{session['token']}", "la", int(time.time()) - idle)
    assert "1 expired" in old.run().stdout
    for session, remaining in ((first, first["ttl"] - 100), (second, 60)):
        copy = old.copy_of(session)
        assert copy is not None
        assert remaining - 30 <= copy.ttl <= remaining
    assert old.copy_of(third) is None


def test_copies_one_app(old: Old) -> None:
    old.run("--app", old.apps[0])
    assert {session["app"] for session in old.live if old.copy_of(session)} == {old.apps[0]}


def test_run_again_changes_nothing(old: Old) -> None:
    old.run()
    kept, ended = old.live[:2]
    old.clients[kept["app"]].set(kept["token"], {"since": "the first run"})
    old.clients[ended["app"]].kill(ended["token"])
    ran = old.run()
    assert ran.returncode == 0
    copy = old.copy_of(kept)
    assert copy is not None
    assert copy.data["since"] == "the first run"
    assert old.copy_of(ended) is None


@pytest.mark.parametrize("old", [600], indirect=True)
def test_broken_off_and_run_again(old: Old, service: Service) -> None:
    process = subprocess.Popen(
        old.command(), env={"REST_SESSIONS_KEY": service.key}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not old.clients[old.apps[0]].activity(3600):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert (process.returncode, "imported" in output) == (130, True)
    assert old.run().returncode == 0
    assert all(old.copy_of(session) is not None for session in old.live)
    for app, client in old.clients.items():
        assert len(list(client.soapp(3600))) == len([one for one in old.live if one["app"] == app])


def test_tells_what_it_skips_and_why(old: Old) -> None:
    for session, field, value in zip(
        old.live, ("d", "la", "ip", "d"), ("{", "yesterday", "", json.dumps({"a": "x" * 300_000})), strict=False
    ):
        old.redis.hset(f"{old.namespace}:{session['app']}:{session['token']}", field, value)
    ran = old.run()
    assert ran.returncode == 1
    first, *reasons = ran.stdout.splitlines()
    assert first == f"{len(old.live) - 4} imported, 0 there already, 0 expired, 4 skipped"
    assert reasons[0].startswith("  2 skipped: It is damaged in Redis (app and user, for example: ")
    assert {f"{one['app']} {one['id']}" for one in old.live[:2]} == set(reasons[0].split(": ")[-1][:-1].split(", "))
    assert any("1 skipped: No ip supplied" in reason for reason in reasons)
    assert any("1 skipped: The body must be at most 262144 bytes" in reason for reason in reasons)


def test_a_token_that_the_service_keeps_for_itself(old: Old) -> None:
    session = old.live[0]
    key = f"{old.namespace}:{session['app']}:"
    old.redis.rename(key + session["token"], key + "Z" + session["token"][1:])
    old.redis.zadd(f"{old.namespace}:SESSIONS", {f"{session['app']}:Z{session['token'][1:]}:{session['id']}": 1})
    ran = old.run()
    assert ran.returncode == 1
    assert "1 skipped: The service does not take its token" in ran.stdout
    assert "1 expired" in ran.stdout


@pytest.mark.parametrize(
    ("addresses", "key", "message"),
    [
        ({"url": NOBODY_LISTENS}, None, "Stopped: REST Sessions cannot be reached"),
        ({"redis": "redis://127.0.0.1:1"}, None, "Stopped: Redis cannot be read (ConnectionError)"),
        ({}, "a-wrong-key-of-some-length-0123456789", "Stopped: "),
        ({"redis": "127.0.0.1:6379"}, None, "Redis URL must specify one of the following schemes"),
        ({"url": "sessions.example.com"}, None, "The URL must have the form https://HOST"),
    ],
)
def test_says_what_is_wrong(old: Old, addresses: dict[str, str], key: str | None, message: str) -> None:
    ran = old.run(key=key, **addresses)
    assert ran.returncode in (1, 2)
    assert message in ran.stderr
    assert all(old.copy_of(session) is None for session in old.live[:5])


def test_stops_when_the_service_goes_away(old: Old) -> None:
    """With the sessions that it has counted before."""
    ran = old.run(url=old.service.url + "/elsewhere")
    assert ran.returncode == 1
    assert "Stopped: No REST Sessions API" in ran.stderr


def test_a_session_that_was_killed_is_not_revived(old: Old) -> None:
    old.run()
    session = old.live[0]
    client = old.clients[session["app"]]
    client.kill(session["token"])
    with pytest.raises(TokenInUse):
        client.create(session["id"], ip="192.0.2.7", token=session["token"])
