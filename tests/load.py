"""Continuous calls of several stores while a test injects faults."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

import redis

from rest_sessions.store.sessions import SessionStore
from tests.histories import Call, Workers, violations

# The time within which every call must end.
SECONDS = 5.0


class Load:
    """Runs random calls in the background while a test injects faults."""

    def __init__(self, stores: Sequence[SessionStore]) -> None:
        self._workers = Workers(stores, seed=0)
        self._thread = threading.Thread(target=self._workers.run)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_for_calls(50)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._workers.stop()
        self._thread.join()

    def wait_for_calls(self, calls: int, *, until: Callable[[list[Call]], bool] = lambda ended: True) -> list[Call]:
        """Waits until `calls` or more new calls have ended, and `until` holds for them; these calls."""
        begin = time.monotonic()
        while True:
            ended = [call for call in list(self._workers.calls) if call.begin > begin]
            if len(ended) >= calls and until(ended):
                return ended
            assert time.monotonic() < begin + 60, "the calls do not come to an end"
            time.sleep(0.02)

    def check_history(self, *, exact: bool) -> None:
        """After the load: reads each session, and checks the whole history against the contract."""
        self._workers.read_all()
        self.assert_in_time()
        assert violations(self._workers.calls, exact=exact) == []

    def assert_in_time(self) -> None:
        assert max(call.end - call.begin for call in self._workers.calls) < SECONDS


def failures(calls: list[Call]) -> int:
    return sum(call.failed for call in calls)


def port_of(client: redis.Redis) -> int:
    return client.connection_pool.connection_kwargs["port"]
