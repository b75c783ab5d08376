"""`rest-sessions-import`, on sessions that redis-sessions itself has made."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from rest_sessions_client import Client, Session, redis_sessions
from rest_sessions_client.redis_sessions import NotCopied, OldSession, arguments_of_create
from tests.conftest import LOOPBACK, ROOT, Service, free_port
from tests.servers import PATIENCE, Connection, reply, reset, scripted

NODE = ROOT / "benchmarks" / "node"
COMMAND = Path(sys.executable).parent / "rest-sessions-import"
NOBODY_LISTENS = "127.0.0.1:1"
AGAIN = "Run this again: what is already there is left alone."
PONG = reply("PONG")
CREATED = reply({"token": "x"})
UNAVAILABLE = reply({"name": "storeUnavailable", "message": "The session store is unavailable; try again"}, status=503)
# What redis-sessions makes: 55 characters, a Z, and the time.
TOKEN = f"{'a' * 55}Zmwxd52z9"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("node", "npm", "redis-server"))), reason="Node, npm or redis-server is not installed"
)


class RedisServer:
    """A Redis. It forgets everything when it stops, unless that was saved."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._command = ["redis-server", "--bind", LOOPBACK, "--port", str(self.port), "--dir", folder, "--save", ""]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self.client = Redis(LOOPBACK, self.port, decode_responses=True, retry=Retry(ConstantBackoff(0.02), 500))
        self.client.ping()

    def stop(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait()

    def restart(self) -> threading.Timer:
        """Starts it again after a while, with all that it had."""
        self.client.save()
        self.stop()
        timer = threading.Timer(0.3, self.start)
        timer.start()
        return timer


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """For a test that stops it."""
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def redis_sessions_package() -> Path:
    """The package that the benchmarks compare with."""
    package = NODE / "node_modules" / "redis-sessions"
    if not package.is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=NODE, check=True)
    return package


class Old:
    """A store of redis-sessions with two apps."""

    def __init__(self, server: RedisServer, service: Service, package: Path, count: int) -> None:
        self.server = server
        self.service = service
        self.namespace = uuid.uuid4().hex
        self.apps = [f"web-{uuid.uuid4().hex[:8]}", f"forum-{uuid.uuid4().hex[:8]}"]
        script = Path(__file__).parent / "make_sessions.cjs"
        arguments = [package, str(server.port), self.namespace, str(count), *self.apps]
        made = subprocess.run(["node", script, *arguments], check=True, stdout=subprocess.PIPE, text=True)
        # Each with app, id and token, and as redis-sessions shows it: None for one that was killed or has expired.
        self.sessions: list[dict[str, Any]] = [json.loads(line) for line in made.stdout.strip().split("\n")]
        self.live = [one for one in self.sessions if one["session"]]
        self.clients = {app: Client(service.url, app, service.key) for app in self.apps}

    @property
    def redis(self) -> Redis:
        return self.server.client

    @property
    def address(self) -> str:
        return f"redis://{LOOPBACK}:{self.server.port}"

    @property
    def counted(self) -> int:
        """How many sessions the index has: also those that have expired, but not those that were killed."""
        return self.redis.zcard(f"{self.namespace}:SESSIONS")

    def key_of(self, one: dict[str, Any]) -> str:
        return f"{self.namespace}:{one['app']}:{one['token']}"

    def copy_of(self, one: dict[str, Any]) -> Session | None:
        return self.clients[one["app"]].get(one["token"], peek=True, details=True)

    def copies(self) -> list[Session]:
        """All sessions that the service has of these apps."""
        return [copy for client in self.clients.values() for copy in client.soapp(10**7, details=True)]

    def dump(self) -> dict[str, Any]:
        """All that the store holds, byte for byte."""
        with Redis(LOOPBACK, self.server.port) as raw:
            return {key: raw.dump(key) for key in raw.scan_iter(f"{self.namespace}:*")}

    def arguments(self, *options: str, redis: str | None = None, url: str | None = None) -> list[str]:
        return [redis or self.address, "--namespace", self.namespace, "--url", url or self.service.url, *options]

    def run(
        self, *options: str, key: str | None = None, encoding: str = "utf-8", **addresses: str
    ) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            [COMMAND, *self.arguments(*options, **addresses)],
            env={"REST_SESSIONS_KEY": key or self.service.key, "PYTHONIOENCODING": encoding},
            capture_output=True, encoding=encoding, timeout=120, check=False,
        )  # fmt: skip
        self.check_secrecy(ran.stdout + ran.stderr)
        return ran

    def check_secrecy(self, output: str) -> None:
        assert "Traceback" not in output
        assert self.service.key not in output
        for one in self.sessions:
            # Neither a token nor its beginning.
            assert one["token"][:16] not in output

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


MakeOld = Callable[..., Old]


@pytest.fixture
def make_old(shared_redis: RedisServer, service: Service, redis_sessions_package: Path) -> Iterator[MakeOld]:
    with contextlib.ExitStack() as stack:

        def make(count: int = 30, server: RedisServer = shared_redis) -> Old:
            return stack.enter_context(contextlib.closing(Old(server, service, redis_sessions_package, count)))

        yield make


@pytest.fixture
def old(make_old: MakeOld) -> Old:
    return make_old()


class Here:
    """Runs the command in this process, with pauses of no length."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.setattr(redis_sessions, "_PAUSES", (0, 0, 0))
        # So that the answers of a scripted server come in the order of the sessions.
        monkeypatch.setattr(redis_sessions, "_WORKERS", 1)
        monkeypatch.setattr(redis_sessions, "_WAITING", 4)

    def run(self, old: Old, *options: str, **addresses: str) -> tuple[object, str, str]:
        """The exit code or the last message, and what was written."""
        self._monkeypatch.setattr(sys, "argv", [str(COMMAND), *old.arguments(*options, **addresses)])
        with pytest.raises(SystemExit) as ended:
            redis_sessions.main()
        written = self._capsys.readouterr()
        old.check_secrecy(written.out + written.err + str(ended.value.code))
        return ended.value.code, written.out, written.err


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(monkeypatch, capsys)


# What is copied


def test_copies_each_live_session(make_old: MakeOld) -> None:
    old = make_old(300)
    before = old.dump()
    started = time.time()
    ran = old.run()
    expired = old.counted - len(old.live)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{len(old.live)} imported, 0 already there, {expired} expired, 0 skipped\n"
    assert expired > 10
    for one in old.sessions:
        copy, session = old.copy_of(one), one["session"]
        if session is None:
            assert copy is None
            continue
        assert copy is not None
        assert (copy.id, copy.ip, copy.data) == (session["id"], session["ip"], session.get("d", {}))
        assert copy.no_resave is session.get("no_resave", False)
        left = session["ttl"] - (0 if copy.no_resave else session["idle"])
        assert left - (time.time() - started) - 10 <= copy.ttl <= left
    assert len(old.copies()) == len(old.live)
    assert old.dump() == before


def test_only_reads(old: Old) -> None:
    """So it can be run as a user of Redis who may do nothing else."""
    old.redis.acl_setuser("reader", enabled=True, passwords=["+a-secret"], keys=["*"], categories=["+@read"])
    old.redis.config_resetstat()
    ran = old.run(redis=f"redis://reader:a-secret@{LOOPBACK}:{old.server.port}")
    called = {name for name, stats in old.redis.info("commandstats").items() if stats["calls"]}
    old.redis.acl_deluser("reader")
    assert (ran.returncode, len(old.copies())) == (0, len(old.live))
    assert called - {"cmdstat_config|resetstat", "cmdstat_client|setinfo", "cmdstat_hello"} == {
        "cmdstat_zcard", "cmdstat_zscan", "cmdstat_hmget",
    }  # fmt: skip
    assert "a-secret" not in ran.stdout + ran.stderr


def test_numbers_stay_as_they_are(old: Old) -> None:
    """Also those that redis-sessions itself would round."""
    text = '{"large":12345678901234567890,"small":0.30000000000000004,"one":1.0,"minus":-0.0}'
    old.redis.hset(old.key_of(old.live[0]), "d", text)
    old.run()
    copy = old.copy_of(old.live[0])
    assert copy is not None
    assert json.dumps(copy.data, separators=(",", ":")) == text


def test_copies_one_app(old: Old) -> None:
    live = Counter(one["app"] for one in old.live)
    ran = old.run("--app", old.apps[1])
    assert ran.stdout.startswith(f"{live[old.apps[1]]} imported, 0 already there, ")
    assert {one["app"] for one in old.live if old.copy_of(one)} == {old.apps[1]}
    assert len(old.copies()) == live[old.apps[1]]


def old_session(token: str = TOKEN, **fields: str | None) -> OldSession:
    usual = {"id": "user123", "ip": "192.0.2.7", "ttl": "600", "la": "1000", "d": None, "no_resave": None}
    return OldSession("webapp", token, {**usual, **fields})


@pytest.mark.parametrize(
    ("ttl", "idle", "left"),
    [
        ("600", 0, 600),
        ("600", 100, 500),
        ("600", 595, 10),  # the API's minimum
        ("600", 600, 10),
        ("600", -30, 600),  # the clock of the old app server is ahead
        ("600.5", 100.5, 500),
        ("1e10", 100, 34_560_000),  # the API's maximum
    ],
)
def test_the_time_that_is_left(ttl: str, idle: float, left: int) -> None:
    assert arguments_of_create(old_session(ttl=ttl), 1000 + idle)["ttl"] == left


def test_a_session_that_has_expired() -> None:
    with pytest.raises(NotCopied, match=r"\Aexpired\Z"):
        arguments_of_create(old_session(), 1601)


def test_data_that_is_too_large_is_not_even_sent() -> None:
    """The gateway in front of the API would not say why it refuses megabytes."""
    with pytest.raises(NotCopied, match=redis_sessions.TOO_LARGE):
        arguments_of_create(old_session(d=json.dumps({"a": "x" * 262_144})), 1000)


def test_no_text_of_a_session_has_a_secret() -> None:
    text = str(old_session(d='{"name":"Peter"}'))
    assert TOKEN not in text
    assert "Peter" not in text


# Again


def test_run_again_changes_nothing(old: Old) -> None:
    old.run()
    changed, ended = old.live[:2]
    old.clients[changed["app"]].set(changed["token"], {"since": "the first run"})
    old.clients[ended["app"]].kill(ended["token"])
    before = [old.copy_of(one) for one in old.live]
    # In the first minute the service would repeat its answer to the same create, but not to another one.
    for one in old.live:
        old.redis.hset(old.key_of(one), "d", json.dumps({"later": True}))
    ran = old.run()
    assert ran.returncode == 0
    assert ran.stdout.startswith(f"0 imported, {len(old.live)} already there, ")
    assert_same(before, [old.copy_of(one) for one in old.live])
    assert len(old.copies()) == len(old.live) - 1


def test_run_again_at_once(old: Old) -> None:
    old.run()
    before = [old.copy_of(one) for one in old.live]
    assert old.run().returncode == 0
    assert_same(before, [old.copy_of(one) for one in old.live])
    assert len(old.copies()) == len(old.live)


def assert_same(before: list[Session | None], after: list[Session | None]) -> None:
    """The same sessions, which nobody has used meanwhile."""
    for one, other in zip(before, after, strict=True):
        if one is None:
            assert other is None
            continue
        assert other is not None
        assert (one.handle, one.r, one.w, one.data) == (other.handle, other.r, other.w, other.data)
        assert one.age is not None
        assert other.age is not None
        assert other.age >= one.age
        assert other.idle >= one.idle


def test_broken_off_and_run_again(make_old: MakeOld) -> None:
    old = make_old(600)
    command = [COMMAND, *old.arguments()]
    environment = {"REST_SESSIONS_KEY": old.service.key}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not old.clients[old.apps[0]].activity(10**7):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    old.check_secrecy(output + errors)
    assert (process.returncode, errors) == (130, f"Broken off. {AGAIN}\n")
    imported = len(old.copies())
    assert 0 < imported < len(old.live)
    assert output.startswith(f"{imported} imported, ")
    assert old.run().returncode == 0
    assert all(old.copy_of(one) is not None for one in old.live)
    assert len(old.copies()) == len(old.live)


def test_broken_off_in_an_outage(old: Old) -> None:
    """It does not wait for the end of the outage."""
    with scripted(PONG, UNAVAILABLE) as server:
        command = [COMMAND, *old.arguments(url=server.url)]
        with subprocess.Popen(command, env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            # The workers have begun to try again.
            for _ in range(1 + redis_sessions._WORKERS + 1):
                assert server.arrived.acquire(timeout=PATIENCE)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
    # The pauses are 15 seconds.
    assert time.monotonic() - started < 10
    old.check_secrecy(output + errors)
    assert (process.returncode, errors) == (130, f"Broken off. {AGAIN}\n")
    assert output.startswith("0 imported, ")


# What is skipped


def test_tells_what_it_skips_and_why(old: Old) -> None:
    live = iter(old.live)
    skipped = []

    def break_next(**fields: str | bytes) -> dict[str, Any]:
        one = next(live)
        skipped.append(one)
        old.redis.hset(old.key_of(one), mapping={"id": "user123", **fields})
        return one

    def move_next(app: str = "", token: str = "") -> None:
        """To another app or token, for which there is a member in the index of all apps."""
        one = break_next()
        moved = {"app": app or one["app"], "token": token or one["token"]}
        old.redis.rename(old.key_of(one), old.key_of(moved))
        old.redis.zrem(f"{old.namespace}:SESSIONS", f"{one['app']}:{one['token']}:{one['id']}")
        old.redis.zadd(f"{old.namespace}:SESSIONS", {f"{moved['app']}:{moved['token']}:user123": 1})

    for data in ("{", "[]", '{"a":NaN}', '{"a":1e999}', '{"a":' + "[" * 50_000 + "]" * 50_000 + "}", "9" * 5_000):
        break_next(d=data)
    break_next(la="yesterday")
    break_next(ttl="inf")
    wrong_type = break_next()
    old.redis.delete(old.key_of(wrong_type))
    old.redis.sadd(old.key_of(wrong_type), "x")
    for data in (r'{"a":"\ud800"}', b'{"a":"\xff"}', '{"a":' + "[" * 40 + "]" * 40 + "}"):
        break_next(d=data)
    for data in (json.dumps({"a": "x" * 262_144}), json.dumps({"a": "딸" * 100_000}, ensure_ascii=False)):
        break_next(d=data)
    for id in ("a/b", "100%", "a\nb", "..", b"\xff", "x" * 129):
        break_next(id=id)
    break_next(ip="")
    move_next(token="Z" + TOKEN[1:])
    move_next(token="-" + TOKEN[1:])
    move_next(app="a.b")

    counted = old.counted
    ran = old.run()
    assert (ran.returncode, ran.stderr) == (1, "")
    first, *lines = ran.stdout.splitlines()
    imported = len(old.live) - len(skipped)
    assert first == f"{imported} imported, 0 already there, {counted - len(old.live)} expired, {len(skipped)} skipped"
    counts = dict(line.split(" skipped: ")[::-1] for line in lines[::2])
    assert counts == {
        redis_sessions.DAMAGED: "9",
        redis_sessions.BAD_ID: "6",
        redis_sessions.BAD_DATA: "3",
        redis_sessions.TOO_LARGE: "2",
        "No ip supplied": "1",
        redis_sessions.RESERVED_TOKEN: "1",
        redis_sessions.BAD_TOKEN: "1",
        redis_sessions.BAD_APP: "1",
    }
    for examples in lines[1::2]:
        assert examples.startswith("    for example (app, user id): '")
        assert (
            1 <= examples.count(f"'{old.apps[0]}'") + examples.count(f"'{old.apps[1]}'") + examples.count("'a.b'") <= 3
        )
    assert lines[2 * list(counts).index(redis_sessions.BAD_APP) + 1].endswith("'a.b' 'user123'")


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", r"'딸기/\x1b[31mxxxxxxxxxxxxxxxxxxxxxxxx'"), ("ascii", r"'\ub538\uae30/\x1b[31m")]
)
def test_an_example_fits_the_terminal(old: Old, encoding: str, shown: str) -> None:
    old.redis.hset(old.key_of(old.live[0]), "id", f"딸기/\x1b[31m{'x' * 100}")
    ran = old.run(encoding=encoding)
    assert f"    for example (app, user id): '{old.live[0]['app']}' {shown}" in ran.stdout


# What stops it


@pytest.mark.parametrize(
    ("addresses", "key", "status", "message"),
    [
        ({"url": f"http://{NOBODY_LISTENS}"}, None, 1, "Stopped: REST Sessions cannot be reached: "),
        ({"redis": f"redis://{NOBODY_LISTENS}"}, None, 1, "Stopped: Redis cannot be read: Error 111 connecting to "),
        (
            {},
            "a-wrong-key-of-some-length-0123456789",
            1,
            "use one that may create sessions in each app, or choose an app",
        ),
        (
            {"redis": "redis://:a-se/cret@127.0.0.1"},
            None,
            2,
            "error: The address of Redis must have the form redis://HOST",
        ),
        ({"url": "sessions.example.com"}, None, 2, "error: The URL must have the form https://HOST"),
    ],
)
def test_says_what_is_wrong(old: Old, addresses: dict[str, str], key: str | None, status: int, message: str) -> None:
    ran = old.run(key=key, **addresses)
    assert ran.returncode == status
    last = ran.stderr.splitlines()[-1]
    assert message in last
    assert last.endswith(AGAIN) or status == 2
    assert "a-se" not in ran.stderr
    assert not key or key not in ran.stderr
    assert not old.copies()


def test_an_address_that_is_not_that_of_the_service(old: Old) -> None:
    ran = old.run(url=old.service.url + "/elsewhere")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Stopped: No REST Sessions API: it answered with status 404. Check the URL. ")


def test_a_key_and_an_address_on_the_command_line(old: Old) -> None:
    ran = subprocess.run(
        [COMMAND, old.address, "--namespace", old.namespace, "--key", old.service.key],
        env={"REST_SESSIONS_URL": old.service.url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    old.check_secrecy(ran.stdout + ran.stderr)
    assert (ran.returncode, len(old.copies())) == (0, len(old.live))


def test_a_namespace_without_sessions(old: Old) -> None:
    ran = old.run("--namespace", "elsewhere")
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[1] == "Are the number of the database, --namespace and --app right?"


def test_a_namespace_of_something_else(old: Old) -> None:
    old.redis.set(f"{old.namespace}-other:SESSIONS", "x")
    ran = old.run("--namespace", f"{old.namespace}-other")
    assert ran.returncode == 1
    assert ran.stderr == f"Stopped: Redis does not let its sessions be read (ResponseError). {AGAIN}\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            reply({"name": "forbidden", "message": "The key may not do this in this app"}, status=403),
            "The key may not do this in this app: use one that may create sessions in each app, or choose an app with",
        ),
        (
            reply({"message": "Unauthorized"}, status=401),
            "The service requires a key: pass key, or set REST_SESSIONS_KEY",
        ),
        (reply("<html>"), "This is no answer of a REST Sessions API: check the URL"),
    ],
)
def test_an_answer_that_stops_it(old: Old, here: Here, answer: Callable[[Connection], None], message: str) -> None:
    with scripted(PONG, CREATED, answer) as server:
        status, output, _ = here.run(old, url=server.url)
    assert str(status).startswith(f"Stopped: {message}")
    assert str(status).endswith(f". {AGAIN}")
    assert output.startswith("1 imported, ")


@pytest.mark.parametrize("failure", [UNAVAILABLE, reset, reply(status=429)])
def test_a_short_outage_of_the_service(old: Old, here: Here, failure: Callable[[Connection], None]) -> None:
    with scripted(PONG, CREATED, failure, failure, failure, CREATED) as server:
        status, output, _ = here.run(old, url=server.url)
    assert status == 0
    assert output.startswith(f"{len(old.live)} imported, ")


def test_the_service_goes_away(old: Old, here: Here) -> None:
    with scripted(PONG, *[CREATED] * 10, UNAVAILABLE) as server:
        status, output, _ = here.run(old, url=server.url)
    assert status == f"Stopped: The session store is unavailable; try again. {AGAIN}"
    assert output.startswith("10 imported, ")


def test_redis_goes_away(make_old: MakeOld, own_redis: RedisServer, here: Here) -> None:
    old = make_old(300, own_redis)

    def stop_redis(connection: Connection) -> None:
        own_redis.stop()
        CREATED(connection)

    with scripted(PONG, CREATED, stop_redis, CREATED) as server:
        status, output, _ = here.run(old, url=server.url)
    assert str(status).startswith("Stopped: Redis cannot be read: ")
    assert str(status).endswith(f". {AGAIN}")
    # What had been read.
    assert 0 < int(output.split()[0]) < len(old.live)


def test_redis_starts_again(
    make_old: MakeOld, own_redis: RedisServer, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read to the end, but in another order."""
    monkeypatch.setattr(redis_sessions, "_PAUSES", (0.1,) * 50)
    old = make_old(300, own_redis)

    timers = []

    def restart_redis(connection: Connection) -> None:
        timers.append(own_redis.restart())
        CREATED(connection)

    with scripted(PONG, CREATED, restart_redis, CREATED) as server:
        status, output, _ = here.run(old, url=server.url)
    timers[0].join()
    assert int(output.split()[0]) > 200
    assert str(status).startswith("Stopped: Redis was started again meanwhile, so that some sessions may not ")


# The rest


@pytest.mark.parametrize("package", ["redis", "tqdm"])
def test_says_what_to_install(package: str) -> None:
    program = (
        f"import sys; sys.modules['{package}'] = None; from rest_sessions_client.redis_sessions import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", program, "x"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == "This needs two more packages: pip install 'rest-sessions-client[import]'\n"


def test_shows_its_progress_in_a_terminal(old: Old) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    environment = {"REST_SESSIONS_KEY": old.service.key}
    subprocess.run([COMMAND, *old.arguments()], env=environment, stdout=subprocess.DEVNULL, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    # The end is an error.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    old.check_secrecy(shown.decode())
    assert f"{old.counted}/{old.counted} [" in shown.decode()
