"""Calls to a cluster that changes, freezes or loses a master."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import redis
from redis.crc import key_slot

from dev.embedded_store import LOOPBACK, server_process
from rest_sessions.connection.client import Client
from rest_sessions.errors import StoreUnavailable
from rest_sessions.settings import Settings
from rest_sessions.store.keys import Keyspace, partition_number_of_id
from rest_sessions.store.sessions import SessionStore
from tests.histories import APP, IP
from tests.integration.connection.test_sign_in import ACCESS
from tests.load import SECONDS, Load, failures, port_of
from tests.proxy import Proxy
from tests.servers import CLUSTERS, Server, Servers, binary_of, cluster_options
from tests.waiting import wait_until

THREADS = 3


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Servers that only this test uses, because it breaks them."""
    with Servers() as servers:
        yield servers


@pytest.fixture(params=CLUSTERS)
def cluster(servers: Servers, request: pytest.FixtureRequest) -> Server:
    return servers.get(request.param)


def stores_of(cluster: Server, namespace: str) -> list[SessionStore]:
    return [SessionStore(Client(cluster.settings(namespace)), namespace) for _ in range(THREADS)]


@pytest.fixture
def store(cluster: Server, namespace: str) -> SessionStore:
    return stores_of(cluster, namespace)[0]


def nodes_of(cluster: Server) -> dict[int, redis.Redis]:
    """A client of each node, by its port."""
    with cluster.connect() as client:
        return {node.port: redis.Redis(LOOPBACK, node.port, decode_responses=True) for node in client.get_nodes()}


def master_of(cluster: Server, key: str) -> int:
    with cluster.connect() as client:
        return client.get_node_from_key(key).port


def process_at(port: int) -> int:
    with redis.Redis(LOOPBACK, port) as client:
        return client.info("server")["process_id"]


def assert_ends_in_time(call) -> None:
    """Checks that the call ends in time, with an answer or with StoreUnavailable."""
    begin = time.monotonic()
    with contextlib.suppress(StoreUnavailable):
        call()
    assert time.monotonic() - begin < SECONDS


def knows_no_master_at(port: int, node: redis.Redis) -> bool:
    """Whether all slots are served, and none at `port`, according to the node."""
    ranges = node.execute_command("CLUSTER SLOTS")
    return node.cluster("INFO")["cluster_state"] == "ok" and port not in [master[1] for _, _, master, *_ in ranges]


def user_at(cluster: Server, namespace: str, port: int) -> str:
    """A user whose sessions are on the master at `port`."""
    for number in range(1000):
        key = Keyspace(namespace).partition(APP, partition_number_of_id(f"user{number}")).ids
        if master_of(cluster, key) == port:
            return f"user{number}"
    raise AssertionError


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["freezes", "dies"])
def test_a_master_freezes_or_dies(cluster, store, namespace, how) -> None:
    entry = urlsplit(cluster.url).port
    lost_port = next(port for port in nodes_of(cluster) if port != entry)
    user_on_lost, other_user = user_at(cluster, namespace, lost_port), user_at(cluster, namespace, entry)
    token_on_lost, other_token = (store.create_session(APP, id, IP).token for id in (user_on_lost, other_user))
    pid = process_at(lost_port)
    os.kill(pid, how)
    try:
        for call in (
            lambda: store.count_active_users(APP, 60),
            lambda: store.get_session(APP, token_on_lost),
            lambda: store.create_session(APP, user_on_lost, IP).token,
            lambda: store.list_sessions_of_app(APP, 60),
            lambda: store.kill_sessions_of_app("another"),
            store.ping,
        ):
            assert_ends_in_time(call)
        with pytest.raises(StoreUnavailable):
            store.get_session(APP, token_on_lost)
    finally:
        if how == signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
    if how == signal.SIGSTOP:
        give_up = time.monotonic() + 20
        while True:
            try:
                assert store.get_session(APP, token_on_lost).id == user_on_lost
                break
            except StoreUnavailable:
                # The cluster takes a moment to consider the node healthy again.
                assert time.monotonic() < give_up
                time.sleep(0.2)
        assert store.get_session(APP, other_token).id == other_user


def move(slot: int, source: redis.Redis, target: redis.Redis) -> None:
    """Moves a slot and its keys. Meanwhile the nodes answer ASK and TRYAGAIN."""
    source_id, target_id = source.cluster("MYID"), target.cluster("MYID")
    target.cluster("SETSLOT", slot, "IMPORTING", source_id)
    source.cluster("SETSLOT", slot, "MIGRATING", target_id)
    port = port_of(target)
    while keys := source.cluster("GETKEYSINSLOT", slot, 10):
        source.execute_command("MIGRATE", LOOPBACK, port, "", 0, 5000, "KEYS", *keys)
        time.sleep(0.005)
    for node in (target, source):
        node.cluster("SETSLOT", slot, "NODE", target_id)


def test_slots_move_under_load(cluster, namespace) -> None:
    nodes = nodes_of(cluster)
    with Load(stores_of(cluster, namespace)) as load:
        for partition in Keyspace(namespace).partitions(APP):
            slot = key_slot(partition.ids.encode())
            source = master_of(cluster, partition.ids)
            target = next(port for port in nodes if port != source)
            move(slot, nodes[source], nodes[target])
        assert failures(load.wait_for_calls(50)) == 0
    load.check_history(exact=True)


def test_a_slot_moves_to_a_new_master(cluster, servers, namespace) -> None:
    """The user has only the rights that docs/deploy.md lists."""
    rights = [*ACCESS.replace("${Namespace}", namespace).split(), "+asking", ">secret"]
    for node in nodes_of(cluster).values():
        node.execute_command("ACL", "SETUSER", "web", "reset", *rights)
    settings = replace(cluster.settings(namespace), redis_user="web", redis_password="secret")
    store = SessionStore(Client(settings), namespace)
    token = store.create_session(APP, "peter", IP, data={"k": "1"}).token
    key = Keyspace(namespace).partition(APP, partition_number_of_id("peter")).ids
    old = nodes_of(cluster)[master_of(cluster, key)]
    url = servers.enter_context(server_process(binary_of(CLUSTERS[cluster.name]), *cluster_options()))
    with redis.Redis.from_url(url, decode_responses=True) as new:
        new.execute_command("ACL", "SETUSER", "web", "reset", *rights)
        new.execute_command("CLUSTER", "MEET", LOOPBACK, port_of(old), old.config_get("cluster-port")["cluster-port"])
        wait_until(lambda: new.cluster("INFO")["cluster_state"] == "ok")
        wait_until(lambda: new.cluster("MYID") in str(old.cluster("NODES")))
        slot = key_slot(key.encode())
        new.cluster("SETSLOT", slot, "IMPORTING", old.cluster("MYID"))
        old.cluster("SETSLOT", slot, "MIGRATING", new.cluster("MYID"))
        keys = old.cluster("GETKEYSINSLOT", slot, 100)
        old.execute_command("MIGRATE", LOOPBACK, port_of(new), "", 0, 5000, "KEYS", *keys)
        # The new master has all keys but no slot, so it is not in the map that a client reads.
        assert store.set_session(APP, token, {"k": "2"}).data == {"k": "2"}
        assert store.count_active_users(APP, 60) == 1
        for node in (new, old):
            node.cluster("SETSLOT", slot, "NODE", new.cluster("MYID"))
        assert store.get_session(APP, token).data == {"k": "2"}


def test_all_nodes_change_their_addresses(namespace) -> None:
    """As when another cluster takes over the host name."""

    @contextlib.contextmanager
    def whole_cluster() -> Iterator[int]:
        with server_process(binary_of("redis-server"), *cluster_options()) as url, redis.Redis.from_url(url) as node:
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: node.cluster("INFO")["cluster_state"] == "ok")
            yield port_of(node)

    with whole_cluster() as port:
        proxy = Proxy(port)
        settings = Settings(f"redis://{LOOPBACK}:{proxy.port}", True, namespace, False)
        store = SessionStore(Client(settings), namespace)
        store.create_session(APP, "peter", IP)
    with whole_cluster() as port:
        proxy.target = port
        assert store.get_session(APP, store.create_session(APP, "peter", IP).token)
        proxy.refuse()


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_master_dies_and_its_replica_takes_over(servers, namespace, name) -> None:
    url = servers.start_cluster(binary_of(CLUSTERS[name]), "--cluster-node-timeout", "1000", replicas=1)
    cluster = Server(name, url)
    stores = stores_of(cluster, namespace)
    # In another app, which the load does not touch.
    kept = stores[0].create_session("kept", "peter", IP, data={"k": "1"}).token
    lost_port = master_of(cluster, Keyspace(namespace).partition("kept", partition_number_of_id("peter")).ids)
    living = [node for port, node in nodes_of(cluster).items() if port != lost_port]
    with redis.Redis(LOOPBACK, lost_port) as client:
        client.wait(1, 0)
        process = client.info("server")["process_id"]
    with Load(stores) as load:
        os.kill(process, signal.SIGKILL)
        assert failures(load.wait_for_calls(THREADS, until=failures))
        # The nodes learn of the new master one after the other. Until then some redirect clients to the old one.
        wait_until(lambda: all(knows_no_master_at(lost_port, node) for node in living))
        assert failures(load.wait_for_calls(100)) == 0
    load.assert_in_time()
    # The replica may have missed the last calls of the load, but it has everything that was replicated.
    for store in stores:
        assert store.get_session("kept", kept).data == {"k": "1"}
