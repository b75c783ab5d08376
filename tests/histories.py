"""Histories: the calls of many threads on few sessions, each with its answer, and a check of them against the contract.

A session's counters show the order in which its reads and writes took effect. So a history can be checked call by call,
without a search for an order that would explain it.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf

from rest_sessions.deadline import deadline
from rest_sessions.errors import StoreUnavailable
from rest_sessions.limits import REQUEST_SECONDS
from rest_sessions.model import Session
from rest_sessions.store.sessions import SessionStore

APP = "webapp"
IP = "192.0.2.7"
# In two partitions.
USERS = ("peter", "paul")
KEYS = ("k", "l", "m")
_OPERATIONS = {"create": 12, "get": 30, "set": 36, "kill": 12, "kill_of_id": 6, "kill_of_app": 4}


@dataclass(frozen=True, eq=False)
class Call:
    """A call: when it began and ended, and its answer. `failed` means that the store was unavailable.

    A failed call may have taken effect once, twice or not at all.
    """

    operation: str
    begin: float = 0
    end: float = 0
    id: str = ""
    token: str = ""
    changes: Mapping[str, str | None] = field(default_factory=dict)
    answer: Session | str | int | None = None
    failed: bool = False

    @property
    def is_kill(self) -> bool:
        return self.operation.startswith("kill")

    @property
    def last_effect(self) -> float:
        return inf if self.failed else self.end


class Workers:
    """Threads that make random calls and record the answers. Each thread has a store of its own.

    Each call has the deadline of a request.
    """

    def __init__(self, stores: Sequence[SessionStore], seed: int) -> None:
        self.calls: list[Call] = []
        self._stores = stores
        self._seed = seed
        self._done = threading.Event()
        self._sessions: list[tuple[str, str]] = []

    def run(self, rounds: int | None = None) -> None:
        """Each thread makes `rounds` calls, or goes on until `stop` if that is None."""
        with ThreadPoolExecutor(len(self._stores)) as pool:
            list(pool.map(lambda number: self._run(number, rounds), range(len(self._stores))))

    def stop(self) -> None:
        self._done.set()

    def read_all(self) -> None:
        """Ends the history with a read of each session, which shows whether the session is alive."""
        for id, token in self._sessions:
            self._call(self._stores[0], "get", id, token)

    def _run(self, number: int, rounds: int | None) -> None:
        choice = random.Random(f"{self._seed}/{number}")
        names, weights = list(_OPERATIONS), list(_OPERATIONS.values())
        turn = 0
        while turn != rounds and not self._done.is_set():
            turn += 1
            [operation] = choice.choices(names, weights)
            # One of the latest sessions, so that the threads share them.
            known = self._sessions[-4:]
            id, token = choice.choice(known) if known else (choice.choice(USERS), "")
            if not token:
                operation = "create"
            if operation == "create":
                id, token = choice.choice(USERS), ""
            changes = dict.fromkeys(choice.sample(KEYS, choice.randint(1, 2)), f"{number}{turn:05}")
            if operation == "set" and choice.random() < 0.2:
                changes[choice.choice(list(changes))] = None
            self._call(self._stores[number], operation, id, token, changes)

    def _call(
        self, store: SessionStore, operation: str, id: str, token: str, changes: Mapping[str, str | None] | None = None
    ) -> None:
        execute = {
            "create": lambda: store.create_session(APP, id, IP, data=changes),
            "get": lambda: store.get_session(APP, token),
            "set": lambda: store.set_session(APP, token, changes),
            "kill": lambda: store.kill_session(APP, token),
            "kill_of_id": lambda: store.kill_sessions_of_id(APP, id),
            "kill_of_app": lambda: store.kill_sessions_of_app(APP),
        }[operation]
        written = (changes or {}) if operation in ("create", "set") else {}
        begin = time.monotonic()
        try:
            with deadline(REQUEST_SECONDS):
                answer, failed = execute(), False
        except StoreUnavailable:
            answer, failed = None, True
        end = time.monotonic()
        if operation == "create" and not failed:
            token = answer
            self._sessions.append((id, token))
        self.calls.append(Call(operation, begin, end, id, token, written, answer, failed))


def violations(calls: Sequence[Call], *, exact: bool = True) -> list[str]:
    """The contradictions between a history and the contract.

    `exact` means that no call failed or was resent. Then each call must count, and be counted, exactly once.
    """
    kills = [call for call in calls if call.is_kill]
    sessions = [
        _SessionHistory(create, calls) for create in calls if create.operation == "create" and not create.failed
    ]
    found = [f"{session.name}: {violation}" for session in sessions for violation in session.violations(exact=exact)]
    found += [f"{kill.operation} answered {kill.answer!r}" for kill in kills if not _is_count(kill)]
    return found or list(_miscounts(kills, sessions, calls, exact=exact))


def _is_count(kill: Call) -> bool:
    return kill.failed or (
        isinstance(kill.answer, int) and 0 <= kill.answer <= (1 if kill.operation == "kill" else inf)
    )


class _SessionHistory:
    """The calls that concern one session."""

    def __init__(self, create: Call, calls: Sequence[Call]) -> None:
        self.create = create
        self.name = f"{create.id}'s {create.token[:6]}"
        of_it = [call for call in calls if call.token == create.token]
        uses = [call for call in of_it if call.operation in ("get", "set") and not call.failed]
        self.hits = sorted((call for call in uses if call.answer is not None), key=_number)
        self.misses = [call for call in uses if call.answer is None]
        self.writes = [call for call in of_it if call.operation == "set"]
        self.kills = [
            call
            for call in calls
            if (call.operation == "kill" and call.token == create.token)
            or (call.operation == "kill_of_id" and call.id == create.id)
            or call.operation == "kill_of_app"
        ]
        self._begin = max(call.begin for call in (create, *self.hits))
        self._end = min((miss.end for miss in self.misses), default=inf)

        # The last read shows it, or an answered kill.
        self.has_ended = bool(self.misses) or any(map(self._must_have_ended_by, self.kills))

    def _must_have_ended_by(self, kill: Call) -> bool:
        return not kill.failed and self.create.end < kill.begin

    def may_have_ended_by(self, kill: Call) -> bool:
        """Whether the kill can have taken effect at a moment after all hits and before all misses."""
        return max(kill.begin, self._begin) <= min(kill.last_effect, self._end)

    def may_have_ended_between_attempts(self, kill: Call) -> bool:
        """Whether the kill can have ended what the first attempt of a resent create made, before the second."""
        return kill in self.kills and kill.begin <= self.create.end and self.create.begin <= kill.last_effect

    def violations(self, *, exact: bool) -> Iterator[str]:
        yield from self._order_violations(exact=exact)
        for hit in self.hits:
            yield from (f"{hit.operation} gave {violation}" for violation in self._data_violations(hit))
        for kill in self.kills:
            if self._must_have_ended_by(kill) and any(kill.end < hit.begin for hit in self.hits):
                yield f"used after the answer of {kill.operation}"
        if self.misses and not any(self.may_have_ended_by(kill) for kill in self.kills):
            yield "missing, and no kill can have ended it"

    def _order_violations(self, *, exact: bool) -> Iterator[str]:
        if exact:
            r, w, data = 1, 1, _without_nulls(self.create.changes)
            for hit in self.hits:
                if hit.operation == "set":
                    w, data = w + 1, _without_nulls({**data, **hit.changes})
                seen = (hit.answer.r, hit.answer.w, dict(hit.answer.data))
                if seen != (r, w, data):
                    yield f"{hit.operation} gave {seen}, not {(r, w, data)}"
                    return
                r += hit.operation == "get"
        latest = self.create.begin
        for before, hit in zip([None, *self.hits], self.hits, strict=False):
            if before and _number(before) == _number(hit):
                yield f"two calls have the number {_number(hit)}"
            if hit.end < latest:
                yield f"{hit.operation} ended before a call began, but saw its effect"
            latest = max(latest, hit.begin)

    def _data_violations(self, hit: Call) -> Iterator[str]:
        """Checks each key: its text must come from the latest write before the hit, or from a concurrent write."""
        for key in KEYS:
            text = hit.answer.data.get(key)
            if key in hit.changes:
                if text != hit.changes[key]:
                    yield f"{key}={text}, which is not what it set"
                continue
            writes = [write for write in self.writes if key in write.changes and write is not hit]
            earlier = [write for write in writes if write.answer and _number(write) < _number(hit)]
            latest = max(earlier, key=_number, default=self.create)
            # A `set` that was answered with "missing" counts too: a kill may have come between its two attempts.
            possible = [write for write in writes if write not in earlier and write.begin <= hit.end]
            if text not in [write.changes.get(key) for write in (latest, *possible)]:
                yield f"{key}={text}, which no write can have left there"


def _without_nulls(data: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: text for key, text in data.items() if text is not None}


def _number(hit: Call) -> int:
    """How many uses the session had before this one."""
    return hit.answer.r + hit.answer.w - (3 if hit.operation == "set" else 2)


def _miscounts(
    kills: Sequence[Call], sessions: Sequence[_SessionHistory], calls: Sequence[Call], *, exact: bool
) -> Iterator[str]:
    """Matches the counts of kills with the sessions that ended. Each count needs a session of its own."""
    ends: list[tuple[_SessionHistory, Callable[[Call], bool]]] = [
        (session, session.may_have_ended_by) for session in sessions if session.has_ended
    ]
    if not exact:
        # A create that was resent made its session twice, and the first may have been killed and counted in between.
        ends += [(session, session.may_have_ended_between_attempts) for session in sessions]
    counted = [kill for kill in kills if not kill.failed for _ in range(kill.answer)]
    ended_by: dict[int, Call] = {}

    # Kuhn's algorithm for bipartite matching: counts on one side, ended sessions on the other.
    def match(kill: Call, seen: set[int]) -> bool:
        for number, (session, may_have_ended_by) in enumerate(ends):
            if number not in seen and kill in session.kills and may_have_ended_by(kill):
                seen.add(number)
                if number not in ended_by or match(ended_by[number], seen):
                    ended_by[number] = kill
                    return True
        return False

    unmatched = [kill for kill in counted if not match(kill, set())]
    # A failed create may have made a session whose token nobody knows.
    unknown = sum(call.operation == "create" and call.failed for call in calls)
    if len(unmatched) > unknown:
        yield f"{len(counted)} kills were counted, of which {len(unmatched)} fit no session that ended"
    if exact and len(ended_by) < len(ends):
        yield f"{len(ends)} sessions ended, and {len(ended_by)} were counted"
