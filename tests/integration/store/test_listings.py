"""Listings: their order, their pages, and what they omit."""

from itertools import chain

import pytest

from rest_sessions.store.keys import partition_of_id
from rest_sessions.store.sessions import SessionStore
from tests.conftest import Clock
from tests.pages import all_pages, ids

APP = "webapp"
IP = "192.0.2.7"


class TestListing:
    @pytest.fixture
    def tokens(self, store: SessionStore, clock: Clock) -> dict[str, str]:
        """The tokens of ten users' sessions. User 9 has the latest."""
        tokens = {}
        for i in range(10):
            clock.now += 1
            tokens[f"user{i}"] = store.create_session(APP, f"user{i}", IP, ttl=1000)
        return tokens

    def test_of_an_app_begins_with_the_most_recently_used(self, store, clock, tokens) -> None:
        clock.now += 1
        store.get_session(APP, tokens["user3"])
        assert ids(store.list_sessions_of_app(APP, 60)) == [f"user{i}" for i in (3, 9, 8, 7, 6, 5, 4, 2, 1, 0)]

    def test_of_an_app_within_dt(self, store, clock, tokens) -> None:
        clock.now += 8
        assert ids(store.list_sessions_of_app(APP, 10)) == ["user9", "user8", "user7"]

    def test_of_a_user_begins_with_the_most_recently_used(self, store, clock) -> None:
        tokens = {}
        for i in range(5):
            clock.now += 1
            tokens[store.create_session(APP, "peter", f"192.0.2.{i}", ttl=1000)] = i
        clock.now += 1
        used = next(token for token, i in tokens.items() if i == 2)
        store.set_session(APP, used, {"a": "1"})
        store.create_session(APP, "peters", IP)
        listed = store.list_sessions_of_id(APP, "peter").sessions
        assert [session.ip[-1] for session in listed] == ["2", "4", "3", "1", "0"]
        assert {session.id for session in listed} == {"peter"}
        assert listed[0].data == {"a": "1"}

    @pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
    def test_pages_have_every_session_once(self, store, clock, tokens, limit) -> None:
        listed = [ids(page) for page in all_pages(lambda after: store.list_sessions_of_app(APP, 60, limit, after))]
        assert [len(some) for some in listed[:-1]] == [limit] * (len(listed) - 1)
        assert 1 <= len(listed[-1]) <= limit
        assert list(chain.from_iterable(listed)) == [f"user{i}" for i in reversed(range(10))]

    @pytest.mark.parametrize("of", ["app", "id"])
    def test_pages_of_sessions_used_in_the_same_second(self, store, of) -> None:
        for i in range(60):
            store.create_session(APP, "peter", f"192.0.2.{i}")
        read = {
            "app": lambda after: store.list_sessions_of_app(APP, 60, 7, after),
            "id": lambda after: store.list_sessions_of_id(APP, "peter", 7, after),
        }[of]
        seen = [session.ip for page in all_pages(read) for session in page.sessions]
        assert len(seen) == len(set(seen)) == 60

    def test_killed_and_expired_sessions_are_not_listed_and_do_not_shorten_a_page(self, store, clock, tokens) -> None:
        for i in range(5):
            store.create_session(APP, f"short{i}", IP, ttl=10)
        clock.now += 11
        store.kill_session(APP, tokens["user8"])
        page = store.list_sessions_of_app(APP, 100, 9)
        assert ids(page) == [f"user{i}" for i in (9, 7, 6, 5, 4, 3, 2, 1, 0)]
        assert page.next is None
        assert ids(store.list_sessions_of_id(APP, "short1")) == []

    def test_of_more_sessions_than_one_batch_of_the_index(self, store, monkeypatch) -> None:
        monkeypatch.setattr("rest_sessions.store.listings._APP_INDEX_BATCH", 3)
        monkeypatch.setattr("rest_sessions.store.listings._ID_INDEX_BATCH", 3)
        monkeypatch.setattr("rest_sessions.store.listings._READ_BATCH", 4)
        expected = {f"user{i}" for i in range(100)}
        for id in expected:
            store.create_session(APP, id, IP)
        for i in range(10):
            store.create_session(APP, "peter", f"192.0.2.{i}")
        listed = ids(store.list_sessions_of_app(APP, 60))
        assert sorted(listed) == sorted([*expected, *["peter"] * 10])
        assert len(store.list_sessions_of_id(APP, "peter").sessions) == 10

    def test_finds_a_session_behind_expired_ones_though_another_partition_has_no_more(self, store, clock) -> None:
        assert partition_of_id("peter") != partition_of_id("paul")
        store.create_session(APP, "paul", IP)
        clock.now += 100
        for _ in range(20):
            store.create_session(APP, "peter", IP, ttl=10)
        found = store.create_session(APP, "peter", IP, ttl=100)
        clock.now += 11
        latest = store.create_session(APP, "peter", IP)
        first = store.list_sessions_of_app(APP, 20, limit=1)
        second = store.list_sessions_of_app(APP, 20, limit=1, after=first.next)
        assert second.next is None
        assert [session.idle for session in (*first.sessions, *second.sessions)] == [0, 11]
        assert store.get_session(APP, found)
        assert store.get_session(APP, latest)
