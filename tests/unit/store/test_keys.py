import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from rest_sessions.store.keys import PARTITIONS, Keyspace, partition_number_of_id
from rest_sessions.store.tokens import new_token, place_of

HANDLE = place_of(new_token(0)).handle
APPS = ["app", "web-shop", "a" * 20, "_-_"]
NAMESPACES = ["rs", "prod:eu.1"]


def keys_of(partition):
    return [
        *partition.index,
        partition.closed,
        partition.killed,
        partition.aside("k3XpQ0aZ"),
        partition.session(HANDLE),
    ]


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("app", APPS)
class TestPartition:
    def test_keys_share_one_hash_tag(self, namespace, app):
        for number, partition in enumerate(Keyspace(namespace).partitions(app)):
            tags = {tuple(re.findall(r"\{.*?\}", key)) for key in keys_of(partition)}
            assert tags == {(f"{{{app}:{number:x}}}",)}

    def test_keys_share_the_cluster_slot_of_the_hash_tag(self, namespace, app):
        for number, partition in enumerate(Keyspace(namespace).partitions(app)):
            slots = {key_slot(key.encode()) for key in keys_of(partition)}
            assert slots == {key_slot(f"{app}:{number:x}".encode())}

    def test_an_app_has_16_partitions_in_different_slots(self, namespace, app):
        partitions = Keyspace(namespace).partitions(app)
        assert len({key_slot(partition.ids.encode()) for partition in partitions}) == len(partitions) == 16

    def test_keys_begin_with_the_namespace(self, namespace, app):
        keyspace = Keyspace(namespace)
        keys = [keyspace.apps, *(key for partition in keyspace.partitions(app) for key in keys_of(partition))]
        assert all(key.startswith(f"{namespace}:") for key in keys)

    def test_partition_by_number_is_the_same_as_in_the_list(self, namespace, app):
        keyspace = Keyspace(namespace)
        assert [keyspace.partition(app, number) for number in range(PARTITIONS)] == keyspace.partitions(app)


def test_no_two_keys_are_the_same():
    keyspace = Keyspace("rs")
    keys = [key for app in APPS for partition in keyspace.partitions(app) for key in keys_of(partition)]
    assert len({keyspace.apps, *keys}) == 1 + len(keys)


def test_keys_are_those_of_the_schema():
    partition = Keyspace("rs").partition("app", 10)
    assert keys_of(partition) == [
        "rs:{app:a}:epoch",
        "rs:{app:a}:ids",
        "rs:{app:a}:users",
        "rs:{app:a}:recent",
        "rs:{app:a}:expiry",
        "rs:{app:a}:closed",
        "rs:{app:a}:killed",
        "rs:{app:a}:killed:k3XpQ0aZ",
        f"rs:{{app:a}}:s:{HANDLE}",
    ]


@given(st.text(min_size=1, max_size=128))
def test_any_id_has_one_partition(id):
    assert partition_number_of_id(id) in range(PARTITIONS)
    assert partition_number_of_id(id) == partition_number_of_id(id)


@pytest.mark.parametrize(("id", "number"), [("user123", 7), ("user@example.com", 1), ("딸기", 13)])
def test_partition_of_an_id_never_changes(id, number):
    """If it changed, no operation would find the sessions that are already stored."""
    assert partition_number_of_id(id) == number


@pytest.mark.parametrize("form", ["{}", "user{}", "user{}@example.com", "00000000-0000-4000-8000-{:012}"])
def test_ids_spread_over_all_partitions(form):
    counts = Counter(partition_number_of_id(form.format(number)) for number in range(1600))
    assert len(counts) == PARTITIONS
    assert all(50 < count < 150 for count in counts.values())
