"""The operations of the API on sessions in Redis.

The data of an app is in 16 partitions. All sessions of a user are in one of them, so an operation on a session or a
user is atomic. An operation on an app asks its partitions together in each round trip.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Argument, ScriptCall
from rest_sessions.errors import StoreUnavailable
from rest_sessions.limits import APP, DEFAULT_TTL, MAX_DATA_BYTES, MAX_KEYS, check_data_size
from rest_sessions.model import Cursor, Data, Page, Session

from .batches import kill_all, sweep_app
from .keys import Keyspace, partition_number_of_id
from .listings import find_of_app, find_of_id, read_page
from .record import field_of, fields_of, to_session, user_range
from .replies import OK, TOO_LARGE, items_of, number_of, status_of
from .scripts import script_call
from .tokens import handle_of, new_token, partition_number_of_token

# A create adds its app to the list of apps. Other uses of sessions do so at most this often in one process.
_NOTE_SECONDS = 300


class AppsResult(NamedTuple):
    """What was done for all apps together, and the error of each app for which it failed, by the app's name."""

    total: int
    errors: Mapping[str, Exception]


class SessionStore:
    """Sessions in Redis.

    `clock` returns the time in seconds since the epoch; the store uses whole seconds. The caller must pass valid
    arguments. Every method raises StoreUnavailable when Redis does not answer or cannot serve.

    docs/schema.md describes the keys and the commands of each operation.
    """

    def __init__(self, client: Client, namespace: str = "rs", clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._keys = Keyspace(namespace)
        self._clock = clock
        # When this process last added each app to the list of apps.
        self._noted: dict[str, int] = {}

    def ping(self) -> str:
        """`PONG`, from Redis itself."""
        [reply] = self._client.run(("PING",))
        # redis-py's cluster client turns the reply into True.
        if reply is not True and reply != b"PONG":
            raise StoreUnavailable("The server did not reply with PONG")
        return "PONG"

    def create_session(
        self,
        app: str,
        id: str,
        ip: str,
        ttl: int = DEFAULT_TTL,
        no_resave: bool = False,
        data: Data | None = None,
    ) -> str:
        """Creates a session of the user `id` and returns its token.

        `ttl` is in seconds. `data` maps keys to JSON texts; a key whose value is None is left out.
        """
        now = self._now()
        token = new_token(partition_number_of_id(id))
        create = self._call_on_session(
            "create_session", app, token, now, id, ip, ttl, int(no_resave), *fields_of(data or {})
        )
        # The app is added after the session exists, so that a sweep which forgets the app meanwhile sees the session.
        reply, _ = self._client.run(create, ("SADD", self._keys.apps, app))
        status_of(reply)
        self._noted[app] = now
        return token

    def get_session(self, app: str, token: str) -> Session | None:
        """Returns a session, or None if it is missing. Without `no_resave`, this starts its idle timeout again.

        The result shows `r` and `idle` as they were before this read.
        """
        now = self._now()
        status, state = self._run_on_session("get_session", app, token, now)
        return self._used(app, state[0], now) if status == OK else None

    def set_session(self, app: str, token: str, changes: Data) -> Session | None:
        """Writes data of a session and returns it, or None if it is missing.

        `changes` maps keys to JSON texts, or to None to remove a key. Without `no_resave`, this starts the session's
        idle timeout again. The result shows `w` and the data after this write, and `idle` before it. Raises TooLarge,
        and changes nothing, when the data would be over a limit.
        """
        now = self._now()
        written = fields_of(changes)
        removed = [field_of(key) for key, value in changes.items() if value is None]
        limits = (MAX_KEYS, MAX_DATA_BYTES)
        status, state = self._run_on_session("set_session", app, token, now, *limits, len(written), *written, *removed)
        if status == TOO_LARGE:
            check_data_size(*state)
        return self._used(app, state[0], now) if status == OK else None

    def kill_session(self, app: str, token: str) -> int:
        """Ends a session. Returns 1 if it was alive, else 0."""
        status, _ = self._run_on_session("kill_session", app, token, self._now())
        return int(status == OK)

    def list_sessions_of_id(self, app: str, id: str, limit: int | None = None, after: Cursor | None = None) -> Page:
        """The sessions of the user `id`. Paging is as in `list_sessions_of_app`."""
        partition = self._keys.partition(app, partition_number_of_id(id))
        return read_page(self._client, find_of_id(self._client, partition, id, after, limit), self._now(), limit)

    def list_sessions_of_app(self, app: str, dt: int, limit: int | None = None, after: Cursor | None = None) -> Page:
        """The sessions used in the last `dt` seconds that follow the cursor `after`, the most recently used first.

        Listing does not use a session: neither its counters nor its times change. The page ends after `limit` sessions,
        or before it would exceed MAX_LISTING_BYTES; `next` is then the cursor of the following page.
        """
        now = self._now()
        entries = find_of_app(self._client, self._keys.partitions(app), now - dt, after, limit)
        return read_page(self._client, entries, now, limit)

    def kill_sessions_of_id(self, app: str, id: str) -> int:
        """Ends all sessions of the user `id`. Returns how many were alive."""
        partition = self._keys.partition(app, partition_number_of_id(id))
        return kill_all(self._client, [partition], *user_range(id), self._now)

    def kill_sessions_of_app(self, app: str) -> int:
        """Ends all sessions that exist when this begins. Returns how many were alive."""
        return kill_all(self._client, self._keys.partitions(app), "-", "+", self._now)

    def count_active_users(self, app: str, dt: int) -> int:
        """The number of users who used a session in the last `dt` seconds and still have one.

        An expired session counts until the sweep removes it.
        """
        since = max(self._now() - dt, 0)
        commands = [("ZCOUNT", partition.users, since, "+inf") for partition in self._keys.partitions(app)]
        return sum(map(number_of, self._client.run(*commands)))

    def count_active_users_of_all_apps(self, dt: int) -> AppsResult:
        """The sum of `count_active_users` over all apps."""
        return self._sum_over_apps(lambda app: self.count_active_users(app, dt))

    def sweep_expired(self, should_continue: Callable[[], bool] = lambda: True) -> AppsResult:
        """Removes the expired sessions of all apps, in bounded batches while `should_continue()`. Returns how many."""
        return self._sum_over_apps(
            lambda app: sweep_app(self._client, self._keys, app, self._now, should_continue) if should_continue() else 0
        )

    def _sum_over_apps(self, function: Callable[[str], int]) -> AppsResult:
        [names] = self._client.run(("SMEMBERS", self._keys.apps))
        total = 0
        errors: dict[str, Exception] = {}
        for name in sorted(items_of(names)):
            app = name.decode(errors="replace")
            if not APP.fullmatch(app):
                # What is not the name of an app may be anything, so no log may have it.
                errors[""] = ValueError("The list of apps has an entry that is not the name of an app")
                continue
            try:
                total += function(app)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - one damaged app must not stop the others
                errors[app] = error
        return AppsResult(total, errors)

    def _run_on_session(self, script: str, app: str, token: str, *args: Argument) -> tuple[bytes, list[Any]]:
        [reply] = self._client.run(self._call_on_session(script, app, token, *args))
        return status_of(reply)

    def _call_on_session(self, script: str, app: str, token: str, *args: Argument) -> ScriptCall:
        partition = self._keys.partition(app, partition_number_of_token(token))
        handle = handle_of(token)
        return script_call(script, [*partition.index, partition.session(handle)], handle, *args)

    def _used(self, app: str, fields: Sequence[bytes], now: int) -> Session:
        """The session that was just used. Adds its app to the list of apps again from time to time."""
        if now - self._noted.get(app, 0) >= _NOTE_SECONDS:
            self._noted[app] = now
            # Redis may have evicted the list, and without it nothing sweeps the app. The session has been used already,
            # so the answer does not depend on this. If it fails, the next attempt follows in _NOTE_SECONDS.
            with suppress(StoreUnavailable):
                self._client.run(("SADD", self._keys.apps, app))
        return to_session(fields, now)

    def _now(self) -> int:
        return int(self._clock())
