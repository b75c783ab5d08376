"""Session tokens: their form, their rotation, and what the store knows of them.

A token is `Z`, the hex digit of the session's partition, 22 characters that are the session's handle (131 bits), and 40
that are secret (238 bits). A caller's own token is any other text, so nobody can choose a handle.
"""

import hashlib
import secrets
import string
from typing import NamedTuple

HANDLE_LENGTH = 22
_SECRET_LENGTH = 40
_HEX_DIGITS = "0123456789abcdef"

_ALPHABET = (string.ascii_letters + string.digits).encode()
# A random byte picks a character. The few bytes that would favour some characters are dropped.
_FAIR = 256 - 256 % len(_ALPHABET)
_CHARACTER = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


class Place(NamedTuple):
    """Where the session of a token is: the number of the partition, and the handle there."""

    partition: int
    handle: str


def new_token(partition: int) -> str:
    """A new token for a session in `partition` (0 to 15)."""
    random = b""
    while len(random) < HANDLE_LENGTH + _SECRET_LENGTH:
        random += secrets.token_bytes(128).translate(_CHARACTER, _UNFAIR)
    return _token(partition, random[: HANDLE_LENGTH + _SECRET_LENGTH].decode())


def rotated_token(token: str, nonce: bytes, place: Place) -> str:
    """The token that follows `token` by a rotation with this nonce. `place` is that of the session.

    Only who knows `token` can make it.
    """
    return _token(place.partition, place.handle + _derive(b"secret\0" + nonce + token.encode(), _SECRET_LENGTH))


def place_of(token: str) -> Place:
    """Where the session of `token` is. For a caller's own token, a pointer may be there instead.

    A token that begins with `Z` and was not made here has no session in any partition, so any partition will do.
    """
    if is_own(token):
        return Place(
            hashlib.sha256(b"partition\0" + token.encode()).digest()[0] % len(_HEX_DIGITS),
            _derive(b"handle\0" + token.encode(), HANDLE_LENGTH),
        )
    return Place(max(_HEX_DIGITS.find(token[1]), 0), token[2 : 2 + HANDLE_LENGTH])


def is_own(token: str) -> bool:
    """Whether `token` is a caller's own: no token that was made here begins with another character than `Z`."""
    return not token.startswith("Z")


def hash_of(token: str) -> bytes:
    """What the store keeps of a token, so that nobody can log in with a dump of it."""
    return hashlib.sha256(token.encode()).digest()


def _token(partition: int, characters: str) -> str:
    return f"Z{_HEX_DIGITS[partition]}{characters}"


def _derive(text: bytes, length: int) -> str:
    """Characters that follow from `text`, and from which `text` cannot be told."""
    # Of four times as many bytes as are needed, one in 32 is dropped.
    return hashlib.shake_256(text).digest(4 * length).translate(_CHARACTER, _UNFAIR)[:length].decode()
