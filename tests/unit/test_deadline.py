"""The deadline of a call, with a clock that the tests set."""

import threading

import pytest

from rest_sessions import deadline as module
from rest_sessions.deadline import deadline, remaining
from tests.conftest import Clock


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock(1000)
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def test_there_is_as_much_as_one_asks_for_without_a_limit() -> None:
    assert remaining(1) == 1


def test_what_was_waited_is_counted_together(clock) -> None:
    with deadline(4):
        assert remaining(1) == 1
        clock.now += 3.5
        assert remaining(1) == 0.5
        clock.now += 3.5
        assert remaining(1) == 0
    assert remaining(1) == 1


def test_the_shorter_of_two_limits_holds(clock) -> None:
    with deadline(4):
        with deadline(10):
            assert remaining(100) == 4
        with deadline(1):
            assert remaining(100) == 1
        assert remaining(100) == 4


def test_each_thread_has_its_own() -> None:
    elsewhere = []
    with deadline(0):
        thread = threading.Thread(target=lambda: elsewhere.append(remaining(1)))
        thread.start()
        thread.join()
        assert (remaining(1), elsewhere) == (0, [1])


def test_a_limit_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), deadline(0):
        raise ZeroDivisionError
    assert remaining(1) == 1
