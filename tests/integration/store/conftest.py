from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rest_sessions.connection.commands import Command
from rest_sessions.store.keys import Keyspace
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import Place, place_of
from tests.conftest import Clock
from tests.leftovers import left_after_sweep
from tests.servers import Server, value_of

# Redis has a clock of its own, which goes on while a test runs.
_TEST_SECONDS = 5


@pytest.fixture
def batches(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Command, ...]]:
    """The commands that `store` sends, one batch for each round trip."""
    run = store._client.run
    sent: list[tuple[Command, ...]] = []

    def watched(*commands: Command, **options: Any) -> list[Any]:
        sent.append(commands)
        return run(*commands, **options)

    monkeypatch.setattr(store._client, "run", watched)
    return sent


class Stored:
    """A look at what Redis holds in the test's namespace."""

    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self._keyspace = Keyspace(namespace)
        self.client = server.connect()

    def everything(self) -> dict[str, tuple[Any, int]]:
        """Each key with its value, and with the time of its expiry in milliseconds, or -1."""
        keys = sorted(self._server.keys(self._namespace))
        return {key: (value_of(self.client, key), self.client.pexpiretime(key)) for key in keys}

    def values(self) -> dict[str, Any]:
        """Each key with its value."""
        return {key: value for key, (value, _) in self.everything().items()}

    def text(self) -> str:
        """All keys and values in one text."""
        return repr(self.values())

    def key(self, app: str, place: Place) -> str:
        """The key of the session, pointer or mark at `place`."""
        return self._keyspace.partition(app, place.partition).session(place.handle)

    def home(self, app: str, token: str) -> Place:
        """Where the session of `token` is, also behind a pointer."""
        place = place_of(token)
        return Place(int(self.fields(app, place).get(b"to", b"%x" % place.partition), 16), place.handle)

    def fields(self, app: str, place: Place) -> dict[bytes, bytes]:
        """The hash at `place`, empty if there is none."""
        return self.client.hgetall(self.key(app, place))

    def lasts(self, app: str, place: Place, seconds: int) -> bool:
        """Whether Redis drops what is at `place` in so many seconds from now."""
        return seconds - _TEST_SECONDS < self.client.ttl(self.key(app, place)) <= seconds

    def entries(self, text: str) -> dict[str, float]:
        """The entries of the index whose member contains `text`: the score by the name of the sorted set."""
        return {
            key.rpartition(":")[2]: score
            for key, value in self.values().items()
            if isinstance(value, list)
            for member, score in value
            if text.encode() in member
        }

    def unswept(self) -> set[str]:
        """What would stay for ever: hashes without an expiry, and index entries that the sweep does not find."""
        everything = self.everything()
        found = {key for key, (value, expiry) in everything.items() if isinstance(value, dict) and expiry < 0}
        for key, (value, _) in everything.items():
            prefix, _, name = key.rpartition(":")
            if name in ("ids", "recent"):
                to_sweep = {
                    member[:22]
                    for place in ("expiry", "closed")
                    for member, _ in everything.get(f"{prefix}:{place}", ([], -1))[0]
                }
                found |= {f"{key} {member!r}" for member, _ in value if member[-22:] not in to_sweep}
        return found


@pytest.fixture
def stored(server: Server, namespace: str) -> Iterator[Stored]:
    stored = Stored(server, namespace)
    yield stored
    stored.client.close()


@pytest.fixture
def left(store: SessionStore, server: Server, namespace: str, clock: Clock) -> Callable[[], set[str]]:
    """Returns the keys that are left after a sweep a minute later."""
    return lambda: left_after_sweep(store, server, namespace, clock)
