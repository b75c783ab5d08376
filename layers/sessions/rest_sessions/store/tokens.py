"""Session tokens, and the handles under which the store keeps the sessions."""

import hashlib
import secrets
import string

TOKEN_LENGTH = 64
HANDLE_LENGTH = 32
_HEX_DIGITS = "0123456789abcdef"

_ALPHABET = (string.ascii_letters + string.digits).encode()
# A random byte picks a character. The few bytes that would favour some characters are dropped.
_FAIR = 256 - 256 % len(_ALPHABET)
_CHARACTER = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


def new_token(partition: int) -> str:
    """A new token for a session in `partition` (0 to 15).

    It consists of `Z`, the partition's hex digit, and 62 random characters (369 bits). No token of rest-sessions begins
    with `Z`, so the first character tells where a token comes from.
    """
    random = b""
    while len(random) < TOKEN_LENGTH - 2:
        random += secrets.token_bytes(2 * TOKEN_LENGTH).translate(_CHARACTER, _UNFAIR)
    return f"Z{_HEX_DIGITS[partition]}{random[: TOKEN_LENGTH - 2].decode()}"


def partition_number_of_token(token: str) -> int:
    """The number of the partition that holds the session of `token`.

    A token that was not made here has no session in any partition, so any number will do.
    """
    return max(_HEX_DIGITS.find(token[1]), 0)


def handle_of(token: str) -> str:
    """The name under which the store keeps the session of `token`: 128 bits of the token's SHA-256.

    The store never holds a token, so nobody can log in with a dump of it.
    """
    return hashlib.sha256(token.encode()).hexdigest()[:HANDLE_LENGTH]
