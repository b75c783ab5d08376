"""Rotation: a session gets a new token, and the old one goes on to work for a grace."""

import pytest

from rest_sessions.model import Login, Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import hash_of, place_of, rotated_token
from tests.conftest import Clock
from tests.own_tokens import ELSEWHERE, USER, own_token
from tests.pages import ids

APP = "webapp"
IP = "192.0.2.7"

# Every operation that looks for a session by its token. Each returns something true if it finds the session.
USES = {
    "get": lambda store, token: store.get_session(APP, token),
    "set": lambda store, token: store.set_session(APP, token, {"a": "1"}),
    "touch": lambda store, token: store.touch_session(APP, token),
    "rotate": lambda store, token: store.rotate_session(APP, token),
}
OPERATIONS = {
    **USES,
    "peek": lambda store, token: store.get_session(APP, token, peek=True),
    "kill": lambda store, token: store.kill_session(APP, token),
    "login": lambda store, token: store.create_session(APP, USER, IP, login=Login(token)).taken_over,
}


def rotated(store: SessionStore, grace: int = 60, **options) -> tuple[str, str]:
    """The old and the new token of a session."""
    old = store.create_session(APP, USER, IP, **options).token
    return old, store.rotate_session(APP, old, grace)


def metrics(text: str) -> int:
    """How often a text counts StaleTokens."""
    return text.count('"StaleTokens":1')


class TestNewToken:
    def test_is_another_token_of_the_same_session(self, store: SessionStore) -> None:
        old, new = rotated(store)
        assert new != old
        assert place_of(new) == place_of(old)
        assert new[24:] != old[24:]

    def test_the_session_stays_as_it_was(self, store: SessionStore, clock: Clock) -> None:
        old = store.create_session(APP, USER, IP, Timeouts(100, lifetime=500), {"a": "1"}).token
        before = store.get_session(APP, old, peek=True, details=True)
        new = store.rotate_session(APP, old)
        assert store.get_session(APP, new, details=True) == before

    def test_a_rotation_is_a_use(self, store: SessionStore, clock: Clock) -> None:
        old = store.create_session(APP, USER, IP, Timeouts(10)).token
        clock.now += 10
        new = store.rotate_session(APP, old)
        clock.now += 10
        assert store.get_session(APP, new).idle == 10

    def test_takes_one_round_trip(self, store: SessionStore, batches) -> None:
        old = store.create_session(APP, USER, IP).token
        batches.clear()
        store.rotate_session(APP, old)
        assert [len(batch) for batch in batches] == [1]

    @pytest.mark.parametrize("end", ["killed", "expired", "closed"])
    def test_a_missing_session_gets_none(self, store: SessionStore, clock: Clock, stored, end: str) -> None:
        token = store.create_session(APP, USER, IP, Timeouts(10)).token
        if end == "killed":
            store.kill_session(APP, token)
        elif end == "expired":
            clock.now += 11
        else:
            store.create_session(APP, USER, IP, login=Login(token))
        before = stored.everything()
        assert store.rotate_session(APP, token) is None
        assert stored.everything() == before

    def test_the_session_is_listed_once(self, store: SessionStore) -> None:
        rotated(store)
        assert ids(store.list_sessions_of_id(APP, USER)) == [USER]
        assert ids(store.list_sessions_of_app(APP, 60)) == [USER]
        assert store.count_active_users(APP, 60) == 1

    def test_the_store_never_holds_a_token(self, store: SessionStore, stored) -> None:
        old, new = rotated(store)
        store.get_session(APP, new)
        third = store.rotate_session(APP, new)
        for token in (old, new, third):
            assert token not in stored.text()
            assert token[24:] not in stored.text()

    def test_only_who_has_the_old_token_can_make_the_new_one(self, store: SessionStore, stored) -> None:
        old, new = rotated(store)
        place = place_of(old)
        nonce = stored.fields(APP, place)[b"nonce"]
        assert rotated_token(old, nonce, place) == new
        assert rotated_token(old[:24] + "0" * 40, nonce, place) != new

    def test_it_ends_as_any_session(self, store: SessionStore, clock: Clock, keys, stored) -> None:
        _, new = rotated(store, timeouts=Timeouts(100))
        assert stored.unswept() == set()
        assert stored.lasts(APP, place_of(new), 160)
        clock.now += 101
        assert store.sweep_expired() == (1, {})
        assert keys() == set()


class TestGrace:
    @pytest.mark.parametrize("grace", [10, 60, 300])
    def test_ends_so_long_after_the_first_use_of_the_new_token(self, store, clock: Clock, grace: int) -> None:
        old, new = rotated(store, grace)
        clock.now += 5
        store.get_session(APP, new)
        clock.now += grace
        assert store.get_session(APP, old)
        clock.now += 1
        assert store.get_session(APP, old) is None
        assert store.get_session(APP, new)

    @pytest.mark.parametrize("use", USES)
    @pytest.mark.parametrize("seconds", [0, 5], ids=["in the same second", "later"])
    def test_every_use_of_the_new_token_begins_it(self, store, clock: Clock, use: str, seconds: int) -> None:
        old, new = rotated(store, 10)
        clock.now += seconds
        assert USES[use](store, new)
        clock.now += 10
        assert store.get_session(APP, old, peek=True)
        clock.now += 1
        assert store.get_session(APP, old, peek=True) is None

    def test_does_not_begin_before(self, store: SessionStore, clock: Clock) -> None:
        old, new = rotated(store, 10)
        store.get_session(APP, new, peek=True)
        store.list_sessions_of_id(APP, USER)
        for _ in range(5):
            clock.now += 7200
            assert store.get_session(APP, old).rotated
            assert store.rotate_session(APP, old) == new

    def test_later_uses_do_not_prolong_it(self, store: SessionStore, clock: Clock) -> None:
        old, new = rotated(store, 10)
        store.get_session(APP, new)
        clock.now += 6
        store.get_session(APP, new)
        store.get_session(APP, old)
        store.rotate_session(APP, old, 300)
        clock.now += 5
        assert store.get_session(APP, old) is None

    def test_does_not_outlive_the_session(self, store: SessionStore, clock: Clock) -> None:
        old, new = rotated(store, 300, timeouts=Timeouts(10))
        store.get_session(APP, new)
        clock.now += 11
        assert store.get_session(APP, old) is None

    @pytest.mark.parametrize("use", ["get", "set", "touch"])
    def test_answers_tell_who_comes_with_the_old_token(self, store: SessionStore, use: str) -> None:
        old, new = rotated(store)
        assert [USES[use](store, token).rotated for token in (old, new)] == [True, False]

    @pytest.mark.parametrize("use", USES)
    def test_a_use_of_the_old_token_is_a_use(self, store: SessionStore, clock: Clock, use: str) -> None:
        old, new = rotated(store, timeouts=Timeouts(10))
        clock.now += 10
        assert USES[use](store, old)
        clock.now += 10
        assert store.get_session(APP, new).idle == 10

    def test_a_kill_takes_the_old_token(self, store: SessionStore) -> None:
        old, new = rotated(store)
        assert store.kill_session(APP, old) == 1
        assert store.get_session(APP, old) is None
        assert store.get_session(APP, new) is None

    def test_a_login_takes_the_old_token(self, store: SessionStore) -> None:
        old, new = rotated(store, data={"a": "1"})
        created = store.create_session(APP, USER, IP, login=Login(old))
        assert created.taken_over
        assert store.get_session(APP, created.token).data == {"a": "1"}
        assert [store.get_session(APP, token).closed for token in (old, new)] == [True, True]


class TestRotationInTheGrace:
    def test_the_old_token_gets_the_same_new_one(self, store: SessionStore, clock: Clock) -> None:
        old, new = rotated(store)
        assert store.rotate_session(APP, old) == new
        store.get_session(APP, new)
        clock.now += 60
        assert store.rotate_session(APP, old) == new

    def test_the_new_token_gives_itself_back(self, store: SessionStore, clock: Clock) -> None:
        _, new = rotated(store)
        assert store.rotate_session(APP, new) == new
        clock.now += 60
        assert store.rotate_session(APP, new) == new

    def test_it_changes_the_grace_of_the_first_no_more(self, store: SessionStore, clock: Clock) -> None:
        old, new = rotated(store, 10)
        assert store.rotate_session(APP, old, 300) == new
        assert store.rotate_session(APP, new, 300) == new
        clock.now += 11
        assert store.get_session(APP, old) is None


class TestNextRotation:
    @pytest.mark.parametrize("is_used_before", [True, False])
    def test_the_new_token_rotates_after_the_grace(self, store: SessionStore, clock: Clock, is_used_before) -> None:
        old, new = rotated(store)
        store.get_session(APP, new)
        clock.now += 61
        if is_used_before:
            store.get_session(APP, new)
        third = store.rotate_session(APP, new)
        assert third not in (old, new)
        assert store.get_session(APP, new).rotated
        assert not store.get_session(APP, third).rotated

    def test_only_one_generation_is_kept(self, store: SessionStore, clock: Clock) -> None:
        old, new = rotated(store)
        store.get_session(APP, new)
        clock.now += 61
        store.rotate_session(APP, new)
        assert store.get_session(APP, old) is None
        assert store.rotate_session(APP, old) is None

    def test_it_has_a_grace_of_its_own(self, store: SessionStore, clock: Clock) -> None:
        _, new = rotated(store, 300)
        store.get_session(APP, new)
        clock.now += 301
        third = store.rotate_session(APP, new, 10)
        # Not before its first use.
        clock.now += 1000
        assert store.get_session(APP, new)
        store.get_session(APP, third)
        clock.now += 10
        assert store.get_session(APP, new)
        clock.now += 1
        assert store.get_session(APP, new) is None


class TestAfterTheGrace:
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_the_old_token_is_unknown(self, store: SessionStore, clock: Clock, stored, operation: str) -> None:
        old, new = rotated(store)
        store.get_session(APP, new)
        clock.now += 61
        before = stored.fields(APP, place_of(new))
        assert not OPERATIONS[operation](store, old)
        assert stored.fields(APP, place_of(new)) == before

    def test_the_next_use_removes_what_makes_the_new_token(self, store: SessionStore, clock: Clock, stored) -> None:
        old, new = rotated(store)
        place = place_of(new)
        store.get_session(APP, new)
        clock.now += 60
        store.get_session(APP, new)
        assert {b"nonce", b"grace"} <= stored.fields(APP, place).keys()
        clock.now += 1
        store.get_session(APP, new)
        fields = stored.fields(APP, place)
        assert not {b"nonce", b"grace"} & fields.keys()
        assert fields[b"old_token"] == hash_of(old)


class TestStaleTokens:
    """The metric: somebody came with an old token after its grace, who may be a thief."""

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_an_old_token_after_its_grace_counts_once(self, store, clock: Clock, capsys, operation: str) -> None:
        old, new = rotated(store)
        store.get_session(APP, new)
        clock.now += 61
        OPERATIONS[operation](store, old)
        assert metrics(capsys.readouterr().out) == 1

    def test_also_by_a_pointer(self, store: SessionStore, clock: Clock, capsys) -> None:
        old = store.create_session(APP, USER, IP, own_token=own_token(ELSEWHERE)).token
        new = store.rotate_session(APP, old)
        store.get_session(APP, new)
        clock.now += 61
        assert store.get_session(APP, old) is None
        assert metrics(capsys.readouterr().out) == 1

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_an_old_token_in_its_grace_counts_nothing(self, store, clock: Clock, capsys, operation: str) -> None:
        old, new = rotated(store)
        store.get_session(APP, new)
        clock.now += 60
        OPERATIONS[operation](store, old)
        assert metrics(capsys.readouterr().out) == 0

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_wrong_secret_counts_nothing(self, store, clock: Clock, capsys, operation: str) -> None:
        _, new = rotated(store)
        store.get_session(APP, new)
        clock.now += 61
        OPERATIONS[operation](store, new[:24] + "0" * 40)
        assert metrics(capsys.readouterr().out) == 0

    @pytest.mark.parametrize("end", ["killed", "expired"])
    def test_the_old_token_of_an_ended_session_counts_nothing(self, store, clock: Clock, capsys, end: str) -> None:
        old, new = rotated(store, timeouts=Timeouts(60))
        store.get_session(APP, new)
        clock.now += 61
        if end == "killed":
            store.kill_session(APP, new)
        assert store.get_session(APP, old) is None
        assert metrics(capsys.readouterr().out) == 0
