"""Anonymous sessions: those of nobody who is logged in."""

import json
import secrets

import pytest

from rest_sessions.model import Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.own_tokens import HERE, USER, own_token

APP = "webapp"
IP = "192.0.2.7"


def create(store: SessionStore, **options) -> str:
    return store.create_anonymous_session(APP, IP, **options).token


class TestSession:
    def test_has_no_id(self, store: SessionStore) -> None:
        session = store.get_session(APP, create(store, data={"a": "1"}))
        assert json.loads(session.json) == {"r": 1, "w": 1, "ttl": 7200, "idle": 0, "ip": IP, "d": {"a": 1}}

    def test_is_used_as_any_other(self, store: SessionStore, clock: Clock) -> None:
        token = create(store, timeouts=Timeouts(10, 100))
        clock.now += 10
        assert store.get_session(APP, token).r == 1
        clock.now += 10
        assert store.set_session(APP, token, {"a": "1"}).w == 2
        clock.now += 10
        assert store.touch_session(APP, token).idle == 10
        clock.now += 10
        new = store.rotate_session(APP, token)
        assert store.get_session(APP, new, details=True).details.lifetime == 100
        clock.now += 11
        assert store.get_session(APP, new) is None

    def test_takes_one_round_trip(self, store: SessionStore, batches) -> None:
        create(store)
        assert len(batches) == 1

    def test_is_in_any_partition(self, store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
        for partition in range(16):
            monkeypatch.setattr(secrets, "randbelow", lambda below, partition=partition: min(partition, below - 1))
            assert place_of(create(store)).partition == partition
        assert len(store.list_sessions_of_app(APP, 60).sessions) == 16


class TestListings:
    def test_that_of_the_app_has_it(self, store: SessionStore) -> None:
        create(store)
        [session] = store.list_sessions_of_app(APP, 60).sessions
        assert session.id == ""
        assert '"id"' not in session.json

    def test_no_users_has_it(self, store: SessionStore) -> None:
        create(store, own_token=own_token(HERE))
        assert store.list_sessions_of_id(APP, USER).sessions == []

    def test_it_is_no_active_user(self, store: SessionStore, clock: Clock) -> None:
        token = create(store)
        clock.now += 1
        store.get_session(APP, token)
        store.touch_session(APP, token)
        assert store.count_active_users(APP, 60) == 0

    def test_the_list_of_apps_counts_it_as_a_session(self, store: SessionStore) -> None:
        create(store)
        store.create_session(APP, USER, IP)
        [app] = store.list_apps(lambda _: True).apps
        assert (app.sessions, app.users) == (2, 1)


class TestKill:
    def test_by_its_token(self, store: SessionStore, left) -> None:
        token = create(store)
        assert [store.kill_session(APP, token) for _ in range(2)] == [1, 0]
        assert store.get_session(APP, token) is None
        assert left() == set()

    def test_of_the_app(self, store: SessionStore, left) -> None:
        tokens = [create(store) for _ in range(20)]
        store.create_session(APP, USER, IP)
        assert store.kill_sessions_of_app(APP) == 21
        assert not any(store.get_session(APP, token) for token in tokens)
        assert left() == set()

    def test_of_a_user_spares_it(self, store: SessionStore) -> None:
        token = create(store, own_token=own_token(HERE))
        store.create_session(APP, USER, IP)
        assert store.kill_sessions_of_id(APP, USER) == 1
        assert store.get_session(APP, token)

    def test_of_it_spares_the_active_users(self, store: SessionStore) -> None:
        token = create(store, own_token=own_token(HERE))
        store.create_session(APP, USER, IP)
        store.kill_session(APP, token)
        assert store.count_active_users(APP, 60) == 1


class TestInRedis:
    def test_its_entries_have_an_empty_id(self, store: SessionStore, clock: Clock, stored) -> None:
        place = place_of(create(store, timeouts=Timeouts(100)))
        assert stored.entries(f"\0{place.handle}") == {"ids": 0}
        assert stored.entries(f"{place.handle}:") == {"expiry": clock.now + 100}
        assert stored.entries(place.handle).keys() == {"ids", "recent", "expiry"}
        assert stored.fields(APP, place)[b"id"] == b""
        assert stored.lasts(APP, place, 160)

    def test_the_sweep_removes_all_of_it(self, store: SessionStore, clock: Clock, keys) -> None:
        create(store, timeouts=Timeouts(10))
        clock.now += 10
        assert store.sweep_expired() == (0, {})
        clock.now += 1
        assert store.sweep_expired() == (1, {})
        assert keys() == set()

    @pytest.mark.parametrize("lost", ["ids", "recent", "expiry"])
    def test_a_use_restores_its_entries(self, store: SessionStore, clock: Clock, stored, lost: str) -> None:
        token = create(store)
        before = stored.entries(place_of(token).handle)
        stored.client.delete(*(key for key in stored.values() if key.endswith(f":{lost}")))
        clock.now += 1
        store.get_session(APP, token)
        assert stored.entries(place_of(token).handle).keys() == before.keys()
