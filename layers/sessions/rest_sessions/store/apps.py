"""The list of apps: those that have sessions, for the sweep and for `apps`."""

from contextlib import suppress

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import PlainCommand
from rest_sessions.errors import StoreUnavailable

from .keys import Keyspace
from .replies import number_of

# A process adds an app at most this often, unless it has created the first session of a partition.
_NOTE_SECONDS = 300


class AppList:
    """The set of apps. An app is on it while one of its partitions has an epoch, and a little longer."""

    def __init__(self, client: Client, keys: Keyspace) -> None:
        self._client = client
        self._keys = keys
        # When this process last added each app.
        self._added: dict[str, int] = {}

    def command(self, app: str) -> PlainCommand:
        """The command that adds an app."""
        return ("SADD", self._keys.apps, app)

    def is_due(self, app: str, now: int) -> bool:
        """Whether it is time for this process to add the app again."""
        return now - self._added.get(app, 0) >= _NOTE_SECONDS

    def added(self, app: str, now: int) -> None:
        """Notes that this process has just added the app."""
        self._added[app] = now

    def add(self, app: str, now: int) -> None:
        """Adds an app whose first session was just created. Raises StoreUnavailable."""
        # If this fails, the next use of a session makes up for it.
        self._added.pop(app, None)
        self._client.run(self.command(app))
        self.added(app, now)

    def add_if_due(self, app: str, now: int) -> None:
        """Adds the app of a session that was just used, from time to time."""
        if self.is_due(app, now):
            self.added(app, now)
            # Redis may have evicted the list, and without it nothing sweeps the app. The session has been used already,
            # so the answer does not depend on this. If it fails, the next attempt follows in _NOTE_SECONDS.
            with suppress(StoreUnavailable):
                self._client.run(self.command(app))

    def remove_if_unused(self, app: str) -> None:
        """Takes an app off the list, unless it has sessions again."""
        epochs = [("EXISTS", partition.epoch) for partition in self._keys.partitions(app)]
        self._client.run(("SREM", self._keys.apps, app))
        # A `create` before SREM may have added the app, and one after this look will.
        if any(map(number_of, self._client.run(*epochs))):
            self._client.run(self.command(app))
