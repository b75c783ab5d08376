"""Concurrent calls, from real threads to real servers."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from rest_sessions.connection.client import Client
from rest_sessions.model import Timeouts
from rest_sessions.store.sessions import SessionStore
from tests.conftest import Clock
from tests.leftovers import left_after_sweep

APP = "webapp"
IP = "192.0.2.7"


def together(*calls: Callable[[], object]) -> list[object]:
    """The results of `calls`, which start at the same moment, each in its own thread."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def repeat(times: int, call: Callable[[], object]) -> Callable[[], list[object]]:
    return lambda: [call() for _ in range(times)]


def test_reads_are_counted_exactly(real_store: SessionStore) -> None:
    token = real_store.create_session(APP, "peter", IP).token
    answers = together(*[repeat(25, lambda: real_store.get_session(APP, token).r)] * 8)
    assert sorted(chain.from_iterable(answers)) == list(range(1, 201))


def test_parallel_sets_lose_nothing(real_store: SessionStore) -> None:
    for _ in range(25):
        token = real_store.create_session(APP, "peter", IP).token
        sets = [lambda token=token, i=i: real_store.set_session(APP, token, {f"k{i}": str(i)}).w for i in range(8)]
        writes = together(*sets)
        assert sorted(writes) == list(range(2, 10))
        assert real_store.get_session(APP, token).data == {f"k{i}": str(i) for i in range(8)}


@pytest.mark.parametrize("use", ["get", "set"])
@pytest.mark.parametrize("kill", ["kill", "killsoid", "killall"])
def test_a_use_during_a_kill_leaves_nothing_behind(
    real_store: SessionStore, real_server, namespace, clock, use, kill
) -> None:
    for _ in range(15):
        token = real_store.create_session(APP, "peter", IP).token
        uses = {
            "get": lambda token=token: real_store.get_session(APP, token),
            "set": lambda token=token: real_store.set_session(APP, token, {"a": "1"}),
        }
        kills = {
            "kill": lambda token=token: real_store.kill_session(APP, token),
            "killsoid": lambda: real_store.kill_sessions_of_id(APP, "peter"),
            "killall": lambda: real_store.kill_sessions_of_app(APP),
        }
        *_, killed = together(repeat(5, uses[use]), repeat(5, uses[use]), kills[kill])
        assert killed == 1
        assert real_store.count_active_users(APP, 60) == 0
        assert left_after_sweep(real_store, real_server, namespace, clock) == set()


def test_only_one_of_many_kills_counts(real_store: SessionStore) -> None:
    for _ in range(20):
        token = real_store.create_session(APP, "peter", IP).token
        assert sum(together(*[lambda token=token: real_store.kill_session(APP, token)] * 6)) == 1


@pytest.mark.parametrize("kill", ["killsoid", "killall"])
def test_a_session_created_during_killsoid_or_killall_is_killed_or_listed(real_store: SessionStore, kill) -> None:
    kills = {
        "killsoid": lambda: real_store.kill_sessions_of_id(APP, "peter"),
        "killall": lambda: real_store.kill_sessions_of_app(APP),
    }
    for _ in range(10):
        before = [real_store.create_session(APP, "peter", IP).token for _ in range(20)]
        creates = repeat(10, lambda: real_store.create_session(APP, "peter", IP).token)
        *created, killed = together(creates, creates, creates, kills[kill])
        created = list(chain.from_iterable(created))
        assert not any(real_store.get_session(APP, token) for token in before)
        alive = [token for token in created if real_store.get_session(APP, token)]
        assert killed == len(before) + len(created) - len(alive)
        assert len(real_store.list_sessions_of_id(APP, "peter").sessions) == len(alive)
        assert len(real_store.list_sessions_of_app(APP, 60).sessions) == len(alive)
        assert real_store.count_active_users(APP, 60) == bool(alive)
        kills[kill]()


def test_the_sweep_spares_a_session_that_a_read_keeps_alive(real_store: SessionStore, clock: Clock) -> None:
    for _ in range(15):
        token = real_store.create_session(APP, "peter", IP, Timeouts(10)).token
        clock.now += 10
        # The sweep's clock is a second ahead, as the clock of another machine may be.
        ahead = SessionStore(real_store._client, real_store._keys.namespace, Clock(clock.now + 1))
        read, _ = together(lambda token=token: real_store.get_session(APP, token), ahead.sweep_expired)
        assert bool(real_store.get_session(APP, token)) == bool(read)
        assert len(real_store.list_sessions_of_id(APP, "peter").sessions) == bool(read)
        real_store.kill_session(APP, token)


def test_a_create_while_the_sweep_forgets_its_app(real_store, real_server, namespace, clock) -> None:
    """The `create` comes after the sweep found the app empty, and before the sweep removes the app."""
    real_store.create_session(APP, "peter", IP, Timeouts(10))
    clock.now += 11
    creating = SessionStore(Client(real_server.settings(namespace)), namespace, clock)
    run = real_store._client.run

    def create_before_forgetting(*commands):
        if commands[0][0] == "SREM":
            creating.create_session(APP, "paul", IP)
        return run(*commands)

    real_store._client.run = create_before_forgetting
    assert real_store.sweep_expired().total == 1
    with real_server.connect() as client:
        assert client.smembers(f"{namespace}:apps") == {APP.encode()}


def test_a_create_that_loads_its_script_while_the_sweep_forgets_its_app(
    real_store, real_server, namespace, clock
) -> None:
    """The server does not know the script. When `create` sends it as text, it also adds the app again."""
    real_store.create_session(APP, "peter", IP, Timeouts(10))
    clock.now += 11
    sweeping = SessionStore(Client(real_server.settings(namespace)), namespace, clock)
    sweeping.ping()
    with real_server.connect() as client:
        client.script_flush()
    send = real_store._client._server.execute

    def sweep_before_the_second(commands):
        if commands[0][0] == "EVAL":
            assert sweeping.sweep_expired().total == 1
        return send(commands)

    real_store._client._server.execute = sweep_before_the_second
    real_store.create_session(APP, "paul", IP)
    with real_server.connect() as client:
        assert client.smembers(f"{namespace}:apps") == {APP.encode()}


def test_many_threads_share_one_store(real_server, namespace, clock) -> None:
    store = SessionStore(Client(real_server.settings(namespace)), namespace, clock)
    tokens = together(*[repeat(10, lambda: store.create_session(APP, "peter", IP).token)] * 16)
    assert len(set(chain.from_iterable(tokens))) == 160
    assert len(store.list_sessions_of_id(APP, "peter").sessions) == 160
