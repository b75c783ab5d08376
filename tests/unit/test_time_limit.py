"""How long a call may wait in all, by a clock that is set."""

import threading

import pytest

from rest_sessions import time_limit as module
from rest_sessions.time_limit import seconds_left, time_limit
from tests.conftest import Clock


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock(1000)
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def test_there_is_as_much_as_one_asks_for_without_a_limit() -> None:
    assert seconds_left(1) == 1


def test_what_was_waited_is_counted_together(clock) -> None:
    with time_limit(4):
        assert seconds_left(1) == 1
        clock.now += 3.5
        assert seconds_left(1) == 0.5
        clock.now += 3.5
        assert seconds_left(1) == 0
    assert seconds_left(1) == 1


def test_the_shorter_of_two_limits_holds(clock) -> None:
    with time_limit(4):
        with time_limit(10):
            assert seconds_left(100) == 4
        with time_limit(1):
            assert seconds_left(100) == 1
        assert seconds_left(100) == 4


def test_each_thread_has_its_own() -> None:
    elsewhere = []
    with time_limit(0):
        thread = threading.Thread(target=lambda: elsewhere.append(seconds_left(1)))
        thread.start()
        thread.join()
        assert (seconds_left(1), elsewhere) == (0, [1])


def test_a_limit_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), time_limit(0):
        raise ZeroDivisionError
    assert seconds_left(1) == 1
