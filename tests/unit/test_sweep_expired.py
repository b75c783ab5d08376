"""The function that runs on a schedule."""

import json

import pytest

from dev.gateway import Context, load_handlers, read_template
from rest_sessions import runtime
from rest_sessions.errors import StoreUnavailable


@pytest.fixture
def handler(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("API_KEYS", '{"keys": []}')
    runtime.open_store.cache_clear()
    yield load_handlers(read_template())["SweepExpired"]
    runtime.open_store.cache_clear()


def test_counts_removed_sessions_and_active_users(handler, monkeypatch, capfd):
    monkeypatch.setattr(runtime.open_store(), "sweep_expired", lambda should_continue: 3 if should_continue() else 0)
    monkeypatch.setattr(runtime.open_store(), "count_active_users_of_all_apps", lambda dt: dt)
    capfd.readouterr()
    assert handler({}, Context()) == {"expired": 3}
    expired, active = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert expired["SessionsExpired"] == 3
    assert active["ActiveUsers"] == 300


def test_stops_in_time(handler, monkeypatch):
    monkeypatch.setattr(runtime.open_store(), "sweep_expired", lambda should_continue: should_continue())
    monkeypatch.setattr(runtime.open_store(), "count_active_users_of_all_apps", lambda dt: 0)
    context = Context()
    assert handler({}, context) == {"expired": True}
    monkeypatch.setattr(context, "get_remaining_time_in_millis", lambda: 9_000)
    assert handler({}, context) == {"expired": False}


def test_logs_and_fails_when_the_store_is_unavailable(handler, caplog):
    caplog.clear()
    with pytest.raises(StoreUnavailable):
        handler({}, Context())
    [record] = caplog.records
    assert record.getMessage() == "The store is unavailable"
    assert record.function_request_id
