"""Listings: their order, their pages, and what they omit."""

import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from dev.embedded_store import server_process
from rest_sessions.connection.client import Client
from rest_sessions.model import Cursor, Timeouts
from rest_sessions.settings import Settings
from rest_sessions.store.keys import partition_number_of_id
from rest_sessions.store.sessions import SessionStore
from tests.conftest import Clock
from tests.pages import all_pages, ids
from tests.servers import binary_of

APP = "webapp"
IP = "192.0.2.7"


class TestListing:
    @pytest.fixture
    def tokens(self, store: SessionStore, clock: Clock) -> dict[str, str]:
        """The tokens of ten users' sessions. User 9 has the latest."""
        tokens = {}
        for i in range(10):
            clock.now += 1
            tokens[f"user{i}"] = store.create_session(APP, f"user{i}", IP, Timeouts(1000)).token
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
            tokens[store.create_session(APP, "peter", f"192.0.2.{i}", Timeouts(1000)).token] = i
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
            store.create_session(APP, f"short{i}", IP, Timeouts(10))
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
        monkeypatch.setattr("rest_sessions.store.listings._FEW", 2)
        expected = {f"user{i}" for i in range(100)}
        for id in expected:
            store.create_session(APP, id, IP)
        for i in range(10):
            store.create_session(APP, "peter", f"192.0.2.{i}")
        listed = ids(store.list_sessions_of_app(APP, 60))
        assert sorted(listed) == sorted([*expected, *["peter"] * 10])
        assert len(store.list_sessions_of_id(APP, "peter").sessions) == 10

    def test_finds_a_session_behind_expired_ones_though_another_partition_has_no_more(self, store, clock) -> None:
        assert partition_number_of_id("peter") != partition_number_of_id("paul")
        store.create_session(APP, "paul", IP)
        clock.now += 100
        for _ in range(20):
            store.create_session(APP, "peter", IP, Timeouts(10))
        found = store.create_session(APP, "peter", IP, Timeouts(100)).token
        clock.now += 11
        latest = store.create_session(APP, "peter", IP).token
        first = store.list_sessions_of_app(APP, 20, limit=1)
        second = store.list_sessions_of_app(APP, 20, limit=1, after=first.next)
        assert second.next is None
        assert [session.idle for session in (*first.sessions, *second.sessions)] == [0, 11]
        assert store.get_session(APP, found)
        assert store.get_session(APP, latest)

    def test_finds_a_session_behind_many_expired_ones_in_few_round_trips(self, store, clock, batches) -> None:
        store.create_session(APP, "peter", IP, Timeouts(100))
        clock.now += 1
        for _ in range(60):
            store.create_session(APP, "peter", IP, Timeouts(10))
        clock.now += 11
        batches.clear()
        assert len(store.list_sessions_of_app(APP, 60, limit=1).sessions) == 1
        assert len(batches) <= 4


@pytest.fixture
def danish_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server in a locale that sorts `aa` after `z`, and so handles in another order than bytes."""
    made = subprocess.run(["localedef", "-i", "da_DK", "-f", "UTF-8", tmp_path / "da_DK.UTF-8"], check=False)
    if made.returncode:
        pytest.skip("localedef lacks the sources of da_DK")
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "da_DK.UTF-8")
    with server_process(binary_of("redis-server")) as url:
        yield url


def test_pages_of_one_second_are_whole_in_every_locale(danish_server: str, namespace: str, clock: Clock) -> None:
    store = SessionStore(Client(Settings(danish_server, False, namespace, False)), namespace, clock)
    tokens = [store.create_session(APP, f"user{number}", IP).token for number in range(400)]
    pages = all_pages(lambda after: store.list_sessions_of_app(APP, 60, 7, after))
    listed = [id for page in pages for id in ids(page)]
    assert len(listed) == len(set(listed)) == len(tokens)


class TestLargeUser:
    """A user with more sessions than one look at the index returns."""

    @pytest.fixture(autouse=True)
    def small_index_batch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("rest_sessions.store.listings._ID_INDEX_BATCH", 20)

    @pytest.mark.parametrize("limit", [1, 6, 20, 1000, None])
    def test_pages_join_to_the_whole(self, store: SessionStore, clock: Clock, limit: int | None) -> None:
        for number in range(21):
            clock.now += 1
            store.create_session(APP, "peter", str(number))
        pages = list(all_pages(lambda after: store.list_sessions_of_id(APP, "peter", limit, after)))
        assert sorted(int(session.ip) for page in pages for session in page.sessions) == list(range(21))
        assert len(pages) == (-(-21 // limit) if limit else 1)

    def test_of_20_sessions_is_still_sorted_by_last_use(self, store: SessionStore, clock: Clock) -> None:
        for number in range(20):
            clock.now += 1
            store.create_session(APP, "peter", str(number))
        pages = all_pages(lambda after: store.list_sessions_of_id(APP, "peter", 6, after))
        assert [int(session.ip) for page in pages for session in page.sessions] == list(range(19, -1, -1))

    def test_a_listing_that_began_goes_on_in_its_order(self, store: SessionStore, clock: Clock) -> None:
        tokens = []
        for number in range(20):
            clock.now += 1
            tokens.append(store.create_session(APP, "peter", str(number)).token)
        by_last_use = store.list_sessions_of_id(APP, "peter", 6)
        store.create_session(APP, "peter", "20")
        rest = store.list_sessions_of_id(APP, "peter", 1000, by_last_use.next)
        assert [int(session.ip) for session in rest.sessions] == list(range(13, -1, -1))
        by_handle = store.list_sessions_of_id(APP, "peter", 6)
        store.kill_session(APP, tokens[0])
        store.kill_session(APP, tokens[1])
        rest = store.list_sessions_of_id(APP, "peter", 1000, by_handle.next)
        listed = {int(session.ip) for session in (*by_handle.sessions, *rest.sessions)}
        assert listed >= set(range(2, 21))
        assert len(by_handle.sessions) + len(rest.sessions) == len(listed)

    def test_a_page_costs_what_it_holds(self, store: SessionStore, batches) -> None:
        for number in range(60):
            store.create_session(APP, "peter", str(number))
        first = store.list_sessions_of_id(APP, "peter", 3)
        batches.clear()
        store.list_sessions_of_id(APP, "peter", 3, first.next)
        [[look_up], [_, *reads]] = batches
        assert look_up[-1] == len(reads) == 3 + 1

    def test_with_a_made_up_cursor_costs_no_more_than_ten_looks(self, store, server, clock, namespace) -> None:
        for number in range(250):
            store.create_session(APP, "peter", str(number))
        page = store.list_sessions_of_id(APP, "peter", 1, Cursor(4_000_000_000, "0" * 32))
        assert page.next.last_used == 0

    @pytest.mark.parametrize("limit", [6, None])
    def test_a_foreign_member_at_the_end_of_a_look_repeats_nothing(self, store, server, keys, limit) -> None:
        for number in range(45):
            store.create_session(APP, "peter", str(number))
        [index] = [key for key in keys() if key.endswith(":ids")]
        with server.connect() as client:
            members = client.zrange(index, 0, -1)
            for place in (6, 19, 20):
                client.zadd(index, {members[place] + b"0" * 32: 0})
        pages = all_pages(lambda after: store.list_sessions_of_id(APP, "peter", limit, after))
        assert sorted(int(session.ip) for page in pages for session in page.sessions) == list(range(45))
