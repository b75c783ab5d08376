"""Compares the store with a model of plain dictionaries, operation by operation, with one clock for both."""

import string
import uuid
from dataclasses import dataclass, field

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
from rest_sessions.model import Session
from rest_sessions.store.keys import partition_number_of_id
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import handle_of
from tests.conftest import Clock
from tests.figures import Figures
from tests.pages import all_pages
from tests.servers import FAKEREDIS, Server

APPS = st.sampled_from(["app", "app", "other-app"])
IDS = st.sampled_from(["a", "a:b", "딸기"])
TTLS = st.sampled_from([10, 10, 11, 60, 2_592_000])
DATA_KEYS = st.sampled_from(["k", "l", "id", "__proto__", "d:k"])
JSON_TEXTS = st.sampled_from(["1", "-0.0", '""', '"x"', "true", "12345678901234567"])
CHANGES = st.dictionaries(DATA_KEYS, st.none() | JSON_TEXTS, min_size=1)
SECONDS = st.sampled_from([10, 11, 60, 10_000])
# One of the latest sessions, mostly in its own app.
WHICH = st.integers(0, 4)
ELSEWHERE = st.sampled_from([False] * 9 + [True])
LIMITS = st.none() | st.integers(1, 5)

# Many short series: Hypothesis remembers all runs of a series. To garbage-collect a long one, Python would stop for
# longer than a call may take.
SOAK, SOAK_TIMES = settings(max_examples=500, stateful_step_count=50), 20

# `create` clears the index entries of sessions that expired more than LINGER seconds ago and were not swept. One call
# clears CLEARED_AT_ONCE sessions at most.
LINGER = 60
CLEARED_AT_ONCE = 2


@dataclass
class ModelSession:
    token: str
    app: str
    id: str
    ip: str
    ttl: int
    fixed_expiry: int | None
    last_used: int
    r: int = 1
    w: int = 1
    data: dict[str, str] = field(default_factory=dict)
    # Whether it has index entries. Without them listings, `killsoid`, `killall` and the sweep do not find it.
    indexed: bool = True

    @property
    def expires_at(self) -> int:
        return self.last_used + self.ttl if self.fixed_expiry is None else self.fixed_expiry

    def is_alive(self, now: int) -> bool:
        return now <= self.expires_at

    def seen(self, now: int) -> Session:
        ttl = self.ttl if self.fixed_expiry is None else self.fixed_expiry - now
        idle = now - self.last_used
        return Session(self.id, self.r, self.w, ttl, idle, self.ip, self.fixed_expiry is not None, dict(self.data))


class Model:
    """The contract, written with dictionaries instead of Redis."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sessions: dict[str, ModelSession] = {}
        self.last_use_of_user: dict[tuple[str, str], int] = {}

    @property
    def now(self) -> int:
        return int(self.clock())

    def create(self, token, app, id, ip, ttl, no_resave, data):
        partition = [
            m
            for m in self.sessions.values()
            if m.app == app and partition_number_of_id(m.id) == partition_number_of_id(id)
        ]
        long_expired = [m for m in partition if m.indexed and m.expires_at < self.now - LINGER]
        long_expired.sort(key=lambda m: (m.expires_at, f"{handle_of(m.token)}:{m.id}".encode()))
        for session in long_expired[:CLEARED_AT_ONCE]:
            session.indexed = False
            self._forget_user(session)
        fixed_expiry = self.now + ttl if no_resave else None
        first_data = {key: text for key, text in data.items() if text is not None}
        self.sessions[token] = ModelSession(token, app, id, ip, ttl, fixed_expiry, self.now, data=first_data)
        self.last_use_of_user[app, id] = self.now

    def _alive(self, app, token):
        session = self.sessions.get(token)
        return session if session and session.app == app and session.is_alive(self.now) else None

    def _use(self, session):
        session.last_used = self.now
        self.last_use_of_user[session.app, session.id] = self.now

    def get(self, app, token):
        if session := self._alive(app, token):
            seen = session.seen(self.now)
            session.r += 1
            self._use(session)
            return seen
        return None

    def set(self, app, token, changes):
        if session := self._alive(app, token):
            for key, text in changes.items():
                if text is None:
                    session.data.pop(key, None)
                else:
                    session.data[key] = text
            session.w += 1
            seen = session.seen(self.now)
            self._use(session)
            return seen
        return None

    def _forget_user(self, session):
        user = (session.app, session.id)
        if not any((m.app, m.id) == user and m.indexed for m in self.sessions.values()):
            self.last_use_of_user.pop(user, None)

    def _remove(self, session):
        del self.sessions[session.token]
        self._forget_user(session)

    def kill(self, app, token):
        session = self.sessions.get(token)
        if not session or session.app != app:
            return 0
        self._remove(session)
        return int(session.is_alive(self.now))

    def kill_many(self, app, id=None):
        killed = [m for m in self.sessions.values() if m.app == app and id in (None, m.id) and m.indexed]
        for session in killed:
            self._remove(session)
        return sum(session.is_alive(self.now) for session in killed)

    def sweep(self):
        expired = [m for m in self.sessions.values() if m.indexed and not m.is_alive(self.now)]
        for session in expired:
            self._remove(session)
        return len(expired)

    def listed(self, app, id=None, since=0):
        found = [
            m
            for m in self.sessions.values()
            if m.app == app and id in (None, m.id) and m.last_used >= since and m.is_alive(self.now)
        ]
        found.sort(key=lambda m: (m.last_used, handle_of(m.token)), reverse=True)
        return [session.seen(self.now) for session in found]

    def active(self, app, dt):
        return sum(last_used >= self.now - dt for (of, _), last_used in self.last_use_of_user.items() if of == app)


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
        # Also those of killed and expired sessions, which must stay gone, and two that were never issued.
        self.tokens = [("app", "Z0" + string.ascii_letters + string.digits), ("app", "a" * 64)]

    @rule(app=APPS, id=IDS, ttl=TTLS, no_resave=st.booleans(), data=st.dictionaries(DATA_KEYS, st.none() | JSON_TEXTS))
    def create(self, app, id, ttl, no_resave, data) -> None:
        ip = f"192.0.2.{len(self.tokens)}"
        token = self.store.create_session(app, id, ip, ttl, no_resave, data)
        assert (app, token) not in self.tokens
        self.tokens.append((app, token))
        self.model.create(token, app, id, ip, ttl, no_resave, data)

    def _pick(self, which, elsewhere):
        app, token = self.tokens[-1 - which % len(self.tokens)]
        return ("elsewhere" if elsewhere else app), token

    @rule(which=WHICH, elsewhere=ELSEWHERE)
    def get(self, which, elsewhere) -> None:
        app, token = self._pick(which, elsewhere)
        assert self.store.get_session(app, token) == self.model.get(app, token)

    @rule(which=WHICH, elsewhere=ELSEWHERE, changes=CHANGES)
    def set(self, which, elsewhere, changes) -> None:
        app, token = self._pick(which, elsewhere)
        assert self.store.set_session(app, token, changes) == self.model.set(app, token, changes)

    @rule(which=WHICH, elsewhere=ELSEWHERE)
    def kill(self, which, elsewhere) -> None:
        app, token = self._pick(which, elsewhere)
        assert self.store.kill_session(app, token) == self.model.kill(app, token)

    @rule(app=APPS, id=IDS)
    def kill_of_id(self, app, id) -> None:
        assert self.store.kill_sessions_of_id(app, id) == self.model.kill_many(app, id)

    @rule(app=APPS)
    def kill_of_app(self, app) -> None:
        assert self.store.kill_sessions_of_app(app) == self.model.kill_many(app)

    @rule()
    def sweep(self) -> None:
        assert self.store.sweep_expired().total == self.model.sweep()

    @rule(app=APPS, id=IDS, limit=LIMITS)
    def list_of_id(self, app, id, limit) -> None:
        pages = all_pages(lambda after: self.store.list_sessions_of_id(app, id, limit, after))
        assert [session for page in pages for session in page.sessions] == self.model.listed(app, id)

    @rule(app=APPS, dt=SECONDS, limit=LIMITS)
    def list_of_app(self, app, dt, limit) -> None:
        pages = all_pages(lambda after: self.store.list_sessions_of_app(app, dt, limit, after))
        listed = [session for page in pages for session in page.sessions]
        assert listed == self.model.listed(app, since=self.model.now - dt)

    @rule(app=APPS, dt=SECONDS)
    def count_active(self, app, dt) -> None:
        assert self.store.count_active_users(app, dt) == self.model.active(app, dt)

    @invariant()
    def the_listing_agrees(self) -> None:
        assert self.store.list_sessions_of_app("app", 10**9).sessions == self.model.listed("app")

    @precondition(lambda self: self.model.sessions)
    @rule(seconds=st.sampled_from([1, 5, 10, 11, 61, 72]))
    def advance(self, seconds) -> None:
        self.clock.now += seconds

    def teardown(self) -> None:
        self.clock.now += 2_592_000 + 1
        self.store.sweep_expired()
        self.model.sweep()
        # Redis will expire these by itself.
        left = {
            f"{self.namespace}:{{{m.app}:{partition_number_of_id(m.id):x}}}:s:{handle_of(m.token)}"
            for m in self.model.sessions.values()
        }
        assert self.server.keys(self.namespace) == left


def test_the_store_agrees_with_the_model(server: Server, namespace, soak: bool, figures: Figures) -> None:
    if soak and server.name == FAKEREDIS:
        pytest.skip("the promises do not cover fakeredis, on which this would take hours")

    class Machine(StoreMachine):
        pass

    Machine.server = server
    Machine.client = Client(server.settings(namespace))
    length, times = (SOAK, SOAK_TIMES) if soak else (settings(max_examples=50, stateful_step_count=30), 1)
    for _ in range(times):
        run_state_machine_as_test(
            Machine, settings=settings(length, deadline=None, suppress_health_check=list(HealthCheck))
        )
    runs = f"{times * length.max_examples:,} runs of {length.stateful_step_count} steps"
    figures.add(f"The store and its model, {server.name}", runs, "no difference")
