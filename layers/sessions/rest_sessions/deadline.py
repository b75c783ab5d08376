"""How long a request may take in all, however many times it has to wait."""

from contextvars import ContextVar, Token
from math import inf
from time import monotonic

_DEADLINE: ContextVar[float] = ContextVar("deadline", default=inf)


class deadline:  # noqa: N801 - a context manager is named like those of contextlib, which take longer to enter
    """All waits inside, each bounded by `remaining`, end within `seconds`, or earlier when an outer deadline does."""

    __slots__ = ("_outer", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._outer: Token[float] = _DEADLINE.set(min(_DEADLINE.get(), monotonic() + self._seconds))

    def __exit__(self, *_: object) -> None:
        _DEADLINE.reset(self._outer)


def remaining(at_most: float) -> float:
    """The seconds until the deadline: at least 0 and `at_most` the given number."""
    seconds = _DEADLINE.get() - monotonic()
    return at_most if seconds > at_most else max(seconds, 0)
