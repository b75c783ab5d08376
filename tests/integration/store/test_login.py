"""Login: a new session takes over the data of another one, which it closes."""

from typing import Any

import pytest

from rest_sessions.errors import TokenInUse, TooLarge, TooManySessions
from rest_sessions.limits import MAX_DATA_BYTES, MAX_KEYS
from rest_sessions.model import Cap, Login, Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.own_tokens import ELSEWHERE, HERE, USER, own_token, user_in

APP = "webapp"
IP = "192.0.2.7"
CART = {"cart": '"fish"'}


@pytest.fixture(params=["anonymous", "anonymous elsewhere", "of the user", "rotated", "by a pointer"])
def old(request: pytest.FixtureRequest, store: SessionStore) -> str:
    """The token of a session that the user may take over, with CART as its data."""
    timeouts = Timeouts(1000)
    match request.param:
        case "anonymous":
            return store.create_anonymous_session(APP, IP, timeouts, CART, own_token(HERE)).token
        case "anonymous elsewhere":
            return store.create_anonymous_session(APP, IP, timeouts, CART, own_token(ELSEWHERE)).token
        case "of the user":
            return store.create_session(APP, USER, IP, timeouts, CART).token
        case "rotated":
            token = store.create_session(APP, USER, IP, timeouts, CART).token
            store.rotate_session(APP, token)
            return token
        case _:
            return store.create_session(APP, USER, IP, timeouts, CART, own_token=own_token(ELSEWHERE)).token


def login(store: SessionStore, old: str, data=None, grace: int = 10, id: str = USER, **options: Any):
    return store.create_session(APP, id, IP, data=data, login=Login(old, grace), **options)


class TestTakingOver:
    def test_the_new_session_has_the_data(self, store: SessionStore, old: str) -> None:
        created = login(store, old)
        assert created.taken_over
        assert store.get_session(APP, created.token).data == CART

    def test_its_own_data_come_on_top(self, store: SessionStore) -> None:
        old = store.create_anonymous_session(APP, IP, data={"a": "1", "b": "2", "c": "3"}).token
        token = login(store, old, {"b": "4", "c": None, "d": "5", "e": None}).token
        assert store.get_session(APP, token).data == {"a": "1", "b": "4", "d": "5"}

    def test_all_else_is_new(self, store: SessionStore, clock: Clock) -> None:
        old = store.create_session(APP, USER, "192.0.2.1", Timeouts(100, 500)).token
        store.get_session(APP, old)
        store.set_session(APP, old, {"a": "1"})
        clock.now += 7
        created = login(store, old)
        session = store.get_session(APP, created.token, details=True)
        assert (session.r, session.w, session.idle, session.ttl, session.ip) == (1, 1, 0, 7200, IP)
        assert (session.details.age, session.details.lifetime) == (0, None)
        assert created.token[2:] != old[2:]
        assert session.details.handle != place_of(old).handle

    @pytest.mark.parametrize("missing", ["never was", "killed", "expired", "in another app"])
    def test_where_there_is_nothing_a_session_is_created_without(self, store, clock: Clock, missing: str) -> None:
        app = "other" if missing == "in another app" else APP
        old = store.create_anonymous_session(app, IP, Timeouts(10), CART).token
        if missing == "never was":
            old = "Z0" + "a" * 62
        elif missing == "killed":
            store.kill_session(APP, old)
        elif missing == "expired":
            clock.now += 11
        created = login(store, old, {"a": "1"})
        assert created.taken_over is False
        assert store.get_session(APP, created.token).data == {"a": "1"}

    def test_without_a_login_the_answer_says_nothing_of_it(self, store: SessionStore) -> None:
        assert store.create_session(APP, USER, IP).taken_over is None

    def test_takes_two_round_trips(self, store: SessionStore, batches) -> None:
        old = store.create_session(APP, USER, IP, data=CART).token
        batches.clear()
        login(store, old)
        assert len(batches) == 2

    def test_the_store_never_holds_a_token(self, store: SessionStore, old: str, stored) -> None:
        new = login(store, old).token
        for token in (old, new):
            assert token not in stored.text()
            assert token[24:] not in stored.text()


class TestSessionOfAnotherUser:
    """A browser in which somebody else was logged in."""

    @pytest.mark.parametrize("id", ["paul", user_in(HERE)], ids=["elsewhere", "in the same partition"])
    def test_nothing_is_taken_and_it_ends(self, store: SessionStore, id: str) -> None:
        old = store.create_session(APP, id, IP, data=CART).token
        created = login(store, old, {"a": "1"})
        assert created.taken_over is False
        assert store.get_session(APP, created.token).data == {"a": "1"}
        assert store.get_session(APP, old) is None
        assert store.list_sessions_of_id(APP, id).sessions == []
        assert store.count_active_users(APP, 60) == 1

    def test_nobody_can_take_from_it_later(self, store: SessionStore) -> None:
        old = store.create_session(APP, "paul", IP, data=CART).token
        login(store, old)
        assert login(store, old, id="paul").taken_over is False

    def test_it_stays_when_the_login_is_refused(self, store: SessionStore, stored) -> None:
        store.create_session(APP, USER, IP)
        old = store.create_session(APP, "paul", IP, data=CART).token
        before = stored.everything()
        with pytest.raises(TooManySessions):
            login(store, old, cap=Cap(1, refuses=True))
        assert stored.everything() == before


class TestClosedSession:
    @pytest.mark.parametrize("grace", [10, 60, 300])
    def test_get_shows_it_for_the_grace(self, store: SessionStore, old: str, clock: Clock, grace: int) -> None:
        login(store, old, grace=grace)
        clock.now += grace
        assert store.get_session(APP, old).closed
        clock.now += 1
        assert store.get_session(APP, old) is None

    def test_without_a_grace_nobody_sees_it_again(self, store: SessionStore, old: str) -> None:
        login(store, old, grace=0)
        assert store.get_session(APP, old) is None
        assert store.get_session(APP, old, peek=True) is None

    def test_it_is_shown_as_it_was(self, store: SessionStore, clock: Clock, stored) -> None:
        old = store.create_anonymous_session(APP, IP, Timeouts(100), CART).token
        clock.now += 5
        store.get_session(APP, old)
        clock.now += 5
        login(store, old, {"cart": '"meat"'})
        before = stored.everything()
        for _ in range(2):
            session = store.get_session(APP, old)
            assert (session.r, session.w, session.ttl, session.idle, session.data) == (2, 1, 100, 5, CART)
            assert '"closed":true' in session.json
        assert stored.everything() == before

    def test_the_grace_may_outlive_its_ttl(self, store: SessionStore, clock: Clock) -> None:
        old = store.create_anonymous_session(APP, IP, Timeouts(10), CART).token
        clock.now += 10
        login(store, old, grace=30)
        clock.now += 30
        assert store.get_session(APP, old).closed

    def test_it_is_missing_for_all_else(self, store: SessionStore, old: str, stored) -> None:
        login(store, old)
        place = stored.home(APP, old)
        before = stored.fields(APP, place)
        assert store.set_session(APP, old, {"a": "1"}) is None
        assert store.set_session(APP, old, {"a": "1"}, expected_w=1) is None
        assert store.touch_session(APP, old) is None
        assert store.rotate_session(APP, old) is None
        assert stored.fields(APP, place) == before

    def test_no_listing_or_count_has_it(self, store: SessionStore, old: str) -> None:
        handle = login(store, old).handle
        for page in (
            store.list_sessions_of_app(APP, 60, details=True),
            store.list_sessions_of_id(APP, USER, details=True),
        ):
            assert [session.details.handle for session in page.sessions] == [handle]
        [app] = store.list_apps(lambda _: True).apps
        assert (app.sessions, app.users) == (1, 1)

    def test_its_user_is_active_no_more(self, store: SessionStore, old: str) -> None:
        new = login(store, old).token
        store.kill_session(APP, new)
        assert store.count_active_users(APP, 60) == 0
        assert store.list_apps(lambda _: True).apps[0].users == 0

    def test_no_cap_counts_it(self, store: SessionStore, old: str) -> None:
        assert login(store, old, cap=Cap(1)).killed == 0

    def test_a_kill_finds_nothing(self, store: SessionStore, old: str) -> None:
        login(store, old)
        assert store.kill_session(APP, old) == 0
        assert store.get_session(APP, old).closed

    def test_a_kill_of_the_user_removes_it(self, store: SessionStore) -> None:
        old = store.create_session(APP, USER, IP, data=CART).token
        login(store, old)
        assert store.kill_sessions_of_id(APP, USER) == 1
        assert store.get_session(APP, old) is None

    def test_a_kill_of_the_app_removes_it(self, store: SessionStore, old: str) -> None:
        login(store, old)
        assert store.kill_sessions_of_app(APP) == 1
        assert store.get_session(APP, old) is None
        assert login(store, old).taken_over is False


class TestSameLoginAgain:
    def test_it_takes_the_data_again_for_60_seconds(self, store: SessionStore, old: str, clock: Clock) -> None:
        login(store, old)
        clock.now += 60
        created = login(store, old)
        assert created.taken_over
        assert store.get_session(APP, created.token).data == CART
        clock.now += 1
        assert login(store, old).taken_over is False

    @pytest.mark.parametrize("grace", [0, 300])
    def test_whatever_the_grace(self, store: SessionStore, old: str, clock: Clock, grace: int) -> None:
        login(store, old, grace=grace)
        clock.now += 60
        assert login(store, old, grace=grace).taken_over
        clock.now += 1
        assert login(store, old, grace=grace).taken_over is False

    def test_it_does_not_prolong_the_grace(self, store: SessionStore, old: str, clock: Clock) -> None:
        login(store, old)
        clock.now += 10
        login(store, old)
        clock.now += 1
        assert store.get_session(APP, old) is None

    def test_another_user_takes_nothing(self, store: SessionStore, old: str) -> None:
        login(store, old)
        created = login(store, old, id="paul")
        assert created.taken_over is False
        assert store.get_session(APP, created.token).data == {}
        assert login(store, old).taken_over

    def test_a_wrong_secret_takes_nothing(self, store: SessionStore) -> None:
        old = store.create_anonymous_session(APP, IP, data=CART).token
        login(store, old)
        assert login(store, old[:24] + "0" * 40).taken_over is False


class TestRefusedLogin:
    def test_too_much_data_closes_nothing(self, store: SessionStore, stored) -> None:
        full = {f"k{i}": "1" for i in range(MAX_KEYS)}
        old = store.create_anonymous_session(APP, IP, data=full).token
        before = stored.everything()
        for data in ({"more": "1"}, {"k0": '"' + "x" * MAX_DATA_BYTES + '"'}):
            with pytest.raises(TooLarge):
                login(store, old, data)
        assert stored.everything() == before
        # What replaces or removes other keys still fits.
        assert login(store, old, {"more": "1", "k0": None}).taken_over

    def test_a_cap_leaves_the_old_session_as_it_was(self, store: SessionStore, clock: Clock, old: str, stored) -> None:
        for _ in range(2):
            store.create_session(APP, USER, IP)
        clock.now += 5
        before = stored.values()
        with pytest.raises(TooManySessions):
            login(store, old, cap=Cap(2, refuses=True))
        assert stored.values() == before
        assert store.get_session(APP, old).idle == 5

    def test_a_token_in_use_leaves_the_old_session_as_it_was(self, store: SessionStore, old: str, stored) -> None:
        taken = store.create_session(APP, "mary", IP, own_token=own_token(HERE)).token
        before = stored.values()
        with pytest.raises(TokenInUse):
            login(store, old, own_token=taken)
        assert stored.values() == before

    def test_the_token_of_the_old_session_is_in_use(self, store: SessionStore, stored) -> None:
        old = store.create_session(APP, USER, IP, data=CART, own_token=own_token(HERE)).token
        before = stored.values()
        with pytest.raises(TokenInUse):
            login(store, old, {"a": "1"}, own_token=old)
        assert stored.values() == before

    def test_the_old_session_ends_as_before(self, store: SessionStore, clock: Clock, keys, stored) -> None:
        store.create_session(APP, USER, IP, Timeouts(100))
        token = store.create_session(APP, USER, IP, Timeouts(100)).token
        clock.now += 20
        with pytest.raises(TooManySessions):
            login(store, token, cap=Cap(1, refuses=True))
        # Not the 120 seconds of a closed session.
        assert stored.lasts(APP, place_of(token), 140)
        assert stored.unswept() == set()
        clock.now += 81
        assert store.sweep_expired() == (2, {})
        assert keys() == set()


class TestInRedis:
    @pytest.mark.parametrize(("grace", "kept"), [(0, 60), (10, 60), (300, 300)])
    def test_a_closed_session_is_kept_for_the_grace_and_for_60_seconds(
        self, store: SessionStore, clock: Clock, stored, grace: int, kept: int
    ) -> None:
        token = store.create_anonymous_session(APP, IP, Timeouts(1000), CART).token
        place = place_of(token)
        login(store, token, grace=grace)
        assert stored.entries(place.handle) == {"ids": 0, "closed": clock.now + kept}
        assert stored.lasts(APP, place, kept + 60)

    def test_the_sweep_removes_it_then_and_does_not_count_it(self, store, clock: Clock, stored) -> None:
        token = store.create_anonymous_session(APP, IP, Timeouts(1000), CART).token
        login(store, token)
        clock.now += 60
        store.sweep_expired()
        assert stored.fields(APP, place_of(token))
        clock.now += 1
        assert store.sweep_expired() == (0, {})
        assert stored.fields(APP, place_of(token)) == {}
        assert stored.entries(place_of(token).handle) == {}

    def test_nothing_stays(self, store: SessionStore, old: str, clock: Clock, keys, stored) -> None:
        login(store, old, timeouts=Timeouts(10))
        assert stored.unswept() == set()
        clock.now += 1001
        assert store.sweep_expired() == (1, {})
        # Redis drops a pointer by itself.
        left = {stored.key(APP, place_of(old))} if b"to" in stored.fields(APP, place_of(old)) else set()
        assert keys() == left


@pytest.mark.parametrize("behind", [0, 1, 5])
def test_without_a_grace_nobody_sees_the_closed_session(store, clock, behind) -> None:
    old = store.create_session(APP, "peter", IP).token
    store.create_session(APP, "peter", IP, login=Login(old, grace=0))
    # The clock of another caller may be behind.
    clock.now -= behind
    assert store.get_session(APP, old) is None
