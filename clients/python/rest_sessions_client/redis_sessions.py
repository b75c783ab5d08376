"""`rest-sessions-import`: copies the sessions of a redis-sessions store, so that nobody has to log in again.

What redis-sessions 3 and 4 keep in Redis, with the namespace `rs`:

    rs:SESSIONS            ZSET  app:token:id, by when the session ends
    rs:{app}:_sessions     ZSET  token:id, by when the session was last used
    rs:{app}:{token}       HASH  id, ip, ttl, la (when it was last used), d (its data as JSON), no_resave

The store is only read: with ZCARD, ZSCAN, HMGET and INFO.
"""

import argparse
import io
import json
import re
import signal
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

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

try:
    from redis import Redis, RedisError, ResponseError
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import TimeoutError as RedisTimeoutError
    from tqdm import tqdm
except ImportError:
    _is_installed = False
else:
    _is_installed = True

T = TypeVar("T")

_WORKERS = 16
# How many sessions are read from Redis at once, and how many are given to the workers before the first is done.
_BATCH = 100
_WAITING = 4 * _WORKERS
_TIMEOUT = 10
# A short outage is waited out: the seconds between the tries.
_PAUSES: tuple[float, ...] = (1, 2, 4, 8)
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 32
_STATUS_OF_CTRL_C = 130
_AGAIN = "Run this again: what is already there is left alone."

_FIELDS = ("id", "ip", "ttl", "la", "d", "no_resave")
_APP = re.compile(r"[A-Za-z0-9_-]{3,20}")
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
# The API takes no body of more bytes, so none of more characters.
_MAX_DATA = 262_144

# What can become of a session. Anything else is the reason why it was skipped.
IMPORTED = "imported"
THERE = "already there"
EXPIRED = "expired"

BAD_APP = "the API does not take the name of the app"
BAD_TOKEN = "the API does not take the token; these users must log in again"  # noqa: S105 - no secret
RESERVED_TOKEN = "the token begins with Z, which the service keeps for its own; these users must log in again"  # noqa: S105
BAD_ID = "the API does not take the user id or the address: a control character, one of / ? %, only dots, or too long"
BAD_DATA = "the API does not take the data: half a surrogate pair, a number or key that others cannot read, or too deep"
TOO_LARGE = "the data is larger than the API takes"
DAMAGED = "it is damaged in Redis"
# The API's own words for these quote what it refuses, or say where in the data it is.
_REASONS: dict[type[ApiError], str] = {
    InvalidFormat: BAD_ID,
    InvalidValue: BAD_DATA,
    InvalidJson: BAD_DATA,
    TooLarge: TOO_LARGE,
}


class NotCopied(Exception):
    """A session is not to be copied, or cannot be. The message is what became of it."""


class Restarted(Exception):
    """Redis was started again while it was read."""

    def __init__(self) -> None:
        super().__init__("Redis was started again meanwhile, so that some sessions may not have been read")


@dataclass(frozen=True)
class OldSession:
    """A session as redis-sessions keeps it.

    `fields` are those of its hash, None for one that is missing. They are None if Redis has something else there.
    """

    app: str
    token: str = field(repr=False)
    fields: dict[str, str | None] | None = field(repr=False)


class OldStore:
    """The store of redis-sessions in a Redis, of all apps or only of `app`."""

    def __init__(self, redis: "Redis", namespace: str, app: str | None, stopped: threading.Event) -> None:
        """When `stopped` is set, an outage of Redis is no longer waited out."""
        self._redis = redis
        self._namespace = namespace
        self._app = app
        self._stopped = stopped
        self._index = f"{namespace}:SESSIONS" if app is None else f"{namespace}:{app}:_sessions"

    def __len__(self) -> int:
        """How many sessions the index has, with those that expired and were not yet removed."""
        return int(self._redis.zcard(self._index))

    def sessions(self) -> Iterator[OldSession]:
        """All sessions. Raises Restarted, at the end, if it may have missed some."""
        process = self._process()
        cursor = None
        while cursor != 0:
            cursor, members = self._members(cursor or 0)
            # A small index comes all at once.
            for first in range(0, len(members), _BATCH):
                yield from self._read([self._parse(member) for member in members[first : first + _BATCH]])
        if self._process() != process:
            # Another process has the members in another order, so a cursor leads past some of them.
            raise Restarted

    def _members(self, cursor: int) -> tuple[int, list[str]]:
        next, entries = self._ask(lambda: self._redis.zscan(self._index, cursor, count=_BATCH))
        return int(next), [str(member) for member, _ in entries]

    def _parse(self, member: str) -> tuple[str, str]:
        """App and token of a member of the index. The id behind them may contain a colon."""
        app, _, rest = (member if self._app is None else f"{self._app}:{member}").partition(":")
        return app, rest.partition(":")[0]

    def _read(self, places: list[tuple[str, str]]) -> list[OldSession]:
        def hashes() -> list[Any]:
            pipeline = self._redis.pipeline(transaction=False)
            for app, token in places:
                pipeline.hmget(f"{self._namespace}:{app}:{token}", _FIELDS)
            # An error that it raises would quote the command, with the token.
            return pipeline.execute(raise_on_error=False)

        replies = self._ask(hashes)
        return [OldSession(app, token, _fields(reply)) for (app, token), reply in zip(places, replies, strict=True)]

    def _process(self) -> str | None:
        """The id of the process of Redis, or None if we may not ask for it."""
        try:
            return str(self._ask(lambda: self._redis.info("server")).get("run_id"))
        except ResponseError:
            return None

    def _ask(self, question: Callable[[], Any]) -> Any:
        def wait(seconds: float) -> bool:
            # The handler of Ctrl-C runs in this thread, and could not set the event while this thread waits for it.
            time.sleep(seconds)
            return self._stopped.is_set()

        return _patiently(question, (RedisConnectionError, RedisTimeoutError), wait)


def _fields(reply: Any) -> dict[str, str | None] | None:
    """The fields of a hash, by the reply to HMGET. Raises the error that is the reply, unless it is no hash."""
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    if isinstance(reply, Exception):
        raise reply
    return dict(zip(_FIELDS, reply, strict=True))


def _patiently(call: Callable[[], T], outages: Any, wait: Callable[[float], bool]) -> T:
    """The result of a call, which is repeated after one of the errors `outages`.

    `wait` returns whether the import was stopped meanwhile. Then this raises KeyboardInterrupt.
    """
    for pause in _PAUSES:
        try:
            return call()
        except outages:
            if wait(pause):
                raise KeyboardInterrupt from None
    return call()


def arguments_of_create(session: OldSession, now: float) -> dict[str, Any]:
    """The arguments of `Client.create` that make the same session.

    Raises NotCopied, or if the session is damaged perhaps a ValueError, OverflowError or RecursionError.
    """
    fields = session.fields
    if fields is None:
        raise NotCopied(DAMAGED)
    if fields["id"] is None:
        # It ended since the index was read.
        raise NotCopied(EXPIRED)
    ttl = float(fields["ttl"] or "nan")
    idle = int(now) - float(fields["la"] or "nan")
    if ttl < idle:
        raise NotCopied(EXPIRED)
    if not _TOKEN.fullmatch(session.token):
        raise NotCopied(BAD_TOKEN)
    if session.token.startswith("Z"):
        raise NotCopied(RESERVED_TOKEN)
    text = fields["d"] or "{}"
    if len(text) > _MAX_DATA:
        raise NotCopied(TOO_LARGE)
    data = json.loads(text)
    if not isinstance(data, dict):
        raise NotCopied(DAMAGED)
    return {
        "id": fields["id"],
        "ip": fields["ip"] or "",
        # The clock of the server that used it last may be ahead of ours.
        "ttl": accepted(ttl - max(idle, 0)),
        "no_resave": fields["no_resave"] == "1",
        "data": data,
        "token": session.token,
    }


class Import:
    """One run of the import, and what became of the sessions so far."""

    def __init__(self, url: str | None, key: str | None, progress: Any, stopped: threading.Event) -> None:
        """`progress` is a bar, to be moved on for each session. When `stopped` is set, no more are copied."""
        self._url = url
        self._key = key
        self._progress = progress
        self._clients: dict[str, Client] = {}
        self._stopped = stopped
        # How many sessions had each outcome, and those that the report names.
        self._counts: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)
        self._counting = threading.Lock()

    def run(self, store: OldStore) -> None:
        """Copies all sessions. Raises errors of Redis and of the service, or KeyboardInterrupt when it is stopped."""
        pool = ThreadPoolExecutor(_WORKERS)
        waiting: deque[Future[None]] = deque()
        try:
            for session in store.sessions():
                waiting.append(pool.submit(self._handle, self._client(session.app), session))
                # So that memory does not grow with the store.
                if len(waiting) == _WAITING:
                    waiting.popleft().result()
                if self._stopped.is_set():
                    raise KeyboardInterrupt
            for handling in waiting:
                handling.result()
        finally:
            self._stopped.set()
            # Waits for the calls that have begun.
            pool.shutdown(cancel_futures=True)
            for client in self._clients.values():
                client.close()

    def _client(self, app: str) -> Client | None:
        """The client of an app, for all threads, or None if the API does not take the app's name."""
        if app not in self._clients:
            if not _APP.fullmatch(app):
                return None
            self._clients[app] = Client(self._url, app, self._key, _TIMEOUT)
        return self._clients[app]

    def _handle(self, client: Client | None, session: OldSession) -> None:
        """Copies a session and counts it."""
        outcome = self._copy(client, session)
        with self._counting:
            self._counts[outcome] += 1
            self._progress.update()
            examples = self._examples[outcome]
            if outcome not in (IMPORTED, THERE, EXPIRED) and len(examples) < _EXAMPLES:
                id = session.fields and session.fields["id"]
                # As Python writes it: some characters would control the terminal.
                examples.append(" ".join(repr(text[:_EXAMPLE_CHARACTERS]) for text in (session.app, id) if text))

    def _copy(self, client: Client | None, session: OldSession) -> str:
        """What became of a session. Raises an error that would be the same for the next ones."""
        try:
            arguments = arguments_of_create(session, time.time())
            if client is None:
                return BAD_APP
            _patiently(lambda: client.create(**arguments), Unavailable, self._stopped.wait)
        except NotCopied as error:
            return str(error)
        except TokenInUse:
            # It was copied before, and may have changed or ended since. In its first minute, though, the service
            # answers the same create as it did then, and we count it again.
            return THERE
        except (Unavailable, Unauthorized, Forbidden, UnexpectedAnswer):
            raise
        except ApiError as error:
            return _REASONS.get(type(error), str(error))
        except (ValueError, OverflowError, RecursionError):
            return DAMAGED
        return IMPORTED

    @property
    def skipped(self) -> Counter[str]:
        """How many sessions were skipped for each reason."""
        return self._counts - Counter({name: self._counts[name] for name in (IMPORTED, THERE, EXPIRED)})

    def report(self) -> str:
        """What became of the sessions, for people."""
        counts = {name: self._counts[name] for name in (IMPORTED, THERE, EXPIRED)}
        counts["skipped"] = self.skipped.total()
        lines = [", ".join(f"{count} {name}" for name, count in counts.items())]
        for reason, count in self.skipped.most_common():
            lines.append(f"{count} skipped: {reason}")
            lines.append(f"    for example (app, user id): {', '.join(self._examples[reason])}")
        return "\n".join(lines)


def main() -> None:
    """The command. Exits with 0, with 1 if a session was skipped or the import stopped, with 2 for a wrong usage."""
    parser = argparse.ArgumentParser(
        prog="rest-sessions-import",
        description="Copies the live sessions of a redis-sessions store (version 3 or 4) to REST Sessions, each with "
        "its token, its data and the time it has left, so that nobody has to log in again. The old store is only read.",
        epilog="The command may be broken off with Ctrl-C and run again: what is already there is left alone. So run "
        "it when no app server uses the old store any more: a logout or new data there does not follow a session that "
        "was copied before. The time that a session has left becomes its idle timeout; set and touch can change it. "
        "The exit code is 0 if all live sessions are there, 1 if not, and 2 if the command is wrong.",
    )
    parser.add_argument("redis", metavar="REDIS", help="the Redis of the old store: redis://HOST:PORT/DATABASE")
    parser.add_argument("--namespace", default="rs", help="the namespace option of redis-sessions (%(default)s)")
    parser.add_argument("--app", help="copy the sessions of this app only")
    parser.add_argument("--url", help="the address of REST Sessions, else that in REST_SESSIONS_URL")
    parser.add_argument("--key", help="a key that may create. Others see it here: better set REST_SESSIONS_KEY")
    options = parser.parse_args()
    if not _is_installed:
        sys.exit("This needs two more packages: pip install 'rest-sessions-client[import]'")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every terminal can show every user id.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = _run(options)
    except ConfigurationError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        sys.stderr.write(f"Broken off. {_AGAIN}\n")
        status = _STATUS_OF_CTRL_C
    except (RestSessionsError, RedisError, Restarted) as error:
        sys.exit(f"Stopped: {_reason(error)}. {_AGAIN}")
    sys.exit(status)


def _run(options: argparse.Namespace) -> int:
    """Runs the import, and prints what became of the sessions. Returns the exit code."""
    with _connected(options.redis) as redis:
        # What is away now is no short outage: its address is wrong.
        with Client(options.url, options.app or "import", options.key) as client:
            client.ping()
        stopped = threading.Event()
        store = OldStore(redis, options.namespace, options.app, stopped)
        total = len(store)
        with _set_by_ctrl_c(stopped), tqdm(total=total, unit=" sessions", disable=None) as progress:
            run = Import(options.url, options.key, progress, stopped)
            try:
                run.run(store)
            finally:
                progress.close()
                print(run.report())  # noqa: T201 - it is a command
        if not total:
            print("Are the number of the database, --namespace and --app right?")  # noqa: T201
        return 1 if run.skipped else 0


@contextmanager
def _set_by_ctrl_c(event: threading.Event) -> Iterator[None]:
    """While it lasts, the first Ctrl-C sets an event. KeyboardInterrupt could come before a call has been counted."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        event.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _connected(url: str) -> "Redis":
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            # What is no UTF-8 becomes half a surrogate pair, which the API refuses.
            encoding_errors="surrogateescape",
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
        )
    except ValueError:
        # Its message may quote a part of the password.
        message = "The address of Redis must have the form redis://HOST:PORT or redis://:PASSWORD@HOST:PORT/DATABASE"
        raise ConfigurationError(message) from None


def _reason(error: Exception) -> str:
    """Why the import stopped, and what to do. It quotes no command of Redis, as there may be a token in it."""
    if isinstance(error, Forbidden):
        return f"{error}: use one that may create sessions in each app, or choose an app with --app"
    if isinstance(error, RedisConnectionError | RedisTimeoutError):
        return f"Redis cannot be read: {error}".rstrip(".")
    if isinstance(error, RedisError):
        return f"Redis does not let its sessions be read ({type(error).__name__})"
    return str(error)


if __name__ == "__main__":
    main()
