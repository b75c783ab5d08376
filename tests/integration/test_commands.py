"""What goes to Redis: how many round trips, which keys, in which slot."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from redis.crc import key_slot

from rest_sessions.client import Client
from rest_sessions.settings import Settings
from rest_sessions.store import SessionStore
from tests.conftest import Clock
from tests.monitor import Monitor
from tests.proxy import proxy_to
from tests.servers import Server

APP = "webapp"
IP = "192.0.2.7"


def operations(store: SessionStore, token: str) -> dict[str, Callable[[], object]]:
    return {
        "ping": store.ping,
        "create_session": lambda: store.create_session(APP, "peter", IP, data={"a": "1"}),
        "get_session": lambda: store.get_session(APP, token),
        "set_session": lambda: store.set_session(APP, token, {"a": "1", "b": None}),
        "list_sessions_of_id": lambda: store.list_sessions_of_id(APP, "peter"),
        "list_sessions_of_app": lambda: store.list_sessions_of_app(APP, 60),
        "count_active_users": lambda: store.count_active_users(APP, 60),
        "kill_session": lambda: store.kill_session(APP, token),
        "kill_sessions_of_id": lambda: store.kill_sessions_of_id(APP, "peter"),
    }


@pytest.mark.parametrize(
    ("operation", "round_trips"),
    [
        ("ping", 1),
        ("create_session", 1),
        ("get_session", 1),
        ("set_session", 1),
        ("kill_session", 1),
        ("count_active_users", 1),
        ("list_sessions_of_id", 2),
        ("list_sessions_of_app", 2),
        ("kill_sessions_of_id", 2),
    ],
)
def test_round_trips_on_a_warm_connection(real_server: Server, namespace, operation, round_trips) -> None:
    if real_server.is_cluster:
        pytest.skip("a cluster's client goes past the proxy, to the addresses that the cluster tells")
    with proxy_to(urlsplit(real_server.url).port or 6379) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        store = SessionStore(Client(Settings(url, False, namespace, False)), namespace)
        for operate in operations(store, store.create_session(APP, "peter", IP)).values():
            operate()
        token = store.create_session(APP, "peter", IP)
        proxy.round_trips = 0
        operations(store, token)[operation]()
        assert (proxy.round_trips, proxy.connections) == (round_trips, 1)


def test_a_script_touches_only_keys_that_were_declared(real_server: Server, namespace, clock: Clock) -> None:
    if real_server.is_cluster:
        pytest.skip("the same commands, spread over nodes")
    store = SessionStore(Client(real_server.settings(namespace)), namespace, clock)
    # The first time lets the server know the scripts, so that MONITOR tells none as a text.
    for _ in range(2):
        for i in range(5):
            store.create_session(APP, f"user{i}", IP, ttl=10)
        clock.now += 100
        monitor = Monitor(real_server)
        for operate in operations(store, store.create_session(APP, "peter", IP)).values():
            operate()
        store.create_session(APP, "peter", IP)
        store.kill_sessions_of_app(APP)
        store.sweep_expired()
        lines = monitor.stop()

    touched = 0
    declared: set[str] = set()
    for client_type, command in lines:
        name = command[0].upper()
        if client_type == "lua":
            touched += 1
            assert command[1] in declared, f"{name} {command[1]}"
        elif name in ("EVAL", "EVALSHA"):
            declared = set(command[3 : 3 + int(command[2])])
            assert len({key_slot(key.encode()) for key in declared}) == 1
    assert touched > 50


def test_no_connection_is_opened_beside_the_first(real_server: Server, namespace) -> None:
    with proxy_to(urlsplit(real_server.url).port or 6379) as proxy:
        if real_server.is_cluster:
            pytest.skip("a cluster's client goes past the proxy, to the addresses that the cluster tells")
        store = SessionStore(Client(Settings(f"redis://127.0.0.1:{proxy.port}", False, namespace, False)), namespace)
        for _ in range(50):
            store.create_session(APP, "peter", IP)
        store.kill_sessions_of_app(APP)
        assert proxy.connections == 1
