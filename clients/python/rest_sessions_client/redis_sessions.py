"""`rest-sessions-import`: copies the sessions of a redis-sessions store, so that nobody has to log in again.

The keys and fields are those of redis-sessions 3 and 4. The store is only read.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from rest_sessions_client.client import Client
from rest_sessions_client.errors import (
    ApiError,
    ConfigurationError,
    Forbidden,
    RestSessionsError,
    TokenInUse,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from rest_sessions_client.state import MIN_TTL

if TYPE_CHECKING:
    from redis import Redis

_BATCH = 500
_WORKERS = 16
# A short outage is waited out: the seconds between the tries.
_PAUSES = (1, 2, 4, 8)
_EXAMPLES = 3
_INTERRUPTED = 130
# What the service takes as the caller's own token.
_TOKEN = re.compile(r"[A-Ya-z0-9][A-Za-z0-9]{63}")
_FIELDS = ("id", "ip", "ttl", "la", "no_resave", "d")


@dataclass(frozen=True)
class OldSession:
    """A session as redis-sessions keeps it: `fields` are those of its hash, None for one that is missing."""

    app: str
    token: str = field(repr=False)
    fields: Mapping[str, str | None] = field(repr=False)


class Skipped(Exception):
    """A session cannot be copied. The message says why, and holds nothing of the session."""


class Expired(Exception):
    """A session has expired, or was ended since it was listed."""


class OldStore:
    """The store of redis-sessions in a Redis."""

    def __init__(self, redis: "Redis", namespace: str, app: str | None) -> None:
        self._redis = redis
        self._namespace = namespace
        self._app = app
        self._index = f"{namespace}:SESSIONS" if app is None else f"{namespace}:{app}:_sessions"

    def __len__(self) -> int:
        """How many sessions the index has, also expired ones."""
        return int(self._redis.zcard(self._index))

    def batches(self) -> Iterator[list[OldSession]]:
        """All sessions, some hundreds at once."""
        cursor = 0
        while True:
            cursor, entries = self._redis.zscan(self._index, cursor, count=_BATCH)
            yield self._read([self._parse(str(member)) for member, _ in entries])
            if cursor == 0:
                return

    def _parse(self, member: str) -> tuple[str, str]:
        """App and token of an entry: the app's own index has `token:id`, that of all apps `app:token:id`."""
        parts = member.split(":")
        return (self._app, parts[0]) if self._app is not None else (parts[0], parts[1])

    def _read(self, places: list[tuple[str, str]]) -> list[OldSession]:
        pipeline = self._redis.pipeline(transaction=False)
        for app, token in places:
            pipeline.hmget(f"{self._namespace}:{app}:{token}", _FIELDS)
        return [
            OldSession(app, token, dict(zip(_FIELDS, values, strict=True)))
            for (app, token), values in zip(places, pipeline.execute(), strict=True)
        ]


def arguments_of_create(session: OldSession, now: float) -> dict[str, Any]:
    """The arguments of `Client.create` that make the same session. Raises Expired or Skipped."""
    fields = session.fields
    if fields["id"] is None:
        raise Expired
    try:
        remaining = int(fields["ttl"] or "") - (int(now) - int(fields["la"] or ""))
        data = json.loads(fields["d"] or "{}")
    except ValueError:
        raise Skipped("It is damaged in Redis") from None
    if remaining < 0:
        raise Expired
    if not isinstance(data, dict):
        raise Skipped("It is damaged in Redis")
    if not _TOKEN.fullmatch(session.token):
        raise Skipped("The service does not take its token: 64 of A-Z a-z 0-9, not beginning with Z")
    return {
        "id": fields["id"],
        "ip": fields["ip"] or "",
        "ttl": max(remaining, MIN_TTL),
        "no_resave": fields["no_resave"] == "1",
        "data": data,
        "token": session.token,
    }


class Import:
    """A run of the import: what became of the sessions so far."""

    def __init__(self, url: str | None, key: str | None) -> None:
        # One client for each app, for all threads.
        self._client = cache(partial(self._new_client, url, key))
        self.counts: Counter[str] = Counter()
        # How many were skipped for each reason, and some of them.
        self.skipped: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    @staticmethod
    def _new_client(url: str | None, key: str | None, app: str) -> Client:
        return Client(url, app, key, timeout=10)

    def run(self, store: OldStore, progress: Any) -> None:
        """Copies all sessions, and moves the progress bar. Raises errors of Redis and of the service."""
        with ThreadPoolExecutor(_WORKERS) as pool:
            try:
                for batch in store.batches():
                    for session, outcome in zip(batch, pool.map(self._copy, batch), strict=True):
                        self._count(session, outcome)
                        progress.update()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _copy(self, session: OldSession) -> str | Skipped:
        try:
            arguments = arguments_of_create(session, time.time())
            self._create(session.app, arguments)
        except Expired:
            return "expired"
        except TokenInUse:
            # An earlier run has copied it, and it may have changed or ended since.
            return "there already"
        except (Unavailable, Unauthorized, Forbidden, UnexpectedAnswer):
            raise
        except ApiError as error:
            return Skipped(str(error))
        except Skipped as skipped:
            return skipped
        return "imported"

    def _create(self, app: str, arguments: dict[str, Any]) -> None:
        for pause in _PAUSES:
            try:
                self._client(app).create(**arguments)
            except Unavailable:
                time.sleep(pause)
            else:
                return
        self._client(app).create(**arguments)

    def _count(self, session: OldSession, outcome: str | Skipped) -> None:
        if isinstance(outcome, str):
            self.counts[outcome] += 1
            return
        reason = str(outcome)
        self.skipped[reason] += 1
        if self.skipped[reason] <= _EXAMPLES:
            self._examples[reason].append(f"{session.app} {session.fields['id']}")

    def report(self) -> str:
        """What became of the sessions, for people."""
        counts = {name: self.counts[name] for name in ("imported", "there already", "expired")}
        lines = [", ".join(f"{count} {name}" for name, count in {**counts, "skipped": self.skipped.total()}.items())]
        for reason, count in self.skipped.most_common():
            examples = ", ".join(self._examples[reason])
            lines.append(f"  {count} skipped: {reason} (app and user, for example: {examples})")
        return "\n".join(lines)


def main() -> None:
    """The command. Exits with 0, with 1 if a session was skipped or the import stopped, with 2 for a wrong usage."""
    parser = argparse.ArgumentParser(
        prog="rest-sessions-import",
        description="Copies the live sessions of a redis-sessions store to REST Sessions, each with its own token, its "
        "remaining time and its data. The store is only read. The command can be broken off and run again.",
    )
    parser.add_argument("redis", help="the Redis of redis-sessions, for example redis://127.0.0.1:6379")
    parser.add_argument("--namespace", default="rs", help="the namespace option of redis-sessions (%(default)s)")
    parser.add_argument("--app", help="copy only this app")
    parser.add_argument("--url", help="the API of REST Sessions (REST_SESSIONS_URL)")
    parser.add_argument("--key", help="its key, which others can see on a command line: better set REST_SESSIONS_KEY")
    options = parser.parse_args()
    try:
        from redis import Redis, RedisError  # noqa: PLC0415 - only this command needs them
        from tqdm import tqdm  # noqa: PLC0415
    except ImportError:
        sys.exit("This needs two more packages: pip install 'rest-sessions-client[import]'")
    try:
        redis = Redis.from_url(options.redis, decode_responses=True, socket_timeout=10, socket_connect_timeout=5)
    except ValueError as error:
        parser.error(str(error))
    run = Import(options.url, options.key)
    status: int | str = 0
    try:
        # Says at once what is wrong with the address, before Redis is read.
        Client(options.url, options.app or "import", options.key).ping()
        store = OldStore(redis, options.namespace, options.app)
        with tqdm(total=len(store), unit=" sessions", disable=None) as progress:
            run.run(store, progress)
        status = 1 if run.skipped else 0
    except ConfigurationError as error:
        parser.error(str(error))
    except RestSessionsError as error:
        status = f"Stopped: {error}. Run it again: what is there already is left alone."
    except RedisError as error:
        status = f"Stopped: Redis cannot be read ({type(error).__name__}). Run it again when it can."
    except KeyboardInterrupt:
        status = _INTERRUPTED
    print(run.report())  # noqa: T201 - it is a command
    sys.exit(status)


if __name__ == "__main__":
    main()
