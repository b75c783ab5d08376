"""Faults of a server, or of the connection to it, while calls run.

For each fault, the tests require the same: every call ends in time, with the correct answer or with StoreUnavailable;
the first call after the fault works, in the same process; and what was answered stays true.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from dev.embedded_store import LOOPBACK, free_port, server_process
from rest_sessions.connection.client import Client
from rest_sessions.errors import StoreUnavailable
from rest_sessions.model import Cap, Login
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore
from tests.histories import APP, IP
from tests.load import Load, failures, port_of
from tests.proxy import Proxy, byte_by_byte, cut_in_half, delayed, drop, forward, proxy_to
from tests.servers import BINARIES, binary_of
from tests.waiting import wait_until

THREADS = 3


def stores_at(port: int, namespace: str) -> list[SessionStore]:
    settings = Settings(f"redis://{LOOPBACK}:{port}", False, namespace, False)
    return [SessionStore(Client(settings), namespace) for _ in range(THREADS)]


@pytest.fixture(params=BINARIES)
def binary(request: pytest.FixtureRequest) -> str:
    return binary_of(request.param)


@pytest.fixture
def port(binary: str) -> Iterator[int]:
    """The port of a server that only this test uses."""
    with server_process(binary) as url:
        yield urlsplit(url).port


@pytest.fixture
def admin(port: int) -> Iterator[redis.Redis]:
    with redis.Redis(LOOPBACK, port) as client:
        yield client


@pytest.fixture
def proxy(port: int) -> Iterator[Proxy]:
    with proxy_to(port) as proxy:
        yield proxy


@pytest.fixture
def stores(proxy: Proxy, namespace: str) -> list[SessionStore]:
    return stores_at(proxy.port, namespace)


@contextlib.contextmanager
def replies(proxy: Proxy, on_reply) -> Iterator[None]:
    before, proxy.on_reply = proxy.on_reply, on_reply
    yield
    proxy.on_reply = before


@contextlib.contextmanager
def refused(proxy: Proxy) -> Iterator[None]:
    proxy.refuse()
    yield
    proxy.accept()


@contextlib.contextmanager
def frozen(proxy: Proxy) -> Iterator[None]:
    with redis.Redis(LOOPBACK, proxy.target) as client:
        process = client.info("server")["process_id"]
    os.kill(process, signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@contextlib.contextmanager
def full(proxy: Proxy) -> Iterator[None]:
    with redis.Redis(LOOPBACK, proxy.target) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


FAULTS = {
    "refused": refused,
    "silent": lambda proxy: replies(proxy, drop),
    "too slow": lambda proxy: replies(proxy, delayed(1.2)),
    "byte by byte": lambda proxy: replies(proxy, byte_by_byte),
    "cut in the middle of a reply": lambda proxy: replies(proxy, cut_in_half),
    "frozen": frozen,
    "OOM": full,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_calls_during_a_fault(proxy, stores, fault) -> None:
    with Load(stores) as load:
        with FAULTS[fault](proxy):
            during = load.wait_for_calls(THREADS, until=failures)
        after = load.wait_for_calls(100)
    # With full memory, kills still work, and so do calls that find no session, because they write nothing.
    assert failures(during) == len(during) or fault == "OOM"
    assert failures(after) == 0
    load.check_history(exact=False)


def test_a_full_server_takes_nothing_new_and_still_ends_sessions(proxy, stores) -> None:
    store = stores[0]
    killed, kept = (store.create_session(APP, "peter", IP).token for _ in range(2))
    needs_memory = [
        lambda: store.create_session(APP, "peter", IP),
        lambda: store.create_session(APP, "peter", IP, cap=Cap(5)),
        lambda: store.create_session(APP, "peter", IP, login=Login(kept)),
        lambda: store.set_session(APP, kept, {"a": "1"}),
        lambda: store.get_session(APP, kept),
    ]
    with full(proxy):
        for call in needs_memory:
            with pytest.raises(StoreUnavailable):
                call()
        assert not store.get_session(APP, kept, peek=True).closed
        assert store.kill_session(APP, killed) == 1
        assert store.kill_sessions_of_app(APP) == 1
    assert store.get_session(APP, kept) is None


def test_a_slow_server(proxy, stores) -> None:
    with Load(stores) as load, replies(proxy, delayed(0.3)):
        during = load.wait_for_calls(2 * THREADS)
    assert failures(during) == 0
    load.check_history(exact=True)


def test_scripts_are_flushed(admin, stores) -> None:
    with Load(stores) as load:
        for _ in range(50):
            admin.script_flush()
            load.wait_for_calls(1)
    load.check_history(exact=True)


def test_connections_are_reset_while_idle(admin, proxy, stores) -> None:
    """As when a Lambda environment was frozen for longer than the server's timeout for idle clients."""
    tokens = [store.create_session(APP, "peter", IP, data={"k": "1"}).token for store in stores]
    admin.config_set("timeout", 1)
    proxy.wait_for_no_connection()
    for store, token in zip(stores, tokens, strict=True):
        # The read is not even counted twice: what is sent on a closed connection does not reach the server.
        assert store.get_session(APP, token).r == 1
        assert store.get_session(APP, token).r == 2


def test_connections_are_reset_in_use(admin, proxy, stores) -> None:
    with Load(stores) as load:
        for _ in range(20):
            proxy.cut()
            load.wait_for_calls(5)
        after = load.wait_for_calls(50)
    assert failures(after) == 0
    load.check_history(exact=False)


def test_a_killed_server_restarts_with_all_that_it_answered(binary, namespace, tmp_path) -> None:
    persistent = ["--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always"]
    with (
        server_process(binary, *persistent) as url,
        proxy_to(urlsplit(url).port) as proxy,
        redis.Redis.from_url(url) as dying,
        Load(stores_at(proxy.port, namespace)) as load,
    ):
        os.kill(dying.info("server")["process_id"], signal.SIGKILL)
        load.wait_for_calls(THREADS, until=failures)
        with server_process(binary, *persistent) as again:
            proxy.target = urlsplit(again).port
            load.wait_for_calls(1, until=lambda ended: not ended[-1].failed)
            assert failures(load.wait_for_calls(100)) == 0
            load.stop()
            load.check_history(exact=False)


def test_a_server_that_loads_its_data(binary, namespace, tmp_path) -> None:
    # The server loads slowly, key by key, and answers LOADING meanwhile.
    slowly = ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"]
    persistent = ["--dir", str(tmp_path)]
    with (
        server_process(binary, *persistent) as url,
        proxy_to(urlsplit(url).port) as proxy,
        redis.Redis.from_url(url) as ending,
        Load(stores_at(proxy.port, namespace)) as load,
    ):
        ending.mset({f"filler{number}": os.urandom(1024) for number in range(100)})
        ending.shutdown(save=True)
        load.wait_for_calls(THREADS, until=failures)
        with server_process(binary, *persistent, *slowly) as again, redis.Redis.from_url(again) as loading:
            proxy.target = urlsplit(again).port
            assert loading.info("persistence")["loading"]
            assert failures(load.wait_for_calls(THREADS, until=failures))
            load.wait_for_calls(1, until=lambda _: not loading.info("persistence")["loading"])
            assert failures(load.wait_for_calls(100)) == 0
            load.stop()
            load.check_history(exact=False)


class TestResentCall:
    """The reply to the first attempt is dropped. The second attempt is answered."""

    @pytest.fixture
    def store(self, stores) -> SessionStore:
        """The server has loaded its scripts, so that the first attempt takes effect."""
        store = stores[0]
        token = store.create_session(APP, "warm", IP).token
        store.set_session(APP, token, {"k": "1"})
        store.kill_session(APP, token)
        store.create_session(APP, "warm", IP)
        store.kill_sessions_of_id(APP, "warm")
        return store

    @pytest.fixture
    def drop_next(self, proxy) -> Callable[[], None]:
        def drop_next() -> None:
            def drop_and_recover(client: socket.socket, reply: bytes) -> None:
                proxy.on_reply = forward

            proxy.on_reply = drop_and_recover

        return drop_next

    def test_of_create_makes_one_session(self, store, drop_next) -> None:
        drop_next()
        token = store.create_session(APP, "peter", IP, data={"k": "1"}).token
        [session] = store.list_sessions_of_id(APP, "peter").sessions
        assert (session.r, session.w, session.data) == (1, 1, {"k": "1"})
        assert store.get_session(APP, token).data == session.data
        assert store.kill_sessions_of_app(APP) == 1

    def test_of_create_makes_its_session_again_if_it_was_killed_between_the_attempts(
        self, store, proxy, admin, namespace
    ) -> None:
        [direct] = stores_at(port_of(admin), namespace)[:1]
        killed = []

        def kill_and_drop(client: socket.socket, reply: bytes) -> None:
            proxy.on_reply = forward
            killed.append(direct.kill_sessions_of_id(APP, "peter"))

        proxy.on_reply = kill_and_drop
        token = store.create_session(APP, "peter", IP).token
        assert killed == [1]
        # As if the create had come after the kill, which has counted a session that nobody was told of.
        assert store.get_session(APP, token).r == 1
        assert store.kill_sessions_of_id(APP, "peter") == 1

    def test_of_set_loses_no_key(self, store, drop_next) -> None:
        token = store.create_session(APP, "peter", IP, data={"k": "1", "l": "1"}).token
        drop_next()
        assert store.set_session(APP, token, {"l": None, "m": "2"}).data == {"k": "1", "m": "2"}
        assert store.get_session(APP, token).data == {"k": "1", "m": "2"}

    def test_of_a_kill_ends_the_session_but_may_not_count_it(self, store, drop_next) -> None:
        for kill in (
            lambda token: store.kill_session(APP, token),
            lambda _: store.kill_sessions_of_id(APP, "peter"),
        ):
            token = store.create_session(APP, "peter", IP).token
            drop_next()
            assert kill(token) in (0, 1)
            assert store.get_session(APP, token) is None
            assert store.count_active_users(APP, 60) == 0

    def test_of_create_makes_one_session_though_both_replies_are_lost(self, proxy, store) -> None:
        proxy.on_reply = drop
        with pytest.raises(StoreUnavailable):
            store.create_session(APP, "peter", IP)
        proxy.on_reply = forward
        assert len(store.list_sessions_of_id(APP, "peter").sessions) == 1


def test_an_abandoned_attempt_is_not_sent_later(proxy, stores) -> None:
    """The first attempt of a `create` is held up. The second is answered, and the session is killed. If the first
    attempt then reached the server, the session would come back.
    """
    store = stores[0]
    release = proxy.hold_next()
    token = store.create_session(APP, "peter", IP, data={f"k{i}": '"' + "x" * 1000 + '"' for i in range(50)}).token
    assert store.kill_session(APP, token) == 1
    release.set()
    store._client._server.reset()
    proxy.wait_for_no_connection()
    assert store.get_session(APP, token) is None


def replicate(binary: str, stack: contextlib.ExitStack) -> tuple[redis.Redis, redis.Redis]:
    """A primary, and a replica that is in sync with it."""
    urls = [stack.enter_context(server_process(binary)) for _ in range(2)]
    primary, replica = (stack.enter_context(redis.Redis.from_url(url, decode_responses=True)) for url in urls)
    replica.replicaof(LOOPBACK, urlsplit(urls[0]).port)
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
    return primary, replica


def test_a_replica_is_promoted_and_its_primary_demoted(binary, namespace) -> None:
    with contextlib.ExitStack() as stack:
        old, new = replicate(binary, stack)
        proxy = stack.enter_context(proxy_to(port_of(old)))
        with Load(stores_at(proxy.port, namespace)) as load:
            # FAILOVER pauses clients until the replica has every write, so none is lost.
            old.execute_command("FAILOVER", "TO", LOOPBACK, port_of(new))
            wait_until(lambda: new.info("replication")["role"] == "master")
            assert failures(load.wait_for_calls(THREADS, until=failures))
            # As when the primary's name resolves to the new primary. Connections to the old one stay open.
            proxy.target = port_of(new)
            assert failures(load.wait_for_calls(100)) == 0
        load.check_history(exact=False)
        assert old.info("replication")["role"] == "slave"


def test_a_demoted_primary_that_fell_behind_is_not_used(binary, namespace) -> None:
    with contextlib.ExitStack() as stack:
        old, new = replicate(binary, stack)
        proxy = stack.enter_context(proxy_to(port_of(old)))
        connected = dict.fromkeys(("get", "set", "kill", "soid", "soapp", "activity", "killsoid", "killall"))
        for name in connected:
            [connected[name], *_] = stores_at(proxy.port, namespace)
            connected[name].ping()
        new.replicaof("NO", "ONE")
        old.replicaof(LOOPBACK, free_port())
        proxy.target = port_of(new)
        [store, *_] = stores_at(proxy.port, namespace)
        tokens = {id: store.create_session(APP, id, IP).token for id in ("peter", "paul", "mary")}
        assert connected["get"].get_session(APP, tokens["peter"])
        assert connected["set"].set_session(APP, tokens["peter"], {"k": "1"})
        assert len(connected["soid"].list_sessions_of_id(APP, "peter").sessions) == 1
        assert len(connected["soapp"].list_sessions_of_app(APP, 60).sessions) == 3
        assert connected["activity"].count_active_users(APP, 60) == 3
        assert connected["kill"].kill_session(APP, tokens["mary"]) == 1
        assert connected["killsoid"].kill_sessions_of_id(APP, "paul") == 1
        assert connected["killall"].kill_sessions_of_app(APP) == 1
