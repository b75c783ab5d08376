"""What each operation of the store does, on every server, with a clock that the tests set."""

import pytest

from rest_sessions.errors import TooLarge
from rest_sessions.limits import MAX_DATA_BYTES, MAX_KEYS
from rest_sessions.model import Timeouts
from rest_sessions.store.keys import Keyspace
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock

APP = "webapp"
IP = "192.0.2.7"
FOREIGN_TOKEN = "KrxwdpUjoTQcYmMISjQE2C4drmXMhn5w2gX0388UySdPYoEJkPa74nhZhg3iaj7w"


def test_ping(store: SessionStore) -> None:
    assert store.ping() == "PONG"


class TestCounters:
    def test_get_answers_with_the_reads_before_it(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP).token
        assert [store.get_session(APP, token).r for _ in range(3)] == [1, 2, 3]

    def test_set_answers_with_the_writes_after_it_and_counts_no_read(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP).token
        written = [store.set_session(APP, token, {"a": "1"}) for _ in range(3)]
        assert [(session.r, session.w) for session in written] == [(1, 2), (1, 3), (1, 4)]
        assert store.get_session(APP, token).w == 4

    def test_a_listing_counts_no_read(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP).token
        store.list_sessions_of_id(APP, "peter")
        store.list_sessions_of_app(APP, 60)
        assert store.get_session(APP, token).r == 1


class TestTime:
    def test_idle_is_measured_before_the_call(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP).token
        clock.now += 5
        assert store.get_session(APP, token).idle == 5
        clock.now += 7
        assert store.set_session(APP, token, {"a": "1"}).idle == 7
        assert store.get_session(APP, token).idle == 0

    def test_seconds_are_whole(self, store: SessionStore, clock: Clock) -> None:
        clock.now += 0.9
        token = store.create_session(APP, "peter", IP).token
        clock.now += 0.2
        assert store.get_session(APP, token).idle == 1

    def test_a_session_is_alive_while_idle_is_at_most_ttl(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        clock.now += 10
        assert store.get_session(APP, token).idle == 10
        clock.now += 11
        assert store.get_session(APP, token) is None
        assert store.set_session(APP, token, {"a": "1"}) is None
        assert store.kill_session(APP, token) == 0

    @pytest.mark.parametrize("use", ["get", "set"])
    def test_every_use_restarts_the_idle_timeout(self, store: SessionStore, clock: Clock, use: str) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        for _ in range(5):
            clock.now += 10
            session = store.get_session(APP, token) if use == "get" else store.set_session(APP, token, {"a": "1"})
            assert session.idle == 10

    def test_a_listing_is_not_a_use(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        clock.now += 6
        assert [session.idle for session in store.list_sessions_of_id(APP, "peter").sessions] == [6]
        assert [session.idle for session in store.list_sessions_of_app(APP, 60).sessions] == [6]
        clock.now += 5
        assert store.get_session(APP, token) is None

    def test_no_resave_ends_at_a_fixed_time_and_shows_the_remaining_ttl(
        self, store: SessionStore, clock: Clock
    ) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(100, no_resave=True)).token
        for _ in range(10):
            clock.now += 10
            session = store.get_session(APP, token)
            assert session.no_resave
            assert store.set_session(APP, token, {"a": "1"}).ttl == session.ttl
        assert (session.ttl, session.idle) == (0, 10)
        clock.now += 1
        assert store.get_session(APP, token) is None

    def test_a_clock_that_is_behind_does_not_move_the_last_use_back(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        clock.now -= 3
        assert store.get_session(APP, token).idle == 0
        clock.now += 13
        assert store.get_session(APP, token).idle == 10

    @pytest.mark.parametrize("use", ["create", "get", "set"])
    def test_a_clock_that_is_behind_does_not_move_the_last_use_of_a_user_back(
        self, store: SessionStore, clock: Clock, use: str
    ) -> None:
        other = store.create_session(APP, "peter", IP).token
        clock.now += 100
        store.create_session(APP, "peter", IP)
        clock.now -= 60
        {
            "create": lambda: store.create_session(APP, "peter", IP).token,
            "get": lambda: store.get_session(APP, other),
            "set": lambda: store.set_session(APP, other, {"a": "1"}),
        }[use]()
        clock.now += 60
        assert store.count_active_users(APP, 10) == 1

    @pytest.mark.parametrize("use", ["get", "set"])
    def test_redis_drops_a_session_only_after_it_expired(self, store, server, namespace, clock, use) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(100)).token
        fixed = store.create_session(APP, "peter", IP, Timeouts(100, no_resave=True)).token
        keys = {}
        for used in (token, fixed):
            partition = Keyspace(namespace).partition(APP, place_of(used).partition)
            keys[used] = partition.session(place_of(used).handle)
        with server.connect() as client:
            for key in keys.values():
                assert 150 < client.ttl(key) <= 160
                # Redis has a clock of its own.
                client.expire(key, 70)
            clock.now += 90
            for used in keys:
                assert store.get_session(APP, used) if use == "get" else store.set_session(APP, used, {"a": "1"})
            assert 150 < client.ttl(keys[token]) <= 160
            assert 60 < client.ttl(keys[fixed]) <= 70


class TestData:
    def test_set_merges_at_the_top_level(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP, data={"name": '"Peter"', "age": "46", "none": None}).token
        assert store.get_session(APP, token).data == {"name": '"Peter"', "age": "46"}
        session = store.set_session(APP, token, {"name": '"Bruce"', "age": None, "job": '"x"', "never": None})
        assert session.data == {"name": '"Bruce"', "job": '"x"'}
        assert store.get_session(APP, token).data == session.data

    def test_removing_the_last_key_leaves_no_data(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP, data={"a": "1"}).token
        assert store.set_session(APP, token, {"a": None}).data == {}
        assert '"d"' not in store.get_session(APP, token).json

    def test_a_set_over_a_limit_changes_nothing(self, store: SessionStore, clock: Clock) -> None:
        full = {f"k{i}": "1" for i in range(MAX_KEYS)}
        token = store.create_session(APP, "peter", IP, data=full).token
        clock.now += 5
        for changes in (
            {"k0": None, "k1": "2", "more": "1", "most": "1"},
            {"k0": None, "k1": '"' + "x" * MAX_DATA_BYTES + '"'},
        ):
            with pytest.raises(TooLarge):
                store.set_session(APP, token, changes)
        session = store.get_session(APP, token)
        assert (session.data, session.w, session.idle) == (full, 1, 5)

    @pytest.mark.parametrize("removed", ["k", "never"])
    def test_nulls_do_not_count_as_keys(self, store: SessionStore, removed: str) -> None:
        full = {f"k{i}": "1" for i in range(MAX_KEYS)}
        token = store.create_session(APP, "peter", IP, data={f"never{i}": None for i in range(MAX_KEYS)} | full).token
        changes = {f"{removed}{i}": None for i in range(MAX_KEYS // 2)}
        written = {f"{'new' if removed == 'k' else 'k'}{i}": "2" for i in range(MAX_KEYS // 2)}
        session = store.set_session(APP, token, {**changes, **written})
        assert len(session.data) == MAX_KEYS
        assert session.data.items() >= written.items()

    @pytest.mark.parametrize("key", ["id", "r", "ttl", "used", "ends", "__proto__", "d:a", " ", "딸기", ""])
    def test_no_key_is_special(self, store: SessionStore, key: str) -> None:
        token = store.create_session(APP, "peter", IP, data={key: '"x"'}).token
        assert store.set_session(APP, token, {"other": "1"}).data == {key: '"x"', "other": "1"}
        assert store.set_session(APP, token, {key: None}).data == {"other": "1"}
        session = store.get_session(APP, token)
        assert (session.id, session.r, session.w, session.ttl) == ("peter", 1, 3, 7200)

    def test_a_text_comes_back_unchanged(self, store: SessionStore) -> None:
        texts = {"big": "12345678901234567", "e": "1e300", "z": "-0.0", "s": '"\\u0000 딸기 🍓 \u2028"', "empty": '""'}
        token = store.create_session(APP, "peter", IP, data=texts).token
        assert store.get_session(APP, token).data == texts


class TestTokens:
    def test_a_session_is_found_in_its_own_app_only(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP).token
        assert store.get_session("other", token) is None
        assert store.kill_session("other", token) == 0
        assert store.get_session(APP, token).r == 1

    def test_a_token_from_elsewhere_is_a_missing_session(self, store: SessionStore) -> None:
        assert store.get_session(APP, FOREIGN_TOKEN) is None
        assert store.set_session(APP, FOREIGN_TOKEN, {"a": "1"}) is None
        assert store.kill_session(APP, FOREIGN_TOKEN) == 0

    def test_the_store_never_holds_a_token(self, store, server, namespace) -> None:
        token = store.create_session(APP, "peter", IP, data={"a": "1"}).token
        store.get_session(APP, token)
        with server.connect() as client:
            dump = b"".join(
                key + (b"".join(client.hgetall(key)) if client.type(key) == b"hash" else b"")
                for key in map(str.encode, server.keys(namespace))
            )
            for key in server.keys(namespace):
                if client.type(key) == b"zset":
                    dump += b"".join(client.zrange(key, 0, -1))
        assert place_of(token).handle.encode() in dump
        assert token.encode() not in dump


class TestKill:
    def test_kill_one(self, store: SessionStore) -> None:
        token, other = (store.create_session(APP, "peter", IP).token for _ in range(2))
        assert [store.kill_session(APP, token) for _ in range(2)] == [1, 0]
        assert store.get_session(APP, token) is None
        assert store.get_session(APP, other)
        assert store.count_active_users(APP, 60) == 1
        assert store.kill_session(APP, other) == 1
        assert store.count_active_users(APP, 60) == 0

    def test_kills_do_not_count_expired_sessions_and_leave_nothing(
        self, store: SessionStore, clock: Clock, keys
    ) -> None:
        for kill in (
            lambda token: store.kill_session(APP, token),
            lambda _: store.kill_sessions_of_id(APP, "peter"),
            lambda _: store.kill_sessions_of_app(APP),
        ):
            token = store.create_session(APP, "peter", IP, Timeouts(10)).token
            clock.now += 11
            assert kill(token) == 0
            assert {key.rpartition(":")[2] for key in keys()} == {"apps"}


class TestActivity:
    def test_users_are_counted_once_and_by_their_last_use(self, store: SessionStore, clock: Clock) -> None:
        tokens = [store.create_session(APP, id, IP, Timeouts(1000)).token for id in ("a", "a", "b", "c")]
        clock.now += 60
        assert store.count_active_users(APP, 60) == 3
        assert store.count_active_users(APP, 59) == 0
        store.get_session(APP, tokens[1])
        store.set_session(APP, tokens[2], {"x": "1"})
        assert store.count_active_users(APP, 59) == 2
        assert store.count_active_users("other", 59) == 0

    def test_a_dt_longer_than_any_clock(self, store: SessionStore) -> None:
        store.create_session(APP, "a", IP)
        assert store.count_active_users(APP, 10**15) == 1
        assert len(store.list_sessions_of_app(APP, 10**15).sessions) == 1

    def test_a_user_whose_session_expired_was_active(self, store: SessionStore, clock: Clock) -> None:
        """As in redis-sessions: a user who was active a minute ago counts, whatever became of the session."""
        token = store.create_session(APP, "a", IP, Timeouts(10)).token
        clock.now += 11
        assert store.get_session(APP, token) is None
        assert store.count_active_users(APP, 60) == 1
