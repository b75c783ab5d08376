"""Session tokens: what the client holds, and what the store keeps of them."""

import hashlib
import secrets
import string

TOKEN_LENGTH = 64
HANDLE_LENGTH = 32
_HEX_DIGITS = "0123456789abcdef"

_ALPHABET = (string.ascii_letters + string.digits).encode()
# A random byte picks a character; the few bytes that would favour some characters are dropped.
_FAIR = 256 - 256 % len(_ALPHABET)
_CHARACTER = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


def new_token(partition: int) -> str:
    """A fresh token for a session in `partition` (0 to 15).

    `Z`, the partition's hex digit, and 62 random characters: 369 bits. No token of rest-sessions begins with `Z`,
    so a token's origin shows.
    """
    random = b""
    while len(random) < TOKEN_LENGTH - 2:
        random += secrets.token_bytes(2 * TOKEN_LENGTH).translate(_CHARACTER, _UNFAIR)
    return f"Z{_HEX_DIGITS[partition]}{random[: TOKEN_LENGTH - 2].decode()}"


def partition_of(token: str) -> int:
    """The partition that holds the session of `token`.

    A token that was not made here has no session anywhere, so any partition can say so.
    """
    return max(_HEX_DIGITS.find(token[1]), 0)


def handle_of(token: str) -> str:
    """The name under which the store keeps the session: 128 bits of the token's SHA-256.

    The store never holds a token, so that a dump of it logs nobody in.
    """
    return hashlib.sha256(token.encode()).hexdigest()[:HANDLE_LENGTH]
