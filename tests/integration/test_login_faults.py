"""Lost answers and broken steps of logins, rotations, caps and own tokens; refusals; and tokens in the wrong hands."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

import pytest

from dev.embedded_store import LOOPBACK
from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Command
from rest_sessions.errors import ApiError, Conflict, StoreUnavailable, TokenInUse, TooLarge, TooManySessions
from rest_sessions.limits import MAX_DATA_BYTES
from rest_sessions.model import Cap, Created, Devices, Login, Session, Timeouts
from rest_sessions.settings import Settings
from rest_sessions.store.keys import Keyspace
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.integration.test_login_races import CART, ELSEWHERE, HERE, MANY, live_handles, own_token, start, users
from tests.integration.test_races import APP, IP
from tests.proxy import Proxy, forward, proxy_before
from tests.servers import BINARIES, Server

# Longer than anything lives here.
LONG = 10_000
PLACES = {"our token": None, "own token": HERE, "own by a pointer": ELSEWHERE}

Call = Callable[[], object]


class World:
    """One app in a store, in which a call is prepared and made."""

    def __init__(self, store: SessionStore, app: str, clock: Clock) -> None:
        self.store, self.app, self.clock = store, app, clock

    def create(self, id: str = "peter", **options) -> Created:
        return self.store.create_session(self.app, id, IP, **options)

    def anonymous(self) -> str:
        return self.store.create_anonymous_session(self.app, IP, data=CART).token

    def at(self, place: str) -> str:
        """The token of a session of the user, of the kind that PLACES names."""
        partition = PLACES[place]
        return self.create(data={"k": "1"}, own_token=partition if partition is None else own_token(partition)).token

    def create_in_turn(self, number: int) -> list[Created]:
        created = []
        for _ in range(number):
            self.clock.now += 1
            created.append(self.create())
        return created

    def create_later(self, **options) -> Call:
        return partial(self.create, data={"k": "1"}, **options)


def logged_in(world: World, **options) -> Call:
    return world.create_later(login=Login(world.anonymous()), **options)


def capped(world: World, number: int, **options) -> Call:
    world.create_in_turn(number)
    return world.create_later(cap=Cap(3), **options)


def capped_login_with_own_token(world: World) -> Call:
    return capped(world, 5, login=Login(world.anonymous()), own_token=own_token(ELSEWHERE))


def capped_login_again(world: World, **options) -> Call:
    """From the last of as many sessions as the cap allows."""
    world.create_in_turn(2)
    world.clock.now += 1
    last = world.create(data=CART)
    return world.create_later(login=Login(last.token), **options)


def login_of_another_user(world: World) -> Call:
    return world.create_later(login=Login(world.create("mary", data=CART).token))


CREATES: dict[str, Callable[[World], Call]] = {
    "create": lambda world: world.create_later(),
    "own token": lambda world: world.create_later(own_token=own_token(HERE)),
    "own token by a pointer": lambda world: world.create_later(own_token=own_token(ELSEWHERE)),
    "login": logged_in,
    "login again": lambda world: world.create_later(login=Login(world.create(data=CART).token)),
    "login of another user": login_of_another_user,
    "cap": lambda world: capped(world, 5),
    "cap of many": lambda world: capped(world, MANY),
    "login, cap and own token": capped_login_with_own_token,
    "login again and cap": partial(capped_login_again, cap=Cap(3)),
    "login again, cap that refuses and own token": lambda world: capped_login_again(
        world, cap=Cap(3, refuses=True), own_token=own_token(ELSEWHERE)
    ),
}


def rotation(world: World, place: str) -> Call:
    token = world.at(place)
    return lambda: world.store.rotate_session(world.app, token)


def touch(world: World, place: str) -> Call:
    return partial(world.store.touch_session, world.app, world.at(place), ttl=100)


def writing(world: World, place: str, **options) -> Call:
    return partial(world.store.set_session, world.app, world.at(place), {"n": "1"}, **options)


def kill_of_id(world: World, devices: str) -> Call:
    _, one, _ = world.create_in_turn(3)
    return partial(world.store.kill_sessions_of_id, world.app, "peter", Devices(**{devices: one.handle}))


CALLS: dict[str, Callable[[World], Call]] = {
    **CREATES,
    **{f"killsoid {devices}": partial(kill_of_id, devices=devices) for devices in ("only", "spared")},
} | {
    f"{name}, {place}": partial(use, place=place)
    for place in PLACES
    for name, use in {
        "rotate": rotation,
        "touch": touch,
        "set with ttl": partial(writing, ttl=100),
        "set with w": partial(writing, expected_w=1),
    }.items()
}

# Why a login is refused: the error, and what makes the options of its create.
REFUSALS: dict[str, tuple[type[ApiError], Callable[[SessionStore], dict[str, Any]]]] = {
    "cap": (TooManySessions, lambda store: {"cap": Cap(1, refuses=True)}),
    "cap and token": (
        TooManySessions,
        lambda store: {"cap": Cap(1, refuses=True), "own_token": own_token(ELSEWHERE)},
    ),
    "taken token": (TokenInUse, lambda store: {"own_token": taken(store, HERE)}),
    "taken token elsewhere": (TokenInUse, lambda store: {"own_token": taken(store, ELSEWHERE)}),
    "killed token": (TokenInUse, lambda store: {"own_token": killed(store, HERE)}),
    "killed token elsewhere": (TokenInUse, lambda store: {"own_token": killed(store, ELSEWHERE)}),
    "size": (TooLarge, lambda store: {"data": {"k": '"' + "x" * MAX_DATA_BYTES + '"'}}),
}


def taken(store: SessionStore, partition: int) -> str:
    return store.create_session(APP, "mary", IP, own_token=own_token(partition)).token


def killed(store: SessionStore, partition: int) -> str:
    token = taken(store, partition)
    store.kill_session(APP, token)
    return token


# Fields whose values are random.
RANDOM = {b"token", b"old_token", b"nonce", b"calls", b"closing", b"cas", b"claim", b"epoch"}


def dump(server: Server, namespace: str, app: str, *aside: bytes) -> list[str]:
    """All that the store holds of an app's sessions, but for what is random, where it is, and the fields `aside`."""
    found = []
    with server.connect() as client:
        for key in server.keys(namespace):
            _, is_of_app, name = key.partition(f"{{{app}:")
            if is_of_app and ":s:" in name:
                fields = {field: b"" if field in RANDOM else value for field, value in client.hgetall(key).items()}
                found.append(f"{sorted(item for item in fields.items() if item[0] not in aside)} {client.ttl(key) > 0}")
            elif is_of_app and not name.endswith((":epoch", ":killed")):
                entries = client.zrange(key, 0, -1, withscores=True)
                found += [f"{name[3:]} {re.sub(rb'[A-Za-z0-9]{22}', b'', text)} {score}" for text, score in entries]
    return sorted(found)


def assert_all_ends(server: Server, namespace: str, store: SessionStore, clock: Clock) -> None:
    """Checks that nothing stays for ever: after the sweep, the server itself drops what is left."""
    clock.now += LONG
    store.sweep_expired()
    with server.connect() as client:
        assert [key for key in server.keys(namespace) if client.ttl(key) < 0] == []


@pytest.mark.parametrize("real_server", BINARIES, indirect=True)
class TestLostAnswer:
    """The server runs a step of a call, and its answer is lost. The client connects again and sends the step again."""

    @pytest.fixture
    def proxy(self, real_server: Server) -> Iterator[Proxy]:
        with proxy_before(real_server) as proxy:
            yield proxy

    @pytest.fixture
    def store(self, proxy: Proxy, namespace: str, clock: Clock) -> SessionStore:
        settings = Settings(f"redis://{LOOPBACK}:{proxy.port}", False, namespace, False)
        return SessionStore(Client(settings), namespace, clock)

    @pytest.fixture
    def lose_answer(self, proxy: Proxy) -> Callable[..., None]:
        def lose_answer(step: int = 1, meanwhile: Call = lambda: None) -> None:
            """Loses the answer of this step of the next call, and then calls `meanwhile`."""
            earlier = iter(range(1, step))

            def on_reply(client: socket.socket, reply: bytes) -> None:
                if next(earlier, None):
                    return forward(client, reply)
                proxy.on_reply = forward
                meanwhile()
                # The client learns at once that no answer comes.
                raise ConnectionAbortedError

            proxy.on_reply = on_reply

        return lose_answer

    @pytest.mark.parametrize("name", CALLS)
    def test_the_second_try_changes_nothing_more(
        self, store, proxy, lose_answer, real_server, namespace, clock, name
    ) -> None:
        # A write that expects no `w` may be counted twice. And the new session finishes the closing of the old one only
        # in its own partition, which that of an anonymous session is by chance.
        aside = [b"closed_for_good", *([b"w"] if name.startswith("set with ttl") else [])]
        begin = clock.now

        def run(app: str, step: int | None = None) -> tuple[object, list[str]]:
            clock.now = begin
            call = CALLS[name](World(store, app, clock))
            if step:
                lose_answer(step)
            result = call()
            state = dump(real_server, namespace, app, *aside)
            if isinstance(result, Session):
                return (result.data, result.ttl, *([] if b"w" in aside else [result.w])), state
            if isinstance(result, Created):
                return (result.taken_over, store.get_session(app, result.token).data), state
            # A kill that ran already may count nothing. A rotation must tell a token that works.
            return isinstance(result, int) or store.get_session(app, result).data, state

        # The server has then loaded all scripts.
        run("first")
        expected = run("plain")
        for step in count(1):
            assert run(f"step{step}", step) == expected
            if proxy.on_reply is not forward:
                break
        assert step > 1

    @pytest.mark.parametrize("name", REFUSALS)
    def test_of_a_refused_login_leaves_all_as_it_was(
        self, store, proxy, lose_answer, real_server, namespace, clock, name
    ) -> None:
        error, options_of = REFUSALS[name]
        store.create_session(APP, "peter", IP)
        for step in count(1):
            old = store.create_anonymous_session(APP, IP, data=CART).token
            create = partial(store.create_session, APP, "peter", IP, login=Login(old), **options_of(store))
            before = dump(real_server, namespace, APP)
            if step > 1:
                lose_answer(step - 1)
            # The first time, the server loads the scripts.
            with pytest.raises(error):
                create()
            assert dump(real_server, namespace, APP) == before
            if step > 1 and proxy.on_reply is not forward:
                break
            proxy.on_reply = forward
        assert step > 2

    @pytest.mark.parametrize("place", PLACES)
    def test_of_a_rotation_logs_nobody_out(self, store, lose_answer, clock, place) -> None:
        world = World(store, APP, clock)
        token = world.at(place)
        for _ in range(3):
            lose_answer()
            new = store.rotate_session(APP, token)
            assert store.rotate_session(APP, token) == new != token
            assert store.get_session(APP, token).rotated
            assert store.get_session(APP, new).data == {"k": "1"}
            clock.now += 61
            assert store.get_session(APP, token) is None
            token = new

    @pytest.fixture
    def counted(
        self, store, real_server, namespace, clock
    ) -> tuple[str, Callable[..., Session], Callable[..., Session]]:
        """A session with `w` 1; how this client writes to it, and how another does."""
        token = store.create_session(APP, "peter", IP, data={"n": "0"}).token
        other = SessionStore(Client(real_server.settings(namespace)), namespace, clock)
        # The server has then loaded the script.
        other.set_session(APP, other.create_session(APP, "warm", IP).token, {"n": "1"})
        return token, partial(store.set_session, APP, token), partial(other.set_session, APP, token)

    def test_of_a_write_that_expects_w_and_then_another_write(self, counted, store, lose_answer) -> None:
        token, write, write_elsewhere = counted
        lose_answer(meanwhile=lambda: write_elsewhere({"m": "2"}))
        session = write({"n": "1"}, expected_w=1)
        assert (session.data, session.w) == ({"n": "1", "m": "2"}, 3)
        assert store.get_session(APP, token).w == 3

    def test_of_a_write_that_expects_w_and_then_another_such_write(self, counted, store, lose_answer) -> None:
        token, write, write_elsewhere = counted
        lose_answer(meanwhile=lambda: write_elsewhere({"m": "2"}, expected_w=2))
        # Whether this write, or two others, came before the last one cannot be told.
        with pytest.raises(StoreUnavailable):
            write({"n": "1"}, expected_w=1)
        session = store.get_session(APP, token)
        assert (session.data, session.w) == ({"n": "1", "m": "2"}, 3)

    def test_of_a_write_that_expects_w_and_then_another_one_with_more_digits(self, counted, lose_answer) -> None:
        _, write, write_elsewhere = counted
        for _ in range(7):
            write_elsewhere({"m": "1"})
        lose_answer(meanwhile=lambda: write_elsewhere({"m": "2"}, expected_w=9))
        with pytest.raises(StoreUnavailable):
            write({"n": "1"}, expected_w=8)

    @pytest.mark.parametrize("options", [{}, {"expected_w": 1}], ids=["any w", "an expected w"])
    def test_of_a_write_that_came_too_late(self, counted, store, lose_answer, options) -> None:
        token, write, write_elsewhere = counted
        write_elsewhere({"m": "2"}, **options)
        lose_answer()
        with pytest.raises(Conflict):
            write({"n": "1"}, expected_w=1)
        session = store.get_session(APP, token)
        assert (session.data, session.w) == ({"n": "0", "m": "2"}, 2)

    @pytest.mark.parametrize("place", [HERE, ELSEWHERE])
    def test_of_a_create_whose_own_token_is_killed_before_the_second_try(
        self, store, lose_answer, real_store, place
    ) -> None:
        """Unlike a token of ours, this one may be a late save. A second try must not revive it."""
        for id in ("warm", "peter"):
            token = own_token(place)
            login = Login(store.create_session(APP, "peter", IP).token)
            create = partial(store.create_session, APP, "peter", IP, login=login, own_token=token)
            if id == "warm":
                create()
                continue
            lose_answer(2 if place == HERE else 3, lambda: real_store.kill_sessions_of_id(APP, "peter"))
            with pytest.raises(TokenInUse):
                create()
        assert live_handles(store) == set()


@contextmanager
def breaking_after(store: SessionStore, step: int) -> Iterator[list[int]]:
    """After this round trip the call ends: its process died, or Redis went away. Yields the steps that were made."""
    run = store._client.run
    made: list[int] = []

    def broken(*commands: Command, **options: Any) -> list[Any]:
        if len(made) == step:
            raise StoreUnavailable
        made.append(len(made))
        return run(*commands, **options)

    store._client.run = broken
    with suppress(StoreUnavailable, TooManySessions):
        yield made
    store._client.run = run


class TestBetweenTheSteps:
    """What others do after a login has closed the session from which it takes over."""

    @pytest.fixture
    def meanwhile(self, real_store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[Call], None]:
        """Sets what happens after the next round trip."""

        def meanwhile(call: Call) -> None:
            run = real_store._client.run

            def once(*commands: Command, **options: Any) -> list[Any]:
                monkeypatch.undo()
                replies = run(*commands, **options)
                call()
                return replies

            monkeypatch.setattr(real_store._client, "run", once)

        return meanwhile

    def test_a_cap_ends_the_session_although_the_login_is_refused(self, real_store, clock, meanwhile) -> None:
        world = World(real_store, APP, clock)
        login = Login(world.create().token)
        meanwhile(lambda: world.create(cap=Cap(1)))
        with pytest.raises(TooManySessions):
            world.create(login=login, cap=Cap(1, refuses=True))
        assert len(real_store.list_sessions_of_id(APP, "peter").sessions) == 1

    def test_a_kill_with_a_wrong_secret_leaves_the_session_to_a_refused_login(
        self, real_store, clock, meanwhile
    ) -> None:
        world = World(real_store, APP, clock)
        token, _ = (world.create().token for _ in range(2))
        meanwhile(lambda: real_store.kill_session(APP, token[:24] + "0" * 40))
        with pytest.raises(TooManySessions):
            world.create(login=Login(token), cap=Cap(1, refuses=True))
        assert not real_store.get_session(APP, token).closed

    def test_nothing_stays_of_a_session_that_is_killed(
        self, real_store, real_server, namespace, clock, meanwhile
    ) -> None:
        world = World(real_store, APP, clock)
        login = Login(world.create().token)
        meanwhile(lambda: real_store.kill_sessions_of_id(APP, "peter"))
        assert world.create(login=login).taken_over
        assert_all_ends(real_server, namespace, real_store, clock)


class TestBrokenOff:
    @pytest.mark.parametrize("name", CREATES)
    def test_the_next_try_works_and_nothing_stays(self, real_store, real_server, namespace, clock, name) -> None:
        takes_over = name != "login of another user" if "login" in name else None
        for step in count(1):
            world = World(real_store, f"step{step}", clock)
            call = CREATES[name](world)
            with breaking_after(real_store, step) as made:
                call()
            created = call()
            assert created.taken_over is takes_over
            session = real_store.get_session(world.app, created.token)
            assert session.data == {"k": "1", **(CART if takes_over else {})}
            sessions = real_store.list_sessions_of_id(world.app, "peter").sessions
            assert len(sessions) == 3 if "cap" in name else 1 <= len(sessions) <= 2
            assert real_store.list_sessions_of_id(world.app, "mary").sessions == []
            if len(made) < step:
                break
        assert step > 1
        assert_all_ends(real_server, namespace, real_store, clock)

    @pytest.mark.parametrize("others", [1, MANY], ids=["few sessions", "many sessions"])
    def test_a_refused_login_loses_no_data(self, real_store, real_server, namespace, clock, others) -> None:
        for step in count(1):
            world = World(real_store, f"step{step}", clock)
            world.create_in_turn(others)
            login = Login(world.anonymous())
            call = world.create_later(login=login, own_token=own_token(ELSEWHERE), cap=Cap(1, refuses=True))
            with breaking_after(real_store, step) as made:
                call()
            # The user logs out elsewhere, and so the same call succeeds.
            assert real_store.kill_sessions_of_id(world.app, "peter") == others
            created = call()
            assert real_store.get_session(world.app, created.token).data == {"k": "1", **CART}
            if len(made) < step:
                break
        assert step > 4
        assert_all_ends(real_server, namespace, real_store, clock)

    def test_of_a_login_leaves_the_user_inactive(self, real_store, clock) -> None:
        world = World(real_store, APP, clock)
        login = world.create_later(login=Login(world.create().token))
        with breaking_after(real_store, 1):
            login()
        assert real_store.count_active_users(APP, 60) == 0

    def test_of_a_login_a_cap_counts_the_closed_session_for_60_seconds(self, real_store, clock) -> None:
        world = World(real_store, APP, clock)
        login = world.create_later(login=Login(world.create().token))
        with breaking_after(real_store, 1):
            login()
        clock.now += 60
        with pytest.raises(TooManySessions):
            world.create(cap=Cap(1, refuses=True))
        clock.now += 1
        assert world.create(cap=Cap(1, refuses=True))

    def test_of_a_login_a_cap_ends_the_closed_session_without_counting_it(self, real_store, clock) -> None:
        world = World(real_store, APP, clock)
        login = world.create_later(login=Login(world.create().token))
        with breaking_after(real_store, 1):
            login()
        assert world.create(cap=Cap(1)).killed == 0

    @pytest.mark.parametrize("lost", ["id", "ttl"])
    def test_of_a_login_no_cap_counts_the_closed_session_if_it_is_damaged(
        self, real_store, real_server, namespace, clock, lost
    ) -> None:
        world = World(real_store, APP, clock)
        login = world.create_later(login=Login(world.create().token))
        with breaking_after(real_store, 1):
            login()
        with real_server.connect() as client:
            client.hdel(*[key for key in real_server.keys(namespace) if ":s:" in key], lost)
        assert world.create(cap=Cap(1, refuses=True))


@pytest.mark.parametrize("id", ["", "peter"], ids=["anonymous", "of the user"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("others", [1, MANY], ids=["few sessions", "many sessions"])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_login_leaves_all_as_it_was(
    real_store, real_server, namespace, clock, refusal, others, place, id
) -> None:
    error, options_of = REFUSALS[refusal]
    options = options_of(real_store)
    for _ in range(others):
        real_store.create_session(APP, "peter", IP)
    own = PLACES[place] if PLACES[place] is None else own_token(PLACES[place])
    old = start(real_store, id, data=CART, own_token=own).token
    clock.now += 5
    real_store.set_session(APP, old, {"n": "1"})
    clock.now += 7
    before, seen = dump(real_server, namespace, APP), real_store.get_session(APP, old, peek=True)
    active = real_store.count_active_users(APP, 10)
    with pytest.raises(error):
        real_store.create_session(APP, "peter", IP, login=Login(old), **options)
    assert dump(real_server, namespace, APP) == before
    assert real_store.get_session(APP, old, peek=True) == seen
    assert (seen.w, seen.idle, seen.data) == (2, 7, {**CART, "n": "1"})
    assert real_store.count_active_users(APP, 10) == active == (id == "peter")


class TestPlantedToken:
    """Mallory knows the token with which the user came before the login."""

    @pytest.fixture(params=["our token", "own token", "rotated", "to be rotated"])
    def planted(self, real_store: SessionStore, request: pytest.FixtureRequest) -> str:
        own = own_token(ELSEWHERE) if request.param == "own token" else None
        token = start(real_store, "", data=CART, own_token=own).token
        if "rotated" not in request.param:
            return token
        rotated = real_store.rotate_session(APP, token)
        return rotated if request.param == "rotated" else token

    @pytest.fixture
    def new(self, real_store: SessionStore, planted: str) -> str:
        """The token after the login."""
        created = real_store.create_session(APP, "peter", IP, data={"secret": "1"}, login=Login(planted))
        assert created.taken_over
        return created.token

    def test_it_leads_nowhere(self, real_store, planted, new) -> None:
        assert real_store.set_session(APP, planted, {"k": "1"}) is None
        assert real_store.touch_session(APP, planted, ttl=10) is None
        assert real_store.rotate_session(APP, planted) is None
        assert real_store.kill_session(APP, planted) == 0
        shown = real_store.get_session(APP, planted)
        assert (shown.id, shown.closed, shown.data) == ("", True, CART)
        if planted[0] != "Z":
            with pytest.raises(TokenInUse):
                real_store.create_session(APP, "mallory", IP, own_token=planted)
        session = real_store.get_session(APP, new)
        assert (session.r, session.w, session.ttl, session.data) == (1, 1, 7200, {**CART, "secret": "1"})

    def test_no_other_user_can_take_from_it(self, real_store, clock, planted, new) -> None:
        for seconds in (0, 10, 50, 1):
            clock.now += seconds
            stolen = real_store.create_session(APP, "mallory", IP, login=Login(planted))
            assert stolen.taken_over is False
            assert real_store.get_session(APP, stolen.token).data == {}
        assert real_store.get_session(APP, new).data == {**CART, "secret": "1"}

    def test_the_same_user_can_for_a_minute(self, real_store, clock, planted, new) -> None:
        for seconds, takes_over in ((60, True), (1, False)):
            clock.now += seconds
            again = real_store.create_session(APP, "peter", IP, login=Login(planted))
            assert again.taken_over is takes_over
            assert real_store.get_session(APP, again.token).data == (CART if takes_over else {})


@pytest.mark.parametrize("place", [HERE, ELSEWHERE], ids=["own token", "own by a pointer"])
@pytest.mark.parametrize("is_dropped", [False, True], ids=["the hash is there", "Redis dropped the hash"])
@pytest.mark.parametrize("is_sorted", [True, False], ids=["first sorts before", "first sorts after"])
class TestHandleUsedAgain:
    """A token whose session expired, created again for another user of the same partition."""

    @pytest.fixture
    def pair(self, real_store, real_server, namespace, clock, place, is_dropped, is_sorted) -> tuple[str, str, Created]:
        """The user of the first session, that of the second, and the second."""
        first, second = users(HERE)[:: 1 if is_sorted else -1]
        token = own_token(place)
        real_store.create_session(APP, first, IP, Timeouts(10), own_token=token)
        clock.now += 11
        if is_dropped:
            with real_server.connect() as client:
                for number in {HERE, place}:
                    client.unlink(Keyspace(namespace).partition(APP, number).session(place_of(token).handle))
        return first, second, real_store.create_session(APP, second, IP, Timeouts(100), CART, own_token=token)

    @pytest.fixture
    def index(self, real_server, namespace) -> Callable[[], list[str]]:
        """The entries of sessions, without those that lie aside until the sweep."""
        return lambda: [entry for entry in dump(real_server, namespace, APP) if not entry.startswith(("[", "killed:"))]

    def assert_only_of_second(self, store: SessionStore, pair: tuple[str, str, Created]) -> None:
        first, second, created = pair
        assert store.list_sessions_of_id(APP, first).sessions == []
        for listing in (store.list_sessions_of_id(APP, second), store.list_sessions_of_app(APP, 60)):
            assert [session.data for session in listing.sessions] == [CART]
        assert store.get_session(APP, created.token, peek=True).id == second

    @pytest.mark.parametrize("end", ["killsoid", "handle", "except", "sweep"])
    def test_what_ends_the_first_spares_the_second(self, real_store, pair, index, end) -> None:
        first, _, created = pair
        self.assert_only_of_second(real_store, pair)
        if end == "except":
            with pytest.raises(Conflict):
                real_store.kill_sessions_of_id(APP, first, Devices(spared=created.handle))
        elif end == "sweep":
            assert real_store.sweep_expired().total == 0
        else:
            devices = Devices(only=created.handle if end == "handle" else None)
            assert real_store.kill_sessions_of_id(APP, first, devices) == 0
        self.assert_only_of_second(real_store, pair)
        if end != "except":
            assert len(index()) == 4

    @pytest.mark.parametrize("end", ["killall", "sweep"])
    def test_the_index_of_both_is_emptied_at_once(self, real_store, clock, pair, index, end) -> None:
        if end == "killall":
            assert real_store.kill_sessions_of_app(APP) == 1
        else:
            clock.now += 101
            assert real_store.sweep_expired().total >= 1
        assert index() == []


@pytest.mark.parametrize("end", ["kill", "killsoid", "killall", "sweep"])
@pytest.mark.parametrize("place", [HERE, ELSEWHERE], ids=["own token", "own by a pointer"])
def test_a_killed_own_token_stays_taken_until_its_session_would_have_ended(real_store, clock, place, end) -> None:
    token = own_token(place)
    real_store.create_session(APP, "peter", IP, Timeouts(100), own_token=token)
    {
        "kill": lambda: real_store.kill_session(APP, token),
        "killsoid": lambda: real_store.kill_sessions_of_id(APP, "peter"),
        "killall": lambda: real_store.kill_sessions_of_app(APP),
        "sweep": real_store.sweep_expired,
    }[end]()
    for seconds in (0, 30, 70):
        clock.now += seconds
        real_store.kill_sessions_of_app(APP) if end == "killall" else real_store.sweep_expired()
        for id in ("peter", "mary", ""):
            with pytest.raises(TokenInUse):
                start(real_store, id, own_token=token, data=CART)
    clock.now += 1
    assert start(real_store, "mary", own_token=token)
