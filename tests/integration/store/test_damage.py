"""What the store does when its data was evicted in part, or changed by hand."""

from contextlib import suppress
from dataclasses import replace

import pytest
import redis

from rest_sessions.connection.client import Client
from rest_sessions.errors import Conflict, TokenInUse, TooManySessions
from rest_sessions.model import App, Cap, Devices, Login, Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.conftest import Clock
from tests.own_tokens import ELSEWHERE, HERE, USER, own_token
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
def test_a_kill_of_all_after_a_use_ends_a_session_with_lost_entries(store, clock, left, delete, lost) -> None:
    token = store.create_session(APP, "peter", IP).token
    delete(*([lost] if isinstance(lost, str) else lost))
    clock.now += 1
    store.get_session(APP, token)
    assert store.kill_sessions_of_app(APP) == 1
    assert store.get_session(APP, token) is None
    assert left() == set()


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


def test_members_of_another_form_fail_nothing_and_go(store: SessionStore, server, clock: Clock, keys, left) -> None:
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
    assert left() == set()


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


@pytest.mark.parametrize(
    ("denied", "use"),
    [
        ("hgetall", lambda store, token: store.get_session(APP, token)),
        ("hgetall", lambda store, token: store.kill_session(APP, token)),
        ("hmget", lambda store, _: store.kill_sessions_of_id(APP, "peter")),
    ],
    ids=["get", "kill", "killsoid"],
)
def test_a_session_is_not_missing_because_a_right_lacks(
    real_store: SessionStore, real_server: Server, namespace: str, clock: Clock, denied: str, use
) -> None:
    token = real_store.create_session(APP, "peter", IP).token
    user = f"user-of-{namespace}"
    with real_server.connect() as client:
        for node in real_server.nodes(client):
            node.execute_command("ACL", "SETUSER", user, "reset", "on", ">secret", "allkeys", "+@all", f"-{denied}")
        settings = replace(real_server.settings(namespace), redis_user=user, redis_password="secret")
        with pytest.raises(redis.ResponseError):
            use(SessionStore(Client(settings), namespace, clock), token)
        for node in real_server.nodes(client):
            node.execute_command("ACL", "DELUSER", user)


@pytest.mark.parametrize("damage", ["type", "used", "r", "w", "ttl", "token", "created", "ip", "id", "epoch"])
def test_a_damaged_session_is_a_missing_one_and_fails_no_other(store, server, keys, left, damage) -> None:
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
    assert store.touch_session(APP, token) is None
    assert store.rotate_session(APP, token) is None
    assert store.kill_session(APP, token) == 0
    assert [session.ip for session in store.list_sessions_of_id(APP, "peter").sessions] == ["192.0.2.8"]
    assert [session.ip for session in store.list_sessions_of_app(APP, 60).sessions] == ["192.0.2.8"]
    assert store.get_session(APP, other)
    assert store.kill_sessions_of_app(APP) in (1, 2)
    assert left() == set()


@pytest.mark.parametrize("damage", ["used", "r", "w", "ttl", "token", "created", "ip", "id", "epoch"])
def test_a_login_takes_nothing_from_a_damaged_session(store, server, keys, damage) -> None:
    token = store.create_session(APP, "peter", IP, data={"a": "1"}).token
    with server.connect() as client:
        client.hdel(*[key for key in keys() if ":s:" in key], damage)
    created = store.create_session(APP, "peter", IP, login=Login(token))
    assert created.taken_over is False
    assert store.get_session(APP, created.token).data == {}


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


def test_a_wrong_expiry_time_ends_no_session_in_its_last_second(store, server, clock: Clock, keys) -> None:
    token = store.create_session(APP, "peter", IP, Timeouts(100)).token
    with server.connect() as client:
        [expiry] = [key for key in keys() if key.endswith(":expiry")]
        client.zadd(expiry, dict.fromkeys(client.zrange(expiry, 0, -1), 1))
    clock.now += 100
    assert store.sweep_expired() == (0, {})
    with server.connect() as client:
        [(_, score)] = client.zrange(expiry, 0, -1, withscores=True)
    assert score == clock.now
    assert store.get_session(APP, token)


def test_scores_that_are_no_whole_numbers_hide_no_session_from_the_pages_of_a_user(store, server, keys) -> None:
    for _ in range(3):
        store.create_session(APP, "peter", IP)
    with server.connect() as client:
        [recent] = [key for key in keys() if key.endswith(":recent")]
        client.zadd(recent, dict.fromkeys(client.zrange(recent, 0, -1), 1.5))
    pages = all_pages(lambda cursor: store.list_sessions_of_id(APP, "peter", 1, cursor))
    assert [ids(page) for page in pages] == [["peter"]] * 3


# Every operation that looks for a session by its token.
WITH_TOKEN = {
    "get": lambda store, token: store.get_session(APP, token),
    "peek": lambda store, token: store.get_session(APP, token, peek=True),
    "set": lambda store, token: store.set_session(APP, token, {"a": "1"}, ttl=100),
    "touch": lambda store, token: store.touch_session(APP, token),
    "rotate": lambda store, token: store.rotate_session(APP, token),
    "kill": lambda store, token: store.kill_session(APP, token),
    "login": lambda store, token: store.create_session(APP, USER, IP, login=Login(token)).taken_over,
}


@pytest.mark.parametrize("operation", WITH_TOKEN)
class TestOwnToken:
    @pytest.mark.parametrize("partition", [HERE, ELSEWHERE], ids=["session or mark", "pointer"])
    def test_a_key_of_another_type_is_a_missing_session(self, store, stored, partition: int, operation: str) -> None:
        own = own_token(partition)
        store.create_session(APP, USER, IP, own_token=own)
        stored.client.set(stored.key(APP, place_of(own)), "text")
        assert not WITH_TOKEN[operation](store, own)
        assert stored.client.get(stored.key(APP, place_of(own))) == b"text"

    def test_a_pointer_whose_session_is_gone_leads_nowhere(self, store: SessionStore, stored, operation: str) -> None:
        own = own_token(ELSEWHERE)
        store.create_session(APP, USER, IP, own_token=own)
        stored.client.delete(stored.key(APP, stored.home(APP, own)))
        assert not WITH_TOKEN[operation](store, own)

    def test_a_pointer_to_a_key_of_another_type_leads_nowhere(self, store, stored, operation: str) -> None:
        own = own_token(ELSEWHERE)
        store.create_session(APP, USER, IP, own_token=own)
        stored.client.set(stored.key(APP, stored.home(APP, own)), "text")
        assert not WITH_TOKEN[operation](store, own)

    @pytest.mark.parametrize("to", [HERE, ELSEWHERE], ids=["two in a circle", "one to itself"])
    def test_pointers_that_lead_in_a_circle_are_followed_once(self, store, stored, batches, to, operation) -> None:
        own = own_token(ELSEWHERE)
        store.create_session(APP, USER, IP, own_token=own)
        first, second = stored.key(APP, place_of(own)), stored.key(APP, stored.home(APP, own))
        stored.client.hset(first, "to", f"{to:x}")
        stored.client.delete(second)
        stored.client.hset(second, mapping={**stored.client.hgetall(first), b"to": b"%x" % ELSEWHERE})
        batches.clear()
        assert not WITH_TOKEN[operation](store, own)
        assert len(batches) <= 3


def test_a_session_whose_pointer_is_gone_ends_as_any_other(store: SessionStore, stored) -> None:
    own = own_token(ELSEWHERE)
    store.create_session(APP, USER, IP, own_token=own)
    stored.client.delete(stored.key(APP, place_of(own)))
    assert store.get_session(APP, own) is None
    assert ids(store.list_sessions_of_id(APP, USER)) == [USER]
    assert store.kill_sessions_of_id(APP, USER) == 1
    with pytest.raises(TokenInUse):
        store.create_session(APP, USER, IP, own_token=own)


class TestClosedSession:
    @pytest.fixture
    def old(self, store: SessionStore) -> str:
        """The token of a session that a login has closed."""
        token = store.create_session(APP, USER, IP, Timeouts(100), {"a": "1"}).token
        store.create_session(APP, USER, "192.0.2.8", Timeouts(100), login=Login(token))
        return token

    @pytest.mark.parametrize("lost", ["ids", "closed"])
    def test_it_is_shown_without_its_entries_and_brings_none_back(self, store, old: str, stored, delete, lost) -> None:
        delete(lost)
        assert store.get_session(APP, old).closed
        assert stored.entries(place_of(old).handle).keys() == {"ids", "closed"} - {lost}
        assert [session.ip for session in store.list_sessions_of_app(APP, 60).sessions] == ["192.0.2.8"]

    @pytest.mark.parametrize("damage", ["used", "r", "w", "ttl", "token", "created", "ip", "id", "epoch"])
    def test_the_same_login_takes_nothing_when_it_is_damaged(self, store, old: str, stored, damage: str) -> None:
        stored.client.hdel(stored.key(APP, place_of(old)), damage)
        assert store.create_session(APP, USER, IP, login=Login(old)).taken_over is False

    @pytest.mark.parametrize("lost", ["ids", "closed"])
    def test_the_same_login_takes_its_data_again(self, store: SessionStore, old: str, delete, lost: str) -> None:
        delete(lost)
        created = store.create_session(APP, USER, IP, login=Login(old))
        assert created.taken_over
        assert store.get_session(APP, created.token).data == {"a": "1"}

    def test_the_sweep_removes_all_when_ids_is_lost(self, store, old: str, clock: Clock, keys, delete) -> None:
        delete("ids")
        clock.now += 101
        assert store.sweep_expired() == (1, {})
        assert keys() == set()

    def test_a_kill_of_the_user_removes_all_when_closed_is_lost(self, store, old: str, left, delete) -> None:
        delete("closed")
        assert store.kill_sessions_of_id(APP, USER) == 1
        assert left() == set()

    def test_a_refused_login_restores_the_entries(self, store: SessionStore, stored, monkeypatch) -> None:
        token = store.create_session(APP, USER, IP).token
        store.create_session(APP, USER, IP)
        before = stored.entries(place_of(token).handle)
        run = store._client.run

        def close_and_lose_the_index(*commands, **options):
            monkeypatch.undo()
            replies = run(*commands, **options)
            stored.client.delete(
                *(key for key in stored.values() if key.endswith((":users", ":recent", ":expiry", ":closed")))
            )
            return replies

        monkeypatch.setattr(store._client, "run", close_and_lose_the_index)
        with pytest.raises(TooManySessions):
            store.create_session(APP, USER, IP, login=Login(token), cap=Cap(1, refuses=True))
        assert stored.entries(place_of(token).handle) == before
        assert store.count_active_users(APP, 60) == 1


class TestCap:
    # Some of them have the length of a handle, or begin or end like an entry of the user.
    FOREIGN = (b"", b"short", b"x" * 23, b"-" * 22, b"\xff" * 22, b"a\0" + b"b" * 22, b"\0" + b"c" * 22)

    @pytest.mark.parametrize("cap", [Cap(2), Cap(2, refuses=True)], ids=["oldest", "refuse"])
    def test_foreign_members_neither_count_nor_make_it_look_for_ever(self, store, keys, stored, batches, cap) -> None:
        living = store.create_session(APP, USER, IP).token
        [entries] = [key for key in keys() if key.endswith(":ids")]
        stored.client.zadd(entries, {USER.encode() + b"\0" + member: 0 for member in self.FOREIGN})
        batches.clear()
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert len(batches) <= 2
        assert store.get_session(APP, living)
        if cap.refuses:
            with pytest.raises(TooManySessions):
                store.create_session(APP, USER, IP, cap=cap)
        else:
            assert store.create_session(APP, USER, IP, cap=cap).killed == 1

    @pytest.mark.parametrize("cap", [Cap(2), Cap(2, refuses=True)], ids=["oldest", "refuse"])
    def test_nor_do_very_many(self, store: SessionStore, keys, stored, batches, cap: Cap) -> None:
        living = store.create_session(APP, USER, IP).token
        [entries] = [key for key in keys() if key.endswith(":ids")]
        # Before and behind any handle.
        foreign = [f"{USER}\0{edge}{number:04}" for edge in ("!", "~") for number in range(300)]
        stored.client.zadd(entries, dict.fromkeys(foreign, 0))
        batches.clear()
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert len(batches) < 10
        assert store.get_session(APP, living)

    @pytest.mark.parametrize("cap", [Cap(2), Cap(2, refuses=True)], ids=["oldest", "refuse"])
    def test_entries_of_sessions_that_are_gone_do_not_count(self, store, keys, stored, cap: Cap) -> None:
        tokens = [store.create_session(APP, USER, IP).token for _ in range(3)]
        for token in tokens[:2]:
            stored.client.delete(stored.key(APP, place_of(token)))
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert store.get_session(APP, tokens[2])

    @pytest.mark.parametrize("cap", [Cap(2), Cap(2, refuses=True)], ids=["oldest", "refuse"])
    def test_keys_of_another_type_do_not_count(self, store: SessionStore, stored, cap: Cap) -> None:
        tokens = [store.create_session(APP, USER, IP).token for _ in range(3)]
        for token in tokens[:2]:
            stored.client.set(stored.key(APP, place_of(token)), "text")
        assert not store.create_session(APP, USER, IP, cap=cap).killed
        assert store.get_session(APP, tokens[2])


class TestDevices:
    def test_a_device_whose_entry_is_lost_is_spared_and_ended(self, store: SessionStore, delete) -> None:
        tokens = [store.create_session(APP, USER, IP).token for _ in range(2)]
        delete("ids")
        assert store.kill_sessions_of_id(APP, USER, Devices(spared=place_of(tokens[0]).handle)) == 0
        assert store.kill_sessions_of_id(APP, USER, Devices(only=place_of(tokens[0]).handle)) == 1
        assert store.get_session(APP, tokens[0]) is None

    def test_a_key_of_another_type_is_no_device(self, store: SessionStore, stored) -> None:
        token = store.create_session(APP, USER, IP).token
        other = store.create_session(APP, USER, IP).token
        stored.client.set(stored.key(APP, place_of(token)), "text")
        with pytest.raises(Conflict):
            store.kill_sessions_of_id(APP, USER, Devices(spared=place_of(token).handle))
        assert store.kill_sessions_of_id(APP, USER, Devices(only=place_of(token).handle)) == 0
        assert store.get_session(APP, other)


class TestListOfApps:
    def test_a_name_that_is_none_is_left_out(self, store: SessionStore, stored, namespace: str) -> None:
        store.create_session(APP, USER, IP)
        stored.client.sadd(f"{namespace}:apps", b"\xff", "no app", "", "x", "a" * 21, "a:b", "{a}", "app\n")
        seen = []
        page = store.list_apps(lambda name: seen.append(name) or True)
        assert page == ([App(APP, 1, 1)], None)
        assert seen == [APP]

    def test_it_takes_no_room_on_a_page(self, store: SessionStore, stored, namespace: str) -> None:
        for app in ("one", "two"):
            store.create_session(app, USER, IP)
        stored.client.sadd(f"{namespace}:apps", "a b", "p q", "z z")
        first = store.list_apps(lambda _: True, 1)
        second = store.list_apps(lambda _: True, 1, first.next)
        assert [app.name for page in (first, second) for app in page.apps] == ["one", "two"]
        assert second.next is None

    def test_a_lost_index_fails_nothing(self, store: SessionStore, delete) -> None:
        store.create_session(APP, USER, IP)
        delete(*INDEX)
        assert store.list_apps(lambda _: True).apps == [App(APP, 0, 0)]


@pytest.mark.parametrize("to", ["zz", ""])
def test_a_pointer_to_no_partition_leads_nowhere(store, stored, to) -> None:
    own = own_token(ELSEWHERE)
    store.create_session(APP, USER, IP, own_token=own)
    stored.client.hset(stored.key(APP, place_of(own)), "to", to)
    assert store.get_session(APP, own) is None


@pytest.mark.parametrize("lost", ["ttl", "used", "created", "claim", "calls"])
def test_a_pointer_that_lost_a_field_is_none(store, stored, lost) -> None:
    own = own_token(ELSEWHERE)
    store.create_session(APP, USER, IP, own_token=own)
    stored.client.hdel(stored.key(APP, place_of(own)), lost)
    store.get_session(APP, own)
    with suppress(TokenInUse):
        store.create_session(APP, USER, IP, own_token=own)


@pytest.mark.parametrize("lost", ["closed_until", "closed_for", "closing"])
def test_a_closed_session_that_lost_a_field_fails_nothing(store, stored, clock, lost) -> None:
    old = store.create_session(APP, USER, IP).token
    store.create_session(APP, USER, IP, login=Login(old))
    stored.client.hdel(stored.key(APP, place_of(old)), lost)
    store.get_session(APP, old)
    store.create_session(APP, USER, IP, login=Login(old))
    store.create_session(APP, USER, IP, cap=Cap(1))
    clock.now += 61
    assert store.sweep_expired().errors == {}


def test_a_rotated_session_that_lost_its_grace_fails_nothing(store, stored) -> None:
    new = store.rotate_session(APP, store.create_session(APP, USER, IP).token)
    stored.client.hdel(stored.key(APP, place_of(new)), "grace")
    store.get_session(APP, new)
