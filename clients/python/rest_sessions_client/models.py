"""What the operations return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Session:
    """A session as the API shows it.

    `id` is the user, None in an anonymous session. `r` and `w` count reads and writes. `ttl` is the idle timeout,
    `idle` the time since the use before this one, both in seconds. `data` is empty in an answer without data.
    """

    id: str | None
    r: int
    w: int
    ttl: int
    idle: int
    ip: str
    data: dict[str, Any] = field(repr=False)
    # The session ends `ttl` seconds after its creation; `ttl` is the time that is left.
    no_resave: bool = False
    # The token is the one before the last rotation: `rotate` gives the new one.
    rotated: bool = False
    # A login has closed the session. It can still be read for some seconds, and not be changed.
    closed: bool = False
    # With `details` only. The handle names the session in a page: nobody can use the session with it.
    handle: str | None = None
    # Seconds since the creation.
    age: int | None = None
    # The absolute timeout in seconds, if the session has one.
    lifetime: int | None = None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Reads a session in an answer of the API. Ignores members that are newer than this client."""
        members = {name: value for name, value in answer.items() if name in cls.__dataclass_fields__ and name != "data"}
        return cls(**{"id": None, **members}, data=answer.get("d", {}))


@dataclass(frozen=True)
class Created:
    """A new session. `from_` and `kill` are None unless `from_` and `max` were sent."""

    token: str = field(repr=False)
    # With `details` only.
    handle: str | None = None
    # 1 if the session took over the data of that of `from_`, 0 if that one was missing.
    from_: int | None = None
    # How many sessions `max` ended.
    kill: int | None = None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Reads the answer of `create`."""
        return cls(answer["token"], answer.get("handle"), answer.get("from"), answer.get("kill"))


@dataclass(frozen=True)
class App:
    """An app, with how many sessions and users it has."""

    app: str
    sessions: int
    users: int

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Reads an app in the answer of `apps`."""
        return cls(answer["app"], answer["sessions"], answer["users"])
