"""Helpers for the tests of the rules."""

import pytest

from rest_sessions.errors import ApiError

MORE_DIGITS_THAN_PYTHON_PARSES = 5000


def refusal(parse, *args):
    """The error that `parse` raises."""
    with pytest.raises(ApiError) as caught:
        parse(*args)
    return caught.value


def named(cases):
    """Values for `parametrize`, with their names as ids."""
    return [pytest.param(value, id=name) for name, value in cases.items()]
