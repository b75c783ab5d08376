"""How sessions are stored: the forms of hash fields and of index members. lua/record.lua has the same forms in Lua."""

from collections.abc import Mapping, Sequence

from rest_sessions.model import Cursor, Session

from .tokens import HANDLE_LENGTH

_DATUM = "d:"


def field_of(key: str) -> bytes:
    """The hash field that holds the datum `key`."""
    # JSON can write a lone surrogate in a key. Plain UTF-8 cannot.
    return f"{_DATUM}{key}".encode(errors="surrogatepass")


def fields_of(data: Mapping[str, str]) -> list[bytes]:
    """Field and value of each datum in turn, as HSET takes them."""
    return [text for key, value in data.items() for text in (field_of(key), value.encode())]


def to_session(fields: Sequence[bytes], now: int) -> Session:
    """The session in the fields and values of a hash, as it is `now` (seconds)."""
    pairs = iter(fields)
    hash = {field.decode(errors="surrogatepass"): value.decode() for field, value in zip(pairs, pairs, strict=True)}
    expires_at = hash.get("ends")
    return Session(
        id=hash["id"],
        r=int(hash["r"]),
        w=int(hash["w"]),
        ttl=int(hash["ttl"]) if expires_at is None else max(int(expires_at) - now, 0),
        idle=max(now - int(hash["used"]), 0),
        ip=hash["ip"],
        no_resave=expires_at is not None,
        data={field.removeprefix(_DATUM): value for field, value in hash.items() if field.startswith(_DATUM)},
    )


def user_range(id: str) -> tuple[str, str]:
    """The lexical range of all members of `ids` of one user."""
    return f"[{id}\0", f"({id}\1"


def handle_in_ids(member: bytes) -> str:
    """The handle in a member of `ids`, which is `ID NUL HANDLE`."""
    return member[-HANDLE_LENGTH:].decode()


def handle_in_expiry(member: bytes) -> str:
    """The handle in a member of `expiry`, which is `HANDLE:ID`."""
    return member[:HANDLE_LENGTH].decode()


def cursors_of(reply: Sequence[bytes]) -> list[Cursor]:
    """The cursors in `[handle, time of last use, handle, …]`."""
    pairs = iter(reply)
    return [Cursor(int(last_used), handle.decode()) for handle, last_used in zip(pairs, pairs, strict=True)]
