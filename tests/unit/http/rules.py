"""What the tests of the rules share."""

import pytest

from rest_sessions.errors import ApiError

MORE_DIGITS_THAN_PYTHON_PARSES = 5000


def refusal(parse, *args):
    with pytest.raises(ApiError) as caught:
        parse(*args)
    return caught.value


def named(cases):
    return [pytest.param(value, id=name) for name, value in cases.items()]
