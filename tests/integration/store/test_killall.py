"""The end of all sessions of an app at once, what is left of them until the sweep, and the same call made again."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from redis.exceptions import ConnectionError

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Command, ScriptCall
from rest_sessions.errors import Conflict, StoreUnavailable, TokenInUse, TooManySessions
from rest_sessions.model import DEFAULT_TIMEOUTS, App, Cap, Devices, Login, Timeouts
from rest_sessions.store.keys import PARTITIONS
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.integration.test_races import together
from tests.leftovers import left_after_sweep
from tests.own_tokens import ELSEWHERE, HERE, USER, own_token, user_in
from tests.pages import ids
from tests.servers import Server
from tests.waiting import wait_until

APP = "webapp"
IP = "192.0.2.7"
ALL_USERS = [user_in(number) for number in range(PARTITIONS)]
# As many sessions as a listing reads without a script, and one more.
FEW, SOME = 8, 9
# More sessions than one script looks at, or one round trip ends.
MANY = 150

Call = Callable[[], object]


def create(store: SessionStore, id: str = USER, **options) -> str:
    """The token of a new session."""
    return store.create_session(APP, id, IP, **options).token


def create_in_all_partitions(store: SessionStore, times: int = 1, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> list[str]:
    return [create(store, id, timeouts=timeouts) for id in ALL_USERS for _ in range(times)]


def killall(store: SessionStore) -> int:
    return store.kill_sessions_of_app(APP)


def living(store: SessionStore, tokens: list[str]) -> list[bool]:
    return [bool(store.get_session(APP, token, peek=True)) for token in tokens]


def apps(store: SessionStore) -> list[App]:
    return list(store.list_apps(lambda _: True).apps)


@pytest.fixture
def delete(stored, keys) -> Callable[..., None]:
    """Deletes the keys with these last parts, as an eviction does."""

    def delete(*names: str) -> None:
        for key in keys():
            if key.rpartition(":")[2] in names:
                stored.client.delete(key)

    return delete


@pytest.fixture
def aside(keys) -> Callable[[], set[str]]:
    """The keys of what killalls have left for the sweep."""
    return lambda: {key for key in keys() if ":killed:" in key}


@pytest.fixture
def after_trip(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Call], None]:
    """Sets what happens after one of the next round trips, by its number from 1."""

    def after_trip(number: int, call: Call) -> None:
        run, trips = store._client.run, []

        def watched(*commands: Command, **options: Any) -> list[Any]:
            replies = run(*commands, **options)
            trips.append(commands)
            if len(trips) == number:
                monkeypatch.setattr(store._client, "run", run)
                call()
            return replies

        monkeypatch.setattr(store._client, "run", watched)

    return after_trip


@pytest.fixture
def lose_answer(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Loses the answer of the next round trip, after which `meanwhile` happens. The client sends it again."""

    def lose_answer(meanwhile: Call = lambda: None) -> None:
        send = store._client._send

        def lost(commands: list[Command]) -> None:
            monkeypatch.setattr(store._client, "_send", send)
            send(commands)
            meanwhile()
            raise ConnectionError

        monkeypatch.setattr(store._client, "_send", lost)

    return lose_answer


@pytest.fixture
def other(server: Server, namespace: str, clock: Clock) -> SessionStore:
    """That of another process."""
    return SessionStore(Client(server.settings(namespace)), namespace, clock)


def expired(store: SessionStore, clock: Clock) -> None:
    create(store, timeouts=Timeouts(10))
    clock.now += 11


def past_its_lifetime(store: SessionStore, clock: Clock) -> None:
    token = create(store, timeouts=Timeouts(10, 15))
    clock.now += 10
    store.get_session(APP, token)
    clock.now += 6


def past_its_fixed_end(store: SessionStore, clock: Clock) -> None:
    token = create(store, timeouts=Timeouts(10, no_resave=True))
    clock.now += 5
    store.get_session(APP, token)
    clock.now += 6


def prolonged(store: SessionStore, clock: Clock) -> None:
    token = create(store, timeouts=Timeouts(10))
    store.touch_session(APP, token, ttl=100)
    clock.now += 100


def refused_login(store: SessionStore, _: Clock) -> None:
    old, _ = create(store), create(store)
    with pytest.raises(TooManySessions):
        create(store, login=Login(old), cap=Cap(1, refuses=True))


# How many sessions a killall counts after this.
COUNTED: dict[str, tuple[int, Callable[[SessionStore, Clock], object]]] = {
    "one": (1, lambda store, _: create(store)),
    "two of a user": (2, lambda store, _: [create(store), create(store)]),
    "anonymous": (1, lambda store, _: store.create_anonymous_session(APP, IP)),
    "with a lifetime": (1, lambda store, _: create(store, timeouts=Timeouts(10, 100))),
    "with a fixed end": (1, lambda store, _: create(store, timeouts=Timeouts(10, no_resave=True))),
    "with an own token": (1, lambda store, _: create(store, own_token=own_token(HERE))),
    "with an own token by a pointer": (1, lambda store, _: create(store, own_token=own_token(ELSEWHERE))),
    "rotated": (1, lambda store, _: store.rotate_session(APP, create(store))),
    "in its last second": (1, prolonged),
    "expired": (0, expired),
    "past its lifetime": (0, past_its_lifetime),
    "past its fixed end": (0, past_its_fixed_end),
    "killed": (0, lambda store, _: store.kill_session(APP, create(store))),
    "closed by a login": (1, lambda store, _: create(store, login=Login(create(store)))),
    "closed by a login from elsewhere": (
        1,
        lambda store, _: create(store, login=Login(store.create_anonymous_session(APP, IP).token)),
    ),
    "opened again": (2, refused_login),
    "ended by a cap": (1, lambda store, _: [create(store, cap=Cap(1)) for _ in range(2)]),
}


class TestCount:
    @pytest.mark.parametrize("what", COUNTED)
    def test_is_of_the_live_sessions(self, store: SessionStore, clock: Clock, what: str) -> None:
        count, prepare = COUNTED[what]
        prepare(store, clock)
        assert killall(store) == count
        assert killall(store) == 0

    def test_is_over_all_partitions(self, store: SessionStore) -> None:
        create_in_all_partitions(store, 2)
        for _ in range(10):
            store.create_anonymous_session(APP, IP)
        assert killall(store) == 2 * PARTITIONS + 10
        assert killall(store) == 0

    def test_of_an_unknown_app_is_0_and_leaves_no_key(self, store: SessionStore, keys) -> None:
        assert killall(store) == 0
        assert keys() == set()

    def test_is_not_of_other_apps(self, store: SessionStore) -> None:
        other = store.create_session("other", USER, IP).token
        create(store)
        assert killall(store) == 1
        assert store.get_session("other", other)
        assert apps(store) == [App("other", 1, 1), App(APP, 0, 0)]


def rotation(store: SessionStore, *, is_new: bool) -> str:
    old = create(store)
    new = store.rotate_session(APP, old)
    assert store.get_session(APP, new)
    return new if is_new else old


def closed(store: SessionStore) -> str:
    old = create(store)
    create(store, login=Login(old))
    assert store.get_session(APP, old).closed
    return old


# Makes a session, and returns a token of it.
TOKENS: dict[str, Callable[[SessionStore], str]] = {
    "ours": create,
    "anonymous": lambda store: store.create_anonymous_session(APP, IP).token,
    "own": lambda store: create(store, own_token=own_token(HERE)),
    "own by a pointer": lambda store: create(store, own_token=own_token(ELSEWHERE)),
    "old of a rotation": lambda store: rotation(store, is_new=False),
    "new of a rotation": lambda store: rotation(store, is_new=True),
    "closed": closed,
}
USES: dict[str, Callable[[SessionStore, str], object]] = {
    "get": lambda store, token: store.get_session(APP, token),
    "peek": lambda store, token: store.get_session(APP, token, peek=True),
    "set": lambda store, token: store.set_session(APP, token, {"k": "1"}, ttl=100),
    "set with w": lambda store, token: store.set_session(APP, token, {"k": "1"}, expected_w=1),
    "touch": lambda store, token: store.touch_session(APP, token, ttl=100),
    "rotate": lambda store, token: store.rotate_session(APP, token),
    "kill": lambda store, token: store.kill_session(APP, token),
    "login": lambda store, token: store.create_session(APP, USER, IP, login=Login(token)).taken_over,
}


def killall_and_sweep(store: SessionStore, _: object) -> None:
    killall(store)
    store.sweep_expired()


# What ends all sessions of the app.
ENDS: dict[str, Callable[[SessionStore, Callable[..., None]], object]] = {
    "killall": lambda store, _: killall(store),
    "killall and sweep": killall_and_sweep,
    "killall and create": lambda store, _: [killall(store), create_in_all_partitions(store)],
    "loss of the epoch": lambda _, delete: delete("epoch"),
    "loss of the epoch and create": lambda store, delete: [delete("epoch"), create_in_all_partitions(store)],
}


@pytest.fixture(params=ENDS)
def end_all(store: SessionStore, delete, request: pytest.FixtureRequest) -> Call:
    return lambda: ENDS[request.param](store, delete)


class TestAfterwards:
    @pytest.mark.parametrize("token", TOKENS)
    def test_no_use_finds_a_session(self, store: SessionStore, end_all: Call, token: str) -> None:
        text = TOKENS[token](store)
        end_all()
        assert {name for name, use in USES.items() if use(store, text)} == set()

    @pytest.mark.parametrize("count", [1, FEW, SOME, MANY])
    def test_no_listing_has_a_session(self, store: SessionStore, end_all: Call, count: int) -> None:
        before = {store.create_session(APP, USER, IP).handle for _ in range(count)}
        end_all()
        for page in (
            store.list_sessions_of_id(APP, USER, details=True),
            store.list_sessions_of_id(APP, USER, 1, details=True),
            store.list_sessions_of_app(APP, 60, details=True),
        ):
            assert not {session.details.handle for session in page.sessions} & before

    @pytest.mark.parametrize("count", [1, SOME, MANY])
    def test_no_kill_of_a_user_ends_a_session(self, store: SessionStore, end_all: Call, count: int) -> None:
        handles = [store.create_session(APP, "paul", IP).handle for _ in range(count)]
        end_all()
        with pytest.raises(Conflict):
            store.kill_sessions_of_id(APP, "paul", Devices(spared=handles[0]))
        assert store.kill_sessions_of_id(APP, "paul", Devices(only=handles[0])) == 0
        assert store.kill_sessions_of_id(APP, "paul") == 0

    @pytest.mark.parametrize("count", [1, SOME, MANY])
    def test_no_cap_counts_a_session(self, store: SessionStore, end_all: Call, count: int) -> None:
        for _ in range(count):
            create(store, "paul")
        end_all()
        assert create(store, "paul", cap=Cap(1, refuses=True))
        assert store.create_session(APP, "paul", IP, cap=Cap(1)).killed == 1
        with pytest.raises(TooManySessions):
            create(store, "paul", cap=Cap(1, refuses=True))

    def test_a_session_that_was_closed_before_is_not_opened_again(self, store, end_all: Call, after_trip) -> None:
        old, _ = create(store), create(store)
        after_trip(1, lambda: [end_all(), create(store)])
        with pytest.raises(TooManySessions):
            create(store, login=Login(old), cap=Cap(1, refuses=True))
        assert store.get_session(APP, old) is None

    def test_a_refused_login_brings_no_entry_of_its_closed_session_back(self, store, after_trip) -> None:
        old, _ = create(store), create(store)
        after_trip(1, lambda: [killall(store), create(store)])
        with pytest.raises(TooManySessions):
            create(store, login=Login(old), cap=Cap(1, refuses=True))
        assert apps(store) == [App(APP, 1, 1)]
        assert killall(store) == 1

    @pytest.mark.parametrize("is_swept", [False, True], ids=["not swept", "swept"])
    def test_nobody_is_active_and_no_app_has_a_session(self, store: SessionStore, is_swept: bool) -> None:
        create_in_all_partitions(store)
        assert killall(store) == PARTITIONS
        if is_swept:
            store.sweep_expired()
        assert store.count_active_users(APP, 60) == store.count_active_users_of_all_apps(60).total == 0
        assert apps(store) == [App(APP, 0, 0)]


# Calls of more than one round trip with the handle of one of the user's sessions, and their answers.
INTERRUPTED: dict[str, tuple[Callable[[SessionStore, str], object], object]] = {
    "soid": (lambda store, _: store.list_sessions_of_id(APP, USER).sessions, []),
    "soapp": (lambda store, _: store.list_sessions_of_app(APP, 60).sessions, []),
    "killsoid": (lambda store, _: store.kill_sessions_of_id(APP, USER), 0),
    "except": (lambda store, handle: store.kill_sessions_of_id(APP, USER, Devices(spared=handle)), 0),
    "cap": (lambda store, _: store.create_session(APP, USER, IP, cap=Cap(1)).killed, 0),
    "cap that refuses": (lambda store, _: bool(create(store, cap=Cap(1, refuses=True))), True),
}


@pytest.mark.parametrize("count", [FEW, SOME, MANY])
@pytest.mark.parametrize("name", INTERRUPTED)
def test_a_call_finds_nothing_after_a_killall_between_its_round_trips(store, after_trip, name: str, count: int) -> None:
    """It has already found the sessions, which it then reads or ends."""
    call, answer = INTERRUPTED[name]
    handles = [store.create_session(APP, USER, IP).handle for _ in range(count)]
    counts: list[int] = []
    after_trip(1, lambda: counts.append(killall(store)))
    assert call(store, handles[0]) == answer
    assert counts == [count]


def test_a_login_makes_its_session_after_a_killall_that_came_between_its_steps(store, after_trip) -> None:
    visitor = store.create_anonymous_session(APP, IP, data={"cart": "1"}).token
    after_trip(1, lambda: killall(store))
    created = store.create_session(APP, USER, IP, login=Login(visitor))
    assert store.get_session(APP, created.token).data == {"cart": "1"}
    assert store.get_session(APP, visitor) is None


# Who comes with a caller's own token after the session of USER.
USERS = {"the same user": USER, "in the user's partition": user_in(HERE), "elsewhere": user_in(HERE - 1)}


@pytest.mark.parametrize("partition", [HERE, ELSEWHERE], ids=["here", "by a pointer"])
class TestOwnToken:
    @pytest.fixture
    def own(self, partition: int) -> str:
        return own_token(partition)

    @pytest.mark.parametrize("swept", [(), (0,), (0, 61, 39)], ids=["not swept", "swept", "swept often"])
    @pytest.mark.parametrize("id", USERS.values(), ids=USERS)
    @pytest.mark.parametrize(
        "timeouts",
        [Timeouts(100), Timeouts(100, 100), Timeouts(100, no_resave=True)],
        ids=["idle", "lifetime", "fixed"],
    )
    def test_stays_in_use_until_its_session_would_have_ended(
        self, store: SessionStore, clock: Clock, own: str, timeouts: Timeouts, id: str, swept: tuple[int, ...]
    ) -> None:
        create(store, timeouts=timeouts, own_token=own)
        ends = clock.now + 100
        assert killall(store) == 1
        for seconds in swept:
            clock.now += seconds
            assert store.sweep_expired() == (0, {})
            with pytest.raises(TokenInUse):
                create(store, id, own_token=own)
        clock.now = ends
        with pytest.raises(TokenInUse):
            create(store, id, own_token=own)
        clock.now += 1
        create(store, id, own_token=own)
        assert store.get_session(APP, own).id == id

    def test_the_same_create_does_not_revive_its_session(self, store: SessionStore, own: str) -> None:
        create(store, own_token=own)
        assert killall(store) == 1
        with pytest.raises(TokenInUse):
            create(store, own_token=own)
        store.sweep_expired()
        with pytest.raises(TokenInUse):
            create(store, own_token=own)
        assert store.get_session(APP, own) is None

    @pytest.mark.parametrize("id", USERS.values(), ids=USERS)
    def test_the_sweep_of_the_killed_session_spares_the_next_one(
        self, store: SessionStore, clock: Clock, own: str, id: str
    ) -> None:
        create(store, timeouts=Timeouts(10), own_token=own)
        assert killall(store) == 1
        clock.now += 11
        create(store, id, timeouts=Timeouts(1000), data={"k": "1"}, own_token=own)
        for seconds in (0, 61):
            clock.now += seconds
            assert store.sweep_expired() == (0, {})
            assert store.get_session(APP, own, peek=True).data == {"k": "1"}
            assert ids(store.list_sessions_of_id(APP, id)) == [id]
            assert store.count_active_users(APP, 100) == 1
        assert killall(store) == 1

    @pytest.mark.parametrize("id", USERS.values(), ids=USERS)
    def test_two_killalls_before_a_sweep_end_both_sessions(self, store, clock: Clock, own: str, id: str) -> None:
        create(store, timeouts=Timeouts(10), own_token=own)
        killall(store)
        clock.now += 11
        create(store, id, timeouts=Timeouts(10), own_token=own)
        assert killall(store) == 1
        assert store.sweep_expired() == (0, {})
        assert store.get_session(APP, own) is None
        clock.now += 10
        with pytest.raises(TokenInUse):
            create(store, own_token=own)

    def test_the_sweep_leaves_a_mark_that_redis_drops(
        self, store: SessionStore, own: str, clock: Clock, stored
    ) -> None:
        create(store, timeouts=Timeouts(100), own_token=own)
        place = stored.home(APP, own)
        clock.now += 40
        killall(store)
        store.sweep_expired()
        assert stored.fields(APP, place) == {b"killed": b"%d" % (clock.now + 60)}
        assert stored.lasts(APP, place, 120)


def names(keys: set[str]) -> set[str]:
    """The last parts of keys, without sessions and what lies aside."""
    return {key.rpartition(":")[2] for key in keys if ":s:" not in key and ":killed:" not in key}


class TestLaterSessions:
    @pytest.mark.parametrize("id", [USER, user_in(HERE), user_in(ELSEWHERE)], ids=["same user", "here", "elsewhere"])
    def test_live_before_and_after_the_sweeps(self, store: SessionStore, clock: Clock, id: str) -> None:
        before = [create(store) for _ in range(SOME)]
        assert killall(store) == SOME
        later = [create(store, id) for _ in range(2)]
        for seconds in (0, 30, 61):
            clock.now += seconds
            assert living(store, before + later) == [False] * SOME + [True] * 2
            assert ids(store.list_sessions_of_id(APP, id)) == [id] * 2
            assert len(store.list_sessions_of_app(APP, 600).sessions) == 2
            assert store.count_active_users(APP, 600) == 1
            assert apps(store) == [App(APP, 2, 1)]
            assert store.sweep_expired() == (0, {})

    @pytest.mark.parametrize("is_swept", [False, True], ids=["not swept", "swept between"])
    def test_only_they_are_ended_by_the_next_killall(self, store: SessionStore, left, is_swept: bool) -> None:
        counts = []
        for number in (3, 1, 0, 2):
            tokens = [create(store) for _ in range(number)]
            counts.append(killall(store))
            assert not any(living(store, tokens))
            if is_swept:
                store.sweep_expired()
        assert counts == [3, 1, 0, 2]
        assert left() == set()

    def test_keep_their_epoch_but_nothing_of_earlier_killalls(self, store, clock: Clock, keys, aside) -> None:
        create(store)
        killall(store)
        later = create(store)
        clock.now += 61
        store.sweep_expired()
        assert names(keys()) == {"apps", "epoch", "ids", "users", "recent", "expiry"}
        assert aside() == set()
        assert store.get_session(APP, later)


class TestSweep:
    def test_begins_with_no_entry_of_a_session_in_the_index(self, store: SessionStore, keys, aside) -> None:
        create(store, login=Login(create(store)))
        assert "closed" in names(keys())
        killall(store)
        assert names(keys()) == {"apps", "epoch", "killed"}
        assert len(aside()) == 1

    @pytest.mark.parametrize("killalls", [1, 2, 9])
    def test_removes_all_that_killalls_left(self, store: SessionStore, keys, left, killalls: int) -> None:
        for _ in range(killalls):
            create_in_all_partitions(store, 2)
            assert killall(store) == 2 * PARTITIONS
        assert store.sweep_expired() == (0, {})
        assert names(keys()) == {"apps", "epoch", "killed"}
        assert not [key for key in keys() if ":s:" in key or ":killed:" in key]
        assert left() == set()

    @pytest.mark.parametrize("killalls", [1, 9])
    def test_ends_at_most_128_sessions_in_one_round_trip(self, store, clock, batches, killalls: int) -> None:
        for _ in range(killalls):
            create_in_all_partitions(store, 18 // killalls)
            killall(store)
        create_in_all_partitions(store, 6, Timeouts(10))
        clock.now += 11
        batches.clear()
        assert store.sweep_expired() == (6 * PARTITIONS, {})
        calls = [[command for command in batch if isinstance(command, ScriptCall)] for batch in batches]
        ended = [sum(":s:" in key for call in some for key in call.keys) for some in calls]
        assert sum(ended) == 24 * PARTITIONS
        assert max(ended) <= 128

    def test_stops_when_told_and_goes_on_in_the_next_run(self, store, clock: Clock, keys, left) -> None:
        for _ in range(40):
            create(store)
        killall(store)
        # Only what lies aside keeps the killall from being forgotten.
        clock.now += 61
        sessions = []
        for _ in range(40):
            answers = iter([True] * 3)
            assert store.sweep_expired(lambda answers=answers: next(answers, False)) == (0, {})
            sessions.append(sum(":s:" in key for key in keys()))
            if not sessions[-1]:
                break
        assert 0 < sessions[1] < sessions[0] < 40
        assert sessions[-1] == 0
        assert left() == set()

    def test_counts_only_sessions_that_expired(self, store: SessionStore, clock: Clock, left) -> None:
        old = create(store)
        create(store, login=Login(old), timeouts=Timeouts(10))
        create(store, timeouts=Timeouts(10))
        killall(store)
        create_in_all_partitions(store, 2, Timeouts(10))
        create(store, login=Login(create(store)), timeouts=Timeouts(10))
        killed = create(store, timeouts=Timeouts(10))
        store.kill_session(APP, killed)
        clock.now += 61
        assert store.sweep_expired() == (2 * PARTITIONS + 1, {})
        assert left() == set()

    def test_does_not_count_a_closed_session_that_redis_dropped(self, store, clock: Clock, stored) -> None:
        old = create(store)
        create(store, login=Login(old))
        stored.client.delete(stored.key(APP, place_of(old)))
        clock.now += 61
        assert store.sweep_expired() == (0, {})

    def test_removes_foreign_members_and_keys_of_another_type(self, store, stored, aside, left) -> None:
        tokens = [create(store) for _ in range(3)]
        killall(store)
        [members] = aside()
        stored.client.set(stored.key(APP, place_of(tokens[0])), "text")
        foreign = [b"x", b"", b"\xff" * 33, b"peter\0short", b"~\0" + b"!" * 22]
        stored.client.zadd(members, dict.fromkeys(foreign, 0))
        assert left() == set()

    def test_leaves_a_killall_for_60_seconds(self, store: SessionStore, clock: Clock, keys) -> None:
        create(store)
        killall(store)
        clock.now += 60
        store.sweep_expired()
        assert names(keys()) == {"apps", "epoch", "killed"}
        clock.now += 1
        store.sweep_expired()
        assert keys() == set()

    def test_keeps_the_epoch_of_a_partition_with_nothing_but_a_closed_session(self, store, clock: Clock) -> None:
        old = store.create_anonymous_session(APP, IP).token
        place = place_of(old).partition
        store.create_session(APP, user_in((place + 1) % PARTITIONS), IP, login=Login(old))
        for seconds in (0, 10):
            clock.now += seconds
            store.sweep_expired()
            assert store.get_session(APP, old).closed

    @pytest.mark.parametrize("trip", range(1, 9))
    def test_spares_a_session_that_is_created_after_one_of_its_round_trips(
        self, store: SessionStore, other: SessionStore, clock: Clock, after_trip, trip: int
    ) -> None:
        create(store)
        # Both processes have just added the app.
        create(other)
        killall(store)
        clock.now += 61
        tokens: list[str] = []
        after_trip(trip, lambda: tokens.extend(create_in_all_partitions(other)))
        for _ in range(2):
            store.sweep_expired()
        assert len(tokens) == PARTITIONS
        assert all(living(store, tokens))
        assert apps(store) == [App(APP, PARTITIONS, PARTITIONS)]

    def test_forgets_the_app_which_a_create_lists_again(self, store: SessionStore, clock: Clock) -> None:
        create(store)
        killall(store)
        clock.now += 61
        store.sweep_expired()
        assert apps(store) == []
        create(store)
        assert apps(store) == [App(APP, 1, 1)]


def nothing(_: SessionStore) -> list[str]:
    return []


def creating(store: SessionStore) -> list[str]:
    return create_in_all_partitions(store)


def sweeping(store: SessionStore) -> list[str]:
    store.sweep_expired()
    return []


def creating_and_sweeping(store: SessionStore) -> list[str]:
    tokens = create_in_all_partitions(store)
    store.sweep_expired()
    return tokens


def another_killall(store: SessionStore) -> list[str]:
    create(store)
    assert killall(store) == 1
    return create_in_all_partitions(store)


class TestLostAnswer:
    @pytest.mark.parametrize("meanwhile", [nothing, creating, sweeping, creating_and_sweeping, another_killall])
    def test_the_count_is_that_of_the_first_try_and_later_sessions_live(
        self, store, other, lose_answer, left, meanwhile
    ) -> None:
        before = create_in_all_partitions(store, 2)
        later: list[str] = []
        lose_answer(lambda: later.extend(meanwhile(other)))
        assert killall(store) == len(before)
        assert not any(living(store, before))
        assert all(living(store, later))
        assert killall(store) == len(later)
        assert left() == set()

    def test_of_a_killall_without_sessions_counts_none(self, store, other, lose_answer) -> None:
        create(store)
        killall(store)
        later: list[str] = []
        lose_answer(lambda: later.append(create(other)))
        assert killall(store) == 0
        assert living(store, later) == [True]

    @pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "lost"])
    @pytest.mark.parametrize(
        "options",
        [{}, {"cap": Cap(5)}, {"own_token": own_token(HERE)}, {"own_token": own_token(ELSEWHERE)}],
        ids=["create", "cap", "own token", "own token by a pointer"],
    )
    def test_the_first_create_of_an_epoch_lists_the_app_that_another_process_forgot(
        self, store, other, clock: Clock, lose_answer, after_trip, options: dict[str, Any], is_lost: bool
    ) -> None:
        create(store)
        killall(store)
        clock.now += 61
        assert apps(other) == [App(APP, 0, 0)]
        other.sweep_expired()
        assert apps(other) == []
        # This process has added the app less than 300 seconds ago.
        if is_lost:
            is_claimed = place_of(options.get("own_token", "Z0")).partition == ELSEWHERE
            after_trip(1, lose_answer) if is_claimed else lose_answer()
        create(store, **options)
        assert apps(other) == [App(APP, 1, 1)]


class TestDamage:
    def test_without_an_epoch_a_killall_counts_none(self, store: SessionStore, delete) -> None:
        create(store)
        delete("epoch")
        assert killall(store) == 0

    def test_after_a_new_epoch_only_new_sessions_live(self, store: SessionStore, delete, clock: Clock) -> None:
        before = create_in_all_partitions(store, timeouts=Timeouts(100))
        delete("epoch")
        later = create_in_all_partitions(store, timeouts=Timeouts(1000))
        for seconds in (0, 101, 61):
            clock.now += seconds
            assert living(store, before + later) == [False] * PARTITIONS + [True] * PARTITIONS
            assert store.sweep_expired().errors == {}
        assert len(store.list_sessions_of_app(APP, 1000).sessions) == PARTITIONS

    def test_an_own_token_that_is_used_again_does_not_bring_an_epoch_back(self, store, delete, clock: Clock) -> None:
        own = own_token(HERE)
        create(store, timeouts=Timeouts(10), own_token=own)
        other = create(store)
        delete("epoch")
        clock.now += 11
        assert store.get_session(APP, other) is None
        create(store, own_token=own)
        assert store.get_session(APP, other) is None

    @pytest.mark.parametrize("lost", ["expiry", "ids", "users", "recent"])
    def test_a_lost_set_lets_no_session_escape(self, store: SessionStore, delete, clock: Clock, lost: str) -> None:
        before = create_in_all_partitions(store)
        own = own_token(HERE)
        create(store, own_token=own)
        delete(lost)
        assert killall(store) == (0 if lost == "expiry" else PARTITIONS + 1)
        later = create(store)
        for seconds in (0, 61):
            clock.now += seconds
            assert not any(living(store, [*before, own]))
            assert ids(store.list_sessions_of_id(APP, USER)) == [USER]
            with pytest.raises(TokenInUse):
                create(store, own_token=own)
            assert store.sweep_expired() == (0, {})
        assert store.get_session(APP, later)

    @pytest.mark.parametrize("lost", ["expiry", "users", "recent"])
    def test_a_lost_set_leaves_nothing_behind(self, store: SessionStore, delete, left, lost: str) -> None:
        create_in_all_partitions(store)
        delete(lost)
        killall(store)
        assert left() == set()

    @pytest.mark.parametrize("lost", ["killed", "epoch"])
    def test_a_loss_after_a_killall_revives_nothing(self, store: SessionStore, delete, clock: Clock, lost: str) -> None:
        before = create_in_all_partitions(store)
        killall(store)
        delete(lost)
        for seconds in (0, 61):
            clock.now += seconds
            assert not any(living(store, before))
            assert store.sweep_expired() == (0, {})
        assert create(store)
        assert killall(store) == 1

    @pytest.mark.parametrize("lost", ["killed", "epoch"])
    def test_nothing_stays_for_ever_after_a_loss(self, store, delete, clock: Clock, stored, lost: str) -> None:
        create_in_all_partitions(store)
        killall(store)
        delete(lost)
        for seconds in (61, 61):
            clock.now += seconds
            store.sweep_expired()
        assert {key for key, (_, expires) in stored.everything().items() if expires < 0} == set()


class TestKillOfAUser:
    @pytest.fixture
    def break_off(self, store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        """After so many round trips the store is unavailable for one."""

        def break_off(trips: int) -> None:
            run, rest = store._client.run, iter(range(trips))

            def broken(*commands: Command, **options: Any) -> list[Any]:
                if next(rest, None) is not None:
                    return run(*commands, **options)
                monkeypatch.setattr(store._client, "run", run)
                raise StoreUnavailable("it went away")

            monkeypatch.setattr(store._client, "run", broken)

        return break_off

    @pytest.mark.parametrize(("trips", "ended"), [(2, 128), (3, 256)])
    def test_that_breaks_off_tells_how_many_sessions_it_has_ended(self, store, break_off, trips, ended) -> None:
        for _ in range(300):
            create(store)
        break_off(trips)
        with pytest.raises(StoreUnavailable, match=f"after {ended} sessions were ended; call again") as error:
            store.kill_sessions_of_id(APP, USER)
        assert error.value.reason == "it went away"
        assert store.kill_sessions_of_id(APP, USER) == 300 - ended

    @pytest.mark.parametrize("trips", [0, 1])
    def test_that_has_ended_none_tells_no_number(self, store: SessionStore, break_off, trips: int) -> None:
        create(store)
        break_off(trips)
        with pytest.raises(StoreUnavailable, match="is unavailable; try again"):
            store.kill_sessions_of_id(APP, USER)
        assert store.kill_sessions_of_id(APP, USER) == 1


class Timed(NamedTuple):
    """The result of a call, and when that began and ended."""

    result: Any
    begin: float
    end: float


def timed(call: Call) -> Timed:
    begin = time.monotonic()
    return Timed(call(), begin, time.monotonic())


@pytest.mark.parametrize(("killers", "sweepers"), [(1, 0), (3, 0), (1, 1), (2, 2)])
def test_killalls_part_the_sessions_of_parallel_workers(
    real_store: SessionStore, real_server, namespace, clock: Clock, killers: int, sweepers: int
) -> None:
    """Each session is counted by a killall, closed by a login, or alive."""
    made: list[Timed] = []
    closed: list[str] = []
    ended: list[Timed] = []

    def work(number: int) -> None:
        id = ALL_USERS[number]
        for _ in range(12):
            visitor = timed(lambda: real_store.create_anonymous_session(APP, IP).token)
            made.append(visitor)
            login = timed(lambda visitor=visitor: real_store.create_session(APP, id, IP, login=Login(visitor.result)))
            if login.result.taken_over:
                closed.append(visitor.result)
            token = login.result.token
            made.append(login._replace(result=real_store.rotate_session(APP, token) or token))
            real_store.get_session(APP, made[-1].result)

    def end() -> None:
        for number in range(1, 6):
            wait_until(lambda number=number: len(made) > 30 * number)
            ended.append(timed(lambda: killall(real_store)))

    def sweep() -> None:
        # The sweep forgets killalls, and the epochs of empty partitions.
        for _ in range(8):
            clock.now += 61
            assert real_store.sweep_expired() == (0, {})

    together(*[lambda number=number: work(number) for number in range(8)], *[end] * killers, *[sweep] * sweepers)
    alive = 0
    for token, begin, finished in made:
        session = real_store.get_session(APP, token, peek=True)
        is_alive = bool(session and not session.closed)
        alive += is_alive
        if token not in closed:
            assert not (is_alive and any(kill.begin > finished for kill in ended))
            assert is_alive or any(kill.end > begin for kill in ended)
    assert sum(kill.result for kill in ended) + len(closed) + alive == len(made) == 192
    assert sum(app.sessions for app in apps(real_store)) == alive
    assert killall(real_store) == alive
    assert left_after_sweep(real_store, real_server, namespace, clock) == set()
