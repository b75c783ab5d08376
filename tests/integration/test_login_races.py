"""Logins, rotations, caps and callers' own tokens beside each other and beside kills, on real servers."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import pytest

from rest_sessions.errors import ApiError, Conflict, TokenInUse, TooManySessions
from rest_sessions.model import Cap, Created, Login, Timeouts
from rest_sessions.store.keys import partition_number_of_id
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.integration.test_races import APP, IP, repeat, together

# More sessions than one script looks at.
MANY = 150
CART = {"cart": "1"}


def own_token(partition: int) -> str:
    """A new token of a caller's own, whose partition is this one."""
    while True:
        token = secrets.token_hex(32)
        if place_of(token).partition == partition:
            return token


def users(partition: int) -> tuple[str, str]:
    """Two users whose sessions are in this partition, sorted."""
    one, two, *_ = (f"user{i}" for i in range(100, 999) if partition_number_of_id(f"user{i}") == partition)
    return one, two


# The partition of the user peter, and another.
HERE = partition_number_of_id("peter")
ELSEWHERE = (HERE + 1) % 16


def attempt(call: Callable[[], object]) -> Callable[[], object]:
    """The call, which returns the error that refuses it."""

    def attempted() -> object:
        try:
            return call()
        except ApiError as error:
            return error

    return attempted


def live_handles(store: SessionStore) -> set[str]:
    return {session.details.handle for session in store.list_sessions_of_app(APP, 60, details=True).sessions}


def is_usable(store: SessionStore, token: str) -> bool:
    session = store.get_session(APP, token, peek=True)
    return bool(session and not session.closed)


def start(store: SessionStore, id: str, **options) -> Created:
    """A session of the user, or an anonymous one."""
    if id:
        return store.create_session(APP, id, IP, **options)
    return store.create_anonymous_session(APP, IP, **options)


@pytest.mark.parametrize("partition", [None, HERE, ELSEWHERE], ids=["our token", "own token", "own by a pointer"])
def test_two_rotations_at_once_agree(real_store: SessionStore, partition) -> None:
    for _ in range(200 if partition is None else 50):
        own = None if partition is None else own_token(partition)
        token = real_store.create_session(APP, "peter", IP, own_token=own).token
        first, second = together(*[lambda token=token: real_store.rotate_session(APP, token)] * 2)
        assert first == second != token
        assert real_store.rotate_session(APP, token) == first == real_store.rotate_session(APP, first)
        assert real_store.get_session(APP, token).rotated
        assert real_store.get_session(APP, first)


@pytest.mark.parametrize("partition", [None, ELSEWHERE], ids=["our token", "own by a pointer"])
def test_a_rotation_disturbs_no_other_request_of_the_browser(real_store: SessionStore, clock: Clock, partition) -> None:
    for _ in range(8):
        own = None if partition is None else own_token(partition)
        token = real_store.create_session(APP, "peter", IP, own_token=own).token
        # The second has passed, so that each request is a use that changes the times and looks at the index.
        clock.now += 1
        uses = [
            lambda token=token: real_store.get_session(APP, token),
            lambda token=token: real_store.touch_session(APP, token, ttl=100),
        ]
        writes = [lambda token=token, i=i: real_store.set_session(APP, token, {f"k{i}": "1"}) for i in range(12)]
        *answers, new = together(*uses * 6, *writes, lambda token=token: real_store.rotate_session(APP, token))
        assert all(answers)
        session = real_store.get_session(APP, new)
        assert session.data == {f"k{i}": "1" for i in range(12)}
        assert (session.r, session.w, session.ttl) == (7, 13, 100)


def test_a_write_that_expects_w_loses_nothing(real_store: SessionStore) -> None:
    token = real_store.create_session(APP, "peter", IP, data={"n": "0"}).token

    def count() -> None:
        is_written = False
        while not is_written:
            session = real_store.get_session(APP, token, peek=True)
            with suppress(Conflict):
                real_store.set_session(APP, token, {"n": str(int(session.data["n"]) + 1)}, expected_w=session.w)
                is_written = True

    together(*[count] * 25)
    session = real_store.get_session(APP, token)
    assert (session.data, session.w) == ({"n": "25"}, 26)


KILLS = {
    "killsoid": lambda store: store.kill_sessions_of_id(APP, "peter"),
    "killall": lambda store: store.kill_sessions_of_app(APP),
}
# What the browser of an earlier session does while that is killed.
RIVALS = {
    "rotation": lambda store, old, _: store.rotate_session(APP, old),
    "login": lambda store, old, _: store.create_session(APP, "peter", IP, login=Login(old)),
    "login that a cap refuses": lambda store, old, _: store.create_session(
        APP, "peter", IP, login=Login(old), cap=Cap(1, refuses=True)
    ),
    "login that a taken token refuses": lambda store, old, taken: store.create_session(
        APP, "peter", IP, login=Login(old), own_token=taken
    ),
}


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("id", ["peter", ""], ids=["of the user", "anonymous"])
@pytest.mark.parametrize("kill", KILLS)
def test_a_kill_lets_no_earlier_session_escape(real_store: SessionStore, kill, id, rival) -> None:
    """In all, each of the two kills meets more than 300 sessions that it must end."""
    for _ in range(14):
        taken = real_store.create_session(APP, "mary", IP, own_token=own_token(HERE)).token
        before = [start(real_store, id, data=CART) for _ in range(4)]
        other = real_store.create_session(APP, "peter", IP)
        rivals = [attempt(lambda old=old.token, taken=taken: RIVALS[rival](real_store, old, taken)) for old in before]
        *answers, _ = together(*rivals, lambda: KILLS[kill](real_store))
        ended = [other.token]
        handles = {other.handle}
        # A killsoid of the user spares sessions that are anonymous.
        if id or kill == "killall":
            ended += [*(old.token for old in before), *(token for token in answers if isinstance(token, str))]
            handles |= {old.handle for old in before}
        assert not any(is_usable(real_store, token) for token in ended)
        assert live_handles(real_store).isdisjoint(handles)
        KILLS["killall"](real_store)


CAP_REFUSES = Cap(3, refuses=True)


@pytest.mark.parametrize("earlier", [0, MANY], ids=["few sessions", "many sessions"])
class TestCap:
    """Sixteen logins of one user at once, who may have three sessions."""

    def logins(self, store: SessionStore, cap: Cap, froms: Sequence[Created | None]) -> list[object]:
        creates = [
            partial(store.create_session, APP, "peter", IP, cap=cap, login=Login(old.token) if old else None)
            for old in froms
        ]
        return together(*map(attempt, creates))

    @pytest.fixture
    def dead(self, real_store: SessionStore, clock: Clock, earlier: int) -> None:
        """Sessions that ended and are still in the index."""
        for _ in range(earlier):
            real_store.create_session(APP, "peter", IP, Timeouts(10))
        clock.now += 11

    @pytest.mark.parametrize("from_whom", [None, "", "peter"], ids=["create", "login", "login again"])
    def test_never_more_than_three_are_left(self, real_store, dead, earlier, from_whom) -> None:
        for _ in range(3):
            for _ in range(earlier):
                real_store.create_session(APP, "peter", IP)
            before = len(real_store.list_sessions_of_id(APP, "peter").sessions)
            froms = [None if from_whom is None else start(real_store, from_whom) for _ in range(16)]
            created = self.logins(real_store, Cap(3), froms)
            assert len(real_store.list_sessions_of_id(APP, "peter").sessions) == 3
            assert sum(is_usable(real_store, session.token) for session in created) <= 3
            # Each session that a cap ended was counted once. It may have ended some before a login began from them.
            ended = before + 16 - 3
            assert ended <= sum(session.killed for session in created) <= ended + 16 * (from_whom == "peter")

    @pytest.mark.parametrize("from_whom", [None, ""], ids=["create", "login"])
    def test_a_cap_that_refuses_lets_only_three_in(self, real_store, dead, from_whom) -> None:
        for _ in range(3):
            froms = [None if from_whom is None else start(real_store, from_whom, data=CART) for _ in range(16)]
            answers = self.logins(real_store, CAP_REFUSES, froms)
            assert sorted(type(answer).__name__ for answer in answers) == ["Created"] * 3 + ["TooManySessions"] * 13
            assert len(real_store.list_sessions_of_id(APP, "peter").sessions) == 3
            # Who was refused keeps the anonymous session.
            refused = [
                old.token for old, answer in zip(froms, answers, strict=True) if old and isinstance(answer, ApiError)
            ]
            assert all(is_usable(real_store, token) for token in refused)
            real_store.kill_sessions_of_id(APP, "peter")


def test_logins_from_the_sessions_that_a_cap_allows_beside_new_ones(real_store: SessionStore) -> None:
    for _ in range(40):
        before = [real_store.create_session(APP, "peter", IP) for _ in range(3)]
        again = [
            attempt(
                lambda old=old.token: real_store.create_session(APP, "peter", IP, login=Login(old), cap=CAP_REFUSES)
            )
            for old in before
        ]
        together(*again, *[attempt(lambda: real_store.create_session(APP, "peter", IP, cap=CAP_REFUSES))] * 5)
        assert len(real_store.list_sessions_of_id(APP, "peter").sessions) <= 3
        real_store.kill_sessions_of_id(APP, "peter")


@pytest.mark.parametrize("id", ["peter", ""], ids=["of the user", "anonymous"])
def test_a_logout_beside_a_login_and_a_read_revives_nothing(real_store: SessionStore, clock: Clock, id) -> None:
    for _ in range(30):
        old = start(real_store, id, data=CART).token

        def login_and_out(old=old) -> str:
            new = real_store.create_session(APP, "peter", IP, login=Login(old)).token
            assert real_store.kill_session(APP, new) == 1
            return new

        new, *_ = together(
            login_and_out,
            lambda old=old: real_store.kill_session(APP, old),
            repeat(3, lambda old=old: real_store.get_session(APP, old)),
        )
        assert not is_usable(real_store, new)
        assert not is_usable(real_store, old)
        assert live_handles(real_store) == set()
        assert real_store.count_active_users(APP, 60) == 0
        clock.now += 11
        assert real_store.get_session(APP, old) is None
        clock.now += 50
        real_store.sweep_expired()


@pytest.mark.parametrize("id", ["peter", ""], ids=["of the user", "anonymous"])
def test_a_logout_beside_a_refused_login_ends_the_session(real_store: SessionStore, id) -> None:
    real_store.create_session(APP, "peter", IP)
    for _ in range(100):
        old = start(real_store, id).token
        login = partial(real_store.create_session, APP, "peter", IP, login=Login(old), cap=Cap(1, refuses=True))
        together(attempt(login), lambda old=old: real_store.kill_session(APP, old))
        assert not is_usable(real_store, old)


@pytest.mark.parametrize("id", ["peter", ""], ids=["of the user", "anonymous"])
def test_a_write_beside_a_login_is_taken_over_or_not_answered(real_store: SessionStore, id) -> None:
    for _ in range(30):
        old = start(real_store, id, data=CART).token
        writes = [
            repeat(2, lambda old=old, i=i: real_store.set_session(APP, old, {f"k{i}": "1"}) and f"k{i}")
            for i in range(6)
        ]
        created, *answers = together(partial(real_store.create_session, APP, "peter", IP, login=Login(old)), *writes)
        answered = {key for answer in answers for key in answer if key}
        assert real_store.get_session(APP, created.token).data.keys() == {"cart", *answered}
        assert real_store.kill_session(APP, created.token) == 1


@pytest.mark.parametrize("of_token", [HERE, (HERE + 2) % 16], ids=["in the one's partition", "in another partition"])
@pytest.mark.parametrize("of_other", [HERE, ELSEWHERE], ids=["neighbours", "strangers"])
@pytest.mark.parametrize("other", [None, ""], ids=["two users", "a user and an anonymous"])
def test_one_of_two_gets_an_own_token(real_store: SessionStore, of_token, of_other, other) -> None:
    one, _ = users(HERE)
    _, two = users(of_other) if other is None else ("", other)
    for _ in range(25):
        token = own_token(of_token)
        answers = together(
            *(
                attempt(lambda id=id, token=token: start(real_store, id, own_token=token, data=CART))
                for id in (one, two)
            )
        )
        assert sorted(type(answer) for answer in answers if not isinstance(answer, Created)) == [TokenInUse]
        winner = one if isinstance(answers[0], Created) else two
        assert real_store.get_session(APP, token).id == winner
        assert [session.id for session in real_store.list_sessions_of_app(APP, 60).sessions] == [winner]
        assert real_store.kill_sessions_of_app(APP) == 1


@pytest.mark.parametrize("partition", [HERE, ELSEWHERE], ids=["here", "by a pointer"])
@pytest.mark.parametrize("cap", [None, Cap(1)], ids=["no cap", "a cap"])
def test_two_identical_creates_of_an_own_token_answer_the_same(real_store: SessionStore, partition, cap) -> None:
    for _ in range(25):
        old = real_store.create_session(APP, "peter", IP).token
        anonymous = real_store.create_anonymous_session(APP, IP, data=CART).token
        options = {"own_token": own_token(partition), "cap": cap, "login": Login(anonymous)}
        first, second = together(*[lambda options=options: real_store.create_session(APP, "peter", IP, **options)] * 2)
        assert first == second
        assert (first.taken_over, first.killed) == (True, cap and 1)
        assert real_store.get_session(APP, first.token).data == CART
        assert is_usable(real_store, old) == (cap is None)
        assert real_store.kill_sessions_of_id(APP, "peter") == (2 if cap is None else 1)


def test_a_session_from_which_one_of_two_logins_took_stays_closed(real_store: SessionStore) -> None:
    for _ in range(50):
        old = real_store.create_anonymous_session(APP, IP, data=CART).token
        login = partial(real_store.create_session, APP, "peter", IP, login=Login(old), cap=Cap(1, refuses=True))
        answers = together(attempt(login), attempt(login))
        assert sorted(type(answer).__name__ for answer in answers) == ["Created", "TooManySessions"]
        assert real_store.get_session(APP, old).closed
        assert real_store.kill_sessions_of_id(APP, "peter") == 1


class TestTwoIdenticalCallsThatAreRefused:
    """As when a user clicks twice. The two together must leave all as it was, as each alone would."""

    @pytest.fixture
    def full(self, real_store: SessionStore) -> None:
        real_store.create_session(APP, "peter", IP)

    def test_the_old_session_stays(self, real_store, full) -> None:
        for _ in range(30):
            old = real_store.create_anonymous_session(APP, IP, data=CART).token
            login = {"login": Login(old), "cap": Cap(1, refuses=True)}
            refused = attempt(lambda login=login: real_store.create_session(APP, "peter", IP, **login))
            assert [type(answer) for answer in together(refused, refused)] == [TooManySessions] * 2
            assert is_usable(real_store, old)

    def test_the_token_stays_free(self, real_store, full) -> None:
        for _ in range(30):
            token = own_token(ELSEWHERE)
            refused = attempt(
                lambda token=token: real_store.create_session(
                    APP, "peter", IP, own_token=token, cap=Cap(1, refuses=True)
                )
            )
            assert [type(answer) for answer in together(refused, refused)] == [TooManySessions] * 2
            assert real_store.create_anonymous_session(APP, IP, own_token=token)
