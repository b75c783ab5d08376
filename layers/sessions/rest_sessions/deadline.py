"""The deadline of a request: one limit for the sum of all its waits."""

from contextvars import ContextVar, Token
from math import inf
from time import monotonic

_DEADLINE: ContextVar[float] = ContextVar("deadline", default=inf)


class deadline:  # noqa: N801 - a context manager is named like those of contextlib, which take longer to enter
    """Sets the deadline to `seconds` from now, unless an outer one is earlier. Each wait must ask `remaining`."""

    __slots__ = ("_outer", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._outer: Token[float] = _DEADLINE.set(min(_DEADLINE.get(), monotonic() + self._seconds))

    def __exit__(self, *_: object) -> None:
        _DEADLINE.reset(self._outer)


def remaining(at_most: float) -> float:
    """Returns the seconds until the deadline, but never less than 0 or more than `at_most`."""
    seconds = _DEADLINE.get() - monotonic()
    return at_most if seconds > at_most else max(seconds, 0)
