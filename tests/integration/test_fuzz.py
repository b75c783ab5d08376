"""Schemathesis sends `make dev AUTH=1` whatever docs/openapi.yaml allows, and much that it forbids."""

import json
import re
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from rest_sessions.store.tokens import place_of
from tests.conftest import Dev
from tests.servers import Server, Servers

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"
NAMESPACE = "test-fuzz"
KEY = f"key-that-may-do-all-{'0123456789abcdef' * 2}"
KEY_OF_ANOTHER_APP = f"key-of-another-app-{'0123456789abcdef' * 2}"
REGISTRY = {
    "keys": [
        {"name": "all", "key": KEY, "apps": ["*"], "allow": ["*"]},
        {"name": "another", "key": KEY_OF_ANOTHER_APP, "apps": ["an-app-of-its-own"], "allow": ["*"]},
    ]
}

# Schemathesis generates its tests during collection, so a fixture would come too late.
AT_LENGTH = settings.get_current_profile_name() == "soak"
CASES = 2000 if AT_LENGTH else 25
CASES_WITHOUT_KEY = 1000 if AT_LENGTH else 10
# A normal run generates the same cases each time, so that a failure is due to a change.
GENERATION = {"deterministic": not AT_LENGTH}
SCENARIOS = settings(
    max_examples=300 if AT_LENGTH else 20,
    stateful_step_count=40 if AT_LENGTH else 25,
    derandomize=not AT_LENGTH,
    # Shrinking a failing scenario would take minutes.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)

# All of Schemathesis's checks but three. The last two are stricter than by default.
CHECKS = {
    # These two expect 404 for a missing session, and a common path for one session. Here the answer is `{}`, and the
    # path contains the verb. test_killed_sessions_stay_dead checks the same.
    "use_after_free": {"enabled": False},
    "ensure_resource_availability": {"enabled": False},
    # No key owns a session: keys allow operations in apps.
    "object_level_authorization": {"enabled": False},
    "positive_data_acceptance": {"expected-statuses": ["200"]},
    "negative_data_rejection": {"expected-statuses": ["400", "401", "403", "413", "415"]},
}
# An unknown method gets 404, never 405. The check accepts that for a route with a parameter, so only these need this
# exception.
WITHOUT_PARAMETER = {
    "include-operation-id": ["ping", "apps", "console", "consoleKey"],
    "checks": {"unsupported_method": {"enabled": False}},
}
# A document cannot say that one parameter needs or excludes another, nor which sessions there must be.
CONDITIONAL = {
    "include-operation-id": ["create", "createAnonymous", "set", "killsoid"],
    "checks": {"positive_data_acceptance": {"expected-statuses": ["200", "400", "409"]}},
}


def load(**config: Any) -> schemathesis.BaseSchema:
    config = {
        "checks": CHECKS,
        "operations": [WITHOUT_PARAMETER, CONDITIONAL],
        "suppress-health-check": ["all"],
        **config,
    }
    return schemathesis.openapi.from_path(DOCUMENT, config=schemathesis.Config.from_dict(config))


WITH_KEY = load(auth={"openapi": {"key": {"bearer": KEY}}}, generation={**GENERATION, "max-examples": CASES})
WITHOUT_KEY = load(
    checks={**CHECKS, "positive_data_acceptance": {"expected-statuses": ["401", "403"]}},
    operations=[WITHOUT_PARAMETER],
    generation={**GENERATION, "max-examples": CASES_WITHOUT_KEY, "mode": "positive", "with-security-parameters": False},
    # The document's examples cannot contain the Authorization header that this test generates.
    phases={"examples": {"enabled": False}},
    # Every key may ask for the apps, and sees its own. Every key may ask what it allows.
).exclude(operation_id=["ping", "apps", "console", "consoleKey"])


@pytest.fixture(scope="module")
def server(servers: Servers) -> Server:
    return servers.get("redis-server")


@pytest.fixture(scope="module")
def dev(server: Server) -> Iterator[Dev]:
    dev = Dev({"REDIS_URL": server.url, "NAMESPACE": NAMESPACE, "AUTH": "1", "API_KEYS": json.dumps(REGISTRY)})
    yield dev
    output = dev.stop()
    assert "Internal error" not in output
    assert not any(entry["key"] in output for entry in REGISTRY["keys"])
    assert not re.search("[A-Za-z0-9]{64}", output), "a token is printed"


@WITH_KEY.parametrize()
def test_answers_match_the_document(case, dev) -> None:
    answer = case.call_and_validate(base_url=dev.url)
    if (answer.request.method, case.path, answer.status_code) == ("GET", "/ping", 200):
        # The bare word is not JSON, so no schema describes it.
        assert answer.content == b"PONG"


WRONG_AUTHORIZATIONS = st.none() | st.one_of(
    st.text(string.printable.strip()),
    st.text(string.ascii_letters + string.digits + "-", min_size=len(KEY), max_size=len(KEY)).map("Bearer {}".format),
    st.sampled_from([KEY, f"Basic {KEY}", f"Bearer {KEY[:-1]}", f"Bearer {KEY}0", f"Bearer {KEY.upper()}", "Bearer *"]),
    st.just(f"Bearer {KEY_OF_ANOTHER_APP}"),
)


@WITHOUT_KEY.given(authorization=WRONG_AUTHORIZATIONS)
@WITHOUT_KEY.parametrize()
def test_serves_nobody_without_a_matching_key(case, authorization, dev) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    case.call_and_validate(base_url=dev.url, headers=headers)


class Ledger:
    """The sessions of a scenario, alive and dead: app, id and tokens, by app and handle."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.alive: dict[tuple[str, str], tuple[str, str, set[str]]] = {}
        self.dead: dict[tuple[str, str], tuple[str, str, set[str]]] = {}

    def record(self, url: str, answer: Any) -> None:
        """Records the answer of a request, and checks that no dead session is part of it."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        match [unquote(part) for part in parts.path.split("/")[1:]]:
            case [app, "create", *id]:
                key = app, place_of(answer["token"]).handle
                assert key not in self.dead
                self.alive[key] = app, "".join(id), {answer["token"]}
                if query.keys() & {"from", "max"}:
                    self.find_dead(app)
            case [app, "rotate", token] if (key := (app, place_of(token).handle)) in self.alive and answer:
                self.alive[key][2].add(answer["token"])
            case [app, "kill", token]:
                self.end(answer, [key for key in self.alive if key == (app, place_of(token).handle)])
            case [app, "killsoid", id] if query.keys() & {"handle", "except"}:
                assert answer["kill"] <= self.find_dead(app)
            case [app, "killsoid", id]:
                self.end(answer, [key for key, session in self.alive.items() if session[:2] == (app, id)])
            case [app, "killall"]:
                self.end(answer, [key for key in self.alive if key[0] == app])
            case [app, "get" | "set" | "touch" | "rotate", token] if (app, place_of(token).handle) in self.dead:
                assert is_missing(answer)
            case [app, "soid" | "soapp", *id]:
                self.assert_lists_no_dead(answer, app, *id)

    def find_dead(self, app: str) -> int:
        """Finds out which sessions of an app are no longer alive. Returns how many."""
        found = [
            key
            for key, (_, _, tokens) in self.alive.items()
            if key[0] == app
            and all(is_missing(self.http.get(f"/{app}/get/{token}", params={"peek": 1}).json()) for token in tokens)
        ]
        self.end({"kill": 0}, found)
        return len(found)

    def end(self, answer: Any, keys: list[tuple[str, str]]) -> None:
        # Sessions that have expired are not counted.
        assert answer["kill"] <= len(keys)
        for key in keys:
            self.dead[key] = self.alive.pop(key)
        self.assert_dead(keys)

    def assert_dead(self, keys: Iterable[tuple[str, str]]) -> None:
        for key in keys:
            app, id, tokens = self.dead[key]
            for token in tokens:
                assert is_missing(self.http.get(f"/{app}/get/{token}").json())
                assert self.http.post(f"/{app}/set/{token}", json={"name": "Peter"}).json() == {}
                assert self.http.post(f"/{app}/rotate/{token}").json() == {}
                assert self.http.delete(f"/{app}/kill/{token}").json() == {"kill": 0}
            if id:
                self.assert_lists_no_dead(self.http.get(f"/{app}/soid/{quote(id, safe='')}").json(), app, id)
            self.assert_lists_no_dead(self.http.get(f"/{app}/soapp", params={"dt": 3600}).json(), app)

    def assert_lists_no_dead(self, listing: Any, *user: str) -> None:
        # A listing has no tokens, so a dead session shows only as one too many.
        assert len(listing["sessions"]) <= sum(session[: len(user)] == user for session in self.alive.values())


def is_missing(answer: Any) -> bool:
    """Whether a session is gone, or closed by a login and only shown for a moment."""
    return answer == {} or answer.get("closed", False)


def test_killed_sessions_stay_dead(dev, server) -> None:
    """Follows the document's links in random order."""

    class Scenario(WITH_KEY.as_state_machine()):
        def setup(self) -> None:
            with server.connect() as client:
                for key in server.keys(NAMESPACE):
                    client.delete(key)
            self.ledger = Ledger(http)

        def get_call_kwargs(self, case):
            return {"base_url": dev.url}

        def after_call(self, response, case) -> None:
            super().after_call(response, case)
            if response.status_code == 200:
                self.ledger.record(response.request.url, response.json())

        def teardown(self) -> None:
            # No later request has brought a session back.
            self.ledger.assert_dead(self.ledger.dead)

    with httpx.Client(base_url=dev.url, headers={"Authorization": f"Bearer {KEY}"}) as http:
        Scenario.run(settings=SCENARIOS)
