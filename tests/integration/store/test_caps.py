"""Caps: a user has at most so many live sessions."""

import pytest

from rest_sessions.errors import TooManySessions
from rest_sessions.model import Cap, Login, Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.own_tokens import HERE, USER, own_token, user_in

APP = "webapp"
IP = "192.0.2.7"
OVER = [Cap(2), Cap(2, refuses=True)]

# More sessions than one script looks at.
MANY = 130


def create(store: SessionStore, number: int, clock: Clock | None = None, **options) -> list[str]:
    """The tokens of so many sessions of the user, if there is a clock a second apart."""
    tokens = []
    for _ in range(number):
        tokens.append(store.create_session(APP, USER, IP, **options).token)
        if clock:
            clock.now += 1
    return tokens


def alive(store: SessionStore, tokens: list[str]) -> list[bool]:
    return [store.get_session(APP, token, peek=True) is not None for token in tokens]


class TestOldest:
    def test_ends_none_up_to_the_cap(self, store: SessionStore) -> None:
        assert [store.create_session(APP, USER, IP, cap=Cap(3)).killed for _ in range(4)] == [0, 0, 0, 1]
        assert len(store.list_sessions_of_id(APP, USER).sessions) == 3

    def test_ends_those_least_recently_used(self, store: SessionStore, clock: Clock) -> None:
        tokens = create(store, 3, clock)
        store.touch_session(APP, tokens[0])
        assert store.create_session(APP, USER, IP, cap=Cap(3)).killed == 1
        assert alive(store, tokens) == [True, False, True]

    def test_ends_as_many_as_it_takes(self, store: SessionStore, clock: Clock) -> None:
        tokens = create(store, 5, clock)
        created = store.create_session(APP, USER, IP, cap=Cap(2))
        assert created.killed == 4
        assert alive(store, [*tokens, created.token]) == [False] * 4 + [True] * 2

    def test_a_cap_of_one_leaves_the_new_session(self, store: SessionStore) -> None:
        create(store, 3)
        created = store.create_session(APP, USER, IP, cap=Cap(1))
        [session] = store.list_sessions_of_id(APP, USER, details=True).sessions
        assert session.details.handle == created.handle

    def test_of_those_used_in_the_same_second_the_smallest_handle_goes(self, store: SessionStore) -> None:
        tokens = sorted(create(store, 3), key=lambda token: place_of(token).handle)
        store.create_session(APP, USER, IP, cap=Cap(3))
        assert alive(store, tokens) == [False, True, True]

    def test_what_it_ends_is_gone(self, store: SessionStore, stored) -> None:
        [token] = create(store, 1)
        store.create_session(APP, USER, IP, cap=Cap(1))
        assert place_of(token).handle not in stored.text()
        assert stored.unswept() == set()
        assert store.count_active_users(APP, 60) == 1

    def test_an_own_token_that_it_ends_stays_in_use(self, store: SessionStore, stored) -> None:
        own = own_token(HERE)
        create(store, 1, own_token=own)
        store.create_session(APP, USER, IP, cap=Cap(1))
        assert stored.fields(APP, place_of(own)).keys() == {b"killed"}

    def test_a_user_with_very_many_sessions(self, store: SessionStore, clock: Clock) -> None:
        tokens = create(store, MANY)
        clock.now += 1
        store.touch_session(APP, tokens[7])
        created = store.create_session(APP, USER, IP, cap=Cap(2))
        assert created.killed == MANY - 1
        assert [token for token, is_alive in zip(tokens, alive(store, tokens), strict=True) if is_alive] == [tokens[7]]
        assert len(store.list_sessions_of_id(APP, USER).sessions) == 2


class TestRefuse:
    def test_refuses_over_the_cap(self, store: SessionStore) -> None:
        for _ in range(3):
            assert store.create_session(APP, USER, IP, cap=Cap(3, refuses=True)).killed is None
        with pytest.raises(TooManySessions):
            store.create_session(APP, USER, IP, cap=Cap(3, refuses=True))

    @pytest.mark.parametrize("number", [2, 3, MANY])
    def test_changes_nothing_then(self, store: SessionStore, clock: Clock, stored, number: int) -> None:
        create(store, number)
        clock.now += 1
        before = stored.everything()
        with pytest.raises(TooManySessions):
            store.create_session(APP, USER, IP, cap=Cap(2, refuses=True))
        assert stored.everything() == before

    def test_there_is_room_after_a_kill(self, store: SessionStore) -> None:
        tokens = create(store, 2)
        store.kill_session(APP, tokens[0])
        assert store.create_session(APP, USER, IP, cap=Cap(2, refuses=True))

    def test_there_is_room_as_soon_as_a_session_has_expired(self, store: SessionStore, clock: Clock) -> None:
        create(store, 1, timeouts=Timeouts(10))
        clock.now += 10
        with pytest.raises(TooManySessions):
            store.create_session(APP, USER, IP, cap=Cap(1, refuses=True))
        clock.now += 1
        assert store.create_session(APP, USER, IP, cap=Cap(1, refuses=True))

    def test_very_many_in_their_last_second_are_too_many(self, store: SessionStore, clock: Clock) -> None:
        tokens = create(store, MANY, timeouts=Timeouts(10))
        clock.now += 10
        with pytest.raises(TooManySessions):
            store.create_session(APP, USER, IP, cap=Cap(2, refuses=True))
        assert all(alive(store, tokens))

    def test_a_closed_one_beside_very_many_that_expired_is_none(self, store: SessionStore, clock: Clock) -> None:
        create(store, MANY, timeouts=Timeouts(10))
        [old] = create(store, 1)
        clock.now += 11
        store.create_session(APP, USER, IP, login=Login(old))
        assert store.create_session(APP, USER, IP, cap=Cap(2, refuses=True))

    def test_one_of_another_user_beside_very_many_that_expired_is_none(self, store, clock: Clock, stored) -> None:
        own = own_token(HERE)
        create(store, MANY, timeouts=Timeouts(10))
        create(store, 1, timeouts=Timeouts(10), own_token=own)
        clock.now += 11
        stored.client.delete(stored.key(APP, place_of(own)))
        store.create_session(APP, user_in(HERE), IP, own_token=own)
        assert store.create_session(APP, USER, IP, cap=Cap(1, refuses=True))


@pytest.mark.parametrize("cap", OVER, ids=["oldest", "refuse"])
class TestWhatCounts:
    def test_no_session_that_expired(self, store: SessionStore, clock: Clock, cap: Cap) -> None:
        create(store, 5, timeouts=Timeouts(10))
        [living] = create(store, 1)
        clock.now += 11
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert store.get_session(APP, living)

    def test_very_many_that_expired_hide_no_live_one(self, store: SessionStore, clock: Clock, cap: Cap) -> None:
        create(store, MANY, timeouts=Timeouts(10))
        living = create(store, 1)
        clock.now += 11
        created = store.create_session(APP, USER, IP, cap=cap)
        assert not created.killed
        living.append(created.token)
        if cap.refuses:
            with pytest.raises(TooManySessions):
                store.create_session(APP, USER, IP, cap=cap)
            assert alive(store, living) == [True, True]
        else:
            clock.now += 1
            store.touch_session(APP, living[0])
            assert store.create_session(APP, USER, IP, cap=cap).killed == 1
            assert alive(store, living) == [True, False]

    def test_no_session_that_a_login_closed(self, store: SessionStore, cap: Cap) -> None:
        old, living = create(store, 2)
        assert not store.create_session(APP, USER, IP, login=Login(old), cap=cap).killed
        assert store.get_session(APP, living)

    def test_no_anonymous_session(self, store: SessionStore, cap: Cap) -> None:
        tokens = [store.create_anonymous_session(APP, IP, own_token=own_token(HERE)).token for _ in range(3)]
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert alive(store, tokens) == [True] * 3

    def test_no_session_of_another_user(self, store: SessionStore, cap: Cap) -> None:
        others = [user_in(HERE), "pete", "peter2", "peter ", "peter\u0080"]
        tokens = [store.create_session(APP, id, IP).token for id in others for _ in range(2)]
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert alive(store, tokens) == [True] * 10

    def test_no_session_in_another_app(self, store: SessionStore, cap: Cap) -> None:
        token, _ = (store.create_session("other", USER, IP).token for _ in range(2))
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert store.get_session("other", token)


class TestRoundTrips:
    def test_one_for_a_user_below_the_cap(self, store: SessionStore, batches) -> None:
        create(store, 2)
        batches.clear()
        store.create_session(APP, USER, IP, cap=Cap(3))
        assert len(batches) == 1

    @pytest.mark.parametrize("number", [3, 127])
    def test_two_for_a_user_above_it(self, store: SessionStore, batches, number: int) -> None:
        create(store, number)
        batches.clear()
        assert store.create_session(APP, USER, IP, cap=Cap(3)).killed == number - 2
        assert len(batches) == 2

    def test_few_more_for_a_user_with_more_than_128(self, store: SessionStore, batches) -> None:
        create(store, MANY)
        batches.clear()
        store.create_session(APP, USER, IP, cap=Cap(3))
        # Look, list, rank 128, rank 2, kill 128, look again, create.
        assert len(batches) <= 7


def test_the_same_create_with_an_own_token_answers_again_how_many_it_ended(store: SessionStore, clock: Clock) -> None:
    create(store, 4)
    clock.now += 1
    own = own_token(HERE)
    answers = [store.create_session(APP, USER, IP, cap=Cap(2), own_token=own) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].killed == 3
