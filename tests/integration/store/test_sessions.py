"""What each operation of the store does, on every server, with a clock that the tests set."""

import pytest

from rest_sessions.errors import Conflict, TooLarge
from rest_sessions.limits import MAX_DATA_BYTES, MAX_KEYS
from rest_sessions.model import Login, Timeouts
from rest_sessions.store.keys import Keyspace, partition_number_of_id
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.own_tokens import own_token

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

    @pytest.mark.parametrize("use", ["get", "set", "touch"])
    def test_every_use_restarts_the_idle_timeout(self, store: SessionStore, clock: Clock, use: str) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        for _ in range(5):
            clock.now += 10
            session = {
                "get": lambda: store.get_session(APP, token),
                "set": lambda: store.set_session(APP, token, {"a": "1"}),
                "touch": lambda: store.touch_session(APP, token),
            }[use]()
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


class TestTouch:
    def test_is_a_use_that_counts_nothing(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        clock.now += 10
        assert store.touch_session(APP, token).idle == 10
        clock.now += 10
        session = store.get_session(APP, token)
        assert (session.r, session.w, session.idle) == (1, 1, 10)

    def test_answers_without_the_data(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP, data={"a": "1"}).token
        session = store.touch_session(APP, token)
        assert (session.id, session.ip, session.ttl, session.data) == ("peter", IP, 7200, {})
        assert store.get_session(APP, token).data == {"a": "1"}

    def test_a_missing_session_stays_missing(self, store: SessionStore, clock: Clock, stored) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        clock.now += 11
        before = stored.everything()
        assert store.touch_session(APP, token, ttl=1000) is None
        assert stored.everything() == before

    def test_takes_one_round_trip(self, store: SessionStore, batches) -> None:
        token = store.create_session(APP, "peter", IP).token
        batches.clear()
        store.touch_session(APP, token, ttl=10)
        assert len(batches) == 1


class TestPeek:
    def test_shows_the_session_as_it_is(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, data={"a": "1"}).token
        clock.now += 5
        peeked = [store.get_session(APP, token, peek=True) for _ in range(2)]
        assert peeked == [store.get_session(APP, token)] * 2

    def test_changes_nothing_at_all(self, store: SessionStore, clock: Clock, stored) -> None:
        token = store.create_session(APP, "peter", IP).token
        clock.now += 5
        before = stored.everything()
        assert store.get_session(APP, token, peek=True)
        assert stored.everything() == before

    def test_does_not_keep_a_session_alive(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        clock.now += 10
        assert store.get_session(APP, token, peek=True).idle == 10
        clock.now += 1
        assert store.get_session(APP, token, peek=True) is None


@pytest.mark.parametrize("use", ["set", "touch"])
class TestNewTtl:
    """`ttl` given to a session that exists, as for "remember me"."""

    @pytest.fixture
    def give(self, store: SessionStore, use: str):
        """Gives the session of a token a new ttl."""
        if use == "set":
            return lambda token, ttl: store.set_session(APP, token, {"a": "1"}, ttl=ttl)
        return lambda token, ttl: store.touch_session(APP, token, ttl=ttl)

    # A use within the second of the last one changes no time, but a new ttl takes effect.
    @pytest.mark.parametrize("seconds", [0, 7], ids=["in the same second", "later"])
    @pytest.mark.parametrize("ttl", [10, 1000])
    def test_holds_from_now_on(self, store, clock: Clock, give, ttl: int, seconds: int) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(100)).token
        clock.now += seconds
        session = give(token, ttl)
        assert (session.ttl, session.idle) == (ttl, seconds)
        clock.now += ttl
        assert store.get_session(APP, token).ttl == ttl
        clock.now += ttl + 1
        assert store.get_session(APP, token) is None

    @pytest.mark.parametrize("seconds", [0, 7], ids=["in the same second", "later"])
    @pytest.mark.parametrize("ttl", [10, 1000])
    def test_moves_the_end_in_redis(self, store, clock: Clock, give, stored, ttl: int, seconds: int) -> None:
        place = place_of(token := store.create_session(APP, "peter", IP, Timeouts(100)).token)
        clock.now += seconds
        give(token, ttl)
        assert stored.lasts(APP, place, ttl + 60)
        assert stored.entries(place.handle)["expiry"] == clock.now + ttl

    def test_the_sweep_knows_it(self, store: SessionStore, clock: Clock, give, keys) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(100)).token
        give(token, 10)
        clock.now += 10
        assert store.sweep_expired() == (0, {})
        clock.now += 1
        assert store.sweep_expired() == (1, {})
        assert keys() == set()

    @pytest.mark.parametrize("seconds", [0, 7], ids=["in the same second", "later"])
    @pytest.mark.parametrize("ttl", [20, 1000])
    def test_moves_the_end_of_no_resave(self, store, clock, give, stored, ttl: int, seconds: int) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(100, no_resave=True)).token
        clock.now += seconds
        assert give(token, ttl).ttl == ttl
        assert stored.lasts(APP, place_of(token), ttl + 60)
        for passed in (10, ttl - 10):
            clock.now += passed
            session = store.get_session(APP, token)
        assert (session.ttl, session.no_resave) == (0, True)
        clock.now += 1
        assert store.get_session(APP, token) is None

    def test_does_not_move_the_end_of_a_lifetime(self, store: SessionStore, clock: Clock, give, stored) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10, 100)).token
        clock.now += 10
        assert give(token, 1000).ttl == 1000
        assert stored.lasts(APP, place_of(token), 90 + 60)
        clock.now += 90
        assert store.get_session(APP, token)
        clock.now += 1
        assert store.get_session(APP, token) is None

    def test_a_use_without_a_ttl_keeps_it(self, store: SessionStore, clock: Clock, give) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10)).token
        give(token, 50)
        assert give(token, None).ttl == 50


class TestNoResave:
    @pytest.mark.parametrize("use", ["get", "set", "touch", "rotate", "peek"])
    def test_its_end_never_drifts(self, store: SessionStore, clock: Clock, use: str) -> None:
        """The predecessor lost most of an hour to many reads within a second."""
        token = store.create_session(APP, "peter", IP, Timeouts(100, no_resave=True)).token
        uses = {
            "get": lambda: store.get_session(APP, token),
            "set": lambda: store.set_session(APP, token, {"a": "1"}),
            "touch": lambda: store.touch_session(APP, token),
            "rotate": lambda: store.rotate_session(APP, token),
            "peek": lambda: store.get_session(APP, token, peek=True),
        }
        for _ in range(10):
            for _ in range(5):
                uses[use]()
            clock.now += 10
        assert store.get_session(APP, token).ttl == 0
        clock.now += 1
        assert store.get_session(APP, token) is None

    def test_nor_does_the_end_that_a_ttl_has_moved(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(100, no_resave=True)).token
        clock.now += 50
        store.touch_session(APP, token, ttl=200)
        for _ in range(20):
            for _ in range(5):
                store.touch_session(APP, token)
            clock.now += 10
        assert store.get_session(APP, token).ttl == 0
        clock.now += 1
        assert store.get_session(APP, token) is None


class TestLifetime:
    def test_ends_a_session_whatever_its_use(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10, 35)).token
        for passed in (10, 10, 10, 5):
            clock.now += passed
            assert store.get_session(APP, token).ttl == 10
        clock.now += 1
        assert store.get_session(APP, token) is None
        assert store.kill_session(APP, token) == 0

    def test_the_idle_timeout_may_come_first(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(10, 1000)).token
        clock.now += 11
        assert store.get_session(APP, token) is None

    def test_may_be_shorter_than_the_ttl(self, store: SessionStore, clock: Clock) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(1000, 10)).token
        clock.now += 10
        assert store.get_session(APP, token)
        clock.now += 1
        assert store.get_session(APP, token) is None

    def test_redis_knows_the_earlier_end(self, store: SessionStore, clock: Clock, stored) -> None:
        place = place_of(token := store.create_session(APP, "peter", IP, Timeouts(100, 250)).token)
        for left in (100, 100, 70):
            assert stored.lasts(APP, place, left + 60)
            assert stored.entries(place.handle)["expiry"] == clock.now + left
            clock.now += 90
            store.get_session(APP, token)

    def test_the_sweep_removes_it_then(self, store: SessionStore, clock: Clock, keys) -> None:
        store.create_session(APP, "peter", IP, Timeouts(1000, 10))
        clock.now += 10
        assert store.sweep_expired() == (0, {})
        clock.now += 1
        assert store.sweep_expired() == (1, {})
        assert keys() == set()


class TestDetails:
    @pytest.fixture(params=["create", "get", "peek", "set", "touch", "soid", "soapp"])
    def details(self, request: pytest.FixtureRequest, store: SessionStore):
        """The details of the session of a token, by each operation that can show them."""
        return {
            "create": lambda token: store.get_session(APP, token, details=True).details,
            "get": lambda token: store.get_session(APP, token, details=True).details,
            "peek": lambda token: store.get_session(APP, token, peek=True, details=True).details,
            "set": lambda token: store.set_session(APP, token, {"a": "1"}, details=True).details,
            "touch": lambda token: store.touch_session(APP, token, details=True).details,
            "soid": lambda token: store.list_sessions_of_id(APP, "peter", details=True).sessions[0].details,
            "soapp": lambda token: store.list_sessions_of_app(APP, 60, details=True).sessions[0].details,
        }[request.param]

    @pytest.mark.parametrize(
        ("timeouts", "lifetime"),
        [(Timeouts(100), None), (Timeouts(100, 500), 500), (Timeouts(100, no_resave=True), None)],
        ids=["idle", "lifetime", "no-resave"],
    )
    def test_handle_age_and_lifetime(self, store, clock: Clock, details, timeouts, lifetime) -> None:
        created = store.create_session(APP, "peter", IP, timeouts)
        for age in (0, 30, 60):
            assert details(created.token) == (created.handle, age, lifetime)
            clock.now += 30

    def test_a_ttl_does_not_change_the_lifetime(self, store: SessionStore, clock: Clock, details) -> None:
        token = store.create_session(APP, "peter", IP, Timeouts(100, 500)).token
        clock.now += 50
        store.touch_session(APP, token, ttl=1000)
        assert details(token)[1:] == (50, 500)

    def test_a_rotation_changes_none(self, store: SessionStore, clock: Clock, details) -> None:
        created = store.create_session(APP, "peter", IP, Timeouts(100, 500))
        clock.now += 20
        assert details(store.rotate_session(APP, created.token)) == (created.handle, 20, 500)


def test_nothing_has_details_without_being_asked(store: SessionStore) -> None:
    token = store.create_session(APP, "peter", IP, Timeouts(100, 500)).token
    sessions = [
        store.get_session(APP, token),
        store.set_session(APP, token, {"a": "1"}),
        store.touch_session(APP, token),
        *store.list_sessions_of_id(APP, "peter").sessions,
        *store.list_sessions_of_app(APP, 60).sessions,
    ]
    assert [session.details for session in sessions] == [None] * 5
    assert not any('"handle"' in session.json for session in sessions)


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


class TestReplace:
    def test_a_key_left_out_goes(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP, data={"a": "1", "b": "2", "c": "3"}).token
        session = store.set_session(APP, token, {"b": "4", "c": None, "d": "5"}, replace=True)
        assert session.data == {"b": "4", "d": "5"}
        assert store.get_session(APP, token).data == session.data

    def test_nothing_may_be_left(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP, data={"a": "1"}).token
        session = store.set_session(APP, token, {}, replace=True)
        assert (session.data, session.w) == ({}, 2)
        assert store.get_session(APP, token).id == "peter"

    def test_what_goes_makes_room(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP, data={f"k{i}": "1" for i in range(MAX_KEYS)}).token
        full = {f"new{i}": "1" for i in range(MAX_KEYS)}
        assert store.set_session(APP, token, full, replace=True).data == full

    def test_one_over_a_limit_removes_nothing(self, store: SessionStore, stored) -> None:
        token = store.create_session(APP, "peter", IP, data={"a": "1"}).token
        before = stored.everything()
        with pytest.raises(TooLarge):
            store.set_session(APP, token, {"b": '"' + "x" * MAX_DATA_BYTES + '"'}, replace=True)
        assert stored.everything() == before


class TestExpectedW:
    def test_writes_if_w_is_as_expected(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP).token
        for w in range(1, 4):
            assert store.set_session(APP, token, {"a": str(w)}, expected_w=w).w == w + 1
        assert store.get_session(APP, token).data == {"a": "3"}

    @pytest.mark.parametrize("expected", [1, 3])
    def test_else_it_is_a_conflict_that_changes_nothing(self, store, clock: Clock, stored, expected: int) -> None:
        token = store.create_session(APP, "peter", IP).token
        store.set_session(APP, token, {"a": "1"})
        clock.now += 5
        before = stored.everything()
        with pytest.raises(Conflict, match=f"^w is 2, not {expected}"):
            store.set_session(APP, token, {"a": "2"}, expected_w=expected, ttl=1000, replace=True)
        assert stored.everything() == before

    def test_the_same_write_twice_is_a_conflict(self, store: SessionStore) -> None:
        token = store.create_session(APP, "peter", IP).token
        store.set_session(APP, token, {"a": "1"}, expected_w=1)
        with pytest.raises(Conflict):
            store.set_session(APP, token, {"a": "1"}, expected_w=1)

    def test_a_missing_session_is_missing(self, store: SessionStore) -> None:
        assert store.set_session(APP, FOREIGN_TOKEN, {"a": "1"}, expected_w=1) is None

    def test_with_too_much_data_nothing_is_written(self, store: SessionStore, stored) -> None:
        token = store.create_session(APP, "peter", IP).token
        before = stored.everything()
        with pytest.raises(TooLarge):
            store.set_session(APP, token, {"a": '"' + "x" * MAX_DATA_BYTES + '"'}, expected_w=1)
        assert stored.everything() == before

    def test_takes_one_round_trip(self, store: SessionStore, batches) -> None:
        token = store.create_session(APP, "peter", IP).token
        batches.clear()
        store.set_session(APP, token, {"a": "1"}, expected_w=1)
        assert len(batches) == 1


# Every operation that takes a token. None of them may find a session.
WITH_TOKEN = {
    "get": lambda store, token: store.get_session(APP, token),
    "peek": lambda store, token: store.get_session(APP, token, peek=True),
    "set": lambda store, token: store.set_session(APP, token, {"a": "1"}),
    "set with ttl": lambda store, token: store.set_session(APP, token, {"a": "1"}, ttl=1000),
    "set with replace": lambda store, token: store.set_session(APP, token, {}, replace=True),
    "set with w": lambda store, token: store.set_session(APP, token, {"a": "1"}, expected_w=1),
    "touch": lambda store, token: store.touch_session(APP, token),
    "touch with ttl": lambda store, token: store.touch_session(APP, token, ttl=1000),
    "rotate": lambda store, token: store.rotate_session(APP, token),
    "kill": lambda store, token: store.kill_session(APP, token),
}
STATES = ["just created", "rotated", "new token used", "closed", "own token", "killed with own token"]


class TestWrongSecret:
    """Everybody may know a handle. Only who has the secret as well finds the session."""

    @pytest.fixture(params=STATES)
    def wrong(self, request: pytest.FixtureRequest, store: SessionStore, clock: Clock) -> str:
        """A token with the handle of a session, and another secret."""
        options = {"own_token": own_token(partition_number_of_id("peter"))} if "own token" in request.param else {}
        token = store.create_session(APP, "peter", IP, Timeouts(100), {"b": "1"}, **options).token
        if request.param in ("rotated", "new token used"):
            token = store.rotate_session(APP, token)
        if request.param == "new token used":
            store.get_session(APP, token)
        if request.param == "closed":
            store.create_session(APP, "peter", IP, login=Login(token))
        if request.param == "killed with own token":
            store.kill_session(APP, token)
        clock.now += 5
        place = place_of(token)
        return f"Z{place.partition:x}{place.handle}{'0' * 40}"

    @pytest.mark.parametrize("operation", WITH_TOKEN)
    def test_is_a_missing_session_and_changes_nothing(self, store, stored, wrong: str, operation: str) -> None:
        before = stored.everything()
        assert not WITH_TOKEN[operation](store, wrong)
        assert stored.everything() == before

    def test_a_login_takes_and_closes_nothing(self, store: SessionStore, stored, wrong: str) -> None:
        before = stored.fields(APP, place_of(wrong))
        created = store.create_session(APP, "paul", IP, login=Login(wrong))
        assert created.taken_over is False
        assert store.get_session(APP, created.token).data == {}
        assert stored.fields(APP, place_of(wrong)) == before


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
        self, store: SessionStore, clock: Clock, left
    ) -> None:
        for kill in (
            lambda token: store.kill_session(APP, token),
            lambda _: store.kill_sessions_of_id(APP, "peter"),
            lambda _: store.kill_sessions_of_app(APP),
        ):
            token = store.create_session(APP, "peter", IP, Timeouts(10)).token
            clock.now += 11
            assert kill(token) == 0
            assert left() == set()


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
