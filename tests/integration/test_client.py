"""The connection: what it survives, and what it says when it cannot."""

import socket
from urllib.parse import urlsplit

import pytest

from dev.embedded_store import LOOPBACK, free_port, server_process
from rest_sessions.client import Client
from rest_sessions.errors import StoreUnavailable
from rest_sessions.settings import Settings
from rest_sessions.store import SessionStore
from tests.proxy import proxy_to
from tests.servers import Server, binary_of

APP = "webapp"
IP = "192.0.2.7"


def store_at(port: int, namespace: str, password: str = "") -> SessionStore:
    return SessionStore(Client(Settings(f"redis://{password}{LOOPBACK}:{port}", False, namespace, False)), namespace)


def test_a_connection_that_died_is_replaced(real_server: Server, namespace) -> None:
    if real_server.is_cluster:
        pytest.skip("a cluster's client goes past the proxy, to the addresses that the cluster tells")
    with proxy_to(urlsplit(real_server.url).port or 6379) as proxy:
        store = store_at(proxy.port, namespace)
        token = store.create_session(APP, "peter", IP)
        for reads in range(1, 4):
            proxy.cut()
            assert store.get_session(APP, token).r == reads
        proxy.cut()
        assert store.count_active_users(APP, 60) == 1


def test_a_flushed_script_cache_heals_itself(server: Server, store: SessionStore) -> None:
    token = store.create_session(APP, "peter", IP)
    with server.connect() as client:
        for reads in range(1, 4):
            client.script_flush()
            assert store.get_session(APP, token).r == reads
            client.script_flush()
            store.create_session(APP, "paul", IP)
            client.script_flush()
            assert len(store.list_sessions_of_app(APP, 60).sessions) == reads + 1


def test_refused(namespace) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        store_at(free_port(), namespace).ping()
    assert "Connection refused" in raised.value.reason


def test_accepted_and_silent(namespace) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent, pytest.raises(StoreUnavailable):
        store_at(silent.getsockname()[1], namespace).ping()


def test_a_cluster_that_is_not_there(namespace) -> None:
    store = SessionStore(Client(Settings(f"redis://{LOOPBACK}:{free_port()}", True, namespace, False)), namespace)
    with pytest.raises(StoreUnavailable):
        store.create_session(APP, "peter", IP)


def test_redis_goes_away_and_comes_back(namespace) -> None:
    binary = binary_of("redis-server")
    with server_process(binary) as url:
        port = urlsplit(url).port
        store = store_at(port, namespace)
        token = store.create_session(APP, "peter", IP)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.get_session(APP, token)
    with server_process(binary, port=port):
        assert store.get_session(APP, token) is None
        assert store.get_session(APP, store.create_session(APP, "peter", IP))


def test_connections_may_fail_without_end(namespace) -> None:
    with server_process(binary_of("redis-server")) as url:
        store = store_at(urlsplit(url).port, namespace)
    for _ in range(200):
        with pytest.raises(StoreUnavailable):
            store.ping()
    with server_process(binary_of("redis-server"), port=urlsplit(url).port):
        assert store.ping() == "PONG"


@pytest.mark.parametrize(
    "options",
    [
        ["--maxmemory", "1", "--maxmemory-policy", "noeviction"],
        ["--min-replicas-to-write", "1"],
        ["--replicaof", f"{LOOPBACK} 1"],
        ["--requirepass", "secret"],
    ],
    ids=["OOM", "NOREPLICAS", "READONLY", "NOAUTH"],
)
def test_a_server_that_cannot_serve_now(namespace, options) -> None:
    with server_process(binary_of("redis-server"), *options) as url:
        with pytest.raises(StoreUnavailable) as raised:
            store_at(urlsplit(url).port, namespace).create_session(APP, "peter", IP)
        assert "peter" not in raised.value.reason


def test_user_password_and_database_come_from_the_url(namespace, real_server) -> None:
    if real_server.is_cluster:
        pytest.skip("a cluster has one database")
    with real_server.connect() as admin:
        admin.acl_setuser("writer", enabled=True, passwords=["+s3cr:t/"], categories=["+@all"], keys=["*"])
        address = urlsplit(real_server.url)
        url = f"redis://writer:s3cr%3At%2F@{address.hostname}:{address.port}/3"
        store = SessionStore(Client(Settings(url, False, namespace, False)), namespace)
        store.create_session(APP, "peter", IP)
        assert real_server.keys(namespace) == set()
        admin.acl_deluser("writer")
        with type(admin).from_url(f"{real_server.url}/3") as other:
            assert other.unlink(*other.keys(f"{namespace}:*")) == 6
