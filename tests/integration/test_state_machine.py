"""Compares the store with a model of plain dictionaries, operation by operation, with one clock for both."""

import string
import uuid
from dataclasses import dataclass, field
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rest_sessions.connection.client import Client
from rest_sessions.errors import ApiError, Conflict, TokenInUse, TooManySessions
from rest_sessions.model import App, Cap, Created, Details, Devices, Login, Session, Timeouts
from rest_sessions.store.keys import partition_number_of_id
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import Place, is_own, place_of
from tests.conftest import Clock
from tests.figures import Figures
from tests.pages import all_pages
from tests.servers import FAKEREDIS, Server

APPS = st.sampled_from(["app", "app", "other-app"])
IDS = st.sampled_from(["a", "a:b", "딸기"])
# Also anonymous.
OWNERS = st.sampled_from(["a", "a", "a:b", "딸기", "", ""])
TTLS = st.sampled_from([10, 10, 11, 60, 2_592_000])
TIMEOUTS = st.builds(Timeouts, TTLS, st.none() | st.sampled_from([10, 61, 10_000])) | st.builds(
    Timeouts, TTLS, st.none(), st.just(True)
)
NEW_TTLS = st.none() | st.none() | TTLS
DATA_KEYS = st.sampled_from(["k", "l", "id", "__proto__", "d:k"])
JSON_TEXTS = st.sampled_from(["1", "-0.0", '""', '"x"', "true", "12345678901234567"])
DATA = st.dictionaries(DATA_KEYS, st.none() | JSON_TEXTS)
CHANGES = st.dictionaries(DATA_KEYS, st.none() | JSON_TEXTS, min_size=1)
SECONDS = st.sampled_from([10, 11, 60, 10_000])
# One of the latest sessions, mostly in its own app.
WHICH = st.integers(0, 4)
ELSEWHERE = st.sampled_from([False] * 9 + [True])
LIMITS = st.none() | st.integers(1, 5)
CAPS = st.none() | st.none() | st.builds(Cap, st.integers(1, 3), st.booleans())

# A caller's own tokens: two in the partition of `a`, of which one has another user's sessions elsewhere, and one in no
# user's partition.
_LETTERS = [letter * 64 for letter in string.ascii_lowercase]
OWN_TOKENS = [
    *[token for token in _LETTERS if place_of(token).partition == partition_number_of_id("a")][:2],
    next(
        token
        for token in _LETTERS
        if place_of(token).partition not in map(partition_number_of_id, ("a", "a:b", "딸기"))
    ),
]

# Many short series: Hypothesis remembers all runs of a series. To garbage-collect a long one, Python would stop for
# longer than a call may take.
SOAK, SOAK_TIMES = settings(max_examples=500, stateful_step_count=50), 20

# Seconds for which the same login, the same create with an own token, or the same killall is recognised.
REPEATABLE = 60
# Seconds after which a process adds an app to the list of apps again.
ADDED_FOR = 300
# Seconds for which a pointer outlives the timeouts of a session that was rotated.
LONGEST_GRACE = 360


@dataclass
class ModelPointer:
    """Where the session of a caller's own token is, if it is not where the token says."""

    to: int
    timeouts: Timeouts
    last_used: int
    ends: int | None
    # The creates that need it.
    calls: list[object]
    rotated: bool = False

    @property
    def expires_at(self) -> int:
        return min(self.last_used + self.timeouts.ttl, self.ends if self.ends is not None else 10**12)


@dataclass
class ModelMark:
    """A session whose token its caller chose was killed here. Until this time the token stays in use."""

    expires_at: int


@dataclass
class ModelSession:
    app: str
    id: str
    ip: str
    place: Place
    token: str
    timeouts: Timeouts
    ends: int | None
    created: int
    last_used: int
    data: dict[str, str]
    r: int = 1
    w: int = 1
    # Of a create with an own token.
    digest: object = None
    killed: int = 0
    made_by: object = None
    # The token before the last rotation.
    old_token: str | None = None
    grace: int = 0
    grace_ends: int | None = None
    # The login that closed it.
    closed_at: int | None = None
    closed_until: int = 0
    closed_for: str = ""
    closing: list[object] = field(default_factory=list)
    closed_for_good: bool = False
    # A killall has ended it, and the sweep has not yet removed it.
    is_ended: bool = False

    @property
    def expires_at(self) -> int:
        return min(self.last_used + self.timeouts.ttl, self.ends if self.ends is not None else 10**12)

    @property
    def kept_until(self) -> int:
        return self.expires_at if self.closed_at is None else max(self.closed_until, self.closed_at + REPEATABLE)

    def is_alive(self, now: int) -> bool:
        return not self.is_ended and self.closed_at is None and now <= self.expires_at

    def is_old(self, token: str, now: int) -> bool:
        """Whether this is the token before the last rotation, within its grace."""
        return token == self.old_token and (self.grace_ends is None or now <= self.grace_ends)

    def is_in_grace(self, now: int) -> bool:
        return self.old_token is not None and self.is_old(self.old_token, now)

    def has(self, token: str, now: int) -> bool:
        return token == self.token or self.is_old(token, now)

    def seen(self, now: int, token: str | None = None) -> Session:
        no_resave = self.timeouts.no_resave
        lifetime = None if self.ends is None or no_resave else self.ends - self.created
        return Session(
            self.id,
            self.r,
            self.w,
            max(self.ends - now, 0) if no_resave else self.timeouts.ttl,
            now - self.last_used,
            self.ip,
            no_resave,
            dict(self.data),
            rotated=token not in (None, self.token) and self.closed_at is None,
            closed=self.closed_at is not None,
            details=Details(self.place.handle, now - self.created, lifetime),
        )


class Model:
    """The contract, written with dictionaries instead of Redis."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        # What is under each handle, by app and place.
        self.slots: dict[tuple[str, Place], ModelSession | ModelPointer | ModelMark] = {}
        self.last_use_of_user: dict[tuple[str, str], int] = {}
        # The apps that the sweep visits, and when the process last added each.
        self.apps: set[str] = set()
        self.added: dict[str, int] = {}
        # The partitions with an epoch, each with the killalls that may come again: what each counted, and when.
        self.epochs: dict[tuple[str, int], dict[object, tuple[int, int]]] = {}

    @property
    def now(self) -> int:
        return int(self.clock())

    @property
    def sessions(self) -> list[ModelSession]:
        return [slot for slot in self.slots.values() if isinstance(slot, ModelSession) and not slot.is_ended]

    def _add_app(self, app) -> None:
        if self.now - self.added.get(app, 0) >= ADDED_FOR:
            self.apps.add(app)
            self.added[app] = self.now

    def create(self, token, app, id, ip, timeouts, data, *, login, cap, is_own) -> Created:
        """`token` is the caller's own, or else what the store made."""
        call = object()
        taken, closed, is_foreign = None, None, False
        if login:
            taken, is_foreign, closed = self._take(app, login, id, call)
        merged = {**(taken or {}), **data}
        killed, pointer = 0, None
        place = place_of(token)
        digest = (id, login and login.token, tuple(data.items())) if is_own else None
        try:
            if is_own and id:
                place, pointer = self._claim(app, place, id, timeouts, call)
            killed = self._make(token, app, id, ip, place, timeouts, merged, cap, digest, call)
        except ApiError:
            self._undo(app, call, closed, pointer)
            raise
        if pointer and self.slots[app, place].created == self.now and self.slots[app, place].made_by is call:
            self._extend(self.slots[pointer], timeouts)
        if closed and closed.place.partition == partition_number_of_id(id):
            closed.closed_for_good = True
        if is_foreign:
            self.kill(app, login.token)
        taken_over = None if login is None else taken is not None
        return Created(token, place.handle, taken_over, killed if cap and not cap.refuses else None)

    def _undo(self, app, call, closed, pointer) -> None:
        """Takes back what a create that was refused had done before."""
        if closed and not closed.closed_for_good:
            closed.closing.remove(call)
            if not closed.closing:
                closed.closed_at = None
                self._note_user(app, closed.id, closed.last_used)
        if pointer:
            self.slots[pointer].calls.remove(call)
            if not self.slots[pointer].calls:
                del self.slots[pointer]

    def _take(self, app, login, id, call):
        session = self._find(app, login.token)
        now = self.now
        if not session or not session.has(login.token, now):
            return None, False, None
        if session.closed_at is not None:
            if session.closed_for != id or now > session.closed_at + REPEATABLE:
                return None, False, None
            session.closing.append(call)
            return session.data, False, session
        if not session.is_alive(now):
            return None, False, None
        if session.id not in ("", id):
            return None, True, None
        session.closed_until = now + login.grace if login.grace else 0
        session.closed_at = now
        session.closed_for, session.closing = id, [call]
        self._forget_user(session)
        return session.data, False, session

    def _claim(self, app, place, id, timeouts, call):
        number = partition_number_of_id(id)
        if number == place.partition:
            return place, None
        slot = self.slots.get((app, place))
        if isinstance(slot, ModelPointer) and slot.to == number and self._is_taken(slot):
            slot.calls.append(call)
            return Place(number, place.handle), (app, place)
        if self._is_taken(slot):
            raise TokenInUse
        self._end(app, place, slot)
        ends = None if timeouts.fixed is None else self.now + timeouts.fixed
        self.slots[app, place] = ModelPointer(number, timeouts, self.now, ends, [call])
        return Place(number, place.handle), (app, place)

    def _extend(self, pointer, timeouts) -> None:
        """Makes a pointer last as long as the session that was made after it."""
        has_end = pointer.ends is not None and timeouts.fixed is not None
        pointer.ends = max(pointer.ends, self.now + timeouts.fixed) if has_end else None
        pointer.timeouts = Timeouts(
            max(pointer.timeouts.ttl, timeouts.ttl),
            no_resave=has_end and (pointer.timeouts.no_resave or timeouts.no_resave),
        )
        pointer.last_used = self.now

    def _make(self, token, app, id, ip, place, timeouts, data, cap, digest, call) -> int:
        now = self.now
        slot = self.slots.get((app, place))
        added = dict(self.added)
        self._add_app(app)
        if digest:
            if (
                isinstance(slot, ModelSession)
                and slot.is_alive(now)
                and slot.digest == digest
                and slot.has(token, now)
                and now <= slot.created + REPEATABLE
            ):
                return slot.killed
            if self._is_taken(slot):
                # The app has been added, but the process does not note that.
                self.added = added
                raise TokenInUse
        ended = []
        if cap:
            live = [m for m in self.sessions if (m.app, m.id) == (app, id) and m.is_alive(now)]
            live.sort(key=lambda m: (m.last_used, m.place.handle))
            ended = live[: max(len(live) - cap.most + 1, 0)]
            if ended and cap.refuses:
                raise TooManySessions(cap.most)
        self._end(app, place, slot)
        first_data = {key: text for key, text in data.items() if text is not None}
        ends = None if timeouts.fixed is None else now + timeouts.fixed
        new = ModelSession(app, id, ip, place, token, timeouts, ends, now, now, first_data, digest=digest)
        new.killed, new.made_by = len(ended), call
        self.slots[app, place] = new
        if (app, place.partition) not in self.epochs:
            self.epochs[app, place.partition] = {}
            self.apps.add(app)
            self.added[app] = now
        self._note_user(app, id, now)
        for session in ended:
            self._remove(session)
        return len(ended)

    def _is_taken(self, slot) -> bool:
        if slot is None:
            return False
        until = slot.expires_at
        if isinstance(slot, ModelSession):
            until = max(until, slot.kept_until)
        elif isinstance(slot, ModelPointer) and slot.rotated:
            until += LONGEST_GRACE
        return self.now <= until

    def _end(self, app, place, slot) -> None:
        """Removes what is left under a handle that is used again."""
        if slot is not None:
            del self.slots[app, place]
            if isinstance(slot, ModelSession):
                self._forget_user(slot)

    def _find(self, app, token, new_ttl=None, *, is_use=False) -> ModelSession | None:
        place = place_of(token)
        slot = self.slots.get((app, place))
        if isinstance(slot, ModelPointer):
            if is_use and self.now <= slot.expires_at:
                slot.last_used = self.now
                ttl = max(slot.timeouts.ttl, new_ttl or 0)
                if new_ttl and slot.timeouts.no_resave and slot.ends is not None:
                    slot.ends = max(slot.ends, self.now + new_ttl)
                slot.timeouts = slot.timeouts._replace(ttl=ttl)
            slot = self.slots.get((app, Place(slot.to, place.handle)))
        return slot if isinstance(slot, ModelSession) and not slot.is_ended else None

    def _alive(self, app, token, new_ttl=None, *, is_use=False) -> ModelSession | None:
        session = self._find(app, token, new_ttl, is_use=is_use)
        return session if session and session.is_alive(self.now) and session.has(token, self.now) else None

    def _use(self, session, token, new_ttl=None) -> None:
        if token == session.token and session.old_token and session.grace_ends is None:
            session.grace_ends = self.now + session.grace
        if new_ttl:
            session.timeouts = session.timeouts._replace(ttl=new_ttl)
            if session.timeouts.no_resave:
                session.ends = self.now + new_ttl
        session.last_used = self.now
        self._note_user(session.app, session.id, self.now)

    def _note_user(self, app, id, used) -> None:
        if id:
            self.last_use_of_user[app, id] = max(self.last_use_of_user.get((app, id), 0), used)

    def get(self, app, token, peek):
        session = self._find(app, token, is_use=not peek)
        now = self.now
        if not session or not session.has(token, now):
            return None
        if now > session.closed_until if session.closed_at is not None else not session.is_alive(now):
            return None
        self._add_app(app)
        seen = session.seen(now, token)
        if seen.closed:
            return seen
        if not peek:
            session.r += 1
            self._use(session, token)
        return seen

    def set(self, app, token, changes, new_ttl, replace, expected_w):
        if session := self._alive(app, token, new_ttl, is_use=True):
            if expected_w and session.w != expected_w:
                raise Conflict("")
            if replace:
                session.data = {key: text for key, text in session.data.items() if key in changes}
            for key, text in changes.items():
                if text is None:
                    session.data.pop(key, None)
                else:
                    session.data[key] = text
            session.w += 1
            return self._seen_after_use(session, token, new_ttl)
        return None

    def touch(self, app, token, new_ttl):
        if session := self._alive(app, token, new_ttl, is_use=True):
            seen = self._seen_after_use(session, token, new_ttl)
            seen.data.clear()
            return seen
        return None

    def _seen_after_use(self, session, token, new_ttl):
        """The session as it is now, but `idle` as it was before."""
        self._add_app(session.app)
        last_used = session.last_used
        self._use(session, token, new_ttl)
        session.last_used = last_used
        seen = session.seen(self.now, token)
        session.last_used = self.now
        return seen

    def rotate(self, app, token, grace, made):
        """`made` is the token that the store made, if it made one."""
        pointer = self.slots.get((app, place_of(token)))
        if isinstance(pointer, ModelPointer):
            pointer.rotated = True
        session = self._alive(app, token, is_use=True)
        if not session:
            return None
        if token == session.token and not session.is_in_grace(self.now):
            session.old_token, session.token = token, made
            session.grace, session.grace_ends = grace, None
            self._use(session, token)
            self._add_app(app)
            return made
        self._use(session, token)
        if token != session.token:
            self._add_app(app)
        return session.token

    def _forget_user(self, session):
        user = (session.app, session.id)
        others = [m for m in self.sessions if (m.app, m.id) == user and m.closed_at is None and m is not session]
        if not others:
            self.last_use_of_user.pop(user, None)

    def _remove(self, session):
        place = (session.app, session.place)
        if session.digest and self.now <= session.expires_at:
            self.slots[place] = ModelMark(session.expires_at)
        else:
            del self.slots[place]
        self._forget_user(session)

    def kill(self, app, token):
        session = self._find(app, token)
        if not session or not session.has(token, self.now):
            return 0
        if session.closed_at is not None:
            session.closed_for_good = True
            return 0
        is_alive = session.is_alive(self.now)
        self._remove(session)
        return int(is_alive)

    def kill_many(self, app, id, devices=None):
        if devices and devices.only:
            # Also what a killall has left of it.
            slot = self.slots.get((app, Place(partition_number_of_id(id), devices.only)))
            killed = [slot] if isinstance(slot, ModelSession) and slot.id == id else []
        else:
            killed = [m for m in self.sessions if (m.app, m.id) == (app, id)]
        if devices and devices.spared:
            if not any(m.place.handle == devices.spared and m.is_alive(self.now) for m in killed):
                raise Conflict("")
            killed = [m for m in killed if m.place.handle != devices.spared]
        alive = sum(session.is_alive(self.now) for session in killed)
        for session in killed:
            self._remove(session)
        return alive

    def kill_all(self, app, call, at):
        """The same `call`, made at the same time, may come again."""
        killed = 0
        for (of, partition), killalls in self.epochs.items():
            if of != app:
                continue
            if call not in killalls:
                here = [m for m in self.sessions if (m.app, m.place.partition) == (app, partition)]
                killalls[call] = sum(m.is_alive(at) for m in here), at
                for session in here:
                    session.is_ended = True
                    self.last_use_of_user.pop((app, session.id), None)
            killed += killalls[call][0]
        return killed

    def sweep(self):
        removed = [m for m in self.sessions if self.now > m.kept_until]
        ended = [slot for slot in self.slots.values() if isinstance(slot, ModelSession) and slot.is_ended]
        for session in (*removed, *ended):
            self._remove(session)
        for app, partition in list(self.epochs):
            self._forget_killalls(app, partition)
        self.apps = {app for app, _ in self.epochs}
        return sum(session.closed_at is None for session in removed)

    def _forget_killalls(self, app, partition) -> None:
        """Forgets those that are over and, if nothing is left in the partition, its epoch."""
        here = [m for m in self.sessions if (m.app, m.place.partition) == (app, partition)]
        if all(m.closed_at is not None for m in here):
            killalls = self.epochs[app, partition]
            killalls = {call: (count, at) for call, (count, at) in killalls.items() if self.now <= at + REPEATABLE}
            self.epochs[app, partition] = killalls
            if not here and not killalls:
                del self.epochs[app, partition]

    def listed(self, app, id=None, since=0):
        found = [
            m
            for m in self.sessions
            if m.app == app and id in (None, m.id) and m.last_used >= since and m.is_alive(self.now)
        ]
        found.sort(key=lambda m: (m.last_used, m.place.handle), reverse=True)
        return [session.seen(self.now) for session in found]

    def active(self, app, dt):
        return sum(last_used >= self.now - dt for (of, _), last_used in self.last_use_of_user.items() if of == app)

    def app(self, name) -> App:
        """The app in the list of apps."""
        sessions = sum(m.app == name and m.is_alive(self.now) for m in self.sessions)
        return App(name, sessions, sum(of == name for of, _ in self.last_use_of_user))


class StoreMachine(RuleBasedStateMachine):
    server: Server
    # One client for all runs, as in a process that serves requests.
    client: Client

    @initialize()
    def start(self) -> None:
        self.namespace = f"test-{uuid.uuid4().hex}"
        self.clock = Clock()
        self.model = Model(self.clock)
        self.store = SessionStore(self.client, self.namespace, self.clock)
        # The last killall: its app, its time, what it sent, and what the model knows it by.
        self.killall: tuple[str, int, tuple, object] | None = None
        # Also those of killed and expired sessions, which must stay gone, and two that were never issued.
        self.tokens = [("app", "Z0" + string.ascii_letters + string.digits), ("app", "a" * 64)]

    @rule(
        app=APPS,
        id=OWNERS,
        timeouts=TIMEOUTS,
        data=DATA,
        own_token=st.none() | st.none() | st.sampled_from(OWN_TOKENS),
        cap=CAPS,
        which=st.none() | WHICH,
        grace=st.sampled_from([0, 10, 300]),
    )
    def create(self, app, id, timeouts, data, own_token, cap, which, grace) -> None:
        ip = f"192.0.2.{len(self.tokens)}"
        login = None
        if not id:
            cap = None
        elif which is not None:
            app, token = self._pick(which, elsewhere=False)
            login = Login(token, grace)
        self._create(app, id, ip, timeouts, data, own_token, cap, login)

    @rule(app=APPS, id=OWNERS, own_token=st.sampled_from(OWN_TOKENS), times=st.integers(1, 3))
    def create_with_own_token(self, app, id, own_token, times) -> None:
        for _ in range(times):
            self._create(app, id, "192.0.2.1", Timeouts(60), {"k": "1"}, own_token, None, None)

    def _create(self, app, id, ip, timeouts, data, own_token, cap, login) -> None:
        def create() -> Created:
            if not id:
                return self.store.create_anonymous_session(app, ip, timeouts, data, own_token)
            return self.store.create_session(app, id, ip, timeouts, data, login=login, cap=cap, own_token=own_token)

        created, error = _outcome(create)
        token = own_token or (created.token if created else f"Z{partition_number_of_id(id):x}{'0' * 62}")
        expected = _outcome(
            lambda: self.model.create(
                token, app, id, ip, timeouts, data, login=login, cap=cap, is_own=own_token is not None
            )
        )
        assert (created, error) == expected
        if created and (app, token) not in self.tokens:
            self.tokens.append((app, token))

    def _pick(self, which, elsewhere):
        app, token = self.tokens[-1 - which % len(self.tokens)]
        return ("elsewhere" if elsewhere else app), token

    @rule(which=WHICH, elsewhere=ELSEWHERE, peek=st.booleans())
    def get(self, which, elsewhere, peek) -> None:
        app, token = self._pick(which, elsewhere)
        assert self.store.get_session(app, token, peek=peek, details=True) == self.model.get(app, token, peek)

    @rule(
        which=WHICH,
        elsewhere=ELSEWHERE,
        changes=CHANGES,
        new_ttl=NEW_TTLS,
        replace=st.booleans(),
        expected_w=st.none() | st.none() | st.integers(1, 3),
    )
    def set(self, which, elsewhere, changes, new_ttl, replace, expected_w) -> None:
        app, token = self._pick(which, elsewhere)
        session = _outcome(
            lambda: self.store.set_session(
                app, token, changes, ttl=new_ttl, replace=replace, expected_w=expected_w, details=True
            )
        )
        assert session == _outcome(lambda: self.model.set(app, token, changes, new_ttl, replace, expected_w))

    @rule(which=WHICH, elsewhere=ELSEWHERE, new_ttl=NEW_TTLS)
    def touch(self, which, elsewhere, new_ttl) -> None:
        app, token = self._pick(which, elsewhere)
        assert self.store.touch_session(app, token, ttl=new_ttl, details=True) == self.model.touch(app, token, new_ttl)

    @rule(which=WHICH, elsewhere=ELSEWHERE, grace=st.sampled_from([10, 60, 300]))
    def rotate(self, which, elsewhere, grace) -> None:
        app, token = self._pick(which, elsewhere)
        made = self.store.rotate_session(app, token, grace)
        assert made == self.model.rotate(app, token, grace, made)
        if made and (app, made) not in self.tokens:
            assert not is_own(made)
            self.tokens.append((app, made))

    @rule(which=WHICH, elsewhere=ELSEWHERE)
    def kill(self, which, elsewhere) -> None:
        app, token = self._pick(which, elsewhere)
        assert self.store.kill_session(app, token) == self.model.kill(app, token)

    @rule(app=APPS, id=IDS)
    def kill_of_id(self, app, id) -> None:
        assert self.store.kill_sessions_of_id(app, id) == self.model.kill_many(app, id)

    @rule(which=WHICH, id=IDS, spare=st.booleans())
    def kill_devices(self, which, id, spare) -> None:
        app, token = self._pick(which, elsewhere=False)
        handle = place_of(token).handle
        devices = Devices(spared=handle) if spare else Devices(only=handle)
        killed = _outcome(lambda: self.store.kill_sessions_of_id(app, id, devices))
        assert killed == _outcome(lambda: self.model.kill_many(app, id, devices))

    @rule(app=APPS)
    def kill_of_app(self, app) -> None:
        with mock.patch.object(self.client, "run", wraps=self.client.run) as run:
            killed = self.store.kill_sessions_of_app(app)
        [sent] = run.call_args_list
        call = object()
        self.killall = app, self.model.now, sent.args, call
        assert killed == self.model.kill_all(app, call, self.model.now)

    @precondition(lambda self: self.killall and self.model.now <= self.killall[1] + REPEATABLE)
    @rule()
    def kill_of_app_again(self) -> None:
        """As a client does that got no answer."""
        app, at, sent, call = self.killall
        assert sum(self.client.run(*sent)) == self.model.kill_all(app, call, at)

    @rule()
    def sweep(self) -> None:
        assert self.store.sweep_expired().total == self.model.sweep()

    @rule(app=APPS, id=IDS, limit=LIMITS)
    def list_of_id(self, app, id, limit) -> None:
        pages = all_pages(lambda after: self.store.list_sessions_of_id(app, id, limit, after, details=True))
        assert [session for page in pages for session in page.sessions] == self.model.listed(app, id)

    @rule(app=APPS, dt=SECONDS, limit=LIMITS)
    def list_of_app(self, app, dt, limit) -> None:
        pages = all_pages(lambda after: self.store.list_sessions_of_app(app, dt, limit, after, details=True))
        listed = [session for page in pages for session in page.sessions]
        assert listed == self.model.listed(app, since=self.model.now - dt)

    @rule(app=APPS, dt=SECONDS)
    def count_active(self, app, dt) -> None:
        assert self.store.count_active_users(app, dt) == self.model.active(app, dt)

    @rule()
    def list_apps(self) -> None:
        page = self.store.list_apps(lambda _: True)
        assert list(page.apps) == [self.model.app(name) for name in sorted(self.model.apps)]

    @invariant()
    def the_listing_agrees(self) -> None:
        assert self.store.list_sessions_of_app("app", 10**10, details=True).sessions == self.model.listed("app")

    @precondition(lambda self: self.model.slots)
    @rule(seconds=st.sampled_from([1, 5, 10, 11, 61, 72]))
    def advance(self, seconds) -> None:
        self.clock.now += seconds

    def teardown(self) -> None:
        self.clock.now += 2_592_000 + 1
        self.store.sweep_expired()
        self.model.sweep()
        # Redis will expire these by itself.
        left = {f"{self.namespace}:{{{app}:{place.partition:x}}}:s:{place.handle}" for app, place in self.model.slots}
        assert self.server.keys(self.namespace) == left


def _outcome(call):
    """What a call returned, and the type of the error that it raised."""
    try:
        return call(), None
    except ApiError as error:
        return None, type(error)


def test_the_store_agrees_with_the_model(server: Server, namespace, soak: bool, figures: Figures) -> None:
    if soak and server.name == FAKEREDIS:
        pytest.skip("the promises do not cover fakeredis, on which this would take hours")

    class Machine(StoreMachine):
        pass

    Machine.server = server
    Machine.client = Client(server.settings(namespace))
    length, times = (SOAK, SOAK_TIMES) if soak else (settings(max_examples=150, stateful_step_count=40), 1)
    for _ in range(times):
        run_state_machine_as_test(
            Machine,
            settings=settings(
                length, deadline=None, report_multiple_bugs=False, suppress_health_check=list(HealthCheck)
            ),
        )
    runs = f"{times * length.max_examples:,} runs of {length.stateful_step_count} steps"
    figures.add(f"The store and its model, {server.name}", runs, "no difference")
