"""Who sends a request, and what they may do."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

# The operations that a key may be allowed. Each is the first word in its route's path that is no parameter.
Operation = Literal[
    "create",
    "get",
    "set",
    "touch",
    "rotate",
    "kill",
    "soid",
    "killsoid",
    "soapp",
    "killall",
    "activity",
    "apps",
]
OPERATIONS: tuple[str, ...] = get_args(Operation)

# In place of a list: every app, or every operation.
EVERYTHING = "*"

_SEPARATOR = ","


@dataclass(frozen=True)
class Principal:
    """The owner of a key: its `name`, the `apps` it may use and the operations it is allowed there.

    `*` in either set stands for all.
    """

    name: str
    apps: frozenset[str]
    allow: frozenset[str]

    @classmethod
    def unrestricted(cls, name: str) -> "Principal":
        """A principal whose rights are decided elsewhere."""
        return cls(name, frozenset({EVERYTHING}), frozenset({EVERYTHING}))

    def to_context(self) -> dict[str, str]:
        """The principal as an authorizer's context: flat, so that access logs can show each part of it."""
        return {
            "name": self.name,
            "apps": _SEPARATOR.join(sorted(self.apps)),
            "allow": _SEPARATOR.join(sorted(self.allow)),
        }

    @classmethod
    def from_context(cls, context: Any) -> "Principal | None":
        """The principal that `to_context` described. None for anything else."""
        match context:
            case {"name": str(name), "apps": str(apps), "allow": str(allow)}:
                return _principal(name, apps, allow)
        return None

    def may(self, operation: str, app: str | None) -> bool:
        """Whether the principal is allowed `operation` in `app`, or in any app if that is None."""
        return (app is None or self.sees(app)) and bool(self.allow & {operation, EVERYTHING})

    def sees(self, app: str) -> bool:
        """Whether the principal may use `app`."""
        return bool(self.apps & {app, EVERYTHING})


# All requests come from few principals, so their objects are cached.
@lru_cache(maxsize=64)
def _principal(name: str, apps: str, allow: str) -> Principal:
    return Principal(name, frozenset(apps.split(_SEPARATOR)), frozenset(allow.split(_SEPARATOR)))
