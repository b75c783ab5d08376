"""`make dev` over a store that is full already: `SESSIONS=10000 APPS=50 python -m tests.console.filled`.

The sessions began and were last used at different times, as only a store with a clock of its own can have them.
"""

import json
import os
import random
import time
from collections.abc import Iterator

from dev import __main__ as dev
from dev.embedded_store import embedded_store
from rest_sessions.connection.client import Client
from rest_sessions.limits import MAX_TTL
from rest_sessions.model import Timeouts
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore

NAMES = ("shop", "webapp", "admin", "billing", "mobile", "partners", "reports", "support")
FIRST = ("anna", "ben", "carla", "dmitri", "eun-ji", "fatima", "george", "hana", "ivo", "júlia", "kofi", "lea")
LAST = ("almeida", "berg", "costa", "dubois", "eriksen", "fischer", "garcia", "haddad", "ito", "jansen", "kim")
AGENTS = ("Firefox on Linux", "Safari on iPhone", "Chrome on Windows", "Chrome on Android", "Edge on Windows")
DAY = 86_400
LONGEST = 20 * DAY


def app_names(count: int) -> list[str]:
    """So many names of apps."""
    return [*NAMES, *(f"app-{number:02}" for number in range(len(NAMES), count))][:count]


def fill(url: str, apps: list[str], sessions: int) -> None:
    """Makes the sessions in the store at `url`."""
    chance = random.Random(18)
    present = now = time.time()
    client = Client(Settings(url, redis_cluster=False, namespace="rs", missing_session_is_error=False))
    store = SessionStore(client, clock=lambda: now)
    for number in range(sessions):
        app = apps[number % len(apps)]
        ttl, lifetime = chance.choice([(7200, None), (7200, 30 * DAY), (14 * DAY, None)])
        # Most sessions are young, and were used a short time ago.
        idle = ttl * 0.95 * chance.random() ** 3
        age = idle + (LONGEST - idle) * chance.random() ** 5
        now = present - age
        timeouts = Timeouts(MAX_TTL, lifetime)
        data = dict(_data(chance))
        if chance.random() < 0.1:
            created = store.create_anonymous_session(app, _ip(chance), timeouts, data)
        else:
            id = f"{chance.choice(FIRST)}.{chance.choice(LAST)}@example.com"
            created = store.create_session(app, id, _ip(chance), timeouts, data)
        now = present - idle
        # It has its timeout from its last use on. Until then it needs one that bridges the time.
        store.touch_session(app, created.token, ttl=ttl)
    client.disconnect()


def _data(chance: random.Random) -> Iterator[tuple[str, str]]:
    yield "agent", json.dumps(chance.choice(AGENTS))
    if chance.random() < 0.7:
        yield "locale", json.dumps(chance.choice(("de", "en", "ko", "pt")))
    if chance.random() < 0.5:
        items = [
            {"article": chance.randrange(10_000, 99_999), "count": chance.randint(1, 3)}
            for _ in range(chance.randint(1, 6))
        ]
        yield "cart", json.dumps(items, separators=(",", ":"))


def _ip(chance: random.Random) -> str:
    if chance.random() < 0.15:
        return f"2001:db8::{chance.randrange(1, 0xFFFF):x}"
    return f"{chance.choice(('192.0.2', '198.51.100', '203.0.113'))}.{chance.randrange(1, 255)}"


def main() -> None:
    """Serves a full store until Ctrl-C or SIGTERM."""
    with embedded_store() as (url, _):
        fill(url, app_names(int(os.environ["APPS"])), int(os.environ["SESSIONS"]))
        os.environ["REDIS_URL"] = url
        dev.main()


if __name__ == "__main__":
    main()
