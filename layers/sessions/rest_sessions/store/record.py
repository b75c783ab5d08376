"""How sessions are stored: the forms of hash fields and of index members. lua/record.lua has the same forms in Lua."""

from collections.abc import Sequence

from rest_sessions.connection.commands import Argument
from rest_sessions.limits import MAX_DATA_BYTES, MAX_KEYS
from rest_sessions.model import Cursor, Data, Details, Session

from .tokens import HANDLE_LENGTH

_DATUM = b"d:"
# What every session has. lua/session.lua has the same list.
_REQUIRED = {b"id", b"ip", b"r", b"w", b"ttl", b"used", b"created", b"token", b"epoch"}


def field_of(key: str) -> bytes:
    """The hash field that holds the datum `key`."""
    return _DATUM + key.encode()


def fields_of(data: Data) -> list[bytes]:
    """Field and value of each datum in turn, as HSET takes them. A datum whose value is None is left out."""
    return [text for key, value in data.items() if value is not None for text in (field_of(key), value.encode())]


def merge_arguments(changes: Data) -> list[Argument]:
    """What a script takes to merge `changes` into a session's data: the limits, what to write, and what to remove."""
    written = fields_of(changes)
    removed = [field_of(key) for key, value in changes.items() if value is None]
    return [MAX_KEYS, MAX_DATA_BYTES, len(written), len(removed), *written, *removed]


class Record:
    """The hash of a session, from its fields and values in turn."""

    __slots__ = ("_data", "_state")

    def __init__(self, fields: Sequence[bytes]) -> None:
        self._state: dict[bytes, bytes] = {}
        self._data: dict[str, str] = {}
        pairs = iter(fields)
        for name, value in zip(pairs, pairs, strict=True):
            if name.startswith(_DATUM):
                self._data[name[len(_DATUM) :].decode()] = value.decode()
            else:
                self._state[name] = value

    def is_alive(self, epoch: bytes | None, now: int) -> bool:
        """Whether it is a session that lost no field, is alive `now` and in the `epoch` of its partition."""
        state = self._state
        if not state.keys() >= _REQUIRED or b"closed" in state or state[b"epoch"] != epoch:
            return False
        return now <= self.used + int(state[b"ttl"]) and now <= int(state.get(b"ends", now))

    def is_of(self, id: str) -> bool:
        """Whether it is a session of the user `id`."""
        return self._state.get(b"id") == id.encode()

    @property
    def used(self) -> int:
        """The time of the last use."""
        return int(self._state[b"used"])

    def session(self, now: int, handle: str | None, *, rotated: bool = False, closed: bool = False) -> Session:
        """The session as it is `now` (seconds), with details if `handle` is given."""
        state = self._state
        ends = int(state[b"ends"]) if b"ends" in state else None
        no_resave = b"no_resave" in state
        details = None
        if handle is not None:
            created = int(state[b"created"])
            lifetime = None if ends is None or no_resave else ends - created
            details = Details(handle, max(now - created, 0), lifetime)
        return Session(
            id=state[b"id"].decode(),
            r=int(state[b"r"]),
            w=int(state[b"w"]),
            ttl=max(ends - now, 0) if no_resave and ends is not None else int(state[b"ttl"]),
            idle=max(now - self.used, 0),
            ip=state[b"ip"].decode(),
            no_resave=no_resave,
            data=self._data,
            rotated=rotated,
            closed=closed,
            details=details,
        )


def ids_member(id: str, handle: str) -> bytes:
    """A member of `ids`. The id of an anonymous session is empty."""
    return f"{id}\0{handle}".encode()


def user_range(id: str) -> tuple[str, str]:
    """The lexical range of all members of `ids` of one user."""
    return f"[{id}\0", f"({id}\1"


def handle_in_ids(member: bytes) -> str | None:
    """The handle in a member of `ids`, which is `ID NUL HANDLE`. None in a member of another form."""
    return _handle(member[-HANDLE_LENGTH:]) if member[-HANDLE_LENGTH - 1 : -HANDLE_LENGTH] == b"\0" else None


def handle_of_user(member: bytes, id: str) -> str | None:
    """The handle in a member of `ids` of the user `id`. None in a member of another form."""
    handle = handle_in_ids(member)
    return handle if handle is not None and member == ids_member(id, handle) else None


def handle_in_expiry(member: bytes) -> str | None:
    """The handle in a member of `expiry`, which is `HANDLE:ID`. None in a member of another form."""
    return _handle(member[:HANDLE_LENGTH]) if member[HANDLE_LENGTH : HANDLE_LENGTH + 1] == b":" else None


def _handle(text: bytes) -> str | None:
    return text.decode() if len(text) == HANDLE_LENGTH and text.isalnum() else None


def cursors_of(items: Sequence[bytes]) -> list[Cursor]:
    """The cursors in `[handle, time of last use, handle, …]`, without those whose handle has another form."""
    pairs = iter(items)
    return [
        Cursor(last_use(score), handle)
        for text, score in zip(pairs, pairs, strict=True)
        if (handle := _handle(text)) is not None
    ]


def last_use(score: bytes | float | None) -> int:
    """The time of last use in a score of `recent`, or 1 if the index has lost it."""
    # redis-py's cluster client, which follows redirections, makes a float of the score.
    text = b"%d" % score if isinstance(score, float) and score.is_integer() else score
    return int(text) if isinstance(text, bytes) and text.isdigit() else 1
