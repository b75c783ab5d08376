"""The values that travel between HTTP and the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import NamedTuple


def json_string(text: str) -> str:
    """`text` as a JSON string that UTF-8 can carry: a lone surrogate stays escaped, as it came."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return encode_basestring_ascii(text)
    return encode_basestring(text)


@dataclass(frozen=True)
class Session:
    """One live session, as a client sees it.

    `r` and `w` count reads and writes, `ttl` and `idle` are seconds. With `no_resave` the session ends at a fixed
    time, and `ttl` is what is left of it. `data` maps each key to its value's JSON text, which is kept as the client
    sent it and never decoded.
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
        """The session as a JSON object, its `data` under `d`."""
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


class Position(NamedTuple):
    """A place in a listing, which runs from the most recently used session to the least: after this one."""

    used: int
    handle: str

    def __str__(self) -> str:
        return f"{self.used}-{self.handle}"


@dataclass(frozen=True)
class Page:
    """Part of a listing; `next` is where the rest begins, or None at its end."""

    sessions: Sequence[Session]
    next: Position | None = None
