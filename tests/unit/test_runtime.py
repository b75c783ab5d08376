import importlib

import pytest
import redis
import snapshot_restore_py

from dev.embedded_store import server_process
from rest_sessions import runtime
from rest_sessions.deadline import remaining
from rest_sessions.errors import ConfigurationError, StoreUnavailable
from tests.servers import binary_of
from tests.waiting import wait_until

# Nothing listens on port 1: a connection is refused at once.
NOWHERE = "redis://user:s3cret@127.0.0.1:1"


@pytest.fixture(autouse=True)
def not_opened_yet(monkeypatch):
    for name in ("REDIS_URL", "REDIS_CLUSTER", "NAMESPACE", "MISSING_SESSION"):
        monkeypatch.delenv(name, raising=False)
    runtime.open_store.cache_clear()
    yield
    runtime.open_store.cache_clear()


@pytest.mark.parametrize("cluster", ["0", "1"], ids=["server", "cluster"])
def test_function_starts_while_the_store_is_unavailable(monkeypatch, caplog, cluster):
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    monkeypatch.setenv("REDIS_CLUSTER", cluster)
    store = runtime.open_store()
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == "The store is unavailable"
    assert record.reason
    assert "s3cret" not in str(vars(record))
    with pytest.raises(StoreUnavailable):
        store.ping()


def test_function_waits_for_the_store_for_a_second_when_it_starts(monkeypatch):
    """The request that starts the function waits for this too."""
    left = []
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    monkeypatch.setattr(runtime.SessionStore, "ping", lambda _: left.append(remaining(100)))
    runtime.open_store()
    assert left == [pytest.approx(1, abs=0.5)]


def test_process_has_one_store(monkeypatch):
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    assert runtime.open_store() is runtime.open_store()


def test_function_does_not_start_without_its_settings():
    with pytest.raises(ConfigurationError, match="REDIS_URL must be set"):
        runtime.open_store()


def test_settings_are_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    monkeypatch.setenv("NAMESPACE", "test")
    monkeypatch.setenv("MISSING_SESSION", "404")
    settings = runtime.load_settings()
    assert (settings.redis_url, settings.namespace, settings.missing_session_is_error) == (NOWHERE, "test", True)


class TestSnapStart:
    @pytest.fixture
    def hooks(self, monkeypatch):
        """Lambda's own module of hooks, which only its runtime runs."""
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
        hooks = importlib.reload(snapshot_restore_py)
        yield hooks
        importlib.reload(snapshot_restore_py)

    def test_connections_are_closed_before_the_snapshot_and_opened_after_the_restore(self, monkeypatch, hooks):
        with server_process(binary_of("redis-server")) as url, redis.Redis.from_url(url) as admin:
            monkeypatch.setenv("REDIS_URL", url)
            store = runtime.open_store()
            connected = [admin.info("clients")["connected_clients"]]
            for function, args, kwargs in hooks.get_before_snapshot():
                function(*args, **kwargs)
            wait_until(lambda: admin.info("clients")["connected_clients"] == connected[0] - 1)
            for function, args, kwargs in hooks.get_after_restore():
                function(*args, **kwargs)
            assert admin.info("clients")["connected_clients"] == connected[0]
            received = admin.info("stats")["total_connections_received"]
            store.ping()
            assert admin.info("stats")["total_connections_received"] == received

    def test_no_hook_is_registered_elsewhere(self, monkeypatch, hooks):
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        monkeypatch.setenv("REDIS_URL", NOWHERE)
        runtime.open_store()
        assert not hooks.get_before_snapshot()
        assert not hooks.get_after_restore()
