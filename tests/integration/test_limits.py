"""The limits of what a client may send, store and request.

The maximum is served, and one more is refused. No answer exceeds Lambda's limit. No request blocks Redis for long.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from samcli.lib.providers.provider import Stack

from dev.gateway import ROOT, load_handlers, read_template
from rest_sessions import runtime
from rest_sessions.connection.client import Client
from rest_sessions.limits import MAX_BODY_BYTES, MAX_DATA_BYTES, MAX_KEYS, MAX_LIMIT
from rest_sessions.model import Cap, Timeouts
from rest_sessions.store.replies import OK
from rest_sessions.store.scripts import load_script
from rest_sessions.store.sessions import SessionStore
from tests.conftest import Clock
from tests.events import in_base64
from tests.figures import Figures
from tests.handlers import APP, REGISTRY, Api
from tests.monitor import Monitor
from tests.pages import all_pages
from tests.servers import BINARIES, REAL, Server, Servers

IP = "192.0.2.7"
LAMBDA_BYTES = 6_291_556
SCRIPTS = [path.stem for path in (ROOT / "layers/sessions/rest_sessions/store/lua").glob("*_*.lua")]
MANY = 10_000

ON_REAL_SERVERS = pytest.mark.parametrize("server", REAL, indirect=True)
ON_STANDALONE_SERVERS = pytest.mark.parametrize("server", BINARIES, indirect=True)


@pytest.fixture(scope="module")
def stacks() -> list[Stack]:
    return read_template()


@pytest.fixture
def api(server: Server, namespace: str, stacks: list[Stack], monkeypatch) -> Iterator[Api]:
    """The handlers, connected to the server, in a namespace of their own."""
    environment = {
        **server.environment,
        "NAMESPACE": namespace,
        "API_KEYS": REGISTRY,
        "AUTH_MODE": "token",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    runtime.open_store.cache_clear()
    yield Api(load_handlers(stacks))
    runtime.open_store.cache_clear()


class CommandCollector:
    """A fake client that collects the commands of many calls, to send them in few round trips."""

    def __init__(self) -> None:
        self._commands: list[Any] = []

    def run(self, *commands: Any, **_: Any) -> list[Any]:
        self._commands += commands
        # That of `create`, in a partition that has an epoch.
        return [[OK, 0]] * len(commands)

    def send(self, client: Client, at_once: int = 500) -> None:
        for start in range(0, len(self._commands), at_once):
            client.run(*self._commands[start : start + at_once])


def create_many(
    store: SessionStore, ids: Sequence[str], data: Mapping[str, str] | None = None, app: str = APP, ttl: int = 7200
) -> None:
    """Creates a session for each of `ids`. Its `ip` is its index in `ids`."""
    collector = CommandCollector()
    creating = SessionStore(collector, store._keys.namespace, store._clock)
    for number, id in enumerate(ids):
        creating.create_session(app, id, str(number), Timeouts(ttl), data)
    collector.send(store._client, 1 if data else 500)


@pytest.fixture
def filled(server: Server, namespace: str) -> SessionStore:
    """A store on the same server and in the same namespace as `api`."""
    return SessionStore(Client(server.settings(namespace)), namespace)


def body_of(size: int) -> bytes:
    text = '{{"k":"{}"}}'.format("딸" * ((size - 8) // 3)).encode()
    return text + b" " * (size - len(text))


def plain(body: bytes) -> dict[str, Any]:
    return {"body": body.decode(), "isBase64Encoded": False}


def session_of(api: Api, token: str) -> dict[str, Any]:
    """The session without the fields that a read changes."""
    session = api.ask("get_session", path={"token": token})
    return {part: value for part, value in session.items() if part not in ("r", "idle")}


@pytest.mark.parametrize("encoded", [plain, in_base64])
def test_the_largest_body(api: Api, encoded: Callable[[bytes], dict[str, Any]]) -> None:
    largest = body_of(MAX_BODY_BYTES)
    token = api.create(**encoded(largest))
    session = session_of(api, token)
    assert session["d"] == json.loads(largest)
    assert api.ask("set_session", path={"token": token}, **encoded(largest))["d"] == session["d"]
    refusal = {"name": "tooLarge", "message": "The body must be at most 262144 bytes"}
    for name in ("create_session", "set_session"):
        assert api.ask(name, 413, path={"token": token}, **encoded(body_of(MAX_BODY_BYTES + 1))) == refusal
    assert session_of(api, token) == session | {"w": 2}
    assert len(api.ask("list_sessions_of_app")["sessions"]) == 1


def test_the_most_keys(api: Api) -> None:
    full = {f"k{i}": i for i in range(MAX_KEYS)}
    token = api.create(body=json.dumps(full))
    refusal = {"name": "tooLarge", "message": "A session's data must have at most 512 keys"}
    too_many = {"name": "tooLarge", "message": "The body must have at most 512 keys"}
    assert api.ask("create_session", 413, body=json.dumps(full | {"k512": 1})) == too_many
    assert api.ask("set_session", 413, path={"token": token}, body='{"k0": "new", "k512": 1}') == refusal
    session = session_of(api, token)
    assert (session["d"], session["w"]) == (full, 1)
    written = api.ask("set_session", path={"token": token}, body='{"k0": "new", "k1": null, "k512": 1}')
    assert (len(written["d"]), written["d"]["k0"]) == (MAX_KEYS, "new")
    assert len(api.ask("list_sessions_of_app")["sessions"]) == 1


def test_the_most_bytes_of_data(api: Api) -> None:
    """The bytes include the two of a key's prefix in Redis and a string's quotes. Characters count as UTF-8."""
    token = {"token": api.create(body=None)}
    data = {f"k{i:02}": "딸" * 16_664 + "x" for i in range(20)}
    assert sum(len(f'd:{key}"{text}"'.encode()) for key, text in data.items()) == MAX_DATA_BYTES
    for key, text in data.items():
        api.call("set_session", path=token, body=json.dumps({key: text}, ensure_ascii=False))
    session = session_of(api, token["token"])
    assert (session["d"], session["w"]) == (data, 21)
    refusal = {"name": "tooLarge", "message": "A session's data must be at most 1000000 bytes"}
    for more in ({"k00": data["k00"] + "x"}, {"k20": 1}, {"k00": "", "k20": data["k00"] + "x" * 9}):
        assert api.ask("set_session", 413, path=token, body=json.dumps(more, ensure_ascii=False)) == refusal
    assert session_of(api, token["token"]) == session
    api.call("set_session", path=token, body='{"k00": null, "k20": 1}')


def pages(api: Api, function: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """The sessions of a listing, page by page. Checks that each answer fits into Lambda's limit."""
    cursor = None
    while True:
        response = api.call(function, query={"limit": None, "cursor": cursor, **query})
        assert max(len(json.dumps(response)), len(json.dumps(response, ensure_ascii=False).encode())) < LAMBDA_BYTES
        page = json.loads(response["body"])
        yield page["sessions"]
        cursor = page.get("next")
        if cursor is None:
            return


def numbers(listed: Iterator[list[dict[str, Any]]]) -> list[int]:
    """The numbers that `create_many` gave to the listed sessions."""
    return sorted(int(session["ip"]) for page in listed for session in page)


LISTINGS = pytest.mark.parametrize("function", ["list_sessions_of_id", "list_sessions_of_app"])
USER = "user@example.com"


@ON_REAL_SERVERS
@LISTINGS
def test_the_largest_page(api: Api, filled: SessionStore, function: str) -> None:
    create_many(filled, [USER] * (2 * MAX_LIMIT + 1))
    listed = list(pages(api, function, limit=str(MAX_LIMIT)))
    assert [len(page) for page in listed] == [MAX_LIMIT, MAX_LIMIT, 1]
    assert numbers(iter(listed)) == list(range(2 * MAX_LIMIT + 1))


@ON_REAL_SERVERS
@LISTINGS
@pytest.mark.parametrize("character", ["x", "é", "딸", "🍓", "\\\\", '\\"', "\\u0001"])
def test_pages_of_the_largest_sessions(api: Api, filled: SessionStore, function: str, character: str) -> None:
    """However long their texts become as JSON inside JSON."""
    text = '"' + character * ((MAX_DATA_BYTES - 5) // len(character.encode())) + '"'
    create_many(filled, [USER] * 8, {"k": text})
    listed = list(pages(api, function))
    assert numbers(iter(listed)) == list(range(8))
    assert all(listed)
    # An answer has room for five million bytes, so for fewer sessions if escaping makes their texts longer.
    assert len(listed) == 2 or (character != "x" and len(listed) <= 8)


@ON_REAL_SERVERS
def test_ten_thousand_sessions_of_one_user(api: Api, filled: SessionStore) -> None:
    create_many(filled, [USER] * MANY)
    filled.create_session(APP, "another", IP)
    assert api.ask("count_active_users") == {"activity": 2}
    for query in ({"limit": str(MAX_LIMIT)}, {}):
        assert numbers(pages(api, "list_sessions_of_id", **query)) == list(range(MANY))
    assert api.ask("kill_sessions_of_id") == {"kill": MANY}
    assert api.ask("count_active_users") == {"activity": 1}
    assert api.ask("list_sessions_of_id") == {"sessions": []}
    assert api.ask("kill_sessions_of_app") == {"kill": 1}
    assert api.ask("count_active_users") == {"activity": 0}


def ask_for_everything(store: SessionStore, app: str = APP) -> None:
    for listing in (
        lambda after: store.list_sessions_of_app(app, 10**9, None, after),
        lambda after: store.list_sessions_of_id(app, USER, None, after),
    ):
        for _ in all_pages(listing):
            pass
    store.count_active_users(app, 10**9)


# How many index entries or sessions one script may touch, and how many commands it may run.
MAX_MEMBERS = 5_000
MAX_COMMANDS = 1_000
# How many bytes, and how many texts (fields and values), one script may read. It completes the last session.
MAX_BYTES_READ = 500_000
MAX_TEXTS_READ = 20_000


@ON_STANDALONE_SERVERS
def test_the_work_of_a_script_is_bounded(server: Server, namespace: str, clock: Clock) -> None:
    """Counts the commands of each script, and the index members that each command takes or returns. Time would depend
    on the machine. There are more sessions than any script may touch.
    """
    store = SessionStore(Client(server.settings(namespace)), namespace, clock)
    many = [USER] * (MAX_MEMBERS + 500) + [f"user{i}" for i in range(1000)]
    # The first run loads the scripts, so that MONITOR shows no script text in the second. Few sessions need no script.
    for ids in ([*[USER] * 10, "another"], many):
        create_many(store, ids)
        create_many(store, ids, app="killed")
        monitor = Monitor(server)
        ask_for_everything(store)
        store.kill_sessions_of_id("killed", USER)
        store.kill_sessions_of_app("killed")
        clock.now += 7201
        assert store.sweep_expired().total == len(ids)
        watched = monitor.stop()

    sent = [command for client_type, command in watched if client_type != "lua"]
    assert len(sent) > 200
    in_script = 0
    for client_type, command in watched:
        in_script = in_script + 1 if client_type == "lua" else 0
        assert in_script <= MAX_COMMANDS, command[:3]
        assert members(command) <= MAX_MEMBERS, command[:3]


def members(command: list[str]) -> int:
    """How many members of a set, or fields of a hash, a command may take or return."""
    match command:
        case ["ZREVRANGE", _, first, last, *_]:
            return int(last) - int(first) + 1
        case ["ZRANGEBYLEX" | "ZRANGEBYSCORE", *_, "LIMIT", _, count]:
            return int(count)
        case ["EVAL" | "EVALSHA", _, keys, *_]:
            return int(keys)
        case ["SMEMBERS", *_]:
            # The names of apps.
            return 0
    assert "RANGE" not in command[0], command
    return len(command)


@pytest.fixture
def replies(filled: SessionStore, monkeypatch) -> list[Any]:
    """The server's replies to the commands of `filled`."""
    run = filled._client.run
    replies: list[Any] = []

    def watched(*commands: Any, **options: Any) -> list[Any]:
        answers = run(*commands, **options)
        replies.extend(answers)
        return answers

    monkeypatch.setattr(filled._client, "run", watched)
    return replies


def texts_of(reply: Any) -> Iterator[bytes]:
    """All texts in a reply, at any depth."""
    if isinstance(reply, list):
        for part in reply:
            yield from texts_of(part)
    elif isinstance(reply, bytes):
        yield reply


@ON_REAL_SERVERS
def test_a_script_reads_at_most_its_limit_of_bytes_and_a_session(filled: SessionStore, replies: list[Any]) -> None:
    create_many(filled, [USER] * 12, {"k": '"' + "x" * (MAX_DATA_BYTES - 5) + '"'})
    ask_for_everything(filled)
    most = max(sum(map(len, texts_of(reply))) for reply in replies)
    assert MAX_DATA_BYTES < most < MAX_BYTES_READ + MAX_DATA_BYTES + 1000


@ON_STANDALONE_SERVERS
def test_a_script_reads_at_most_its_limit_of_texts_and_a_session(filled: SessionStore, replies: list[Any]) -> None:
    """However short a text is, it costs a string in the script and another in the reply."""
    create_many(filled, [USER] * 60, {f"k{i}": "1" for i in range(MAX_KEYS)})
    ask_for_everything(filled)
    most = max(sum(1 for _ in texts_of(reply)) for reply in replies)
    assert most < MAX_TEXTS_READ + 2 * MAX_KEYS + 16


@pytest.mark.parametrize("name", BINARIES)
def test_the_longest_command(name: str, soak: bool, figures: Figures, namespace: str) -> None:
    """How long clients that ask for everything block Redis. It is only a figure, because it depends on the machine."""
    if not soak:
        pytest.skip("a figure of make soak")
    with Servers() as servers:
        server = servers.get(name)
        store = SessionStore(Client(server.settings(namespace)), namespace)
        expired = SessionStore(store._client, namespace, Clock(store._clock() - 100))
        users = [f"user{i}" for i in range(5_000)] * 4 + [USER] * MANY
        create_many(store, users)
        create_many(store, users, app="killed")
        create_many(store, users, app="capped")
        create_many(expired, users, app="expired", ttl=10)
        create_many(store, [USER] * 20, {"k": '"' + "x" * (MAX_DATA_BYTES - 5) + '"'}, app="large")
        create_many(store, [USER] * 500, {f"k{i}": "1" for i in range(MAX_KEYS)}, app="many-keys")
        large = store.create_session(APP, USER, IP, data={f"k{i}": '"' + "x" * 49_000 + '"' for i in range(20)}).token
        small = store.create_session(APP, "small", IP).token

        def ask() -> None:
            for app in (APP, "large", "many-keys"):
                ask_for_everything(store, app)

        def use() -> None:
            for i in range(300):
                store.set_session(APP, large, {f"k{i % 20}": '"' + "y" * 49_000 + '"'})
                store.get_session(APP, large)

        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                assert store.get_session(APP, small)

        with server.connect() as client:
            client.config_set("slowlog-log-slower-than", 500)
            client.config_set("slowlog-max-len", 1_000_000)
            client.slowlog_reset()
            calls = [
                *[ask] * 3,
                use,
                lambda: store.create_session("capped", USER, IP, cap=Cap(1)),
                lambda: store.kill_sessions_of_id("killed", USER),
                lambda: store.kill_sessions_of_app("killed"),
                store.sweep_expired,
            ]
            with ThreadPoolExecutor(len(calls) + 2, initializer=pin_to_one_core) as pool:
                readers = [pool.submit(read) for _ in range(2)]
                for future in [pool.submit(call) for call in calls]:
                    future.result()
                done.set()
                for reader in readers:
                    reader.result()
            under_load = longest_command(client)
            # The minimum of several runs contains the least delay of the machine itself.
            alone = min(longest_command(client) for _ in range(5) if not ask())
    figures.add(
        f"Longest command while clients on another core ask for everything, {name}",
        "{:.1f} ms ({})".format(*under_load),
        "under 5 ms",
        kept=under_load[0] < 5,
    )
    figures.add(
        f"Longest command while one client asks for everything, {name}",
        "{:.1f} ms ({})".format(*alone),
        "under 5 ms",
        kept=alone[0] < 5,
    )


def pin_to_one_core() -> None:
    """Pins the calling thread to one core, if the system can do that. So the server has another core to itself, as on a
    machine of its own. SLOWLOG includes the time that a command waits for its core.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def longest_command(client: Any) -> tuple[float, str]:
    """The milliseconds and the name of the longest command in SLOWLOG. Clears SLOWLOG."""
    longest = max(client.slowlog_get(1_000_000), key=lambda entry: entry["duration"])
    client.slowlog_reset()
    words = [*longest["command"].decode(errors="replace").split(), ""]
    of_scripts = {load_script(name).sha: name for name in SCRIPTS}
    return longest["duration"] / 1000, of_scripts.get(words[1], words[0])
