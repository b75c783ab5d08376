"""How sessions are stored: the forms of hash fields and of index members. lua/record.lua has the same forms in Lua."""

from collections.abc import Sequence

from rest_sessions.model import Cursor, Data, Session

from .tokens import HANDLE_LENGTH

_DATUM = "d:"


def field_of(key: str) -> bytes:
    """The hash field that holds the datum `key`."""
    return f"{_DATUM}{key}".encode()


def fields_of(data: Data) -> list[bytes]:
    """Field and value of each datum in turn, as HSET takes them. A datum whose value is None is left out."""
    return [text for key, value in data.items() if value is not None for text in (field_of(key), value.encode())]


def to_session(fields: Sequence[bytes], now: int) -> Session:
    """The session in the fields and values of a hash, as it is `now` (seconds)."""
    pairs = iter(fields)
    hash = {field.decode(): value.decode() for field, value in zip(pairs, pairs, strict=True)}
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


def handle_in_ids(member: bytes) -> str | None:
    """The handle in a member of `ids`, which is `ID NUL HANDLE`. None in a member of another form."""
    return _handle(member[-HANDLE_LENGTH:]) if member[-HANDLE_LENGTH - 1 : -HANDLE_LENGTH] == b"\0" else None


def handle_in_expiry(member: bytes) -> str | None:
    """The handle in a member of `expiry`, which is `HANDLE:ID`. None in a member of another form."""
    return _handle(member[:HANDLE_LENGTH]) if member[HANDLE_LENGTH : HANDLE_LENGTH + 1] == b":" else None


def _handle(text: bytes) -> str | None:
    return text.decode() if len(text) == HANDLE_LENGTH and text.isalnum() else None


def cursors_of(items: Sequence[bytes]) -> list[Cursor]:
    """The cursors in `[handle, time of last use, handle, …]`, without those whose handle has another form."""
    pairs = iter(items)
    return [
        Cursor(int(last_used) if last_used.isdigit() else 1, handle)
        for text, last_used in zip(pairs, pairs, strict=True)
        if (handle := _handle(text)) is not None
    ]
