"""Callers' own tokens: in the partition of the user, or elsewhere, where a pointer leads to the session."""

import itertools
from unittest import mock

import pytest

from rest_sessions.connection.client import Client
from rest_sessions.errors import StoreUnavailable, TokenInUse, TooManySessions
from rest_sessions.model import Cap, Devices, Login, Timeouts
from rest_sessions.store.creation import Creation
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import is_own, place_of
from tests.conftest import Clock
from tests.own_tokens import ELSEWHERE, HERE, USER, own_token, user_in
from tests.pages import ids

APP = "webapp"
IP = "192.0.2.7"
TIMEOUTS = Timeouts(100)

# Other users. Which of them needs a pointer depends on the token.
OTHERS = {
    "in the token's partition": user_in(ELSEWHERE),
    "in the user's": user_in(HERE),
    "in a third": user_in(HERE - 1),
}

KILLS = {
    "kill": lambda store, own: store.kill_session(APP, own),
    "killsoid": lambda store, _: store.kill_sessions_of_id(APP, USER),
    "handle": lambda store, own: store.kill_sessions_of_id(APP, USER, Devices(only=place_of(own).handle)),
    "killall": lambda store, _: store.kill_sessions_of_app(APP),
    "cap": lambda store, _: store.create_session(APP, USER, IP, cap=Cap(1)).killed,
}


@pytest.fixture(params=[HERE, ELSEWHERE], ids=["here", "by a pointer"])
def own(request: pytest.FixtureRequest) -> str:
    """A token of the caller's own, for a session of USER."""
    return own_token(request.param)


def create(store: SessionStore, own: str, id: str = USER, timeouts: Timeouts = TIMEOUTS, data=None, **options):
    if not id:
        return store.create_anonymous_session(APP, IP, timeouts, data, own)
    return store.create_session(APP, id, IP, timeouts, data, own_token=own, **options)


def is_in_use(store: SessionStore, own: str, id: str = USER) -> bool:
    """Whether a create with other data is refused. If it is not, it has created a session."""
    try:
        create(store, own, id, data={"other": "1"})
    except TokenInUse:
        return True
    return False


class TestSession:
    def test_has_the_token_of_the_caller(self, store: SessionStore, own: str) -> None:
        created = create(store, own, data={"a": "1"})
        assert created.token == own
        assert created.handle == place_of(own).handle
        assert store.get_session(APP, own).data == {"a": "1"}

    def test_works_with_every_operation(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own)
        clock.now += 5
        assert store.get_session(APP, own, peek=True).idle == 5
        assert store.touch_session(APP, own).idle == 5
        assert store.set_session(APP, own, {"a": "1"}, expected_w=1).w == 2
        assert store.get_session(APP, own).idle == 0
        assert ids(store.list_sessions_of_id(APP, USER)) == [USER]
        assert ids(store.list_sessions_of_app(APP, 60)) == [USER]
        assert store.count_active_users(APP, 60) == 1
        assert store.list_apps(lambda _: True).apps[0].sessions == 1
        assert store.kill_session(APP, own) == 1
        assert store.get_session(APP, own) is None

    def test_a_rotation_gives_it_a_token_of_ours(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own)
        new = store.rotate_session(APP, own)
        assert not is_own(new)
        assert store.rotate_session(APP, own) == new
        assert store.get_session(APP, new)
        clock.now += 60
        assert store.get_session(APP, own).rotated
        clock.now += 1
        assert store.get_session(APP, own) is None
        assert store.get_session(APP, new)

    def test_the_store_never_holds_the_token(self, store: SessionStore, own: str, stored) -> None:
        create(store, own)
        store.get_session(APP, own)
        store.rotate_session(APP, own)
        assert place_of(own).handle in stored.text()
        assert own not in stored.text()
        assert own[24:] not in stored.text()

    def test_takes_one_round_trip_and_another_one_for_a_pointer(self, store: SessionStore, own: str, batches) -> None:
        trips = 1 if place_of(own).partition == HERE else 2
        for call in (
            lambda: create(store, own),
            lambda: store.get_session(APP, own),
            lambda: store.set_session(APP, own, {"a": "1"}),
            lambda: store.touch_session(APP, own),
            lambda: store.rotate_session(APP, own),
            lambda: store.kill_session(APP, own),
        ):
            batches.clear()
            call()
            assert len(batches) == trips

    def test_an_anonymous_one_is_where_its_token_says(self, store: SessionStore, own: str, batches) -> None:
        create(store, own, id="")
        assert store.get_session(APP, own)
        assert len(batches) == 2


class TestSameCreate:
    @pytest.mark.parametrize("id", [USER, ""], ids=["user", "anonymous"])
    def test_answers_as_the_first_for_60_seconds(self, store, own: str, clock: Clock, stored, id: str) -> None:
        first = create(store, own, id, data={"a": "1"})
        store.set_session(APP, own, {"b": "2"})
        before = stored.everything()
        clock.now += 60
        assert create(store, own, id, data={"a": "1"}) == first
        changed = {key for key, state in stored.everything().items() if state != before[key]}
        # A pointer notes every call that needs it.
        assert changed <= {key for key, (value, _) in before.items() if ":s:" in key and b"to" in value}
        clock.now += 1
        with pytest.raises(TokenInUse):
            create(store, own, id, data={"a": "1"})

    @pytest.mark.parametrize("data", [None, {"a": "2"}, {"a": "1", "b": "1"}])
    def test_another_body_is_refused(self, store: SessionStore, own: str, stored, data) -> None:
        create(store, own, data={"a": "1"})
        before = stored.everything()
        with pytest.raises(TokenInUse):
            create(store, own, data=data)
        assert stored.everything() == before

    def test_not_after_a_kill(self, store: SessionStore, own: str) -> None:
        create(store, own)
        store.kill_session(APP, own)
        with pytest.raises(TokenInUse):
            create(store, own)
        assert store.get_session(APP, own) is None

    def test_not_after_the_grace_of_a_rotation(self, store: SessionStore, own: str, clock: Clock) -> None:
        """The session has another token then, and the own one would not work."""
        create(store, own)
        store.get_session(APP, store.rotate_session(APP, own, 10))
        clock.now += 10
        assert create(store, own)
        clock.now += 1
        with pytest.raises(TokenInUse):
            create(store, own)


class TestTokenInUse:
    @pytest.mark.parametrize("id", [*OTHERS.values(), ""], ids=[*OTHERS, "anonymous"])
    def test_another_user_is_refused(self, store: SessionStore, own: str, stored, id: str) -> None:
        create(store, own)
        before = stored.everything()
        with pytest.raises(TokenInUse):
            create(store, own, id)
        assert stored.everything() == before

    @pytest.mark.parametrize("id", [USER, *OTHERS.values()], ids=[USER, *OTHERS])
    def test_that_of_an_anonymous_session(self, store: SessionStore, own: str, stored, id: str) -> None:
        create(store, own, "")
        before = stored.everything()
        with pytest.raises(TokenInUse):
            create(store, own, id)
        assert stored.everything() == before

    def test_not_in_another_app(self, store: SessionStore, own: str) -> None:
        create(store, own)
        assert store.create_session("other", "paul", IP, own_token=own)
        assert store.get_session(APP, own).id == USER
        assert store.get_session("other", own).id == "paul"

    def test_until_the_session_has_expired(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own)
        clock.now += 50
        store.get_session(APP, own)
        clock.now += 100
        assert is_in_use(store, own)
        clock.now += 1
        assert not is_in_use(store, own)

    @pytest.mark.parametrize("timeouts", [Timeouts(100, 120), Timeouts(120, no_resave=True)], ids=["lifetime", "fixed"])
    def test_until_the_fixed_end(self, store: SessionStore, own: str, clock: Clock, timeouts: Timeouts) -> None:
        create(store, own, timeouts=timeouts)
        clock.now += 50
        store.touch_session(APP, own)
        clock.now += 70
        assert is_in_use(store, own)
        clock.now += 1
        assert not is_in_use(store, own)

    @pytest.mark.parametrize("kill", KILLS)
    def test_a_killed_one_until_it_would_have_ended(self, store, own: str, clock: Clock, kill: str) -> None:
        create(store, own)
        clock.now += 50
        store.touch_session(APP, own)
        assert KILLS[kill](store, own) == 1
        clock.now += 100
        assert is_in_use(store, own)
        clock.now += 1
        assert not is_in_use(store, own)

    def test_that_of_a_session_which_another_users_login_ended(self, store: SessionStore, own: str) -> None:
        create(store, own)
        store.create_session(APP, "paul", IP, login=Login(own))
        assert is_in_use(store, own)

    @pytest.mark.parametrize("id", [USER, ""], ids=["user", "anonymous"])
    @pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept"])
    def test_a_closed_one_until_it_would_have_ended(self, store, own: str, clock: Clock, id: str, is_swept) -> None:
        create(store, own, id, Timeouts(1000))
        store.create_session(APP, USER, IP, login=Login(own))
        clock.now += 500
        if is_swept:
            store.sweep_expired()
        clock.now += 500
        assert is_in_use(store, own)
        clock.now += 1
        assert not is_in_use(store, own)

    @pytest.mark.parametrize(("ttl", "kept"), [(1000, 1060), (10, 120)])
    def test_redis_keeps_a_closed_one_as_long(self, store: SessionStore, own: str, stored, ttl: int, kept: int) -> None:
        create(store, own, USER, Timeouts(ttl))
        store.create_session(APP, USER, IP, login=Login(own))
        assert stored.lasts(APP, stored.home(APP, own), kept)

    def test_a_closed_one_is_kept_although_its_ttl_is_over(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own, "", Timeouts(10))
        store.create_session(APP, USER, IP, login=Login(own))
        clock.now += 60
        assert is_in_use(store, own)
        clock.now += 1
        assert not is_in_use(store, own)


class TestUsedAgain:
    """An own token after its session has expired, before the sweep."""

    @pytest.mark.parametrize("is_dropped", [False, True], ids=["hash", "no hash"])
    @pytest.mark.parametrize("id", [USER, *OTHERS.values(), ""], ids=[USER, *OTHERS, "anonymous"])
    def test_the_session_is_the_new_users_only(self, store, own, clock, keys, stored, id, is_dropped) -> None:
        create(store, own, data={"a": "1"})
        clock.now += 101
        if is_dropped:
            stored.client.delete(stored.key(APP, stored.home(APP, own)))
        create(store, own, id)
        assert store.get_session(APP, own).data == {}
        assert len(store.list_sessions_of_app(APP, 60).sessions) == 1
        assert ids(store.list_sessions_of_id(APP, USER)) == ([USER] if id == USER else [])
        if id != USER:
            assert store.kill_sessions_of_id(APP, USER) == 0
        assert store.get_session(APP, own).id == id
        assert stored.unswept() == set()
        clock.now += 101
        store.sweep_expired()
        assert {key for key in keys() if b"to" not in stored.values()[key]} == set()

    def test_the_sweep_spares_the_new_session(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own)
        clock.now += 101
        create(store, own, user_in(HERE))
        store.sweep_expired()
        assert store.get_session(APP, own)
        assert store.count_active_users(APP, 60) == 1

    def test_the_first_user_is_active_no_more(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own)
        clock.now += 101
        create(store, own, user_in(HERE))
        assert store.count_active_users(APP, 1000) == 1

    def test_a_cap_of_the_first_user_neither_counts_nor_ends_it(self, store, own: str, clock: Clock, stored) -> None:
        create(store, own)
        clock.now += 101
        stored.client.delete(stored.key(APP, stored.home(APP, own)))
        create(store, own, user_in(HERE))
        assert store.create_session(APP, USER, IP, cap=Cap(1, refuses=True))
        assert store.create_session(APP, USER, IP, cap=Cap(1)).killed == 1
        assert store.get_session(APP, own).id == user_in(HERE)


class TestMark:
    def test_stays_alone_and_ends_with_the_session(self, store: SessionStore, own: str, clock: Clock, stored) -> None:
        create(store, own)
        place = stored.home(APP, own)
        clock.now += 40
        store.kill_session(APP, own)
        assert stored.fields(APP, place) == {b"killed": b"%d" % (clock.now + 60)}
        assert stored.lasts(APP, place, 120)
        assert stored.entries(place.handle) == {}

    def test_stays_of_a_session_in_its_last_second(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own)
        clock.now += 100
        store.kill_session(APP, own)
        assert is_in_use(store, own)

    def test_none_stays_of_an_expired_session(self, store: SessionStore, own: str, clock: Clock, stored) -> None:
        create(store, own)
        place = stored.home(APP, own)
        clock.now += 101
        store.kill_session(APP, own)
        assert stored.fields(APP, place) == {}

    def test_none_stays_of_a_token_of_ours(self, store: SessionStore, keys) -> None:
        token = store.create_session(APP, USER, IP).token
        store.kill_session(APP, token)
        assert not [key for key in keys() if ":s:" in key]

    def test_no_operation_finds_or_changes_it(self, store: SessionStore, stored) -> None:
        own = own_token(HERE)
        create(store, own)
        store.kill_session(APP, own)
        before = stored.everything()
        assert store.get_session(APP, own) is None
        assert store.set_session(APP, own, {"a": "1"}, ttl=1000) is None
        assert store.touch_session(APP, own, ttl=1000) is None
        assert store.rotate_session(APP, own) is None
        assert store.kill_session(APP, own) == 0
        assert store.kill_sessions_of_id(APP, USER) == 0
        assert store.sweep_expired() == (0, {})
        assert stored.values() == {key: value for key, (value, _) in before.items() if ":s:" in key}


class TestPointer:
    @pytest.fixture
    def own(self) -> str:
        return own_token(ELSEWHERE)

    @pytest.fixture
    def lasts(self, stored, own: str):
        """Makes Redis forget the expiry of the pointer, calls, and returns whether the pointer now lasts so long."""

        def lasts(call, seconds: int) -> bool:
            stored.client.expire(stored.key(APP, place_of(own)), 10_000)
            call()
            return stored.lasts(APP, place_of(own), seconds)

        return lasts

    def test_tells_where_the_session_is_and_is_in_no_index(self, store: SessionStore, own: str, stored) -> None:
        create(store, own)
        assert stored.fields(APP, place_of(own))[b"to"] == b"%x" % HERE
        assert not any(f"{{{APP}:{ELSEWHERE:x}}}" in key for key in stored.values() if ":s:" not in key)
        assert stored.entries(place_of(own).handle).keys() == {"ids", "recent", "expiry"}

    def test_is_not_made_where_the_session_is_itself(self, store: SessionStore, keys) -> None:
        create(store, own_token(HERE))
        create(store, own_token(ELSEWHERE), "")
        assert len([key for key in keys() if ":s:" in key]) == 2

    def test_lasts_360_seconds_longer_than_its_session(self, store: SessionStore, own: str, stored) -> None:
        create(store, own)
        assert stored.lasts(APP, place_of(own), 460)
        assert stored.lasts(APP, stored.home(APP, own), 160)

    def test_every_use_renews_it(self, store: SessionStore, own: str, clock: Clock, lasts) -> None:
        create(store, own)
        for use in (
            lambda: store.get_session(APP, own),
            lambda: store.set_session(APP, own, {"a": "1"}),
            lambda: store.touch_session(APP, own),
            lambda: store.rotate_session(APP, own),
        ):
            clock.now += 100
            assert lasts(use, 460)

    def test_a_longer_ttl_makes_it_last_longer(self, store: SessionStore, own: str, clock: Clock, lasts) -> None:
        create(store, own)
        assert lasts(lambda: store.touch_session(APP, own, ttl=500), 860)
        assert lasts(lambda: store.set_session(APP, own, {"a": "1"}, ttl=600), 960)
        clock.now += 600
        assert is_in_use(store, own)
        assert is_in_use(store, own, user_in(HERE - 1))
        clock.now += 1
        assert not is_in_use(store, own)

    def test_a_longer_ttl_does_not_move_the_end_of_a_lifetime(self, store: SessionStore, own: str, clock) -> None:
        create(store, own, timeouts=Timeouts(100, 120))
        store.touch_session(APP, own, ttl=1000)
        clock.now += 121
        assert not is_in_use(store, own, user_in(HERE - 1))

    def test_a_clock_that_is_behind_does_not_shorten_it(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own)
        clock.now -= 5
        store.touch_session(APP, own)
        clock.now += 105
        assert is_in_use(store, own, user_in(HERE - 1))

    def test_a_shorter_ttl_does_not_shorten_it(self, store: SessionStore, own: str, clock: Clock, lasts) -> None:
        create(store, own)
        assert lasts(lambda: store.touch_session(APP, own, ttl=20), 460)
        clock.now += 21
        assert store.get_session(APP, own) is None

    def test_a_new_end_of_no_resave_moves_its_end(self, store: SessionStore, own: str, clock: Clock) -> None:
        create(store, own, timeouts=Timeouts(100, no_resave=True))
        store.touch_session(APP, own, ttl=200)
        clock.now += 200
        assert store.get_session(APP, own)
        assert is_in_use(store, own)
        assert is_in_use(store, own, user_in(HERE - 1))

    def test_a_look_does_not_renew_it(self, store: SessionStore, own: str, clock: Clock, stored) -> None:
        create(store, own)
        clock.now += 50
        before = stored.everything()
        assert store.get_session(APP, own, peek=True)
        assert stored.everything() == before

    def test_a_use_after_its_end_does_not_renew_it(self, store: SessionStore, own: str, clock: Clock, stored) -> None:
        create(store, own)
        clock.now += 101
        before = stored.everything()
        assert store.get_session(APP, own) is None
        assert store.touch_session(APP, own, ttl=1000) is None
        assert stored.everything() == before
        assert not is_in_use(store, own)

    def test_leads_to_its_session_after_its_end_while_that_lives(self, store: SessionStore, own: str, clock) -> None:
        """The new token of a rotation does not come by the pointer, and so does not renew it."""
        create(store, own)
        new = store.rotate_session(APP, own, 300)
        clock.now += 90
        store.get_session(APP, new)
        clock.now += 90
        assert store.get_session(APP, own).rotated

    @pytest.mark.parametrize("kill", KILLS)
    def test_stays_after_a_kill_until_redis_drops_it(self, store, own: str, stored, kill: str) -> None:
        create(store, own)
        KILLS[kill](store, own)
        assert stored.fields(APP, place_of(own))[b"to"] == b"%x" % HERE
        assert stored.lasts(APP, place_of(own), 460)

    def test_a_create_that_a_cap_refuses_takes_it_back(self, store: SessionStore, own: str, stored) -> None:
        store.create_session(APP, USER, IP)
        before = stored.everything()
        with pytest.raises(TooManySessions):
            create(store, own, cap=Cap(1, refuses=True))
        assert stored.everything() == before

    def test_a_create_that_is_refused_leaves_that_of_an_earlier_one(self, store: SessionStore, own: str) -> None:
        create(store, own)
        store.kill_session(APP, own)
        with pytest.raises(TokenInUse):
            create(store, own)
        assert is_in_use(store, own, user_in(HERE - 1))

    def test_takes_the_place_of_an_anonymous_session_that_expired(self, store, own: str, clock: Clock, stored) -> None:
        create(store, own, "", data={"a": "1"})
        clock.now += 101
        create(store, own)
        assert not {b"d:a", b"ip"} & stored.fields(APP, place_of(own)).keys()
        assert len(store.list_sessions_of_app(APP, 60).sessions) == 1
        assert stored.unswept() == set()
        assert store.sweep_expired() == (0, {})
        assert store.get_session(APP, own).id == USER


@pytest.mark.parametrize("ttl", [None, 34_560_000])
def test_a_wrong_secret_does_not_renew_a_pointer(store, clock, stored, ttl) -> None:
    own = own_token(ELSEWHERE)
    store.create_session(APP, USER, IP, Timeouts(100), own_token=own)
    clock.now += 5
    before = stored.everything()
    place = place_of(own)
    assert store.touch_session(APP, f"Z{place.partition:x}{place.handle}{'0' * 40}", ttl=ttl) is None
    assert stored.everything() == before


def test_an_own_token_in_the_grace_of_a_rotation_is_in_use_by_a_pointer_too(store, clock) -> None:
    own = own_token(ELSEWHERE)
    store.create_session(APP, USER, IP, Timeouts(100), own_token=own)
    new = store.rotate_session(APP, own, 300)
    clock.now += 90
    # The grace begins. The pointer ends 10 seconds later: the new token, which prolongs the session, does not renew it.
    store.get_session(APP, new)
    clock.now += 60
    assert store.get_session(APP, own).id == USER
    with pytest.raises(TokenInUse):
        store.create_session(APP, user_in(HERE - 1), IP, own_token=own)


def test_a_create_that_broke_off_after_the_claim_goes_on_with_other_timeouts(store, clock, monkeypatch) -> None:
    own = own_token(ELSEWHERE)
    with monkeypatch.context() as patched:
        patched.setattr(Creation, "_make", mock.Mock(side_effect=StoreUnavailable("it broke off")))
        with pytest.raises(StoreUnavailable):
            store.create_session(APP, USER, IP, Timeouts(10), own_token=own)
    clock.now += 5
    store.create_session(APP, USER, IP, Timeouts(100), own_token=own)
    clock.now += 100
    assert store.get_session(APP, own).id == USER
    with pytest.raises(TokenInUse):
        store.create_anonymous_session(APP, IP, own_token=own)


def test_a_claim_without_a_session_is_free_for_any_user_of_the_partition(store, clock, monkeypatch) -> None:
    own = own_token(ELSEWHERE)
    with monkeypatch.context() as patched:
        patched.setattr(Creation, "_make", mock.Mock(side_effect=StoreUnavailable("it broke off")))
        with pytest.raises(StoreUnavailable):
            store.create_session(APP, USER, IP, own_token=own)
    clock.now += 61
    store.create_session(APP, user_in(HERE), IP, own_token=own)
    assert store.get_session(APP, own).id == user_in(HERE)


def test_a_pointer_is_not_older_than_its_session(server, namespace, clock) -> None:
    """The second may change between the two steps of a create."""
    ticks = itertools.count(int(clock()))
    creating = SessionStore(Client(server.settings(namespace)), namespace, lambda: next(ticks))
    store = SessionStore(Client(server.settings(namespace)), namespace, clock)
    own = own_token(ELSEWHERE)
    creating.create_session(APP, USER, IP, Timeouts(10), own_token=own)
    clock.now += store.get_session(APP, own, peek=True, details=True).details.age
    for _ in range(5):
        clock.now += 10
        assert store.get_session(APP, own)


def test_the_same_create_has_the_same_login(store) -> None:
    own = own_token(HERE)
    store.create_session(APP, USER, IP, own_token=own)
    visitor = store.create_anonymous_session(APP, IP, data={"cart": "1"}).token
    with pytest.raises(TokenInUse):
        store.create_session(APP, USER, IP, own_token=own, login=Login(visitor))
    assert store.get_session(APP, visitor).data == {"cart": "1"}
