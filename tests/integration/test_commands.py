"""What the store sends to Redis: how many round trips, and which keys in which slots."""

import pytest
from redis.crc import key_slot

from rest_sessions.connection.client import Client
from rest_sessions.model import Timeouts
from rest_sessions.settings import Settings
from rest_sessions.store.keys import PARTITIONS
from rest_sessions.store.sessions import SessionStore
from tests.cases import APP, CASES, ID
from tests.conftest import Clock
from tests.monitor import Monitor
from tests.own_tokens import user_in
from tests.proxy import proxy_before
from tests.servers import Server

IP = "192.0.2.7"


def run_all(store: SessionStore) -> None:
    """Makes the call of each case, each with a new session."""
    for name, case in CASES.items():
        case.run(name, store, store.create_session(APP, ID, IP).token)


@pytest.mark.parametrize(("operation", "case"), CASES.items(), ids=CASES)
def test_round_trips_on_a_warm_connection(real_server: Server, namespace, operation, case) -> None:
    with proxy_before(real_server) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        store = SessionStore(Client(Settings(url, False, namespace, False)), namespace)
        # Each partition then has an epoch, as in an app that is in use.
        for partition in range(PARTITIONS):
            store.create_session(APP, user_in(partition), IP)
        # The first run loads the scripts.
        run_all(store)
        token = store.create_session(APP, ID, IP).token
        proxy.round_trips = 0
        case.run(operation, store, token)
        assert (proxy.round_trips, proxy.connections) == (case.round_trips, 1)


def test_a_script_touches_only_keys_that_were_declared(real_server: Server, namespace, clock: Clock) -> None:
    if real_server.is_cluster:
        pytest.skip("the same commands, spread over nodes")
    store = SessionStore(Client(real_server.settings(namespace)), namespace, clock)
    # The first run loads the scripts, so that MONITOR shows no script text in the second.
    for _ in range(2):
        for i in range(5):
            store.create_session(APP, f"user{i}", IP, Timeouts(10))
        clock.now += 100
        monitor = Monitor(real_server)
        run_all(store)
        store.sweep_expired()
        lines = monitor.stop()

    touched = 0
    declared: set[str] = set()
    for client_type, command in lines:
        name = command[0].upper()
        if client_type == "lua":
            touched += 1
            keys = command[1:] if name in ("EXISTS", "RENAME", "UNLINK") else command[1:2]
            assert declared.issuperset(keys), f"{name} {keys}"
        elif name in ("EVAL", "EVALSHA"):
            declared = set(command[3 : 3 + int(command[2])])
            assert len({key_slot(key.encode()) for key in declared}) == 1
    assert touched > 50


@pytest.mark.parametrize("use", ["get", "set"])
def test_a_second_use_within_a_second_only_counts(real_server: Server, namespace, clock: Clock, use) -> None:
    if real_server.is_cluster:
        pytest.skip("the same commands, spread over nodes")
    store = SessionStore(Client(real_server.settings(namespace)), namespace, clock)
    token = store.create_session(APP, ID, IP).token
    for _ in range(2):
        monitor = Monitor(real_server)
        assert store.get_session(APP, token) if use == "get" else store.set_session(APP, token, {"a": "1"})
        names = [command[0].upper() for client_type, command in monitor.stop() if client_type == "lua"]
        assert names == ["GET", "HGETALL", "HSET"]
        clock.now -= 1


def test_the_list_of_apps_costs_a_round_trip_in_300_seconds(real_server: Server, namespace, clock: Clock) -> None:
    with proxy_before(real_server) as proxy:
        settings = Settings(f"redis://127.0.0.1:{proxy.port}", False, namespace, False)
        store = SessionStore(Client(settings), namespace, clock)
        # The first use of an app loads the scripts.
        for app in ("another", APP):
            token = store.create_session(app, ID, IP).token
            proxy.round_trips = 0
            store.get_session(app, token)
        assert proxy.round_trips == 1
        for seconds, round_trips in ((299, 1), (1, 2), (299, 1), (1, 2)):
            clock.now += seconds
            proxy.round_trips = 0
            store.get_session(APP, token)
            assert proxy.round_trips == round_trips


def test_no_second_connection_is_opened(real_server: Server, namespace) -> None:
    with proxy_before(real_server) as proxy:
        store = SessionStore(Client(Settings(f"redis://127.0.0.1:{proxy.port}", False, namespace, False)), namespace)
        for _ in range(50):
            store.create_session(APP, ID, IP)
        store.kill_sessions_of_app(APP)
        assert proxy.connections == 1
