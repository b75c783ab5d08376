"""Devices: a user ends one session by its handle, or all but one."""

import pytest

from rest_sessions.errors import Conflict
from rest_sessions.model import Devices, Login, Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.own_tokens import ELSEWHERE, HERE, USER, own_token, user_in

APP = "webapp"
IP = "192.0.2.7"


def create(store: SessionStore, number: int = 3, id: str = USER, **options) -> list[str]:
    return [store.create_session(APP, id, IP, **options).token for _ in range(number)]


def end(store: SessionStore, token: str, id: str = USER) -> int:
    """Ends the session that has the handle of `token`."""
    return store.kill_sessions_of_id(APP, id, Devices(only=place_of(token).handle))


def end_others(store: SessionStore, token: str, id: str = USER) -> int:
    """Ends all sessions but that which has the handle of `token`."""
    return store.kill_sessions_of_id(APP, id, Devices(spared=place_of(token).handle))


def alive(store: SessionStore, tokens: list[str]) -> list[bool]:
    return [store.get_session(APP, token, peek=True) is not None for token in tokens]


# Handles that are of no live session of USER, each made by a function of the store and the clock.
def _expired(store: SessionStore, clock: Clock) -> str:
    [token] = create(store, 1, timeouts=Timeouts(10))
    clock.now += 11
    return token


def _killed(store: SessionStore, _: Clock) -> str:
    [token] = create(store, 1, own_token=own_token(HERE))
    store.kill_session(APP, token)
    return token


def _closed(store: SessionStore, _: Clock) -> str:
    [token] = create(store, 1)
    store.create_session(APP, USER, IP, login=Login(token))
    return token


NO_DEVICES = {
    "unknown": lambda store, _: "Z0" + "a" * 62,
    "another user's": lambda store, _: create(store, 1, user_in(HERE))[0],
    "another user's elsewhere": lambda store, _: create(store, 1, user_in(ELSEWHERE))[0],
    "anonymous": lambda store, _: store.create_anonymous_session(APP, IP, own_token=own_token(HERE)).token,
    "in another app": lambda store, _: store.create_session("other", USER, IP).token,
    "expired": _expired,
    "killed": _killed,
    "closed": _closed,
}


class TestOne:
    def test_ends_that_session_only(self, store: SessionStore) -> None:
        tokens = create(store)
        assert [end(store, tokens[1]) for _ in range(2)] == [1, 0]
        assert alive(store, tokens) == [True, False, True]

    def test_takes_one_round_trip(self, store: SessionStore, batches) -> None:
        tokens = create(store)
        batches.clear()
        end(store, tokens[1])
        assert len(batches) == 1

    def test_leaves_nothing(self, store: SessionStore, left) -> None:
        [token] = create(store, 1)
        end(store, token)
        assert store.count_active_users(APP, 60) == 0
        assert left() == set()

    @pytest.mark.parametrize("no_device", NO_DEVICES)
    def test_no_live_session_of_the_user_counts_as_none(self, store, clock: Clock, no_device: str) -> None:
        tokens = create(store)
        token = NO_DEVICES[no_device](store, clock)
        assert end(store, token) == 0
        assert alive(store, tokens) == [True] * 3

    @pytest.mark.parametrize("no_device", ["another user's", "another user's elsewhere", "anonymous"])
    def test_changes_nothing_of_others(self, store: SessionStore, clock: Clock, stored, no_device: str) -> None:
        create(store)
        token = NO_DEVICES[no_device](store, clock)
        before = stored.everything()
        end(store, token)
        assert stored.everything() == before

    def test_the_handle_stays_after_a_rotation(self, store: SessionStore) -> None:
        [token] = create(store, 1)
        handle = store.get_session(APP, token, details=True).details.handle
        new = store.rotate_session(APP, token)
        assert store.kill_sessions_of_id(APP, USER, Devices(only=handle)) == 1
        assert alive(store, [token, new]) == [False, False]

    @pytest.mark.parametrize("partition", [HERE, ELSEWHERE], ids=["here", "by a pointer"])
    def test_also_with_an_own_token(self, store: SessionStore, partition: int) -> None:
        [token] = create(store, 1, own_token=own_token(partition))
        assert end(store, token) == 1
        assert store.get_session(APP, token) is None

    def test_it_removes_a_closed_one(self, store: SessionStore, clock: Clock) -> None:
        token = _closed(store, clock)
        end(store, token)
        assert store.get_session(APP, token) is None


class TestAllExceptOne:
    def test_ends_all_others(self, store: SessionStore) -> None:
        tokens = create(store)
        assert [end_others(store, tokens[1]) for _ in range(2)] == [2, 0]
        assert alive(store, tokens) == [False, True, False]
        assert store.count_active_users(APP, 60) == 1

    def test_does_not_use_the_spared_one(self, store: SessionStore, clock: Clock, stored) -> None:
        tokens = create(store)
        clock.now += 5
        before = stored.fields(APP, place_of(tokens[1]))
        end_others(store, tokens[1])
        assert stored.fields(APP, place_of(tokens[1])) == before
        assert stored.entries(place_of(tokens[1]).handle).keys() == {"ids", "recent", "expiry"}
        assert stored.unswept() == set()

    def test_ends_no_other_users(self, store: SessionStore) -> None:
        tokens = create(store)
        others = [create(store, 1, id)[0] for id in (user_in(HERE), "pete", "peter2", "peter ")]
        others.append(store.create_anonymous_session(APP, IP, own_token=own_token(HERE)).token)
        end_others(store, tokens[0])
        assert alive(store, others) == [True] * 5

    def test_does_not_count_what_was_not_alive(self, store: SessionStore, clock: Clock) -> None:
        _expired(store, clock)
        _closed(store, clock)
        _killed(store, clock)
        [token] = create(store, 1)
        # The session of the login that closed another one.
        assert end_others(store, token) == 1

    @pytest.mark.parametrize("no_device", NO_DEVICES)
    def test_no_live_session_of_the_user_is_a_conflict(self, store, clock, stored, no_device: str) -> None:
        create(store)
        token = NO_DEVICES[no_device](store, clock)
        before = stored.everything()
        with pytest.raises(Conflict):
            end_others(store, token)
        assert stored.everything() == before

    def test_spares_it_among_very_many(self, store: SessionStore) -> None:
        tokens = sorted(create(store, 260), key=lambda token: place_of(token).handle)
        # The last of a batch of 128.
        assert end_others(store, tokens[127]) == 259
        assert [token for token, is_alive in zip(tokens, alive(store, tokens), strict=True) if is_alive] == [
            tokens[127]
        ]

    def test_takes_three_round_trips(self, store: SessionStore, batches) -> None:
        tokens = create(store)
        batches.clear()
        end_others(store, tokens[1])
        assert len(batches) == 3
