"""What a server, or the way to it, can do to calls that go on.

Of each fault the same is asked: every call ends in time, as what it should be or as StoreUnavailable; the first one
after it works, in the same process; what was answered holds.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self
from urllib.parse import urlsplit

import pytest
import redis

from dev.embedded_store import LOOPBACK, server_process
from rest_sessions.client import Client
from rest_sessions.settings import Settings
from rest_sessions.store import SessionStore
from tests.histories import APP, IP, Call, Players, violations
from tests.proxy import Proxy, byte_by_byte, cut_in_the_middle, late, proxy_to, swallow
from tests.servers import BINARIES, binary_of

# Within which every call has to end.
SECONDS = 5.0
THREADS = 3


class Load:
    """Players at work on stores while a test does harm, and what became of their calls."""

    def __init__(self, stores: list[SessionStore]) -> None:
        self._players = Players(stores, seed=0)
        self._thread = threading.Thread(target=self._players.play)

    def __enter__(self) -> Self:
        self._thread.start()
        self.go_on(50)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._players.stop()
        self._thread.join()

    def go_on(self, calls: int, *, until: Callable[[list[Call]], bool] = lambda ended: True) -> list[Call]:
        """Waits until so many calls have begun and ended, and what `until` says of them; those calls."""
        begin = time.monotonic()
        while True:
            ended = [call for call in list(self._players.calls) if call.begin > begin]
            if len(ended) >= calls and until(ended):
                return ended
            assert time.monotonic() < begin + 60, "the calls do not come to an end"
            time.sleep(0.02)

    def settle(self, *, exact: bool) -> None:
        """After the load: reads each session, and holds the whole history against the contract."""
        self._players.read_all()
        calls = self._players.calls
        assert max(call.end - call.begin for call in calls) < SECONDS
        assert violations(calls, exact=exact) == []


def failures(calls: list[Call]) -> int:
    return sum(call.failed for call in calls)


def stores_at(port: int, namespace: str) -> list[SessionStore]:
    settings = Settings(f"redis://{LOOPBACK}:{port}", False, namespace, False)
    return [SessionStore(Client(settings), namespace) for _ in range(THREADS)]


@pytest.fixture(params=BINARIES)
def binary(request: pytest.FixtureRequest) -> str:
    return binary_of(request.param)


@pytest.fixture
def port(binary: str) -> Iterator[int]:
    """The port of a server of the test's own."""
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
def replies(proxy: Proxy, pass_on) -> Iterator[None]:
    before, proxy.pass_on = proxy.pass_on, pass_on
    yield
    proxy.pass_on = before


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
    "silent": lambda proxy: replies(proxy, swallow),
    "too slow": lambda proxy: replies(proxy, late(1.2)),
    "byte by byte": lambda proxy: replies(proxy, byte_by_byte),
    "cut in the middle of a reply": lambda proxy: replies(proxy, cut_in_the_middle),
    "frozen": frozen,
    "OOM": full,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_while_nothing_works(proxy, stores, fault) -> None:
    with Load(stores) as load:
        with FAULTS[fault](proxy):
            during = load.go_on(THREADS, until=failures)
        after = load.go_on(100)
    # Without memory, what frees some goes on; and who reads no session needs no reply of one.
    assert failures(during) == len(during) or fault == "OOM"
    assert failures(after) == 0
    load.settle(exact=False)


def test_slow(proxy, stores) -> None:
    with Load(stores) as load, replies(proxy, late(0.3)):
        during = load.go_on(2 * THREADS)
    assert failures(during) == 0
    load.settle(exact=True)


def test_scripts_are_flushed(admin, stores) -> None:
    with Load(stores) as load:
        for _ in range(50):
            admin.script_flush()
            load.go_on(1)
    load.settle(exact=True)


def test_connections_are_reset_while_idle(admin, proxy, stores) -> None:
    """As after a Lambda environment was frozen for longer than the server keeps an idle client."""
    tokens = [store.create_session(APP, "peter", IP, data={"k": "1"}) for store in stores]
    admin.config_set("timeout", 1)
    proxy.wait_for_no_connection()
    for store, token in zip(stores, tokens, strict=True):
        # Not even counted twice: what is sent on a connection that was closed does not reach the server.
        assert store.get_session(APP, token).r == 1
        assert store.get_session(APP, token).r == 2


def test_connections_are_reset_in_use(admin, proxy, stores) -> None:
    with Load(stores) as load:
        for _ in range(20):
            proxy.cut()
            load.go_on(5)
        after = load.go_on(50)
    assert failures(after) == 0
    load.settle(exact=False)


def test_a_server_that_dies_comes_back_and_loads_its_data(binary, namespace, tmp_path) -> None:
    keeps = ["--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always"]
    # It says that it is loading, and takes its time for each key.
    slowly = ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"]
    with (
        server_process(binary, *keeps) as url,
        proxy_to(urlsplit(url).port) as proxy,
        redis.Redis.from_url(url) as dying,
        Load(stores_at(proxy.port, namespace)) as load,
    ):
        dying.mset({f"filler{number}": os.urandom(1024) for number in range(100)})
        dying.bgrewriteaof()
        load.go_on(100, until=lambda _: not dying.info("persistence")["aof_rewrite_in_progress"])
        os.kill(dying.info("server")["process_id"], signal.SIGKILL)
        load.go_on(THREADS, until=failures)
        with server_process(binary, *keeps, *slowly) as again, redis.Redis.from_url(again) as loading:
            proxy.target = urlsplit(again).port
            assert loading.info("persistence")["loading"]
            assert failures(load.go_on(THREADS, until=failures))
            load.go_on(1, until=lambda _: not loading.info("persistence")["loading"])
            assert failures(load.go_on(100)) == 0
            load.stop()
            load.settle(exact=False)
