"""What the store does when its data was evicted in part, or changed by hand."""

from dataclasses import replace

import pytest
import redis

from rest_sessions.connection.client import Client
from rest_sessions.model import Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.pages import all_pages, ids
from tests.servers import Server

APP = "webapp"
IP = "192.0.2.7"
INDEX = ("ids", "users", "recent", "expiry")


@pytest.fixture
def delete(server, keys):
    """Deletes the keys with these last parts, as an eviction does."""

    def delete(*names: str) -> None:
        with server.connect() as client:
            for key in keys():
                if key.rpartition(":")[2] in names:
                    client.delete(key)

    return delete


@pytest.mark.parametrize("use", ["get", "set"])
@pytest.mark.parametrize("no_resave", [False, True], ids=["idle", "no-resave"])
@pytest.mark.parametrize("lost", [*INDEX, INDEX], ids=str)
def test_a_use_restores_lost_index_entries(
    store: SessionStore, clock: Clock, keys, delete, lost, no_resave, use
) -> None:
    token = store.create_session(APP, "peter", IP, Timeouts(100, no_resave=no_resave)).token
    delete(*([lost] if isinstance(lost, str) else lost))
    clock.now += 1
    assert store.get_session(APP, token) if use == "get" else store.set_session(APP, token, {"a": "1"})
    assert ids(store.list_sessions_of_id(APP, "peter")) == ["peter"]
    assert ids(store.list_sessions_of_app(APP, 60)) == ["peter"]
    assert store.count_active_users(APP, 60) == 1
    clock.now += 101
    assert store.sweep_expired() == (1, {})
    assert keys() == set()


@pytest.mark.parametrize("lost", [*INDEX, INDEX], ids=str)
def test_a_kill_of_all_after_a_use_ends_a_session_with_lost_entries(store, clock, keys, delete, lost) -> None:
    token = store.create_session(APP, "peter", IP).token
    delete(*([lost] if isinstance(lost, str) else lost))
    clock.now += 1
    store.get_session(APP, token)
    assert store.kill_sessions_of_app(APP) == 1
    assert store.get_session(APP, token) is None
    assert {key.rpartition(":")[2] for key in keys()} <= {"apps"}


def test_a_lost_time_of_last_use_fails_no_listing(store: SessionStore, clock: Clock, delete) -> None:
    lost = store.create_session(APP, "peter", "192.0.2.1").token
    delete("recent")
    clock.now += 1
    store.create_session(APP, "peter", "192.0.2.2")
    page = store.list_sessions_of_id(APP, "peter", limit=1)
    assert [session.ip for session in page.sessions] == ["192.0.2.2"]
    rest = store.list_sessions_of_id(APP, "peter", limit=1, after=page.next)
    assert [session.ip for session in rest.sessions] == ["192.0.2.1"]
    assert rest.next is None
    assert store.kill_session(APP, lost) == 1


def test_a_wrong_deadline_in_the_index_ends_no_session(store: SessionStore, server, keys) -> None:
    token = store.create_session(APP, "peter", IP).token
    with server.connect() as client:
        [expiry] = [key for key in keys() if key.endswith(":expiry")]
        client.zadd(expiry, dict.fromkeys(client.zrange(expiry, 0, -1), 0))
    assert store.sweep_expired() == (0, {})
    assert store.get_session(APP, token)


def test_pages_of_sessions_whose_times_of_last_use_are_lost_join_to_the_whole(store: SessionStore, delete) -> None:
    for number in range(5):
        store.create_session(APP, "peter", str(number))
    delete("recent")
    pages = all_pages(lambda after: store.list_sessions_of_id(APP, "peter", 1, after))
    assert sorted(session.ip for page in pages for session in page.sessions) == list("01234")


def test_the_list_of_apps_comes_back(store: SessionStore, clock: Clock, keys, delete) -> None:
    token = store.create_session(APP, "peter", IP, Timeouts(1000)).token
    delete("apps")
    clock.now += 300
    store.get_session(APP, token)
    clock.now += 1001
    assert store.sweep_expired() == (1, {})
    assert keys() == set()


def test_members_of_another_form_fail_nothing_and_go(store: SessionStore, server, clock: Clock, keys) -> None:
    store.create_session(APP, "peter", IP, Timeouts(100))
    foreign = [
        b"x",
        b"",
        b"\xff" * 33,
        b"peter\0short",
        b"peter|" + b"0" * 32,
        b"0" * 32 + b"|peter",
        b"\xff" * 32 + b":peter",
    ]
    with server.connect() as client:
        for key in keys():
            if key.rpartition(":")[2] in ("ids", "expiry"):
                client.zadd(key, dict.fromkeys(foreign, 0))
            if key.endswith(":recent"):
                client.zadd(key, dict.fromkeys(foreign, clock.now))
    assert ids(store.list_sessions_of_app(APP, 60)) == ["peter"]
    assert ids(store.list_sessions_of_app(APP, 60, limit=1)) == ["peter"]
    assert ids(store.list_sessions_of_id(APP, "peter")) == ["peter"]
    assert store.sweep_expired() == (0, {})
    with server.connect() as client:
        [expiry] = [key for key in keys() if key.endswith(":expiry")]
        assert client.zcard(expiry) == 1
    assert store.kill_sessions_of_app(APP) == 1
    assert not [key for key in keys() if key.rpartition(":")[2] in ("ids", "expiry") or ":s:" in key]


def test_a_foreign_member_that_begins_like_a_session_hides_it_from_no_page(store, server, clock: Clock, keys) -> None:
    handle, _ = sorted(place_of(store.create_session(APP, "peter", IP).token).handle for _ in range(2))
    with server.connect() as client:
        [recent] = [key for key in keys() if key.endswith(":recent")]
        client.zadd(recent, {f"{handle}x": clock.now})
    pages = all_pages(lambda after: store.list_sessions_of_app(APP, 60, 1, after))
    assert [len(page.sessions) for page in pages] == [1, 1]


def test_one_damaged_app_does_not_stop_the_sweep_of_the_others(store, server, namespace, clock, keys) -> None:
    for app in ("a-app", "m-app", "z-app"):
        store.create_session(app, "peter", IP, Timeouts(10))
    with server.connect() as client:
        [damaged] = [key for key in keys() if "m-app" in key and key.endswith(":expiry")]
        client.delete(damaged)
        client.set(damaged, "text")
        client.sadd(f"{namespace}:apps", b"\xff", "no app")
    clock.now += 11
    swept = store.sweep_expired()
    assert swept.total == 2
    assert set(swept.errors) == {"m-app", ""}
    with server.connect() as client:
        [users] = [key for key in keys() if "m-app" in key and key.endswith(":users")]
        client.delete(users)
        client.set(users, "text")
    active = store.count_active_users_of_all_apps(60)
    assert active.total == 0
    assert set(active.errors) == {"m-app", ""}


@pytest.mark.parametrize("denied", ["expire", "hset"])
def test_a_create_that_lacks_a_right_leaves_no_session(
    real_server: Server, namespace: str, clock: Clock, denied: str
) -> None:
    user = f"user-of-{namespace}"
    with real_server.connect() as client:
        for node in real_server.nodes(client):
            node.execute_command("ACL", "SETUSER", user, "reset", "on", ">secret", "allkeys", "+@all", f"-{denied}")
        settings = replace(real_server.settings(namespace), redis_user=user, redis_password="secret")
        store = SessionStore(Client(settings), namespace, clock)
        with pytest.raises(redis.ResponseError, match=f"{denied}|can't run this command"):
            store.create_session(APP, "peter", IP, Timeouts(10))
        for node in real_server.nodes(client):
            node.execute_command("ACL", "DELUSER", user)
    assert not [key for key in real_server.keys(namespace) if ":s:" in key]
    clock.now += 11
    SessionStore(Client(real_server.settings(namespace)), namespace, clock).sweep_expired()
    assert real_server.keys(namespace) == set()


@pytest.mark.parametrize("damage", ["type", "used", "r", "ttl"])
def test_a_damaged_session_is_a_missing_one_and_fails_no_other(store, server, clock, keys, damage) -> None:
    token = store.create_session(APP, "peter", IP, Timeouts(100)).token
    with server.connect() as client:
        [session] = [key for key in keys() if ":s:" in key]
        if damage == "type":
            client.delete(session)
            client.set(session, "text")
        else:
            client.hdel(session, damage)
    other = store.create_session(APP, "peter", "192.0.2.8", Timeouts(100)).token
    assert store.get_session(APP, token) is None
    assert store.set_session(APP, token, {"a": "1"}) is None
    assert [session.ip for session in store.list_sessions_of_id(APP, "peter").sessions] == ["192.0.2.8"]
    assert [session.ip for session in store.list_sessions_of_app(APP, 60).sessions] == ["192.0.2.8"]
    assert store.get_session(APP, other)
    assert store.kill_sessions_of_app(APP) in (1, 2)
    assert not [key for key in keys() if ":s:" in key]


def test_wrong_expiry_times_of_live_sessions_do_not_keep_the_sweep_busy(store, server, clock, keys) -> None:
    token = store.create_session(APP, "peter", IP, Timeouts(1000)).token
    clock.now += 5
    handle = store.list_sessions_of_app(APP, 60, limit=1).sessions and next(
        key.rpartition(":")[2] for key in keys() if ":s:" in key
    )
    [expiry] = [key for key in keys() if key.endswith(":expiry")]
    with server.connect() as client:
        client.zadd(expiry, {f"{handle}:foreign{number}": 1 for number in range(40)})
        asked = []
        swept = store.sweep_expired(lambda: asked.append(1) or len(asked) < 1000)
        assert swept == (0, {})
        assert len(asked) < 20
        assert {score for _, score in client.zrange(expiry, 0, -1, withscores=True)} == {clock.now - 5 + 1000}
    assert store.get_session(APP, token)


@pytest.mark.parametrize("score", ["inf", "1e300", "1700000000.5", "-1", "-inf"])
def test_wrong_times_of_last_use_hide_no_other_session(store, server, keys, score) -> None:
    damaged = [place_of(store.create_session(APP, "peter", IP).token).handle for _ in range(3)]
    store.create_session(APP, "peter", "192.0.2.8")
    with server.connect() as client:
        [recent] = [key for key in keys() if key.endswith(":recent")]
        client.zadd(recent, dict.fromkeys(damaged, score))
    pages = all_pages(lambda after: store.list_sessions_of_app(APP, 60, 1, after))
    assert [session.ip for page in pages for session in page.sessions].count("192.0.2.8") == 1


def test_scores_that_are_no_whole_numbers_fail_no_listing(store, server, keys) -> None:
    store.create_session(APP, "peter", IP)
    with server.connect() as client:
        [recent] = [key for key in keys() if key.endswith(":recent")]
        client.zadd(recent, dict.fromkeys(client.zrange(recent, 0, -1), 1.5))
    assert ids(store.list_sessions_of_id(APP, "peter")) == ["peter"]
    assert store.list_sessions_of_app(APP, 60).sessions == []
