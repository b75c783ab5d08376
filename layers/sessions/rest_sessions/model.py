"""The values that travel between HTTP and the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from json.encoder import encode_basestring
from typing import NamedTuple

# A text as a JSON string. Only what JSON requires is escaped.
json_string = encode_basestring

# Data of a session to write: each key with the JSON text of its value, or None for null.
Data = Mapping[str, str | None]


@dataclass(frozen=True)
class Session:
    """One live session, as a client sees it.

    `r` and `w` count reads and writes. `ttl` and `idle` are seconds. With `no_resave` the session ends at a fixed time,
    and `ttl` is the time that is left. `data` maps each key to the JSON text of its value, in which numbers have the
    digits that the client sent.
    """

    id: str
    r: int
    w: int
    ttl: int
    idle: int
    ip: str
    no_resave: bool = False
    data: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def json(self) -> str:
        """The session as a JSON object, with `data` under `d`."""
        text = (
            f'{{"id":{json_string(self.id)},"r":{self.r},"w":{self.w},'
            f'"ttl":{self.ttl},"idle":{self.idle},"ip":{json_string(self.ip)}'
        )
        if self.no_resave:
            text += ',"no_resave":true'
        if self.data:
            members = ",".join(f"{json_string(key)}:{value}" for key, value in self.data.items())
            text += f',"d":{{{members}}}'
        return text + "}"


class Cursor(NamedTuple):
    """A place in a listing: directly after the session of this `handle`, which was last used at this time.

    A listing runs from the most recently used session to the least, and so from the greatest cursor to the smallest.
    Only a user's listing that is too long to be sorted runs by handle: the time in its cursors is 0.
    """

    last_used: int
    handle: str

    def __str__(self) -> str:
        return f"{self.last_used}-{self.handle}"


@dataclass(frozen=True)
class Page:
    """Part of a listing. `next` is the cursor of the following page, or None on the last page."""

    sessions: Sequence[Session]
    next: Cursor | None = None
