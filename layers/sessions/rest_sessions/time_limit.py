"""How long a call may take in all, however many times it has to wait."""

from contextvars import ContextVar, Token
from math import inf
from time import monotonic

_END: ContextVar[float] = ContextVar("end", default=inf)


class time_limit:  # noqa: N801 - a context manager, named as those of contextlib, whose own take longer to enter
    """What waits inside, by `seconds_left`, does so for `seconds` in all, or for what is left of an outer limit."""

    __slots__ = ("_outer", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._outer: Token[float] = _END.set(min(_END.get(), monotonic() + self._seconds))

    def __exit__(self, *_: object) -> None:
        _END.reset(self._outer)


def seconds_left(most: float) -> float:
    """At most `most`, at least 0."""
    left = _END.get() - monotonic()
    return most if left > most else max(left, 0)
