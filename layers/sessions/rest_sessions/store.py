"""The session store: the operations of the API, over the Lua scripts.

An app's data lives in 16 partitions. All sessions of a user are in one of them, so what concerns a session or a user
is atomic; what concerns an app asks all 16 in one round trip.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter

from .client import Client
from .keys import Keyspace, Partition, partition_of
from .model import Page, Position, Session
from .scripts import ScriptCall, call
from .tokens import HANDLE_LENGTH, handle_of, new_token
from .tokens import partition_of as partition_of_token
from .validation import DEFAULT_TTL, MAX_DATA_BYTES, MAX_KEYS, check_size

# Lambda takes an answer of 6 MB at most, counted after the body became a JSON string; this leaves room for the rest.
MAX_LISTING_BYTES = 5_000_000

# How much one script finds or reads at most, and all scripts of a round trip kill, as Redis serves nobody else until it
# is through with them. A listing that fits into one answer needs only one look at the app's index.
_KILLED_AT_ONCE = 128
_ID_INDEX_BATCH = 1000
_APP_INDEX_BATCH = 5000
_READ_BATCH = 500
_READ_BATCH_BYTES = 500_000

_DATUM = "d:"


class SessionStore:
    """Sessions in Redis.

    `clock` gives the time in seconds since the epoch; the store counts whole seconds of it. Arguments are taken as
    valid: `validation` has the rules. Every method raises StoreUnavailable when Redis does not answer.

    The keys of an app's partition `p` and the commands on them are described in docs/schema.md.
    """

    def __init__(self, client: Client, namespace: str = "rs", clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._keys = Keyspace(namespace)
        self._clock = clock

    def ping(self) -> str:
        """`PONG`, from Redis itself."""
        [reply] = self._client.run(("PING",))
        return "PONG" if reply in (True, b"PONG") else str(reply)

    def create_session(
        self,
        app: str,
        id: str,
        ip: str,
        ttl: int = DEFAULT_TTL,
        no_resave: bool = False,
        data: Mapping[str, str | None] | None = None,
    ) -> str:
        """The token of a new session. `data` maps keys to JSON texts; what is None is left out."""
        number = partition_of(id)
        token = new_token(number)
        handle = handle_of(token)
        partition = self._keys.partition(app, number)
        fields = _fields({key: value for key, value in (data or {}).items() if value is not None})
        # The app is noted after the session is there, so that a sweep which forgets the app meanwhile sees it.
        self._client.run(
            call(
                "create_session",
                [*partition.index, partition.session(handle)],
                handle,
                self._now(),
                id,
                ip,
                ttl,
                int(no_resave),
                *fields,
            ),
            ("SADD", self._keys.apps, app),
        )
        return token

    def get_session(self, app: str, token: str) -> Session | None:
        """The session as it was before this read, which counts and starts its time anew; None if it is missing."""
        now = self._now()
        [reply] = self._client.run(self._call_on_session("get_session", app, token, now))
        return _session(reply, now) if reply else None

    def set_session(self, app: str, token: str, changes: Mapping[str, str | None]) -> Session | None:
        """The session after `changes`; None if it is missing. They map keys to JSON texts or, to remove a key, None.

        Raises TooLarge, and changes nothing, when its data would be over a limit.
        """
        now = self._now()
        written = _fields({key: value for key, value in changes.items() if value is not None})
        removed = [_field(key) for key, value in changes.items() if value is None]
        limits = (MAX_KEYS, MAX_DATA_BYTES)
        [reply] = self._client.run(
            self._call_on_session("set_session", app, token, now, *limits, len(written), *written, *removed)
        )
        if reply is None:
            return None
        if isinstance(reply[0], int):
            check_size(*reply)
        before = _session(reply, now)
        data = {key: value for key, value in {**before.data, **changes}.items() if value is not None}
        return replace(before, w=before.w + 1, data=data)

    def kill_session(self, app: str, token: str) -> int:
        """1 if the session was alive, else 0."""
        [killed] = self._client.run(self._call_on_session("kill_session", app, token, self._now()))
        return int(killed)

    def list_sessions_of_id(self, app: str, id: str, limit: int | None = None, after: Position | None = None) -> Page:
        """The sessions of one user, most recently used first; for the rest see `list_sessions_of_app`."""
        partition = self._keys.partition(app, partition_of(id))
        found: list[Position] = []
        while True:
            start = found[-1].handle if found else ""
            [reply] = self._client.run(
                call("list_sessions_of_id", [partition.ids, partition.recent], id, start, _ID_INDEX_BATCH)
            )
            positions = _positions(reply)
            found += positions
            if len(positions) < _ID_INDEX_BATCH:
                break
        listed = sorted((position for position in found if after is None or position < after), reverse=True)
        return self._page(((position, partition) for position in listed), limit)

    def list_sessions_of_app(self, app: str, dt: int, limit: int | None = None, after: Position | None = None) -> Page:
        """The sessions that were used in the last `dt` seconds, most recently used first, from `after` on.

        This is no use of them: it changes neither counters nor times. The page ends after `limit` sessions, or before
        it grows past MAX_LISTING_BYTES, and then says in `next` where the rest begins.
        """
        batch = min(limit + 1, _APP_INDEX_BATCH) if limit else _APP_INDEX_BATCH
        return self._page(self._recently_used(app, self._now() - dt, after, batch), limit)

    def kill_sessions_of_id(self, app: str, id: str) -> int:
        """How many live sessions of the user were killed."""
        partition = self._keys.partition(app, partition_of(id))
        return self._kill_all([(partition, f"[{id}\0")], f"({id}\1")

    def kill_sessions_of_app(self, app: str) -> int:
        """How many live sessions of the app were killed: all that existed when this began, in bounded batches.

        A session that is created meanwhile is either killed as well, or stays and is listed.
        """
        return self._kill_all([(partition, "-") for partition in self._keys.partitions(app)], "+")

    def count_active_users(self, app: str, dt: int) -> int:
        """How many users used a session in the last `dt` seconds and have not been logged out of all since."""
        since = max(self._now() - dt, 0)
        commands = [("ZCOUNT", partition.users, since, "+inf") for partition in self._keys.partitions(app)]
        return sum(self._client.run(*commands))

    def count_active_users_of_all_apps(self, dt: int) -> int:
        """The sum of `count_active_users` of each app."""
        return sum(self.count_active_users(app, dt) for app in self._apps())

    def sweep_expired(self, may_go_on: Callable[[], bool] = lambda: True) -> int:
        """How many expired sessions were removed, of all apps, in bounded batches while `may_go_on()`."""
        removed = 0
        for app in self._apps():
            if not may_go_on():
                break
            partitions = self._keys.partitions(app)
            while partitions and may_go_on():
                now = self._now()
                batch_size = _KILLED_AT_ONCE // len(partitions)
                expired = self._client.run(
                    *(
                        ("ZRANGEBYSCORE", partition.expiry, "-inf", f"({now}", "LIMIT", 0, batch_size)
                        for partition in partitions
                    )
                )
                batches = [batch for batch in zip(partitions, expired, strict=True) if batch[1]]
                if batches:
                    removed += sum(self._client.run(*(_sweep_call(*batch, now) for batch in batches)))
                partitions = [partition for partition, members in batches if len(members) == batch_size]
            self._forget_empty_app(app)
        return removed

    def _apps(self) -> list[str]:
        [names] = self._client.run(("SMEMBERS", self._keys.apps))
        return sorted(name.decode() for name in names)

    def _forget_empty_app(self, app: str) -> None:
        sizes = [("ZCARD", partition.expiry) for partition in self._keys.partitions(app)]
        if not any(self._client.run(*sizes)):
            self._client.run(("SREM", self._keys.apps, app))
            # A session created since the first look may have noted the app before it was forgotten.
            if any(self._client.run(*sizes)):
                self._client.run(("SADD", self._keys.apps, app))

    def _kill_all(self, starts: Sequence[tuple[Partition, str]], end: str) -> int:
        """Walks `ids` of each partition from its start to `end`, once, and kills what it meets."""
        killed = 0
        while starts:
            batch_size = _KILLED_AT_ONCE // len(starts)
            found = self._client.run(
                *(("ZRANGEBYLEX", partition.ids, start, end, "LIMIT", 0, batch_size) for partition, start in starts)
            )
            batches = [(partition, members) for (partition, _), members in zip(starts, found, strict=True) if members]
            if batches:
                now = self._now()
                killed += sum(self._client.run(*(_kill_call(*batch, now) for batch in batches)))
            starts = [(partition, b"(" + members[-1]) for partition, members in batches if len(members) == batch_size]
        return killed

    def _recently_used(
        self, app: str, since: int, after: Position | None, batch: int
    ) -> Iterator[tuple[Position, Partition]]:
        """The app's sessions used since then, most recent first, from up to `batch` of each partition at once."""
        partitions = self._keys.partitions(app)
        while True:
            start = (after.used, after.handle) if after else ("", "")
            replies = self._client.run(
                *(call("list_sessions_of_app", [partition.recent], *start, batch) for partition in partitions)
            )
            found = [_positions(reply) for reply in replies]
            entries = [
                (position, partition)
                for partition, positions in zip(partitions, found, strict=True)
                for position in positions
            ]
            # What lies after the end of a partition's full batch may have neighbours that were not given yet.
            known_to = max((positions[-1] for positions in found if len(positions) == batch), default=None)
            for position, partition in sorted(entries, key=itemgetter(0), reverse=True):
                if known_to is not None and position < known_to:
                    break
                if position.used < since:
                    return
                yield position, partition
            if known_to is None:
                return
            # The first batch was not enough, as where many expired and were not swept yet.
            after, batch = known_to, _APP_INDEX_BATCH

    def _page(self, listed: Iterator[tuple[Position, Partition]], limit: int | None) -> Page:
        sessions: list[Session] = []
        size = 0
        last = None
        batch = min(limit + 1, _READ_BATCH) if limit else _READ_BATCH
        while entries := list(islice(listed, batch)):
            batch = _READ_BATCH
            for position, session in self._read(entries):
                size += _size_in_answer(session.json)
                if len(sessions) == limit or size > MAX_LISTING_BYTES:
                    return Page(sessions, last)
                sessions.append(session)
                last = position
        return Page(sessions)

    def _read(self, entries: Sequence[tuple[Position, Partition]]) -> Iterator[tuple[Position, Session]]:
        """Those of `entries` that are alive, in their order."""
        now = self._now()
        replies: dict[str, list[bytes]] = {}
        given = 0
        while given < len(entries):
            handles: dict[Partition, list[str]] = {}
            for position, partition in entries[given:]:
                if position.handle not in replies:
                    handles.setdefault(partition, []).append(position.handle)
            read = self._client.run(
                *(
                    call("read_sessions", [partition.session(handle) for handle in wanted], now, _READ_BATCH_BYTES)
                    for partition, wanted in handles.items()
                )
            )
            for wanted, reply in zip(handles.values(), read, strict=True):
                replies.update(zip(wanted, reply, strict=False))
            for position, _ in entries[given:]:
                if position.handle not in replies:
                    break
                given += 1
                if fields := replies[position.handle]:
                    yield position, _session(fields, now)

    def _call_on_session(self, name: str, app: str, token: str, *args: str | bytes | int) -> ScriptCall:
        partition = self._keys.partition(app, partition_of_token(token))
        handle = handle_of(token)
        return call(name, [*partition.index, partition.session(handle)], handle, *args)

    def _now(self) -> int:
        return int(self._clock())


def _kill_call(partition: Partition, members: Sequence[bytes], now: int) -> ScriptCall:
    handles = [member[-HANDLE_LENGTH:].decode() for member in members]
    return call("kill_sessions", [*partition.index, *map(partition.session, handles)], now, *members)


def _sweep_call(partition: Partition, members: Sequence[bytes], now: int) -> ScriptCall:
    handles = [member[:HANDLE_LENGTH].decode() for member in members]
    return call("sweep_expired", [*partition.index, *map(partition.session, handles)], now, *members)


def _positions(reply: Sequence[bytes]) -> list[Position]:
    """From `[handle, time of last use, handle, …]`."""
    pairs = iter(reply)
    return [Position(int(used), handle.decode()) for handle, used in zip(pairs, pairs, strict=True)]


def _size_in_answer(text: str) -> int:
    # Lambda's answer is JSON that holds the body as a string.
    return len(text) + text.count('"') + text.count("\\") if text.isascii() else len(json.dumps(text))


def _field(key: str) -> bytes:
    # A key may hold a lone surrogate, which JSON can write and plain UTF-8 cannot.
    return f"{_DATUM}{key}".encode(errors="surrogatepass")


def _fields(data: Mapping[str, str]) -> list[bytes]:
    return [text for key, value in data.items() for text in (_field(key), value.encode())]


def _session(fields: Sequence[bytes], now: int) -> Session:
    """The session in a hash's fields and values, as it is `now`."""
    pairs = iter(fields)
    hash = {field.decode(errors="surrogatepass"): value.decode() for field, value in zip(pairs, pairs, strict=True)}
    ends = hash.get("ends")
    return Session(
        id=hash["id"],
        r=int(hash["r"]),
        w=int(hash["w"]),
        ttl=int(hash["ttl"]) if ends is None else max(int(ends) - now, 0),
        idle=max(now - int(hash["used"]), 0),
        ip=hash["ip"],
        no_resave=ends is not None,
        data={field.removeprefix(_DATUM): value for field, value in hash.items() if field.startswith(_DATUM)},
    )
