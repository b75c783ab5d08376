"""Checks the form of replies: the server at the address may be something other than Redis."""

from typing import Any

from rest_sessions.errors import StoreUnavailable

# The statuses with which a script on one session answers.
OK = b"OK"
ROTATED = b"ROTATED"
CLOSED = b"CLOSED"
ELSEWHERE = b"ELSEWHERE"
MISSING = b"MISSING"
STALE = b"STALE"
FOREIGN = b"FOREIGN"
CONFLICT = b"CONFLICT"
UNKNOWN = b"UNKNOWN"
TOO_LARGE = b"TOO_LARGE"
TOKEN_IN_USE = b"TOKEN_IN_USE"
TOO_MANY = b"TOO_MANY"
FULL = b"FULL"
STATUSES = (
    OK,
    ROTATED,
    CLOSED,
    ELSEWHERE,
    MISSING,
    STALE,
    FOREIGN,
    CONFLICT,
    UNKNOWN,
    TOO_LARGE,
    TOKEN_IN_USE,
    TOO_MANY,
    FULL,
)


def status_of(reply: Any) -> tuple[bytes, list[Any]]:
    """The status in the reply of a script on one session, and what follows it. Raises StoreUnavailable."""
    if isinstance(reply, list) and reply and reply[0] in STATUSES:
        return reply[0], reply[1:]
    raise StoreUnavailable("The server did not reply with a script's status")


def number_of(reply: Any) -> int:
    """The integer in a reply. Raises StoreUnavailable."""
    if isinstance(reply, int):
        return reply
    raise StoreUnavailable("The server did not reply with an integer")


def items_of(reply: Any) -> list[Any]:
    """The items of an array reply. Raises StoreUnavailable."""
    # redis-py's cluster client, which follows redirections, makes a set or a dict of some replies.
    if isinstance(reply, dict):
        return [text for pair in reply.items() for text in pair]
    if isinstance(reply, (list, set)):
        return list(reply)
    raise StoreUnavailable("The server did not reply with an array")
