"""The operations of the API on sessions in Redis.

The data of an app is in 16 partitions. All sessions of a user are in one of them, so an operation on a session or a
user is atomic. An operation on an app asks all partitions in one round trip.
"""

import time
from collections.abc import Callable
from typing import Any

from rest_sessions.connection.client import Client
from rest_sessions.limits import DEFAULT_TTL, MAX_DATA_BYTES, MAX_KEYS, check_data_size
from rest_sessions.model import Cursor, Data, Page, Session

from .batches import kill_all, sweep_app
from .keys import Keyspace, partition_of_id
from .listings import find_of_app, find_of_id, read_page
from .record import field_of, fields_of, to_session, user_range
from .scripts import OK, TOO_LARGE, call, status_of
from .tokens import handle_of, new_token, partition_of_token


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
        data: Data | None = None,
    ) -> str:
        """Creates a session of the user `id`; its token.

        `ttl` is in seconds. `data` maps keys to JSON texts; a key whose value is None is left out.
        """
        number = partition_of_id(id)
        token = new_token(number)
        handle = handle_of(token)
        partition = self._keys.partition(app, number)
        fields = fields_of({key: value for key, value in (data or {}).items() if value is not None})
        # The app is added after the session exists, so that a sweep which forgets the app meanwhile sees the session.
        reply, _ = self._client.run(
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
        status_of(reply)
        return token

    def get_session(self, app: str, token: str) -> Session | None:
        """Reads a session, which starts its idle timeout again. None if it is missing.

        The result shows `r` and `idle` as they were before this read.
        """
        now = self._now()
        status, state = self._run_on_session("get_session", app, token, now)
        return to_session(state[0], now) if status == OK else None

    def set_session(self, app: str, token: str, changes: Data) -> Session | None:
        """Writes data of a session, which starts its idle timeout again. None if it is missing.

        `changes` maps keys to JSON texts, or to None to remove a key. The result shows `w` and the data after this
        write, and `idle` before it. Raises TooLarge, and changes nothing, when the data would be over a limit.
        """
        now = self._now()
        written = fields_of({key: value for key, value in changes.items() if value is not None})
        removed = [field_of(key) for key, value in changes.items() if value is None]
        limits = (MAX_KEYS, MAX_DATA_BYTES)
        status, state = self._run_on_session("set_session", app, token, now, *limits, len(written), *written, *removed)
        if status == TOO_LARGE:
            check_data_size(*state)
        return to_session(state[0], now) if status == OK else None

    def kill_session(self, app: str, token: str) -> int:
        """Ends a session: 1 if it was alive, else 0."""
        status, _ = self._run_on_session("kill_session", app, token, self._now())
        return int(status == OK)

    def list_sessions_of_id(self, app: str, id: str, limit: int | None = None, after: Cursor | None = None) -> Page:
        """The sessions of the user `id`. Paging is as in `list_sessions_of_app`."""
        partition = self._keys.partition(app, partition_of_id(id))
        return read_page(self._client, find_of_id(self._client, partition, id, after), self._now(), limit)

    def list_sessions_of_app(self, app: str, dt: int, limit: int | None = None, after: Cursor | None = None) -> Page:
        """The sessions that were used in the last `dt` seconds, the most recently used first, from `after` on.

        Listing does not use a session: neither its counters nor its times change. The page ends after `limit` sessions,
        or before it would exceed MAX_LISTING_BYTES; `next` is then the cursor of the following page.
        """
        now = self._now()
        entries = find_of_app(self._client, self._keys.partitions(app), now - dt, after, limit)
        return read_page(self._client, entries, now, limit)

    def kill_sessions_of_id(self, app: str, id: str) -> int:
        """Ends all sessions of the user `id`; the number that were alive."""
        partition = self._keys.partition(app, partition_of_id(id))
        return kill_all(self._client, [partition], *user_range(id), self._now)

    def kill_sessions_of_app(self, app: str) -> int:
        """Ends all sessions that exist when this begins; the number that were alive."""
        return kill_all(self._client, self._keys.partitions(app), "-", "+", self._now)

    def count_active_users(self, app: str, dt: int) -> int:
        """The number of users who used a session in the last `dt` seconds and still have one.

        An expired session counts until the sweep removes it.
        """
        since = max(self._now() - dt, 0)
        commands = [("ZCOUNT", partition.users, since, "+inf") for partition in self._keys.partitions(app)]
        return sum(self._client.run(*commands))

    def count_active_users_of_all_apps(self, dt: int) -> int:
        """The sum of `count_active_users` over all apps."""
        return sum(self.count_active_users(app, dt) for app in self._apps())

    def sweep_expired(self, should_continue: Callable[[], bool] = lambda: True) -> int:
        """Removes the expired sessions of all apps, in bounded batches while `should_continue()`; their number."""
        removed = 0
        for app in self._apps():
            if not should_continue():
                break
            removed += sweep_app(self._client, self._keys, app, self._now, should_continue)
        return removed

    def _run_on_session(self, script: str, app: str, token: str, *args: str | bytes | int) -> tuple[bytes, list[Any]]:
        partition = self._keys.partition(app, partition_of_token(token))
        handle = handle_of(token)
        [reply] = self._client.run(call(script, [*partition.index, partition.session(handle)], handle, *args))
        return status_of(reply)

    def _apps(self) -> list[str]:
        [names] = self._client.run(("SMEMBERS", self._keys.apps))
        return sorted(name.decode() for name in names)

    def _now(self) -> int:
        return int(self._clock())
