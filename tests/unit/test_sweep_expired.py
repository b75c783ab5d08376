"""The function that runs on a schedule."""

import json

import pytest

from dev.gateway import Context, load_handlers, read_template
from rest_sessions import runtime
from rest_sessions.errors import StoreUnavailable, SweepIncomplete
from rest_sessions.store.sessions import AppsResult


@pytest.fixture
def handler(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("API_KEYS", '{"keys": []}')
    monkeypatch.setenv("AUTH_MODE", "token")
    runtime.open_store.cache_clear()
    yield load_handlers(read_template())["SweepExpired"]
    runtime.open_store.cache_clear()


def done(total, errors=()):
    return AppsResult(total, dict(errors))


def test_counts_removed_sessions_and_active_users(handler, monkeypatch, capfd):
    monkeypatch.setattr(
        runtime.open_store(), "sweep_expired", lambda should_continue: done(3) if should_continue() else None
    )
    monkeypatch.setattr(runtime.open_store(), "count_active_users_of_all_apps", done)
    capfd.readouterr()
    assert handler({}, Context()) == {"expired": 3}
    expired, active = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert expired["SessionsExpired"] == 3
    assert active["ActiveUsers"] == 300


def test_stops_in_time(handler, monkeypatch):
    monkeypatch.setattr(runtime.open_store(), "sweep_expired", lambda should_continue: done(should_continue()))
    monkeypatch.setattr(runtime.open_store(), "count_active_users_of_all_apps", done)
    context = Context()
    assert handler({}, context) == {"expired": True}
    monkeypatch.setattr(context, "get_remaining_time_in_millis", lambda: 9_000)
    assert handler({}, context) == {"expired": False}


def test_counts_what_it_could_and_then_reports_each_app_that_failed(handler, monkeypatch, capfd, caplog):
    errors = {"shop": ValueError("a value of hunter2"), "": TypeError("hunter2")}
    monkeypatch.setattr(runtime.open_store(), "sweep_expired", lambda _: done(3, errors))
    monkeypatch.setattr(runtime.open_store(), "count_active_users_of_all_apps", lambda _: done(5, errors))
    capfd.readouterr()
    caplog.clear()
    with pytest.raises(SweepIncomplete):
        handler({}, Context())
    assert [record.getMessage() for record in caplog.records] == ["The sweep failed for an app"] * 2
    assert sorted((record.app, record.error) for record in caplog.records) == [
        ("", "TypeError"),
        ("shop", "ValueError"),
    ]
    output = capfd.readouterr().out
    assert '"SessionsExpired":3' in output
    assert '"ActiveUsers":5' in output
    assert "hunter2" not in output + str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("failed", ["sweep_expired", "count_active_users_of_all_apps"])
def test_fails_when_one_of_the_two_does_for_an_app(handler, monkeypatch, failed):
    for name in ("sweep_expired", "count_active_users_of_all_apps"):
        result = done(3, {"shop": ValueError()} if name == failed else {})
        monkeypatch.setattr(runtime.open_store(), name, lambda _, result=result: result)
    with pytest.raises(SweepIncomplete):
        handler({}, Context())


def test_logs_and_fails_when_the_store_is_unavailable(handler, caplog):
    caplog.clear()
    with pytest.raises(StoreUnavailable):
        handler({}, Context())
    [record] = caplog.records
    assert record.getMessage() == "The store is unavailable"
    assert record.function_request_id
