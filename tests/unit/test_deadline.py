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


def test_without_a_deadline_remaining_returns_its_argument() -> None:
    assert remaining(1) == 1


def test_all_waits_count_against_one_deadline(clock) -> None:
    with deadline(4):
        assert remaining(1) == 1
        clock.now += 3.5
        assert remaining(1) == 0.5
        clock.now += 3.5
        assert remaining(1) == 0
    assert remaining(1) == 1


def test_the_earlier_of_two_deadlines_counts(clock) -> None:
    with deadline(4):
        with deadline(10):
            assert remaining(100) == 4
        with deadline(1):
            assert remaining(100) == 1
        assert remaining(100) == 4


def test_each_thread_has_its_own_deadline() -> None:
    elsewhere = []
    with deadline(0):
        thread = threading.Thread(target=lambda: elsewhere.append(remaining(1)))
        thread.start()
        thread.join()
        assert (remaining(1), elsewhere) == (0, [1])


def test_an_error_ends_the_deadline() -> None:
    with pytest.raises(ZeroDivisionError), deadline(0):
        raise ZeroDivisionError
    assert remaining(1) == 1
