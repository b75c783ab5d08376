"""The values that travel between HTTP and the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from .limits import DEFAULT_LOGIN_GRACE, DEFAULT_TTL

# A text as a JSON string. Only what JSON requires is escaped.
json_string = encode_basestring

# Data of a session to write: each key with the JSON text of its value, or None for null.
Data = Mapping[str, str | None]


class Timeouts(NamedTuple):
    """When a session ends: after `ttl` seconds without a use, and at the latest `lifetime` seconds after its creation.

    With `no_resave` it ends `ttl` seconds after its creation, whatever its use.
    """

    ttl: int = DEFAULT_TTL
    lifetime: int | None = None
    no_resave: bool = False

    @property
    def fixed(self) -> int | None:
        """The seconds from the creation to the fixed end. None if there is no such end."""
        return self.ttl if self.no_resave else self.lifetime


DEFAULT_TIMEOUTS = Timeouts()


class Login(NamedTuple):
    """The session that a login takes over, by its token; and how long `get` still shows it, in seconds."""

    token: str
    grace: int = DEFAULT_LOGIN_GRACE


class Cap(NamedTuple):
    """The most live sessions that a user may have. One more ends those least recently used, or is refused."""

    most: int
    refuses: bool = False


class Devices(NamedTuple):
    """Some of a user's sessions, by handle: `only` this one, or all except `spared`, or all if both are None."""

    only: str | None = None
    spared: str | None = None


ALL_DEVICES = Devices()


@dataclass(frozen=True)
class Created:
    """What `create` answers with.

    `taken_over` tells whether the login found the session that it should take over, and `killed` how many sessions the
    cap ended. They are None without a login or a cap that ends sessions. `handle` is for `details` only.
    """

    token: str
    handle: str
    taken_over: bool | None = None
    killed: int | None = None

    def answer(self, *, details: bool) -> dict[str, Any]:
        """The members of the answer."""
        members: dict[str, Any] = {"token": self.token}
        if details:
            members["handle"] = self.handle
        if self.taken_over is not None:
            members["from"] = int(self.taken_over)
        if self.killed is not None:
            members["kill"] = self.killed
        return members


class Details(NamedTuple):
    """What an answer shows of a session with `details`: `age` and `lifetime` are seconds."""

    handle: str
    age: int
    lifetime: int | None = None


@dataclass
class Session:
    """One session, as a client sees it.

    `id` is empty for an anonymous session. `r` and `w` count reads and writes. `ttl` and `idle` are seconds. With
    `no_resave` the session ends at a fixed time, and `ttl` is the time that is left. `data` maps each key to the JSON
    text of its value, in which numbers have the digits that the client sent. `rotated` means that the caller came with
    the token before the last rotation, `closed` that a login has closed the session.
    """

    id: str
    r: int
    w: int
    ttl: int
    idle: int
    ip: str
    no_resave: bool = False
    data: Mapping[str, str] = field(default_factory=dict)
    rotated: bool = False
    closed: bool = False
    details: Details | None = None

    @cached_property
    def json(self) -> str:
        """The session as a JSON object, with `data` under `d`."""
        text = "{" + (f'"id":{json_string(self.id)},' if self.id else "")
        text += f'"r":{self.r},"w":{self.w},"ttl":{self.ttl},"idle":{self.idle},"ip":{json_string(self.ip)}'
        if self.no_resave:
            text += ',"no_resave":true'
        if self.rotated:
            text += ',"rotated":true'
        if self.closed:
            text += ',"closed":true'
        if self.details:
            text += f',"handle":"{self.details.handle}","age":{self.details.age}'
            if self.details.lifetime is not None:
                text += f',"lifetime":{self.details.lifetime}'
        if self.data:
            members = ",".join(f"{json_string(key)}:{value}" for key, value in self.data.items())
            text += f',"d":{{{members}}}'
        return text + "}"


class App(NamedTuple):
    """An app, and how many sessions and users it has. Both count what has expired until the sweep removes it."""

    name: str
    sessions: int
    users: int


class AppsPage(NamedTuple):
    """Part of the list of apps. `next` is the name after which the following page begins, or None on the last page."""

    apps: Sequence[App]
    next: str | None = None


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
