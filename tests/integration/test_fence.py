"""A demoted primary, which may lack what the new primary has, refuses all that the store sends to it.

It still answers reads. So each round trip has a command that Redis counts as a write, whatever it finds.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis

from dev.embedded_store import LOOPBACK, free_port, server_process
from rest_sessions.connection.commands import Command, ScriptCall, by_text
from rest_sessions.errors import StoreUnavailable
from rest_sessions.limits import MAX_KEYS
from rest_sessions.model import Created, Login, Timeouts
from rest_sessions.store.scripts import script_call
from tests.cases import APP as APP_OF_CASES
from tests.cases import CASES, ID
from tests.integration.test_faults import stores_at
from tests.integration.test_login_faults import CALLS, REFUSALS, Call, World
from tests.integration.test_login_races import ELSEWHERE, HERE, attempt, own_token
from tests.integration.test_races import APP, IP
from tests.load import port_of
from tests.own_tokens import user_in
from tests.proxy import proxy_to
from tests.servers import BINARIES, Server, binary_of
from tests.unit.store.test_scripts import SCRIPTS


@pytest.fixture(scope="module", params=BINARIES)
def binary(request: pytest.FixtureRequest) -> str:
    return binary_of(request.param)


@pytest.fixture(scope="module")
def admin(binary: str) -> Iterator[redis.Redis]:
    """Of a server that only these tests use."""
    with server_process(binary) as url, redis.Redis.from_url(url) as admin:
        yield admin


@pytest.fixture(scope="module")
def new_primary(binary: str) -> Iterator[redis.Redis]:
    with server_process(binary) as url, redis.Redis.from_url(url) as new_primary:
        yield new_primary


@pytest.fixture
def demote(admin: redis.Redis) -> Iterator[Callable[[], object]]:
    """Makes the server a replica of one that does not answer. It keeps what it has."""
    yield lambda: admin.replicaof(LOOPBACK, free_port())
    admin.replicaof("NO", "ONE")


@pytest.fixture
def server(admin: redis.Redis) -> Server:
    return Server("fenced", f"redis://{LOOPBACK}:{port_of(admin)}")


TOO_MUCH = {f"k{number}": "1" for number in range(MAX_KEYS + 1)}


def is_refused(admin: redis.Redis, call: ScriptCall) -> bool:
    try:
        admin.execute_command(*by_text(call))
    except redis.ResponseError as error:
        # Redis 6.2 wraps the refusal of a script's command in an error of its own.
        return isinstance(error, redis.exceptions.ReadOnlyError) or "-READONLY " in str(error)
    return False


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_finds_nothing_is_refused(admin: redis.Redis, namespace: str, demote, name: str) -> None:
    demote()
    # More than any script needs.
    keys = [f"{namespace}:{number}" for number in range(30)]
    assert is_refused(admin, script_call(name, keys, *[1] * 16))


def route(world: World, name: str, *, is_known: bool) -> Call:
    token = world.store.create_session(APP_OF_CASES, ID, IP).token
    if not is_known:
        world.store.kill_session(APP_OF_CASES, token)
    return partial(CASES[name].run, name, world.store, token)


def for_all_apps(world: World, name: str, *args: int) -> Call:
    for app in ("ended", "expired", "living"):
        world.store.create_session(app, ID, IP, Timeouts(1000 if app == "living" else 10))
    world.store.kill_sessions_of_app("ended")
    world.clock.now += 61
    return partial(getattr(world.store, name), *args)


def refused_login(world: World, name: str) -> Call:
    _, options_of = REFUSALS[name]
    world.create()
    login = Login(world.anonymous())
    return attempt(partial(world.create, login=login, **options_of(world.store)))


def own(world: World, partition: int = HERE) -> str:
    return world.create(own_token=own_token(partition)).token


def ended(world: World) -> str:
    token = own(world)
    world.store.kill_sessions_of_app(world.app)
    return token


def closed(world: World) -> str:
    token = world.create().token
    world.create(login=Login(token))
    return token


def rotated(world: World, seconds: int = 0) -> str:
    token = world.create().token
    world.store.get_session(world.app, world.store.rotate_session(world.app, token))
    world.clock.now += seconds
    return token


# Makes a session that a use finds, and returns its token.
TOKENS: dict[str, Callable[[World], str]] = {
    "alive": lambda world: world.create().token,
    "own": own,
    "own by a pointer": partial(own, partition=ELSEWHERE),
    "ended": ended,
    "closed": closed,
    "rotated": rotated,
    "rotated, after the grace": partial(rotated, seconds=61),
}
USES: dict[str, Callable[[World, str], object]] = {
    "get": lambda world, token: world.store.get_session(world.app, token),
    "peek": lambda world, token: world.store.get_session(world.app, token, peek=True),
    "set": lambda world, token: world.store.set_session(world.app, token, {"k": "1"}),
    "set with w": lambda world, token: world.store.set_session(world.app, token, {"k": "1"}, expected_w=1),
    "touch": lambda world, token: world.store.touch_session(world.app, token),
    "touch with ttl": lambda world, token: world.store.touch_session(world.app, token, ttl=100),
    "rotate": lambda world, token: world.store.rotate_session(world.app, token),
    "kill": lambda world, token: world.store.kill_session(world.app, token),
    "set too much": lambda world, token: world.store.set_session(world.app, token, TOO_MUCH),
    "create with this token": lambda world, token: world.create(own_token=token),
    "create with this token elsewhere": lambda world, token: world.create(user_in(HERE - 1), own_token=token),
    "login": lambda world, token: world.create(login=Login(token)),
    "login of another user": lambda world, token: world.create("mary", login=Login(token)),
}


def use(world: World, name: str, token: str) -> Call:
    return attempt(partial(USES[name], world, TOKENS[token](world)))


# Prepares a call of the store.
PREPARED: dict[str, Callable[[World], Call]] = {
    **{f"{name} of a session": partial(route, name=name, is_known=True) for name in CASES},
    **{f"{name} of none": partial(route, name=name, is_known=False) for name in CASES},
    "sweep": lambda world: for_all_apps(world, "sweep_expired"),
    "activity of all apps": lambda world: for_all_apps(world, "count_active_users_of_all_apps", 60),
    **CALLS,
    **{f"login refused by {name}": partial(refused_login, name=name) for name in REFUSALS},
    **{f"{name}: {token}": partial(use, name=name, token=token) for name in USES for token in TOKENS},
}


@pytest.mark.parametrize("name", PREPARED)
def test_each_round_trip_of_a_call_is_refused(admin, store, clock, demote, monkeypatch, name) -> None:
    """Before and after each round trip the server is demoted for a moment, and has to refuse it."""
    call = PREPARED[name](World(store, APP, clock))
    run = store._client.run
    trips = []

    def assert_refused(*commands: Command, **options: Any) -> None:
        demote()
        with pytest.raises(StoreUnavailable):
            run(*commands, **options)
        # Beside another command that is refused, a script could answer.
        assert all(is_refused(admin, command) for command in commands if isinstance(command, ScriptCall))
        admin.replicaof("NO", "ONE")

    def fenced(*commands: Command, **options: Any) -> list[Any]:
        trips.append(commands)
        assert_refused(*commands, **options)
        replies = run(*commands, **options)
        # As if the answer had been lost. The script may have nothing more to change.
        assert_refused(*commands, **options)
        return replies

    monkeypatch.setattr(store._client, "run", fenced)
    call()
    # In the same second, there may be nothing to change either.
    attempt(call)()
    assert trips


@pytest.mark.parametrize("name", CASES)
def test_a_call_is_answered_by_the_new_primary(admin, new_primary, store, namespace, clock, demote, name) -> None:
    """The old one has a session that the new one has not."""
    token = store.create_session(APP_OF_CASES, ID, IP).token
    [present, *_] = stores_at(port_of(new_primary), namespace)
    with proxy_to(port_of(admin)) as proxy:
        [connected, *_] = stores_at(proxy.port, namespace)
        connected.ping()
        demote()
        proxy.target = port_of(new_primary)
        answer, expected = (CASES[name].run(name, one, token) for one in (connected, present))
        assert proxy.connections == 2
    if isinstance(answer, Created):
        assert present.get_session(APP_OF_CASES, answer.token)
    else:
        assert answer == expected
