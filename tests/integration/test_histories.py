"""Random calls of many threads on few sessions, in many rounds. Each history is checked against the contract."""

from dataclasses import replace

from rest_sessions.connection.client import Client
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.figures import Figures
from tests.histories import APP, OWN_TOKENS, Workers, violations
from tests.servers import Server

THREADS = 4
CALLS = 12
ROUNDS = 60
ROUNDS_OF_A_SOAK = 10_000
TTL = 7200
# Seconds for which the token of a pointer stays in use after a rotation.
LONGEST_GRACE = 360


def test_histories_agree_with_the_contract(real_server: Server, namespace, clock, soak, figures: Figures) -> None:
    stores = [SessionStore(Client(real_server.settings(namespace)), namespace, clock) for _ in range(THREADS)]
    rounds = ROUNDS_OF_A_SOAK if soak else ROUNDS
    calls = 0
    for seed in range(rounds):
        workers = Workers(stores, seed)
        workers.run(CALLS)
        workers.read_all()
        assert violations(workers.calls) == [], f"seed {seed}: {workers.calls}"
        calls += len(workers.calls)
        last_reads = {call.handle: call.answer for call in workers.calls if call.operation == "get"}
        alive = [
            replace(session, r=session.r + 1, rotated=False)
            for session in last_reads.values()
            if session and not session.closed
        ]
        listed = stores[0].list_sessions_of_app(APP, 60).sessions
        assert sorted(session.json for session in listed) == sorted(session.json for session in alive)
        # The remaining sessions of the round expire, and so do the pointers of those that were rotated.
        clock.now += TTL + LONGEST_GRACE + 1
        assert stores[0].sweep_expired().total == len(listed)
        # Of a caller's own token, Redis drops what is left by itself.
        left = real_server.keys(namespace)
        assert {key.rpartition(":")[2] for key in left} <= {place_of(token).handle for token in OWN_TOKENS}
        with real_server.connect() as client:
            assert all(client.ttl(key) > 0 for key in left)
    figures.add(f"Histories, {real_server.name}", f"{rounds:,} rounds, {calls:,} calls", "no contradiction")
