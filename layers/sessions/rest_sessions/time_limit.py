"""How long a call may take in all, however many times it has to wait."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

_END: ContextVar[float] = ContextVar("end", default=inf)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """What waits inside, by `seconds_left`, does so for `seconds` in all, or for what is left of an outer limit."""
    token = _END.set(min(_END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def seconds_left(most: float) -> float:
    """At most `most`, at least 0."""
    return max(min(most, _END.get() - time.monotonic()), 0)
