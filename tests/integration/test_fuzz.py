"""Schemathesis sends `make dev AUTH=1` whatever docs/openapi.yaml allows, and much that it forbids."""

import json
import re
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

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
# An unknown method gets 404, never 405. The check accepts that for a route with a key or a parameter, so only `ping`
# needs this exception.
PING = {"include-operation-id": "ping", "checks": {"unsupported_method": {"enabled": False}}}


def load(**config: Any) -> schemathesis.BaseSchema:
    config = {"checks": CHECKS, "operations": [PING], "suppress-health-check": ["all"], **config}
    return schemathesis.openapi.from_path(DOCUMENT, config=schemathesis.Config.from_dict(config))


WITH_KEY = load(auth={"openapi": {"key": {"bearer": KEY}}}, generation={**GENERATION, "max-examples": CASES})
WITHOUT_KEY = load(
    checks={**CHECKS, "positive_data_acceptance": {"expected-statuses": ["401", "403"]}},
    generation={**GENERATION, "max-examples": CASES_WITHOUT_KEY, "mode": "positive", "with-security-parameters": False},
    # The document's examples cannot contain the Authorization header that this test generates.
    phases={"examples": {"enabled": False}},
).exclude(operation_id="ping")


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
    """The sessions of a scenario, alive and dead: app and id by token."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.alive: dict[str, tuple[str, str]] = {}
        self.dead: dict[str, tuple[str, str]] = {}

    def record(self, path: str, answer: Any) -> None:
        """Records the answer of a path, and checks that no dead session is part of it."""
        match [unquote(part) for part in path.split("/")[1:]]:
            case [app, "create", id]:
                self.alive[answer["token"]] = app, id
            case [app, "kill", token]:
                self.end(answer, [t for t, user in self.alive.items() if (user[0], t) == (app, token)])
            case [app, "killsoid", id]:
                self.end(answer, [t for t, user in self.alive.items() if user == (app, id)])
            case [app, "killall"]:
                self.end(answer, [t for t, user in self.alive.items() if user[0] == app])
            case [_, "get" | "set", token] if token in self.dead:
                assert answer == {}
            case [app, "soid", id]:
                self.assert_lists_no_dead(answer, app, id)
            case [app, "soapp"]:
                self.assert_lists_no_dead(answer, app)

    def end(self, answer: Any, tokens: list[str]) -> None:
        # Sessions that have expired are not counted.
        assert answer["kill"] <= len(tokens)
        for token in tokens:
            self.dead[token] = self.alive.pop(token)
        self.assert_dead(tokens)

    def assert_dead(self, tokens: Iterable[str]) -> None:
        for token in tokens:
            app, id = self.dead[token]
            assert self.http.get(f"/{app}/get/{token}").json() == {}
            assert self.http.post(f"/{app}/set/{token}", json={"name": "Peter"}).json() == {}
            assert self.http.delete(f"/{app}/kill/{token}").json() == {"kill": 0}
            self.assert_lists_no_dead(self.http.get(f"/{app}/soid/{quote(id, safe='')}").json(), app, id)
            self.assert_lists_no_dead(self.http.get(f"/{app}/soapp", params={"dt": 3600}).json(), app)

    def assert_lists_no_dead(self, listing: Any, *user: str) -> None:
        # A listing has no tokens, so a dead session shows only as one too many.
        assert len(listing["sessions"]) <= sum(of[: len(user)] == user for of in self.alive.values())


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
                self.ledger.record(urlsplit(response.request.url).path, response.json())

        def teardown(self) -> None:
            # No later request has brought a session back.
            self.ledger.assert_dead(self.ledger.dead)

    with httpx.Client(base_url=dev.url, headers={"Authorization": f"Bearer {KEY}"}) as http:
        Scenario.run(settings=SCENARIOS)
