"""Creates sessions. A login, a caller's own token and a cap on a user's sessions take further steps.

Each step is atomic, and a creation can break off after any of them: the same call, made again, then goes on. If it is
refused, it undoes its earlier steps.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Argument, ScriptCall
from rest_sessions.errors import TokenInUse, TooManySessions
from rest_sessions.limits import check_data_size
from rest_sessions.model import Cap, Created, Data, Login, Timeouts

from .apps import AppList
from .batches import kill_these
from .calls import SessionCalls
from .keys import PARTITIONS, Keyspace, partition_number_of_id
from .listings import rank_of_id
from .record import fields_of, ids_member, merge_arguments
from .replies import FOREIGN, OK, TOKEN_IN_USE, TOO_LARGE, TOO_MANY, number_of, status_of
from .scripts import script_call
from .tokens import Place, hash_of, new_token, place_of

# The most sessions of a user at which one script looks, because Redis serves nobody else meanwhile.
_LOOKED_AT = 128
# How many of the sessions that logins of a user closed are spared when the user has more sessions than that.
_SPARED_CLOSED = 16

_NO_CAP = Cap(0)


@dataclass(frozen=True)
class NewSession:
    """A session to create. `id` is empty for an anonymous one, `token` the caller's own."""

    app: str
    id: str
    ip: str
    timeouts: Timeouts
    data: Data
    login: Login | None = None
    cap: Cap | None = None
    token: str | None = None

    @property
    def digest(self) -> str:
        """By this, a create with the same token is recognised as the same: it has the same user, login and data."""
        texts = [self.id, *(text for key, value in self.data.items() for text in (key, value or ""))]
        source = hash_of(self.login.token) if self.login else b""
        return hashlib.sha256(source + "\0".join(texts).encode()).hexdigest()[:32]


class Creation:
    """One call of `create`."""

    def __init__(
        self, client: Client, keys: Keyspace, calls: SessionCalls, apps: AppList, now: int, new: NewSession
    ) -> None:
        self._client = client
        self._keys = keys
        self._calls = calls
        self._apps = apps
        # The same in all steps: a pointer must not be older than its session.
        self._now = now
        self._new = new
        self._after_making: list[Callable[[], object]] = []

    @cached_property
    def _call_id(self) -> str:
        """A text that no other call has. So a call undoes only what itself has done."""
        return secrets.token_hex(8)

    def run(self) -> Created:
        """Creates the session. Raises TooLarge, TokenInUse or TooManySessions, and then no session is changed."""
        new = self._new
        # Run only after a refusal. After any other error the session may exist.
        undo = ExitStack()
        try:
            login = self._close(new.login, undo) if new.login else None
            token, place = self._claim(new.token, undo) if new.token else self._new_token()
            killed = self._make(token, place, login)
        except (TokenInUse, TooManySessions):
            undo.close()
            raise
        if login and login.is_foreign:
            self._calls.on_token("kill_session", new.app, login.token, self._now)
        return Created(
            token,
            place.handle,
            taken_over=login.place is not None if login else None,
            killed=killed if new.cap and not new.cap.refuses else None,
        )

    def _close(self, login: Login, undo: ExitStack) -> "_TakenData":
        """Closes the session that the login takes over, and takes its data."""
        new = self._new
        status, items, place = self._calls.on_token(
            "close_session",
            new.app,
            login.token,
            self._now,
            login.grace,
            new.id,
            self._call_id,
            *merge_arguments(new.data),
            with_closed=True,
        )
        if status == TOO_LARGE:
            check_data_size(*items)
        if status != OK:
            return _TakenData(login.token, fields_of(new.data), None, is_foreign=status == FOREIGN)
        undo.callback(
            self._calls.on_place, "reopen_session", new.app, place, self._now, self._call_id, with_closed=True
        )
        return _TakenData(login.token, items[0], place)

    def _new_token(self) -> tuple[str, Place]:
        id = self._new.id
        token = new_token(partition_number_of_id(id) if id else secrets.randbelow(PARTITIONS))
        return token, place_of(token)

    def _claim(self, token: str, undo: ExitStack) -> tuple[str, Place]:
        """Claims the caller's own token, if its partition is not that of the user."""
        new = self._new
        place = place_of(token)
        number = partition_number_of_id(new.id) if new.id else place.partition
        if number != place.partition:
            is_old = self._point(token, place, number, is_made=False)
            undo.callback(self._calls.on_place, "release_token", new.app, place, self._call_id)
            if is_old:
                self._after_making.append(lambda: self._point(token, place, number, is_made=True))
        return token, Place(number, place.handle)

    def _point(self, token: str, place: Place, number: int, *, is_made: bool) -> bool:
        """Points the caller's own token to the partition of this number. Returns whether a pointer was there before."""
        timeouts = self._new.timeouts
        ends = "" if timeouts.fixed is None else timeouts.fixed
        times = (timeouts.ttl, ends, int(timeouts.no_resave))
        pointer = (hash_of(token), self._now, f"{number:x}", self._call_id, *times, int(is_made))
        status, items, _ = self._calls.on_place("claim_token", self._new.app, place, *pointer)
        if status == TOKEN_IN_USE:
            raise TokenInUse
        return bool(number_of(items[0]))

    def _make(self, token: str, place: Place, login: "_TakenData | None") -> int:
        """Makes the session itself. Returns how many others it ended."""
        new = self._new
        partition = self._keys.partition(new.app, place.partition)
        fixed = new.timeouts.fixed
        seconds = new.timeouts.ttl if fixed is None else min(new.timeouts.ttl, fixed)
        session = (hash_of(token), self._now, new.id, new.ip, new.timeouts.ttl, seconds)
        fields = [*(login.data if login else fields_of(new.data))]
        if fixed is not None:
            fields += ["ends", self._now + fixed]
        if new.timeouts.no_resave:
            fields += ["no_resave", 1]
        # If the closed session is in this partition, the script also makes its closing final.
        closed = [login.place.handle] if login and login.place and login.place.partition == place.partition else []
        if not (closed or new.cap or new.token):
            self._run(
                script_call("create_session", [*partition.index, partition.session(place.handle)], *session, *fields)
            )
            return 0
        cap = new.cap or _NO_CAP
        digest = new.digest if new.token else ""
        options = (digest, cap.most, int(cap.refuses), _LOOKED_AT, self._call_id if login else "")
        others: list[str] = []
        killed = 0
        while True:
            keys = [*partition.index, *map(partition.session, [place.handle, *others, *closed])]
            status, items = self._run(script_call("admit_session", keys, *session, *options, len(others), *fields))
            if status == OK:
                ended, is_new = map(number_of, items[1:])
                if is_new:
                    for step in self._after_making:
                        step()
                return killed + ended
            # Other logins of the user may come in between, so this may be needed more than once.
            others = [handle.decode() for handle in items]
            if len(others) > _LOOKED_AT:
                killed += self._make_room(place, cap)
                others = []

    def _run(self, create: ScriptCall) -> tuple[bytes, list[Any]]:
        """Runs the script that makes the session, and adds the app to the list of apps if it may not be there."""
        app, now = self._new.app, self._now
        # The app is added after the session exists, so that a sweep which forgets the app meanwhile sees the session.
        with_app = (create, self._apps.command(app))
        is_due = self._apps.is_due(app, now)
        # A retry finds an epoch, and cannot tell whether the first try has made it.
        reply, *_ = self._client.run(*(with_app if is_due else (create,)), again=with_app)
        status, items = status_of(reply)
        if status == TOKEN_IN_USE:
            raise TokenInUse
        if status == TOO_MANY and self._new.cap:
            raise TooManySessions(self._new.cap.most)
        if is_due:
            self._apps.added(app, now)
        elif status == OK and number_of(items[0]):
            self._apps.add(app, now)
        return status, items

    def _make_room(self, place: Place, cap: Cap) -> int:
        """Ends sessions of a user who has more than one script looks at. Returns how many were alive."""
        new = self._new
        partition = self._keys.partition(new.app, place.partition)
        ranks = rank_of_id(self._client, partition, new.id, self._now, _LOOKED_AT)
        ranks.pop(place.handle, None)
        latest_first = sorted(ranks, key=lambda handle: (abs(ranks[handle]), handle), reverse=True)
        alive = [handle for handle in latest_first if ranks[handle] > 0]
        if cap.refuses and len(alive) >= cap.most:
            raise TooManySessions(cap.most)
        closed = [handle for handle in latest_first if ranks[handle] < 0]
        stay = {*alive[: cap.most - 1], *closed[:_SPARED_CLOSED]}
        members = [ids_member(new.id, handle) for handle in latest_first if handle not in stay]
        return kill_these(self._client, partition, members, self._now)


@dataclass(frozen=True)
class _TakenData:
    """What the first step of a login found: the data of the new session, as fields and values, and whence it is."""

    token: str
    data: Sequence[Argument]
    # Where the session is whose data was taken over, if any was.
    place: Place | None
    # It is another user's, so nothing was taken, and it ends.
    is_foreign: bool = False
