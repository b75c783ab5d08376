"""Histories: the calls of many threads on few sessions, each with its answer, and a check of them against the contract.

A session is known by its handle, which no rotation changes. Its counters show the order in which its reads and writes
took effect. So a history can be checked call by call, without a search for an order that would explain it.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from rest_sessions.deadline import deadline
from rest_sessions.errors import Conflict, StoreUnavailable, TokenInUse
from rest_sessions.limits import REQUEST_SECONDS
from rest_sessions.model import Cap, Devices, Login, Session
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of

APP = "webapp"
IP = "192.0.2.7"
# In two partitions.
USERS = ("peter", "paul")
KEYS = ("k", "l", "m")
# Callers' own tokens, in several partitions.
OWN_TOKENS = ("a" * 64, "b" * 64, "c" * 64)
_OPERATIONS = {
    "create": 10,
    "create_anonymous": 3,
    "create_own": 4,
    "create_capped": 2,
    "login": 6,
    "get": 24,
    "peek": 6,
    "touch": 6,
    "set": 24,
    "set_if": 8,
    "rotate": 8,
    "kill": 8,
    "kill_of_id": 3,
    "kill_of_device": 3,
    "kill_of_others": 3,
    "kill_of_app": 2,
}


@dataclass(frozen=True, eq=False)
class Call:
    """A call: when it began and ended, and its answer. `failed` means that the store was unavailable.

    A failed call may have taken effect once, twice or not at all. The answer of a create is the token of its session,
    and None if it was refused. `taken_from` is the token of the session that a login should take over, and `taken_over`
    whether it did. `killed` counts the sessions that a cap ended. `conflict` means that a condition was not met.
    """

    operation: str
    begin: float = 0
    end: float = 0
    id: str = ""
    token: str = ""
    changes: Mapping[str, str | None] = field(default_factory=dict)
    answer: Session | str | int | None = None
    failed: bool = False
    taken_from: str = ""
    taken_over: bool | None = None
    killed: int | None = None
    conflict: bool = False

    @property
    def is_kill(self) -> bool:
        return self.operation.startswith("kill")

    @property
    def is_create(self) -> bool:
        return self.operation in ("login", "create") or self.operation.startswith("create_")

    @property
    def is_write(self) -> bool:
        return self.operation in ("set", "set_if")

    @property
    def handle(self) -> str:
        return place_of(self.token).handle if self.token else ""

    @property
    def count(self) -> int:
        """How many sessions it says that it ended."""
        return self.answer if self.is_kill else self.killed or 0

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
            id, token = choice.choice(known) if known else ("", "")
            if not token and operation != "create_anonymous":
                operation = "create"
            if operation.startswith("create") or operation == "login" or not id:
                id = choice.choice(USERS)
            changes = dict.fromkeys(choice.sample(KEYS, choice.randint(1, 2)), f"{number}{turn:05}")
            if operation == "set" and choice.random() < 0.2:
                changes[choice.choice(list(changes))] = None
            if operation == "create_own":
                token = choice.choice(OWN_TOKENS)
            self._call(self._stores[number], operation, id, token, changes, choice.randint(1, 4))

    def _call(
        self,
        store: SessionStore,
        operation: str,
        id: str,
        token: str,
        changes: Mapping[str, str | None] | None = None,
        expected_w: int = 1,
    ) -> None:
        handle = place_of(token).handle if token else ""
        execute = {
            "create": lambda: store.create_session(APP, id, IP, data=changes),
            "create_anonymous": lambda: store.create_anonymous_session(APP, IP, data=changes),
            "create_own": lambda: store.create_session(APP, id, IP, data=changes, own_token=token),
            "create_capped": lambda: store.create_session(APP, id, IP, data=changes, cap=Cap(2)),
            "login": lambda: store.create_session(APP, id, IP, data=changes, login=Login(token)),
            "get": lambda: store.get_session(APP, token),
            "peek": lambda: store.get_session(APP, token, peek=True),
            "touch": lambda: store.touch_session(APP, token),
            "set": lambda: store.set_session(APP, token, changes),
            "set_if": lambda: store.set_session(APP, token, changes, expected_w=expected_w),
            "rotate": lambda: store.rotate_session(APP, token),
            "kill": lambda: store.kill_session(APP, token),
            "kill_of_id": lambda: store.kill_sessions_of_id(APP, id),
            "kill_of_device": lambda: store.kill_sessions_of_id(APP, id, Devices(only=handle)),
            "kill_of_others": lambda: store.kill_sessions_of_id(APP, id, Devices(spared=handle)),
            "kill_of_app": lambda: store.kill_sessions_of_app(APP),
        }[operation]
        call = Call(operation, time.monotonic(), id="" if operation == "create_anonymous" else id, token=token)
        found: dict[str, Any] = {}
        try:
            with deadline(REQUEST_SECONDS):
                found["answer"] = execute()
        except StoreUnavailable:
            found["failed"] = True
        except (Conflict, TokenInUse):
            found["conflict"] = True
        if call.is_create or call.is_write:
            found["changes"] = changes
        if call.operation == "login":
            found |= {"taken_from": token, "token": ""}
        if call.is_create and "answer" in found:
            created = found["answer"]
            found |= {
                "token": created.token,
                "answer": created.token,
                "taken_over": created.taken_over,
                "killed": created.killed,
            }
            self._sessions.append((call.id, created.token))
        if operation == "rotate" and found.get("answer") not in (None, token):
            self._sessions.append((id, found["answer"]))
        self.calls.append(replace(call, end=time.monotonic(), **found))


def violations(calls: Sequence[Call], *, exact: bool = True) -> list[str]:
    """The contradictions between a history and the contract.

    `exact` means that no call failed or was resent. Then each call must count, and be counted, exactly once.
    """
    enders = [call for call in calls if call.is_kill or call.taken_from or call.operation == "create_capped"]
    sessions = {
        create.handle: _SessionHistory(create, calls, enders)
        for create in calls
        if create.is_create and create.answer is not None
    }
    for session in sessions.values():
        if session.create.taken_over:
            session.taken_over = sessions.get(place_of(session.create.taken_from).handle)
    found = [
        f"{session.name}: {violation}" for session in sessions.values() for violation in session.violations(exact=exact)
    ]
    found += [f"{kill.operation} answered {kill.answer!r}" for kill in enders if not _is_count(kill)]
    found += _own_token_violations(calls)
    return found or list(_miscounts(enders, list(sessions.values()), calls, exact=exact))


def _is_count(kill: Call) -> bool:
    most = 1 if kill.operation in ("kill", "kill_of_device") else inf
    return kill.failed or kill.conflict or (isinstance(kill.count, int) and 0 <= kill.count <= most)


def _own_token_violations(calls: Sequence[Call]) -> Iterator[str]:
    creates = [call for call in calls if call.operation == "create_own"]
    for create in creates:
        others = [other for other in creates if other is not create and other.token == create.token]
        if create.answer is not None and any(other.answer is not None for other in others):
            yield f"two sessions got the token {create.token[:6]}"
        # A create under way may have claimed the token, although another one then gets it.
        holders = [
            other for other in others if other.begin < create.end and (not other.conflict or other.end > create.begin)
        ]
        if create.conflict and not (holders and any(not other.conflict for other in others)):
            yield f"the token {create.token[:6]} was refused, and nobody has it"


class _SessionHistory:
    """The calls that concern one session."""

    def __init__(self, create: Call, calls: Sequence[Call], enders: Sequence[Call]) -> None:
        self.create = create
        self.name = f"{create.id}'s {create.token[:6]}"
        # The session whose data its login took over.
        self.taken_over: _SessionHistory | None = None
        of_it = [call for call in calls if call.handle == create.handle and not call.is_create and not call.is_kill]
        answered = [call for call in of_it if not call.failed and not call.conflict]
        shown = [call for call in answered if isinstance(call.answer, Session)]
        self.closed = [call for call in shown if call.answer.closed]
        self.looks = [call for call in shown if call.operation in ("peek", "touch") and not call.answer.closed]
        self.hits = sorted((call for call in shown if call not in self.looks and not call.answer.closed), key=_number)
        self.rotations = [call for call in answered if call.operation == "rotate" and call.answer]
        self.attempted_rotations = [call for call in of_it if call.operation == "rotate"]
        self.misses = [call for call in answered if call.answer is None or call in self.closed]
        self.writes = [call for call in of_it if call.is_write and not call.conflict]
        self.kills = [ender for ender in enders if self._may_concern(ender)]
        found = (call for call in of_it if call.conflict)
        self._begin = max(call.begin for call in (create, *self.hits, *self.looks, *self.rotations, *found))
        self._end = min((miss.end for miss in self.misses), default=inf)

        # The last read shows it, or an answered kill.
        self.has_ended = bool(self.misses) or any(map(self._must_have_ended_by, self.kills))
        # A login ends the session that it takes over, and another user's, and no kill counts it.
        self.was_taken_over = any(ender.taken_over for ender in self.kills if ender.taken_from)
        self.may_be_uncounted = any(ender.taken_from and self.may_have_ended_by(ender) for ender in self.kills)

    def _may_concern(self, ender: Call) -> bool:
        if ender is self.create or ender.conflict:
            return False
        is_of_user = bool(self.create.id) and ender.id == self.create.id
        is_of_handle = (place_of(ender.taken_from).handle if ender.taken_from else ender.handle) == self.create.handle
        return {
            "kill_of_app": True,
            "kill_of_id": is_of_user,
            "create_capped": is_of_user,
            "kill_of_device": is_of_user and is_of_handle,
            "kill_of_others": is_of_user and not is_of_handle,
        }.get(ender.operation, is_of_handle)

    def _must_have_ended_by(self, ender: Call) -> bool:
        return not ender.failed and self.create.end < ender.begin and ender.operation != "create_capped"

    def may_have_ended_by(self, ender: Call) -> bool:
        """Whether the call can have taken effect at a moment after all hits and before all misses."""
        return max(ender.begin, self._begin) <= min(ender.last_effect, self._end)

    def may_have_ended_between_attempts(self, ender: Call) -> bool:
        """Whether the call can have ended what the first attempt of a resent create made, before the second."""
        return ender in self.kills and ender.begin <= self.create.end and self.create.begin <= ender.last_effect

    @property
    def first_data(self) -> dict[str, str]:
        taken = self.taken_over.last_data if self.taken_over else {}
        return _without_nulls({**taken, **self.create.changes})

    @property
    def last_data(self) -> dict[str, str]:
        data = self.first_data
        for hit in self.hits:
            if hit.is_write:
                data = _without_nulls({**data, **hit.changes})
        return data

    def violations(self, *, exact: bool) -> Iterator[str]:
        yield from self._order_violations(exact=exact)
        yield from self._rotation_violations()
        for hit in self.hits:
            yield from (f"{hit.operation} gave {violation}" for violation in self._data_violations(hit))
        for look in self.looks:
            yield from self._look_violations(look)
        for kill in self.kills:
            if self._must_have_ended_by(kill) and any(kill.end < hit.begin for hit in (*self.hits, *self.looks)):
                yield f"used after the answer of {kill.operation}"
        if self.misses and not any(self.may_have_ended_by(kill) for kill in self.kills):
            yield "missing, and no kill can have ended it"
        if self.closed and not any(kill.taken_from for kill in self.kills):
            yield "closed, and no login has taken it over"
        if exact and any(dict(call.answer.data) != self.last_data for call in self.closed):
            yield "the closed session is not as it was"

    def _look_violations(self, look: Call) -> Iterator[str]:
        uses = look.answer.r + look.answer.w - 2
        if any(hit.end < look.begin and _number(hit) >= uses for hit in self.hits):
            yield f"{look.operation} does not show an earlier use"
        if any(hit.begin > look.end and _number(hit) < uses for hit in self.hits):
            yield f"{look.operation} shows a later use"

    def _rotation_violations(self) -> Iterator[str]:
        if len({rotation.answer for rotation in self.rotations}) > 1:
            yield "two rotations gave two tokens"
        for use in (*self.hits, *self.looks):
            is_new = use.token != self.create.token
            if use.answer.rotated and (is_new or not self._may_be_rotated_at(use)):
                yield f"{use.operation} says rotated"
            if not use.answer.rotated and not is_new and any(other.end < use.begin for other in self.rotations):
                yield f"{use.operation} does not say rotated"

    def _may_be_rotated_at(self, use: Call) -> bool:
        return any(call.begin <= use.end for call in self.attempted_rotations)

    def _order_violations(self, *, exact: bool) -> Iterator[str]:
        if exact:
            r, w, data = 1, 1, self.first_data
            for hit in self.hits:
                if hit.is_write:
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
            latest = max(earlier, key=_number, default=None)
            # A `set` that was answered with "missing" counts too: a kill may have come between its two attempts.
            possible = [write for write in writes if write not in earlier and write.begin <= hit.end]
            before = [latest.changes.get(key)] if latest else list(self._first_texts(key))
            if text not in [*before, *(write.changes.get(key) for write in possible)]:
                yield f"{key}={text}, which no write can have left there"

    def _first_texts(self, key: str) -> Iterator[str | None]:
        """The texts with which the session can have begun: those of its create, or any that the old session had."""
        if key in self.create.changes or not self.create.taken_from:
            yield self.create.changes.get(key)
        elif self.taken_over:
            yield from self.taken_over._first_texts(key)
            yield from (write.changes[key] for write in self.taken_over.writes if key in write.changes)
        else:
            yield None


def _without_nulls(data: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: text for key, text in data.items() if text is not None}


def _number(hit: Call) -> int:
    """How many uses the session had before this one."""
    return hit.answer.r + hit.answer.w - (3 if hit.is_write else 2)


def _miscounts(
    kills: Sequence[Call], sessions: Sequence[_SessionHistory], calls: Sequence[Call], *, exact: bool
) -> Iterator[str]:
    """Matches the counts of kills with the sessions that ended. Each count needs a session of its own."""
    ends: list[tuple[_SessionHistory, Callable[[Call], bool]]] = [
        (session, session.may_have_ended_by) for session in sessions if session.has_ended and not session.was_taken_over
    ]
    if not exact:
        # A create that was resent made its session twice, and the first may have been killed and counted in between.
        ends += [(session, session.may_have_ended_between_attempts) for session in sessions]
    counted = [kill for kill in kills if not kill.failed and not kill.conflict for _ in range(kill.count)]
    matched = _match(counted, ends)
    unmatched = len(counted) - matched
    # A failed create may have made a session whose token nobody knows.
    unknown = sum(call.is_create and call.failed for call in calls)
    if unmatched > unknown:
        yield f"{len(counted)} kills were counted, of which {unmatched} fit no session that ended"
    # If all counts can be matched, and so can all sessions that must be counted, then both can at once.
    must = [(session, fits) for session, fits in ends if not session.may_be_uncounted]
    if exact and _match(counted, must) < len(must):
        yield f"{len(must)} sessions ended and must be counted, and {_match(counted, must)} were"


def _match(counted: Sequence[Call], ends: Sequence[tuple[_SessionHistory, Callable[[Call], bool]]]) -> int:
    """How many counts fit a session each. Kuhn's algorithm for bipartite matching."""
    ended_by: dict[int, Call] = {}

    def match(kill: Call, seen: set[int]) -> bool:
        for number, (session, may_have_ended_by) in enumerate(ends):
            if number not in seen and kill in session.kills and may_have_ended_by(kill):
                seen.add(number)
                if number not in ended_by or match(ended_by[number], seen):
                    ended_by[number] = kill
                    return True
        return False

    return sum(match(kill, set()) for kill in counted)
