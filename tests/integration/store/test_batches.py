"""The operations that end many sessions at once."""

import pytest

from rest_sessions.connection.commands import ScriptCall
from rest_sessions.errors import StoreUnavailable
from rest_sessions.model import Timeouts
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.pages import ids

APP = "webapp"
IP = "192.0.2.7"


class TestKillAll:
    @pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
    def test_kill_all_of_a_user(self, store: SessionStore, count: int) -> None:
        tokens = [store.create_session(APP, "peter", IP).token for _ in range(count)]
        bystanders = [store.create_session(APP, id, IP).token for id in ("pete", "peter ", "peter2", "peter:1")]
        assert store.kill_sessions_of_id(APP, "peter") == count
        assert store.kill_sessions_of_id(APP, "peter") == 0
        assert all(store.get_session(APP, token) is None for token in tokens)
        assert all(store.get_session(APP, token) for token in bystanders)
        assert store.list_sessions_of_id(APP, "peter").sessions == []
        assert store.count_active_users(APP, 60) == len(bystanders)

    def test_kill_all_of_an_app(self, store: SessionStore, left) -> None:
        for i in range(250):
            store.create_session(APP, f"user{i % 40}", IP)
        other = store.create_session("other", "peter", IP).token
        assert store.kill_sessions_of_app(APP) == 250
        assert store.kill_sessions_of_app(APP) == 0
        assert store.get_session("other", other)
        assert not [key for key in left() if APP in key]


class TestSweep:
    def test_removes_expired_sessions_of_all_apps_and_all_their_keys(self, store, clock, keys) -> None:
        for app in ("one-app", "two-app"):
            for i in range(130):
                store.create_session(app, f"user{i}", IP, Timeouts(10))
        clock.now += 10
        assert store.sweep_expired().total == 0
        clock.now += 1
        assert store.sweep_expired().total == 260
        assert keys() == set()
        assert store.sweep_expired().total == 0

    def test_leaves_live_sessions(self, store, clock) -> None:
        short = store.create_session(APP, "peter", IP, Timeouts(10)).token
        living = store.create_session(APP, "peter", IP, Timeouts(11)).token
        fixed = store.create_session(APP, "paul", IP, Timeouts(10, no_resave=True)).token
        clock.now += 5
        store.get_session(APP, fixed)
        clock.now += 6
        assert store.sweep_expired().total == 2
        assert store.get_session(APP, short) is None
        assert store.get_session(APP, living)
        assert ids(store.list_sessions_of_app(APP, 60)) == ["peter"]
        assert store.count_active_users(APP, 60) == 1
        assert store.sweep_expired().total == 0

    def test_a_user_stays_active_while_one_session_lives(self, store, clock) -> None:
        *expired, living = sorted(
            (store.create_session(APP, "peter", IP, Timeouts(10)).token for _ in range(5)),
            key=lambda token: place_of(token).handle,
        )
        clock.now += 5
        store.get_session(APP, living)
        clock.now += 6
        assert store.sweep_expired().total == len(expired)
        assert store.count_active_users(APP, 60) == 1

    def test_continues_only_while_should_continue(self, store, clock, batches) -> None:
        store.create_session(APP, "peter", IP, Timeouts(10))
        clock.now += 11
        batches.clear()
        assert store.sweep_expired(lambda: False).total == 0
        assert [[command[0] for command in batch] for batch in batches] == [["SMEMBERS"]]
        assert store.sweep_expired().total == 1

    def test_stops_between_batches(self, store, clock) -> None:
        for _ in range(20):
            store.create_session(APP, "peter", IP, Timeouts(10))
        clock.now += 11
        answers = iter([True] * 3)
        removed = store.sweep_expired(lambda: next(answers, False)).total
        assert 0 < removed < 20
        assert store.sweep_expired().total == 20 - removed

    def test_ends_by_itself_in_the_last_second_of_many_sessions(self, store, clock) -> None:
        for _ in range(130):
            store.create_session(APP, "peter", IP, Timeouts(10))
        clock.now += 10
        answers = iter([True] * 9)
        assert store.sweep_expired(lambda: next(answers, False)).total == 0
        assert next(answers, False)

    def test_ends_with_the_error_when_the_store_becomes_unavailable(self, store, monkeypatch) -> None:
        for app in ("one-app", "two-app"):
            store.create_session(app, "peter", IP)
        run = store._client.run

        def only_the_apps(*commands):
            if commands[0][0] != "SMEMBERS":
                raise StoreUnavailable
            return run(*commands)

        monkeypatch.setattr(store._client, "run", only_the_apps)
        for of_all_apps in (store.sweep_expired, lambda: store.count_active_users_of_all_apps(60)):
            with pytest.raises(StoreUnavailable):
                of_all_apps()

    def test_never_takes_an_app_with_sessions_off_the_list(self, store, clock, batches) -> None:
        store.create_session(APP, "peter", IP)
        store.sweep_expired()
        assert not any(command[0] == "SREM" for batch in batches for command in batch)
        clock.now += 7201
        store.sweep_expired()
        assert any(command[0] == "SREM" for batch in batches for command in batch)

    def test_removes_the_index_entries_of_sessions_that_redis_dropped(self, store, server, clock, keys) -> None:
        store.create_session(APP, "peter", IP, Timeouts(10))
        with server.connect() as client:
            client.delete(next(key for key in keys() if ":s:" in key))
        clock.now += 11
        assert store.sweep_expired().total == 1
        assert keys() == set()


def test_one_round_trip_ends_at_most_128_sessions(store, clock, batches) -> None:
    for app in ("killed", "swept"):
        for i in range(300):
            store.create_session(app, f"user{i}", IP, Timeouts(10))
    batches.clear()
    assert store.kill_sessions_of_app("killed") == 300
    clock.now += 11
    assert store.sweep_expired().total == 300
    calls = [[command for command in batch if isinstance(command, ScriptCall)] for batch in batches]
    ended = [sum(":s:" in key for call in some for key in call.keys) for some in calls]
    assert sum(ended) == 600
    assert max(ended) <= 128
