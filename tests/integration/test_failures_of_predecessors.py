"""The thirteen known failures of rest-sessions and redis-sessions, in the contract's order. This service has none."""

import inspect
import random
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from dev.embedded_store import server_process
from rest_sessions.connection.client import Client
from rest_sessions.errors import InvalidFormat, InvalidValue, StoreUnavailable
from rest_sessions.http.parameters import parse_id, parse_timeouts
from rest_sessions.model import Timeouts
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore
from tests.conftest import Clock, Dev
from tests.events import WORDS_BEFORE_TOKEN
from tests.leftovers import left_after_sweep
from tests.servers import CLUSTERS, Servers, binary_of

APP = "webapp"
IP = "192.0.2.7"


def test_01_lost_updates(real_store: SessionStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in range(100):
            token = real_store.create_session(APP, "peter", IP).token
            list(pool.map(lambda i, token=token: real_store.set_session(APP, token, {f"k{i}": "1"}), range(4)))
            assert len(real_store.get_session(APP, token).data) == 4


def test_02_ghosts(real_store: SessionStore, real_server, namespace, clock: Clock) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in range(50):
            token = real_store.create_session(APP, "peter", IP).token
            uses = [pool.submit(real_store.get_session, APP, token) for _ in range(3)]
            uses.append(pool.submit(real_store.set_session, APP, token, {"a": "1"}))
            real_store.kill_session(APP, token)
            for use in uses:
                use.result()
            assert real_store.count_active_users(APP, 60) == 0
            assert left_after_sweep(real_store, real_server, namespace, clock) == set()


def test_03_predictable_tokens(store: SessionStore, monkeypatch) -> None:
    tokens = []
    for _ in range(2):
        random.seed(1)
        tokens.append(store.create_session(APP, "peter", IP).token)
    assert tokens[0][2:] != tokens[1][2:]
    drawn = []
    system = secrets.token_bytes
    monkeypatch.setattr(secrets, "token_bytes", lambda n: drawn.append(n) or system(n))
    store.create_session(APP, "peter", IP)
    assert sum(drawn) * 8 >= 128


def test_04_no_resave_drifts(store: SessionStore, clock: Clock) -> None:
    token = store.create_session(APP, "peter", IP, Timeouts(3600, no_resave=True)).token
    clock.now += 1
    assert {store.get_session(APP, token).ttl for _ in range(300)} == {3599}
    clock.now += 3599
    assert store.get_session(APP, token).ttl == 0


@pytest.mark.parametrize("id", ["a:b", ":", "a:", ":a", "a:b:c"])
def test_05_colon_in_an_id(store: SessionStore, clock: Clock, keys, id) -> None:
    store.create_session(APP, id, IP)
    assert store.kill_sessions_of_app(APP) == 1
    assert store.count_active_users(APP, 60) == 0
    store.create_session(APP, id, IP, Timeouts(10))
    clock.now += 61
    assert store.sweep_expired().total == 1
    assert keys() == set()


def test_06_killall_during_create(real_store: SessionStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            creates = [pool.submit(real_store.create_session, APP, "peter", IP) for _ in range(8)]
            real_store.kill_sessions_of_app(APP)
            alive = [create for create in creates if real_store.get_session(APP, create.result().token)]
            assert len(real_store.list_sessions_of_app(APP, 60).sessions) == len(alive)
            real_store.kill_sessions_of_app(APP)


def test_07_kill_counts_as_a_read(real_store: SessionStore, real_server) -> None:
    """A kill only removes: none of its commands adds or sets a value."""
    token = real_store.create_session(APP, "peter", IP).token
    before = commands(real_server)
    real_store.kill_session(APP, token)
    after = commands(real_server)
    assert {name for name, calls in after.items() if calls > before.get(name, 0)}.isdisjoint(
        {"zadd", "hset", "hincrby"}
    )


def commands(server) -> dict[str, int]:
    """How often each command ran, on all nodes."""
    calls: dict[str, int] = {}
    with server.connect() as client:
        nodes = client.get_primaries() if server.is_cluster else [None]
        for node in nodes:
            info = client.info("commandstats", **({"target_nodes": node} if node else {}))
            for name, stats in info.items():
                command = name.removeprefix("cmdstat_")
                calls[command] = calls.get(command, 0) + stats["calls"]
    return calls


def test_08_the_sweep_kills_a_used_session(store: SessionStore, clock: Clock) -> None:
    """At the boundary the sweep and a read agree that a session is alive. The sweep checks it again before removal."""
    token = store.create_session(APP, "peter", IP, Timeouts(10)).token
    clock.now += 10
    assert store.sweep_expired().total == 0
    assert store.get_session(APP, token)
    clock.now += 11
    used_meanwhile = SessionStore(store._client, store._keys.namespace, Clock(clock.now - 1))
    run = store._client.run

    def use_between_look_and_kill(*commands):
        replies = run(*commands)
        if commands[0][0] == "ZRANGEBYSCORE":
            store._client.run = run
            assert used_meanwhile.get_session(APP, token)
        return replies

    store._client.run = use_between_look_and_kill
    assert store.sweep_expired().total == 0
    assert store.get_session(APP, token)


def test_09_an_id_that_blocks_the_server() -> None:
    for id in ("x" * 100_000, "x" * 127 + "\n", "\n" * 100_000):
        with pytest.raises(InvalidFormat):
            parse_id(id)


@pytest.mark.parametrize("ttl", ["3600abc", "1e5", "3600 ", "0x10", "", "99999999999999999999", "34560001"])
def test_10_text_as_ttl(ttl) -> None:
    if ttl == "":
        assert parse_timeouts(ttl, None, None).ttl == 7200
    else:
        with pytest.raises(InvalidValue):
            parse_timeouts(ttl, None, None)


@pytest.mark.parametrize("name", CLUSTERS)
def test_11_cluster(servers: Servers, namespace, clock: Clock, name) -> None:
    server = servers.get(name)
    store = SessionStore(Client(server.settings(namespace)), namespace, clock)
    tokens = [store.create_session(APP, f"user{i}", IP, Timeouts(10)).token for i in range(100)]
    assert all(store.get_session(APP, token) for token in tokens)
    assert store.count_active_users(APP, 60) == len(store.list_sessions_of_app(APP, 60).sessions) == 100
    with server.connect() as client:
        slots = {client.keyslot(key) for key in server.keys(namespace)}
    assert len(slots) == 16 + 1
    assert store.kill_session(APP, tokens[0]) == store.kill_sessions_of_id(APP, "user1") == 1
    clock.now += 11
    assert store.sweep_expired().total == 98
    assert server.keys(namespace) == set()


def test_12_redis_goes_away(namespace) -> None:
    binary = binary_of("redis-server")
    with server_process(binary) as url:
        store = SessionStore(Client(Settings(url, False, namespace, False)), namespace)
        store.create_session(APP, "peter", IP)
    with pytest.raises(StoreUnavailable):
        store.create_session(APP, "peter", IP)
    with server_process(binary, port=urlsplit(url).port):
        assert store.get_session(APP, store.create_session(APP, "peter", IP).token)


def test_13_tokens_in_the_log(servers: Servers, namespace) -> None:
    """The tests of the store check that Redis holds no token. Access is tested elsewhere, so this needs no keys."""
    dev = Dev(
        {"REDIS_URL": servers.get("fakeredis").url, "NAMESPACE": namespace, "POWERTOOLS_METRICS_DISABLED": "false"}
    )
    secret = "a-datum-nobody-should-see"
    with httpx.Client(base_url=dev.url) as http:
        token = http.put(f"/{APP}/create/peter", params={"ip": IP}, json={"k": secret}).json()["token"]
        http.get(f"/{APP}/get/{token}")
        http.post(f"/{APP}/set/{token}", json={"k": [secret]})
        http.post(f"/{APP}/set/{token}x", json={"k": secret})
        http.get(f"/no-such-route/{token}/x/y")
        http.delete(f"/{APP}/kill/{token}")
        http.get(f"/{APP}/get/{token}")
    output = dev.stop()
    assert "SessionsCreated" in output
    assert token[:16] not in output
    assert secret not in output
    assert not any(f"/{word}/" in output for word in (*WORDS_BEFORE_TOKEN, "create"))


def test_each_of_the_thirteen_has_its_test() -> None:
    numbers = [
        name[5:7] for name, _ in inspect.getmembers(inspect.getmodule(commands)) if re.match(r"test_\d\d_", name)
    ]
    assert numbers == [f"{n:02}" for n in range(1, 14)]
