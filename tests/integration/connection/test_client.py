"""The connection: the faults that it survives, and the errors that it reports."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hiredis
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    SlotNotCoveredError,
    TimeoutError,
    TryAgainError,
)

from dev.embedded_store import LOOPBACK, free_port, server_process
from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import PlainCommand
from rest_sessions.deadline import deadline
from rest_sessions.errors import StoreUnavailable
from rest_sessions.settings import Settings
from rest_sessions.store.keys import PARTITIONS
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import new_token
from tests.cases import CASES
from tests.conftest import Clock
from tests.load import SECONDS, port_of
from tests.proxy import byte_by_byte, proxy_before
from tests.servers import Server, binary_of, cluster_options
from tests.waiting import wait_until

APP = "webapp"
IP = "192.0.2.7"


def store_at(port: int, namespace: str, password: str = "") -> SessionStore:
    return SessionStore(Client(Settings(f"redis://{password}{LOOPBACK}:{port}", False, namespace, False)), namespace)


def test_a_connection_that_died_is_replaced(real_server: Server, namespace) -> None:
    with proxy_before(real_server) as proxy:
        store = store_at(proxy.port, namespace)
        token = store.create_session(APP, "peter", IP).token
        for reads in range(1, 4):
            proxy.cut()
            assert store.get_session(APP, token).r == reads
        proxy.cut()
        assert store.count_active_users(APP, 60) == 1


def test_flushed_scripts_are_loaded_again(server: Server, store: SessionStore) -> None:
    token = store.create_session(APP, "peter", IP).token
    with server.connect() as client:
        for reads in range(1, 4):
            client.script_flush()
            assert store.get_session(APP, token).r == reads
            client.script_flush()
            store.create_session(APP, "paul", IP)
            client.script_flush()
            assert len(store.list_sessions_of_app(APP, 60).sessions) == reads + 1


def test_a_refused_connection(namespace) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        store_at(free_port(), namespace).ping()
    assert "Connection refused" in raised.value.reason


def test_a_server_that_accepts_and_stays_silent(namespace) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent, pytest.raises(StoreUnavailable):
        store_at(silent.getsockname()[1], namespace).ping()


def test_a_server_that_answers_byte_by_byte(real_server: Server, namespace, monkeypatch) -> None:
    monkeypatch.setattr("rest_sessions.connection.client.REQUEST_SECONDS", 1.5)
    with proxy_before(real_server) as proxy:
        store = store_at(proxy.port, namespace)
        store.ping()
        proxy.on_reply = byte_by_byte
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.ping()
        assert time.monotonic() - begin < SECONDS


def test_an_unreachable_cluster(namespace) -> None:
    store = SessionStore(Client(Settings(f"redis://{LOOPBACK}:{free_port()}", True, namespace, False)), namespace)
    with pytest.raises(StoreUnavailable):
        store.create_session(APP, "peter", IP)


@pytest.fixture
def fail(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the next round trips of `store` fail with these errors."""

    def fail(*errors: Exception) -> None:
        left = list(errors)

        def execute(commands: Sequence[PlainCommand]) -> list[Any]:
            if left:
                raise left.pop(0)
            return execute_without_fault(commands)

        monkeypatch.setattr(server, "execute", execute)

    server = store._client._server
    execute_without_fault = server.execute
    return fail


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError, ReadOnlyError, ClusterDownError, MasterDownError])
def test_a_call_is_resent_once_when_another_server_may_answer(store: SessionStore, fail, error) -> None:
    fail(error("first"))
    assert store.ping() == "PONG"
    fail(error("first"), error("second"))
    with pytest.raises(StoreUnavailable):
        store.ping()


@pytest.mark.parametrize("error", [OutOfMemoryError, TryAgainError, SlotNotCoveredError])
def test_a_call_is_not_resent_when_the_server_cannot_take_it_now(store: SessionStore, fail, error) -> None:
    fail(error("first"))
    with pytest.raises(StoreUnavailable):
        store.ping()
    assert store.ping() == "PONG"


def test_redis_goes_away_and_comes_back(namespace) -> None:
    binary = binary_of("redis-server")
    with server_process(binary) as url:
        port = urlsplit(url).port
        store = store_at(port, namespace)
        token = store.create_session(APP, "peter", IP).token
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.get_session(APP, token)
    with server_process(binary, port=port):
        assert store.get_session(APP, token) is None
        assert store.get_session(APP, store.create_session(APP, "peter", IP).token)


def test_works_after_many_failed_connections(namespace) -> None:
    with server_process(binary_of("redis-server")) as url:
        store = store_at(urlsplit(url).port, namespace)
    for _ in range(200):
        with pytest.raises(StoreUnavailable):
            store.ping()
    with server_process(binary_of("redis-server"), port=urlsplit(url).port):
        assert store.ping() == "PONG"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--maxmemory", "1", "--maxmemory-policy", "noeviction"], "OutOfMemoryError"),
        (["--min-replicas-to-write", "1"], "ResponseError: NOREPLICAS"),
        (["--replicaof", f"{LOOPBACK} 1"], "ReadOnlyError"),
        # Before sign-in, Redis refuses a command with so many arguments, and closes the connection.
        (["--requirepass", "secret"], "ConnectionError: Connection closed by server."),
    ],
    ids=["OOM", "NOREPLICAS", "READONLY", "NOAUTH"],
)
def test_a_server_that_cannot_serve_now(namespace, options, reason) -> None:
    with server_process(binary_of("redis-server"), *options) as url:
        with pytest.raises(StoreUnavailable) as raised:
            store_at(urlsplit(url).port, namespace).create_session(APP, "peter", IP)
        assert raised.value.reason == reason


class _AnswerToAll(socketserver.StreamRequestHandler):
    """Speaks Redis's protocol, and gives one answer to every command."""

    def handle(self) -> None:
        commands = hiredis.Reader()
        while data := self.request.recv(65536):
            commands.feed(data)
            while commands.gets() is not False:
                self.request.sendall(self.server.answer)


@contextmanager
def answering(answer: bytes, namespace: str) -> Iterator[SessionStore]:
    """A store whose server gives one answer to every command."""
    server = socketserver.ThreadingTCPServer((LOOPBACK, 0), _AnswerToAll)
    server.answer = answer
    server.daemon_threads = True
    with server:
        # `shutdown` waits for the next poll.
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        store = store_at(server.server_address[1], namespace)
        yield store
        store._client.disconnect()
        server.shutdown()


@pytest.mark.parametrize("answer", [b"+OK\r\n", b"$-1\r\n", b":1\r\n", b"*0\r\n", b"$5\r\nhello\r\n"], ids=ascii)
@pytest.mark.parametrize("operation", CASES)
def test_a_server_that_answers_anything_is_not_redis(namespace, operation, answer) -> None:
    # An empty array says that nothing is there, and a number is one.
    is_plausible = answer == b"*0\r\n" and (operation.startswith("list_") or operation == "kill_sessions_of_id")
    is_plausible |= answer == b":1\r\n" and operation in ("count_active_users", "kill_sessions_of_app")
    with answering(answer, namespace) as store, nullcontext() if is_plausible else pytest.raises(StoreUnavailable):
        CASES[operation].run(operation, store, new_token(0))


@pytest.mark.parametrize(
    "answer", [b"+OK\r\n", b"$-1\r\n", b":1\r\n", b"*1\r\n*0\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
@pytest.mark.parametrize("cluster", [False, True], ids=["standalone", "cluster"])
def test_a_server_that_is_no_cluster_or_no_redis_is_an_unavailable_store(namespace, answer, cluster) -> None:
    server = socketserver.ThreadingTCPServer((LOOPBACK, 0), _AnswerToAll)
    server.answer = answer
    server.daemon_threads = True
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = Settings(f"redis://{LOOPBACK}:{server.server_address[1]}", cluster, namespace, False)
        store = SessionStore(Client(settings), namespace)
        with pytest.raises(StoreUnavailable):
            store.ping()
        store._client.disconnect()
        server.shutdown()


@pytest.mark.parametrize("operation", CASES)
def test_a_node_of_a_cluster_without_the_setting_for_clusters(servers, namespace, operation) -> None:
    server = servers.get("redis-cluster")
    reasons = set()
    with server.connect() as client:
        for node in server.nodes(client):
            store = store_at(port_of(node), namespace)
            # Some partitions are on this node, others are not.
            for partition in range(PARTITIONS):
                try:
                    CASES[operation].run(operation, store, new_token(partition))
                except StoreUnavailable as error:
                    reasons.add(error.reason)
    assert reasons == {"MovedError: the server is a node of a cluster; set REDIS_CLUSTER=1"}


def test_a_connection_that_was_unused_for_300_seconds_is_replaced(real_server: Server, namespace, monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr("rest_sessions.connection.node.time", clock)
    with proxy_before(real_server) as proxy:
        store = store_at(proxy.port, namespace)
        store.ping()
        clock.now += 299
        store.ping()
        assert proxy.connections == 1
        clock.now += 301
        store.ping()
        assert proxy.connections == 2
        # A clock that was set back says nothing.
        clock.now -= 10_000
        store.ping()
        assert proxy.connections == 3


def test_the_first_calls_to_a_cluster_open_one_connection_to_each_node(servers, namespace) -> None:
    server = servers.get("redis-cluster")

    def connections(client) -> list[int]:
        return [node.info("stats")["total_connections_received"] for node in server.nodes(client)]

    with server.connect() as client:
        before = connections(client)
        store = SessionStore(Client(server.settings(namespace)), namespace)
        store.ping()
        opened = [now - then for now, then in zip(connections(client), before, strict=True)]
        assert sorted(opened) == [0, 0, 1]
        for number in range(50):
            store.get_session(APP, store.create_session(APP, f"user{number}", IP).token)
            store.count_active_users(APP, 60)
        opened = [now - then for now, then in zip(connections(client), before, strict=True)]
        assert opened == [1, 1, 1]


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
            assert other.unlink(*other.keys(f"{namespace}:*")) == 7


WRAPPED = b"ERR Error running script (call to f_0123456789abcdef): @user_script:41: @user_script: 41: -"


@pytest.mark.parametrize("prefix", [b"", WRAPPED], ids=["plain", "wrapped by Redis 6.2"])
@pytest.mark.parametrize("code", ["BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY"])
def test_a_reply_that_says_that_the_server_cannot_serve_now(namespace, code, prefix) -> None:
    reply = b"-%s%s some reason. \r\n" % (prefix, code.encode())
    with answering(reply, namespace) as store, pytest.raises(StoreUnavailable) as raised:
        store.get_session(APP, "a" * 64)
    if prefix:
        # The client follows a failover: it tries once more, whatever the form of this refusal.
        assert raised.value.reason == ("ReadOnlyError" if code == "READONLY" else f"ResponseError: {code}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of a self-signed certificate for loopback and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    now = datetime.now(tz=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


class TestTls:
    @pytest.fixture
    def options(self, certificate) -> list[str]:
        files = ["--tls-cert-file", str(certificate[0]), "--tls-key-file", str(certificate[1])]
        return [*files, "--tls-auth-clients", "no", "--tls-port", str(free_port())]

    def store(self, options: list[str], namespace: str, query: str = "", *, cluster: bool = False) -> SessionStore:
        url = f"rediss://{LOOPBACK}:{options[-1]}{query}"
        return SessionStore(Client(Settings(url, cluster, namespace, False)), namespace)

    def test_accepts_a_server_with_a_trusted_certificate(self, options, certificate, namespace) -> None:
        with server_process(binary_of("redis-server"), *options):
            store = self.store(options, namespace, f"?ssl_ca_certs={certificate[0]}")
            token = store.create_session(APP, "peter", IP).token
            assert store.get_session(APP, token).id == "peter"

    def test_works_with_a_cluster(self, options, certificate, namespace) -> None:
        tls_options = ["--tls-cluster", "yes", "--tls-ca-cert-file", str(certificate[0]), *options]
        all_options = [*cluster_options(), *tls_options]
        with server_process(binary_of("redis-server"), *all_options) as url, redis.Redis.from_url(url) as node:
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: node.cluster("INFO")["cluster_state"] == "ok")
            store = self.store(options, namespace, f"?ssl_ca_certs={certificate[0]}", cluster=True)
            token = store.create_session(APP, "peter", IP).token
            assert store.get_session(APP, token).id == "peter"
            assert store.count_active_users(APP, 60) == 1
            # As after a fault, the client reads the cluster's map again.
            store._client._server.reset()
            assert store.get_session(APP, token).r == 2

    def test_refuses_a_server_with_an_untrusted_certificate(self, options, namespace) -> None:
        with server_process(binary_of("redis-server"), *options), pytest.raises(StoreUnavailable) as raised:
            self.store(options, namespace).ping()
        assert "CERTIFICATE_VERIFY_FAILED" in raised.value.reason

    def test_waits_no_longer_for_a_silent_server(self, namespace) -> None:
        with socket.create_server((LOOPBACK, 0)) as silent:
            store = self.store([str(silent.getsockname()[1])], namespace)
            begin = time.monotonic()
            with pytest.raises(StoreUnavailable):
                store.ping()
            assert time.monotonic() - begin < SECONDS
            # A request without remaining time does not even wait for the handshake.
            with deadline(0), pytest.raises(StoreUnavailable):
                store.ping()
            assert time.monotonic() - begin < SECONDS
