"""The names of all Redis keys.

The braces in a key are a Redis Cluster hash tag: only the text between them picks the slot. So all keys of one
partition are in one slot, and one script may use them together.
See https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
"""

from dataclasses import dataclass
from zlib import crc32

PARTITIONS = 16


@dataclass(frozen=True)
class Partition:
    """The keys of one of the 16 partitions of an app."""

    prefix: str

    @property
    def epoch(self) -> str:
        """String: what each live session repeats. `killall` makes another one, and so ends all sessions at once."""
        return f"{self.prefix}:epoch"

    @property
    def ids(self) -> str:
        """Sorted set, all scores 0: `ID NUL HANDLE`. A user's sessions are one lexical range."""
        return f"{self.prefix}:ids"

    @property
    def users(self) -> str:
        """Sorted set by last use: the ids."""
        return f"{self.prefix}:users"

    @property
    def recent(self) -> str:
        """Sorted set by last use: the handles."""
        return f"{self.prefix}:recent"

    @property
    def expiry(self) -> str:
        """Sorted set by expiry time: `HANDLE:ID`."""
        return f"{self.prefix}:expiry"

    @property
    def closed(self) -> str:
        """Sorted set by the time until when they are kept: `HANDLE:ID` of the sessions that a login has closed."""
        return f"{self.prefix}:closed"

    @property
    def killed(self) -> str:
        """Hash: for each epoch that a `killall` has made, how many sessions it ended, and when."""
        return f"{self.prefix}:killed"

    def aside(self, epoch: str) -> str:
        """The `ids` of the sessions that the `killall` which made this epoch has ended, until the sweep clears them."""
        return f"{self.prefix}:killed:{epoch}"

    @property
    def index(self) -> list[str]:
        """The epoch and the sorted sets of live sessions, in the order in which every script takes them."""
        return [self.epoch, self.ids, self.users, self.recent, self.expiry]

    def session(self, handle: str) -> str:
        """Hash: one session."""
        return f"{self.prefix}:s:{handle}"


@dataclass(frozen=True)
class Keyspace:
    """All keys under one namespace."""

    namespace: str

    @property
    def apps(self) -> str:
        """Set: the apps that the sweep visits."""
        return f"{self.namespace}:apps"

    def partition(self, app: str, number: int) -> Partition:
        """One partition of `app`, by its number from 0 to 15."""
        return Partition(f"{self.namespace}:{{{app}:{number:x}}}")

    def partitions(self, app: str) -> list[Partition]:
        """All partitions of `app`."""
        return [self.partition(app, number) for number in range(PARTITIONS)]


def partition_number_of_id(id: str) -> int:
    """The number of the partition that holds all sessions of the user `id`."""
    return crc32(id.encode()) % PARTITIONS
