"""What stays in Redis after sessions have ended."""

from rest_sessions.store.sessions import SessionStore
from tests.conftest import Clock
from tests.servers import Server


def left_after_sweep(store: SessionStore, server: Server, namespace: str, clock: Clock) -> set[str]:
    """Sweeps a minute later, when no killall can come again, and returns the keys that are left.

    The sweep must not count what a kill has ended.
    """
    clock.now += 61
    assert store.sweep_expired() == (0, {})
    return server.keys(namespace)
