"""`rest-sessions-import`: copies the sessions of a redis-sessions store, so that nobody has to log in again.

What redis-sessions 3 and 4 keep in Redis, for a namespace `rs`:

    rs:SESSIONS            ZSET  app:token:id, by when the session ends
    rs:{app}:_sessions     ZSET  token:id, by when the session was last used
    rs:{app}:{token}       HASH  id, ip, ttl, la (when it was last used), d (its data as JSON), no_resave

The store is only read: by ZCARD, ZSCAN, HMGET and INFO.
"""

import argparse
import io
import json
import re
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from rest_sessions_client.client import Client
from rest_sessions_client.errors import (
    ApiError,
    ConfigurationError,
    Forbidden,
    InvalidFormat,
    InvalidJson,
    InvalidValue,
    RestSessionsError,
    TokenInUse,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from rest_sessions_client.state import accepted

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

# How many sessions are read from Redis at once, and how many wait for one of the workers.
_BATCH = 100
_WORKERS = 16
_WAITING = 4 * _WORKERS
_TIMEOUT = 10
# A short outage is waited out: the seconds between the tries.
_PAUSES: tuple[float, ...] = (1, 2, 4, 8)
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 40
_INTERRUPTED = 130

_APP = re.compile(r"[A-Za-z0-9_-]{3,20}")
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
# The API takes no larger body. What has more characters than this has more bytes too.
_MAX_DATA = 262_144
_FIELDS = ("id", "ip", "ttl", "la", "d", "no_resave")

IMPORTED, ALREADY_THERE, EXPIRED = "imported", "already there", "expired"

BAD_APP = "The API does not take the app's name"
BAD_TOKEN = "The API does not take the token: these users must log in again"  # noqa: S105
RESERVED_TOKEN = "The token begins with Z, which the service keeps for its own: these users must log in again"  # noqa: S105
BAD_ID = "The API does not take the user id or the address: see docs/clients.md"
BAD_DATA = "The API does not take the data: half a surrogate pair, a key with a control character, or nested too deep"
TOO_LARGE = "The data is too large for the API"
DAMAGED = "It is damaged in Redis"
# The API's own messages quote what they refuse, or tell where it is.
_REASONS: dict[type[ApiError], str] = {
    InvalidFormat: BAD_ID,
    InvalidValue: BAD_DATA,
    InvalidJson: BAD_DATA,
    TooLarge: TOO_LARGE,
}


class Restarted(Exception):
    """Redis was started again while it was read."""


class Skipped(Exception):
    """A session cannot be copied. The message is the reason, the same for all such sessions."""


class Expired(Exception):
    """A session has expired, or was ended since it was listed."""


@dataclass(frozen=True)
class OldSession:
    """A session as redis-sessions keeps it: `fields` are those of its hash, None for one that is missing.

    Without `fields`, what Redis keeps there is no hash.
    """

    app: str
    token: str = field(repr=False)
    fields: Mapping[str, str | None] | None = field(repr=False)


class OldStore:
    """The store of redis-sessions in a Redis."""

    def __init__(self, redis: "Redis", namespace: str, app: str | None, stopped: threading.Event) -> None:
        """Of all apps, or only of `app`. When `stopped` is set, an outage of Redis is no longer waited out."""
        self._redis = redis
        self._namespace = namespace
        self._app = app
        self._index = f"{namespace}:SESSIONS" if app is None else f"{namespace}:{app}:_sessions"
        self._stopped = stopped

    def __len__(self) -> int:
        """How many sessions the index has, also expired ones."""
        return int(self._redis.zcard(self._index))

    def sessions(self) -> Iterator[OldSession]:
        """All sessions. Raises Restarted at the end if some may be missing."""
        process = self._process()
        cursor = 0
        while True:
            cursor, entries = self._ask(lambda start=cursor: self._redis.zscan(self._index, start, count=_BATCH))
            # A small index comes as a whole, and one that Redis enlarges meanwhile may tell a member twice.
            members = list(dict.fromkeys(member for member, _ in entries))
            for first in range(0, len(members), _BATCH):
                yield from self._read([self._parse(member) for member in members[first : first + _BATCH]])
            if cursor == 0:
                break
        if self._process() != process:
            # Each process has an order of its own, so that a cursor of another one leads past some sessions.
            raise Restarted

    def _parse(self, member: str) -> tuple[str, str]:
        """App and token of a member of the index. The id behind them may contain a colon."""
        app, _, rest = (member if self._app is None else f"{self._app}:{member}").partition(":")
        return app, rest.partition(":")[0]

    def _read(self, places: list[tuple[str, str]]) -> list[OldSession]:
        pipeline = self._redis.pipeline(transaction=False)

        def read() -> list[Any]:
            for app, token in places:
                pipeline.hmget(f"{self._namespace}:{app}:{token}", _FIELDS)
            # The message of an error that it raised would quote the command, with the token.
            return pipeline.execute(raise_on_error=False)

        return [
            OldSession(app, token, self._fields(values))
            for (app, token), values in zip(places, self._ask(read), strict=True)
        ]

    @staticmethod
    def _fields(values: Any) -> Mapping[str, str | None] | None:
        if not isinstance(values, Exception):
            return dict(zip(_FIELDS, values, strict=True))
        if str(values).startswith("WRONGTYPE"):
            return None
        raise values

    def _process(self) -> object:
        """What tells one process of Redis from another. None for a user who may not ask."""
        from redis.exceptions import ResponseError  # noqa: PLC0415 - only this command needs it

        try:
            return self._ask(lambda: self._redis.info("server")).get("run_id")
        except ResponseError:
            return None

    def _ask(self, question: Callable[[], T]) -> T:
        from redis.exceptions import ConnectionError, TimeoutError  # noqa: PLC0415 - only this command needs them

        return _patiently(question, (ConnectionError, TimeoutError), self._stopped)


def _patiently(call: Callable[[], T], outage: type[Exception] | tuple[type[Exception], ...], stopped: threading.Event) -> T:
    """Calls, and again after a pause if there was an outage, unless the import was stopped meanwhile."""
    for pause in _PAUSES:
        try:
            return call()
        except outage:
            if stopped.wait(pause):
                raise
    return call()


def arguments_of_create(session: OldSession, now: float) -> dict[str, Any]:
    """The arguments of `Client.create` that make the same session.

    Raises Expired or Skipped, or a ValueError or a RecursionError if the session is damaged.
    """
    fields = session.fields
    if fields is None:
        raise Skipped(DAMAGED)
    if fields["id"] is None:
        raise Expired
    ttl = float(fields["ttl"] or "nan")
    # The clocks of two servers may differ.
    remaining = min(ttl, ttl - int(now) + float(fields["la"] or "nan"))
    if remaining < 0:
        raise Expired
    if not _TOKEN.fullmatch(session.token):
        raise Skipped(BAD_TOKEN)
    if session.token.startswith("Z"):
        raise Skipped(RESERVED_TOKEN)
    text = fields["d"] or "{}"
    if len(text) > _MAX_DATA:
        raise Skipped(TOO_LARGE)
    data = json.loads(text)
    if not isinstance(data, dict):
        raise Skipped(DAMAGED)
    return {
        "id": fields["id"],
        "ip": fields["ip"] or "",
        "ttl": accepted(remaining),
        "no_resave": fields["no_resave"] == "1",
        "data": data,
        "token": session.token,
    }


class Import:
    """A run of the import: what became of the sessions so far."""

    def __init__(self, url: str | None, key: str | None) -> None:
        self.stopped = threading.Event()
        self.counts: Counter[str] = Counter()
        # How many were skipped for each reason, and some of them.
        self.skipped: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)
        self._url = url
        self._key = key
        self._clients: dict[str, Client] = {}

    def run(self, store: OldStore, progress: Any) -> None:
        """Copies all sessions, and moves the progress bar. Raises errors of Redis and of the service."""
        # In the order of the index. The queue is bounded, so that memory does not grow with the store.
        waiting: deque[tuple[OldSession, Future[str]]] = deque()
        pool = ThreadPoolExecutor(_WORKERS)
        try:
            for session in store.sessions():
                waiting.append((session, pool.submit(self._copy, session, self._client(session.app))))
                if len(waiting) == _WAITING:
                    self._count(*waiting[0])
                    waiting.popleft()
                    progress.update()
            while waiting:
                self._count(*waiting[0])
                waiting.popleft()
                progress.update()
        finally:
            self.stopped.set()
            # Waits for the calls that run.
            pool.shutdown(cancel_futures=True)
            for session, future in waiting:
                if not future.cancelled() and (future.exception() is None or isinstance(future.exception(), Skipped)):
                    self._count(session, future)
            for client in self._clients.values():
                client.close()

    def _client(self, app: str) -> Client | None:
        """The client of an app, for all threads. None if the API does not take the app's name."""
        if app not in self._clients:
            if not _APP.fullmatch(app):
                return None
            self._clients[app] = Client(self._url, app, self._key, _TIMEOUT)
        return self._clients[app]

    def _copy(self, session: OldSession, client: Client | None) -> str:
        """Returns what became of the session. Raises Skipped, or the error that stops the import."""
        if client is None:
            raise Skipped(BAD_APP)
        try:
            arguments = arguments_of_create(session, time.time())
            _patiently(lambda: client.create(**arguments), Unavailable, self.stopped)
        except Expired:
            return EXPIRED
        except TokenInUse:
            # An earlier run has copied it, and it may have changed or ended since.
            return ALREADY_THERE
        except (Unavailable, Unauthorized, Forbidden, UnexpectedAnswer):
            raise
        except ApiError as error:
            raise Skipped(_REASONS.get(type(error), str(error))) from None
        except (ValueError, RecursionError):
            # Python reads NaN, or what nests deeper than it can write.
            raise Skipped(DAMAGED) from None
        return IMPORTED

    def _count(self, session: OldSession, copying: Future[str]) -> None:
        try:
            self.counts[copying.result()] += 1
        except Skipped as skipped:
            reason = str(skipped)
            self.skipped[reason] += 1
            if self.skipped[reason] <= _EXAMPLES:
                id = str(session.fields and session.fields["id"])[:_EXAMPLE_CHARACTERS]
                # As a Python text, so that an id cannot control the terminal.
                self._examples[reason].append(f"{session.app[:_EXAMPLE_CHARACTERS]!r} {id!r}")
