"""What each key allows, over HTTP against `make dev AUTH=1`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from dev.gateway import Context
from rest_sessions.access.principal import Principal
from rest_sessions.connection.client import Client
from rest_sessions.http import route
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore
from tests.cases import ID
from tests.conftest import Dev
from tests.events import http_request
from tests.routes import OPERATIONS
from tests.servers import FAKEREDIS, Server, Servers, value_of

IP = "192.0.2.7"
APPS = ("webapp", "shop", "web-app")
KEYS = {
    "web": {"apps": ["webapp"], "allow": ["create", "get", "set", "kill"]},
    "admin": {"apps": ["*"], "allow": ["*"]},
    "stats": {"apps": ["webapp", "shop"], "allow": ["activity", "soapp", "soid"]},
}
SECRETS = {name: f"key-of-{name}-{'0123456789abcdef' * 2}" for name in KEYS}
REGISTRY = {"keys": [{"name": name, "key": SECRETS[name], **rights} for name, rights in KEYS.items()]}


def is_allowed(name: str, app: str, operation: str) -> bool:
    rights = KEYS[name]
    return bool({app, "*"} & set(rights["apps"])) and bool({operation, "*"} & set(rights["allow"]))


def call(http: httpx.Client, function: str, app: str, token: str, authorization: str | None) -> httpx.Response:
    request = http_request(function, app=app, token=token)
    if authorization is not None:
        request["headers"]["Authorization"] = authorization
    return http.request(**request)


@pytest.fixture(scope="module")
def server(servers: Servers) -> Server:
    return servers.get(FAKEREDIS)


NAMESPACE = "test-access"


@pytest.fixture(scope="module")
def dev(server: Server) -> Iterator[Dev]:
    dev = Dev({"REDIS_URL": server.url, "NAMESPACE": NAMESPACE, "AUTH": "1", "API_KEYS": json.dumps(REGISTRY)})
    yield dev
    dev.stop()


@pytest.fixture
def http(dev: Dev) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dev.url) as client:
        yield client


@pytest.fixture
def store(server: Server) -> SessionStore:
    return SessionStore(Client(server.settings(NAMESPACE)), NAMESPACE)


def contents(server: Server) -> dict[str, object]:
    """Everything in the store, with counters and times."""
    with server.connect() as client:
        return {key: value_of(client, key) for key in server.keys(NAMESPACE) if not key.endswith(":apps")}


def test_allows_what_the_key_allows_and_nothing_else(http, store, server) -> None:
    for name in KEYS:
        for app in APPS:
            for function, operation in OPERATIONS.items():
                token = store.create_session(app, ID, IP).token
                before = contents(server)
                answer = call(http, function, app, token, f"Bearer {SECRETS[name]}")
                if is_allowed(name, app, operation):
                    assert answer.status_code == 200, (name, app, operation)
                else:
                    assert (answer.status_code, answer.json()) == (
                        403,
                        {"name": "forbidden", "message": "The key may not do this in this app"},
                    ), (name, app, operation)
                    assert contents(server) == before


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        SECRETS["admin"],
        f"Basic {SECRETS['admin']}",
        f"Bearer {SECRETS['admin'][:-1]}",
        f"Bearer {SECRETS['admin']}x",
        f"Bearer {SECRETS['admin'].upper()}",
        f"Bearer\t{SECRETS['admin']}",
        f"Bearer {SECRETS['admin']}, Bearer {SECRETS['admin']}",
        "Bearer *",
    ],
    ids=["none", "empty", "no-key", "no-scheme", "basic", "prefix", "longer", "case", "tab", "two", "star"],
)
def test_refuses_a_wrong_key(http, store, server, authorization) -> None:
    token = store.create_session("webapp", "peter", IP).token
    before = contents(server)
    for function in (*OPERATIONS, "console"):
        answer = call(http, function, "webapp", token, authorization)
        assert answer.status_code in (401, 403)
        assert answer.json().keys() == {"message"}
    assert contents(server) == before


def test_ping_is_open(http) -> None:
    assert http.get("/ping").text == "PONG"


@pytest.mark.parametrize("name", KEYS)
def test_tells_the_console_what_the_key_allows(http, name) -> None:
    answer = call(http, "console", "webapp", "", f"Bearer {SECRETS[name]}")
    rights = {part: sorted(values) for part, values in KEYS[name].items()}
    assert (answer.status_code, answer.json()) == (200, {"name": name, **rights})


def test_tells_the_console_that_no_key_is_needed(server) -> None:
    dev = Dev({"REDIS_URL": server.url})
    try:
        assert httpx.get(f"{dev.url}/console/key").json() == {"name": "", "apps": ["*"], "allow": ["*"]}
    finally:
        dev.stop()


def test_a_cached_answer_of_the_authorizer_serves_two_apps(store, server, monkeypatch) -> None:
    """API Gateway caches the answer for a key and uses it for every route. So the layer decides for each request."""
    monkeypatch.setattr(route, "open_store", lambda: store)
    monkeypatch.setattr(route, "load_settings", lambda: Settings(server.url, False, NAMESPACE, False))
    handler = route.route("activity")(lambda store, app: store.ping())
    cached = {"lambda": Principal("stats", frozenset({"webapp"}), frozenset({"activity"})).to_context()}

    def status(app: str) -> int:
        event = {"pathParameters": {"app": app}, "requestContext": {"authorizer": cached}}
        return handler(event, Context())["statusCode"]

    assert [status(app) for app in ("webapp", "shop", "webapp")] == [200, 403, 200]


def test_writes_refusals_killsoid_and_killall_to_the_audit_log(server) -> None:
    dev = Dev({"REDIS_URL": server.url, "NAMESPACE": NAMESPACE, "AUTH": "1", "API_KEYS": json.dumps(REGISTRY)})
    token = "Z0" + "a" * 62
    with httpx.Client(base_url=dev.url) as http:
        call(http, "kill_sessions_of_app", "shop", token, f"Bearer {SECRETS['admin']}")
        call(http, "kill_sessions_of_id", "webapp", token, f"Bearer {SECRETS['admin']}")
        call(http, "get_session", "shop", token, f"Bearer {SECRETS['web']}")
        call(http, "get_session", "webapp", token, f"Bearer {SECRETS['web']}x")
        call(http, "get_session", "webapp", token, f"Bearer {SECRETS['web']}")
    output = dev.stop()
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"level"')]
    audit_log = [tuple(line[part] for part in ("key_name", "operation", "app", "outcome")) for line in lines]
    assert audit_log == [
        ("admin", "killall", "shop", "done"),
        ("admin", "killsoid", "webapp", "done"),
        ("web", "get", "shop", "forbidden"),
        ("", "get", "webapp", "unknownKey"),
    ]
    assert token not in output
    assert ID not in output
    assert not any(secret in output for secret in SECRETS.values())


def test_generates_and_prints_a_key_if_none_is_given() -> None:
    dev = Dev({"AUTH": "1"})
    try:
        [key] = re.findall(r"Authorization: (Bearer \S+)'", dev.greeting)
        with httpx.Client(base_url=dev.url) as http:
            assert http.get("/webapp/activity", params={"dt": 60}).status_code == 401
            answer = http.get("/webapp/activity", params={"dt": 60}, headers={"Authorization": key})
            assert answer.json() == {"activity": 0}
    finally:
        dev.stop()


@pytest.mark.parametrize("registry", ["", "{", "[]", '{"keys": [{"name": "web"}]}'])
def test_a_broken_registry_lets_nobody_in(server, registry) -> None:
    dev = Dev({"REDIS_URL": server.url, "NAMESPACE": NAMESPACE, "AUTH": "1", "API_KEYS": registry or " "})
    try:
        for authorization in (f"Bearer {SECRETS['admin']}", "Bearer", ""):
            answer = httpx.get(f"{dev.url}/webapp/activity?dt=60", headers={"Authorization": authorization})
            # SAM answers 502 where API Gateway answers 500: an error of the authorizer, which it does not cache.
            assert answer.status_code == (502 if authorization else 401)
            assert answer.json().keys() == {"message"}
        assert httpx.get(f"{dev.url}/ping").status_code == 200
    finally:
        dev.stop()


class TestMakeKey:
    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dev.key"],
            env={"PYTHONPATH": ":".join(sys.path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_prints_an_entry_that_the_registry_accepts(self, server) -> None:
        entry = json.loads(self.run(NAME="web", APPS="webapp,shop", ALLOW="create,get").stdout)
        assert (entry["name"], entry["apps"], entry["allow"]) == ("web", ["webapp", "shop"], ["create", "get"])
        assert len(entry["key"]) >= 43
        other = json.loads(self.run(NAME="web", APPS="*", ALLOW="*").stdout)
        assert other["key"] != entry["key"]
        dev = Dev({"REDIS_URL": server.url, "AUTH": "1", "API_KEYS": json.dumps({"keys": [entry, other]})})
        try:
            for key, status in ((entry["key"], 403), (other["key"], 200)):
                headers = {"Authorization": f"Bearer {key}"}
                assert httpx.get(f"{dev.url}/webapp/activity?dt=60", headers=headers).status_code == status
        finally:
            dev.stop()

    @pytest.mark.parametrize("environment", [{}, {"NAME": "web"}, {"NAME": "web", "APPS": "webapp", "ALLOW": "fly"}])
    def test_prints_what_is_wrong(self, environment) -> None:
        made = self.run(**environment)
        assert made.returncode == 1
        assert "make key NAME=web" in made.stderr
        assert made.stdout == ""
