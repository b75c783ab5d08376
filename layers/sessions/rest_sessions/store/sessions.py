"""The operations of the API on sessions in Redis.

The data of an app is in 16 partitions. All sessions of a user are in one of them, so an operation on a session or a
user is atomic. An operation on an app asks its partitions together in each round trip.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Argument, PlainCommand
from rest_sessions.errors import Conflict, StoreUnavailable
from rest_sessions.limits import (
    APP,
    DEFAULT_ROTATION_GRACE,
    MAX_APPS,
    check_data_size,
)
from rest_sessions.model import (
    ALL_DEVICES,
    DEFAULT_TIMEOUTS,
    App,
    AppsPage,
    Cap,
    Created,
    Cursor,
    Data,
    Devices,
    Login,
    Page,
    Session,
    Timeouts,
)

from .apps import AppList
from .batches import kill_all, kill_these, kill_user, sweep_app
from .calls import Reply, SessionCalls
from .creation import Creation, NewSession
from .keys import PARTITIONS, Keyspace, Partition, partition_number_of_id
from .listings import find_of_app, find_of_id, is_alive, page
from .record import Record, ids_member, merge_arguments
from .replies import CLOSED, CONFLICT, OK, ROTATED, TOO_LARGE, UNKNOWN, items_of, number_of
from .tokens import hash_of, rotated_token


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
        self._calls = SessionCalls(client, self._keys)
        self._clock = clock
        self._apps = AppList(client, self._keys)

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
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        data: Data | None = None,
        *,
        login: Login | None = None,
        cap: Cap | None = None,
        own_token: str | None = None,
    ) -> Created:
        """Creates a session of the user `id`.

        `data` maps keys to JSON texts; a key whose value is None is left out. A `login` takes over the data of another
        session, with `data` on top, and closes it. With `own_token` the session has this token.

        Raises TooLarge, TooManySessions for a `cap` that refuses, or TokenInUse, and then nothing is changed. The same
        create with the same `own_token` within 60 seconds answers as the first did.
        """
        return self._create(NewSession(app, id, ip, timeouts, data or {}, login, cap, own_token))

    def create_anonymous_session(
        self,
        app: str,
        ip: str,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        data: Data | None = None,
        own_token: str | None = None,
    ) -> Created:
        """Creates a session without a user. All else is as in `create_session`."""
        return self._create(NewSession(app, "", ip, timeouts, data or {}, token=own_token))

    def _create(self, new: NewSession) -> Created:
        return Creation(self._client, self._keys, self._calls, self._apps, self._now(), new).run()

    def get_session(self, app: str, token: str, *, peek: bool = False, details: bool = False) -> Session | None:
        """Returns a session, or None if it is missing. Without `peek`, this is a use of the session.

        The result shows `r` and `idle` as they were before this read. A session that a login has closed is shown for
        the grace of that login.
        """
        now = self._now()
        reply = self._calls.on_token("get_session", app, token, now, int(peek))
        return self._session(app, reply, now, details=details, can_be_closed=True)

    def set_session(
        self,
        app: str,
        token: str,
        changes: Data,
        *,
        ttl: int | None = None,
        replace: bool = False,
        expected_w: int | None = None,
        details: bool = False,
    ) -> Session | None:
        """Writes data of a session and returns it, or None if it is missing. This is a use of the session.

        `changes` maps keys to JSON texts, or to None to remove a key; `replace` removes all other keys. `ttl` is the
        session's new idle timeout. The result shows `w` and the data after this write, and `idle` before it.

        Raises TooLarge when the data would be over a limit, and Conflict when `w` is not `expected_w`; then nothing is
        changed. Raises StoreUnavailable when it cannot be told whether a write with `expected_w` took effect.
        """
        now = self._now()
        args: tuple[Argument, ...] = (now, _text(ttl), int(replace), *merge_arguments(changes))
        if expected_w is None:
            reply = self._calls.on_token("set_session", app, token, *args)
        else:
            expected = (*args, expected_w, secrets.token_hex(8))
            reply = self._calls.on_token("set_session", app, token, *expected, 0, again=(*expected, 1))
        if reply.status == TOO_LARGE:
            check_data_size(*reply.items)
        if reply.status == CONFLICT:
            raise Conflict(f"w is {reply.items[0].decode()}, not {expected_w}: read the session again")
        if reply.status == UNKNOWN:
            raise StoreUnavailable("The connection was lost during a set with w")
        return self._session(app, reply, now, details=details)

    def touch_session(self, app: str, token: str, *, ttl: int | None = None, details: bool = False) -> Session | None:
        """Uses a session and returns it without its data, or None if it is missing.

        `ttl` is its new idle timeout. The result shows `idle` as it was before this use.
        """
        now = self._now()
        reply = self._calls.on_token("touch_session", app, token, now, _text(ttl))
        return self._session(app, reply, now, details=details)

    def rotate_session(self, app: str, token: str, grace: int = DEFAULT_ROTATION_GRACE) -> str | None:
        """Gives a session a new token and returns that, or None if it is missing. This is a use of the session.

        `token` goes on to work until `grace` seconds after the new one was first used. Until then this returns the same
        new token again, for either of the two.
        """
        now = self._now()
        nonce = secrets.token_bytes(16)
        status, items, place = self._calls.follow(
            token,
            lambda place: self._calls.on_place(
                "rotate_session",
                app,
                place,
                hash_of(token),
                now,
                nonce,
                hash_of(rotated_token(token, nonce, place)),
                grace,
            ),
        )
        if status == ROTATED:
            self._apps.add_if_due(app, now)
            return rotated_token(token, items[0], place)
        return token if status == OK else None

    def kill_session(self, app: str, token: str) -> int:
        """Ends a session. Returns 1 if it was alive, else 0."""
        reply = self._calls.on_token("kill_session", app, token, self._now())
        return int(reply.status in (OK, ROTATED))

    def list_sessions_of_id(
        self, app: str, id: str, limit: int | None = None, after: Cursor | None = None, *, details: bool = False
    ) -> Page:
        """The sessions of the user `id`. Paging is as in `list_sessions_of_app`."""
        partition = self._partition_of_id(app, id)
        now = self._now()
        return page(find_of_id(self._client, partition, id, now, limit, after), now, limit, details=details)

    def list_sessions_of_app(
        self, app: str, dt: int, limit: int | None = None, after: Cursor | None = None, *, details: bool = False
    ) -> Page:
        """The sessions used in the last `dt` seconds that follow the cursor `after`, the most recently used first.

        Listing does not use a session: neither its counters nor its times change. The page ends after `limit` sessions,
        or before it would exceed MAX_LISTING_BYTES; `next` is then the cursor of the following page.
        """
        now = self._now()
        found = find_of_app(self._client, self._keys.partitions(app), now - dt, now, limit, after)
        return page(found, now, limit, details=details)

    def kill_sessions_of_id(self, app: str, id: str, devices: Devices = ALL_DEVICES) -> int:
        """Ends sessions of the user `id`. Returns how many were alive.

        Raises Conflict, and ends nothing, when the session to spare is no live session of this user.
        """
        partition = self._partition_of_id(app, id)
        if devices.only is not None:
            return kill_these(self._client, partition, [ids_member(id, devices.only)], self._now())
        spared = None
        if devices.spared is not None:
            if not is_alive(self._client, partition, id, devices.spared, self._now()):
                raise Conflict("except must be the handle of a live session of this user")
            spared = ids_member(id, devices.spared)
        return kill_user(self._client, partition, id, self._now, spared)

    def kill_sessions_of_app(self, app: str) -> int:
        """Ends all sessions at once, however many. Returns how many were alive."""
        return kill_all(self._client, self._keys.partitions(app), self._now())

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
            lambda app: sweep_app(self._client, self._keys.partitions(app), self._apps, app, self._now, should_continue)
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

    def list_apps(self, visible: Callable[[str], bool], limit: int | None = None, after: str = "") -> AppsPage:
        """The apps whose name is `visible` and follows `after`, by name; at most `limit`, or MAX_APPS."""
        most = limit or MAX_APPS
        [reply] = self._client.run(("SMEMBERS", self._keys.apps))
        names = sorted(name for text in items_of(reply) if (name := text.decode(errors="replace")) > after)
        page = [name for name in names if APP.fullmatch(name) and visible(name)]
        shown = page[:most]
        counts = iter(self._client.run(*(command for name in shown for command in self._counts_of(name))))
        apps = []
        for name in shown:
            sessions = users = 0
            for _ in range(PARTITIONS):
                sessions += number_of(next(counts))
                users += number_of(next(counts))
            apps.append(App(name, sessions, users))
        return AppsPage(apps, shown[-1] if len(page) > most else None)

    def _counts_of(self, app: str) -> Iterator[PlainCommand]:
        now = self._now()
        for partition in self._keys.partitions(app):
            yield ("ZCOUNT", partition.expiry, now, "+inf")
            yield ("ZCARD", partition.users)

    def _partition_of_id(self, app: str, id: str) -> Partition:
        return self._keys.partition(app, partition_number_of_id(id))

    def _session(
        self, app: str, reply: Reply, now: int, *, details: bool, can_be_closed: bool = False
    ) -> Session | None:
        """The session in the reply of a script. None for a missing one."""
        status, items, place = reply
        is_closed = status == CLOSED
        if status not in (OK, ROTATED) and not (is_closed and can_be_closed):
            return None
        self._apps.add_if_due(app, now)
        handle = place.handle if details else None
        return Record(items[0]).session(now, handle, rotated=status == ROTATED, closed=is_closed)

    def _now(self) -> int:
        return int(self._clock())


def _text(ttl: int | None) -> Argument:
    return "" if ttl is None else ttl
