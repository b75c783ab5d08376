"""Callers' own tokens whose partition a test picks."""

import secrets

from rest_sessions.store.keys import partition_number_of_id
from rest_sessions.store.tokens import place_of

# The partition of this user's sessions, and another one, where a token of this user's needs a pointer.
USER = "peter"
HERE = partition_number_of_id(USER)
ELSEWHERE = (HERE + 1) % 16


def own_token(partition: int) -> str:
    """A new token of a caller's own, whose partition is this one."""
    while True:
        token = secrets.token_hex(32)
        if place_of(token).partition == partition:
            return token


def user_in(partition: int) -> str:
    """A user, not USER, whose sessions are in this partition."""
    return next(id for id in map("user{}".format, range(1000)) if partition_number_of_id(id) == partition)
