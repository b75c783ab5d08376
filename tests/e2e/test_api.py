"""The contract over HTTP, through API Gateway or SAM's gateway, the authorizer, and functions in their containers."""

import json
import uuid
from pathlib import Path

import httpx
import pytest

from tests.events import http_request
from tests.routes import OPERATIONS

IP = "192.0.2.7"
UNKNOWN_TOKEN = "Z0" + "a" * 62


def create(http: httpx.Client, app: str, id: str, **options) -> str:
    answer = http.put(f"/{app}/create/{id}", params={"ip": IP, **options.pop("params", {})}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["token"]


def ids(answer: httpx.Response) -> list[str]:
    return [session["id"] for session in answer.json()["sessions"]]


def test_ping_needs_no_key(api) -> None:
    with api.client(None) as http:
        answer = http.get("/ping")
    assert (answer.status_code, answer.text) == (200, "PONG")
    assert answer.headers["Content-Type"] == "application/json"


def test_the_page_of_the_console_needs_no_key(api) -> None:
    with api.client(None) as http:
        answer = http.get("/console")
    if answer.status_code == 404:
        pytest.skip("deployed without Console=true")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert answer.text.startswith("<!doctype html>")


def test_the_console_is_told_what_the_key_allows(api, http) -> None:
    answer = http.get("/console/key")
    if answer.status_code == 404:
        pytest.skip("deployed without Console=true")
    assert answer.json().keys() == {"name", "apps", "allow"}
    assert (answer.json()["apps"], answer.json()["allow"]) == (["*"], ["*"])
    for wrong, status in ((None, 401), ("Bearer wrong", 403)):
        with api.client(wrong) as stranger:
            assert stranger.get("/console/key").status_code == status


def test_the_life_of_a_session(http, app) -> None:
    token = create(http, app, "peter", params={"ttl": 600}, json={"name": "Peter", "left": None})
    assert len(token) == 64
    session = {"id": "peter", "r": 1, "w": 1, "ttl": 600, "idle": 0, "ip": IP, "d": {"name": "Peter"}}
    first = http.get(f"/{app}/get/{token}")
    assert {**first.json(), "idle": 0} == session
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    written = http.post(f"/{app}/set/{token}", json={"unread": 12, "name": None})
    assert {**written.json(), "idle": 0} == {**session, "r": 2, "w": 2, "d": {"unread": 12}}
    assert http.get(f"/{app}/activity", params={"dt": 60}).json() == {"activity": 1}
    assert http.delete(f"/{app}/kill/{token}").json() == {"kill": 1}
    assert http.delete(f"/{app}/kill/{token}").json() == {"kill": 0}
    assert http.get(f"/{app}/get/{token}").json().get("name") in (None, "notFound")
    assert http.get(f"/{app}/activity", params={"dt": 60}).json() == {"activity": 0}


def test_no_resave(http, app) -> None:
    token = create(http, app, "peter", params={"ttl": 600, "no_resave": 1})
    session = http.get(f"/{app}/get/{token}").json()
    assert session["no_resave"] is True
    assert 500 < session["ttl"] <= 600


def test_a_login_and_a_rotation(http, app) -> None:
    visitor = http.put(f"/{app}/create", params={"ip": IP}, json={"cart": [1, 2]}).json()["token"]
    assert "id" not in http.get(f"/{app}/get/{visitor}").json()
    login = {"ip": IP, "from": visitor, "max": 2, "details": 1}
    created = http.put(f"/{app}/create/peter", params=login, json={"role": "user"}).json()
    assert (created["from"], created["kill"]) == (1, 0)
    assert http.get(f"/{app}/get/{visitor}").json()["closed"] is True
    assert http.post(f"/{app}/set/{visitor}", json={"cart": []}).json().get("name") in (None, "notFound")
    token = http.post(f"/{app}/rotate/{created['token']}").json()["token"]
    assert http.get(f"/{app}/get/{created['token']}").json()["rotated"] is True
    session = http.get(f"/{app}/get/{token}", params={"details": 1}).json()
    assert session["handle"] == created["handle"]
    assert session["d"] == {"cart": [1, 2], "role": "user"}
    other = create(http, app, "peter")
    assert http.delete(f"/{app}/killsoid/peter", params={"except": created["handle"]}).json() == {"kill": 1}
    assert http.post(f"/{app}/touch/{other}").json().get("name") in (None, "notFound")
    assert http.post(f"/{app}/touch/{token}", params={"ttl": 60}).json()["ttl"] == 60


def test_what_was_refused_with_409(http, app) -> None:
    own = "a" * 32 + uuid.uuid4().hex
    token = create(http, app, "peter", params={"token": own})
    assert token == own
    answers = {
        "conflict": http.post(f"/{app}/set/{token}", params={"w": 7}, json={"n": 1}),
        "tooManySessions": http.put(f"/{app}/create/peter", params={"ip": IP, "max": 1, "over": "refuse"}),
        "tokenInUse": http.put(f"/{app}/create/paul", params={"ip": IP, "token": own}),
    }
    assert {name: (answer.status_code, answer.json()["name"]) for name, answer in answers.items()} == {
        name: (409, name) for name in answers
    }


def test_the_list_of_apps(http, app) -> None:
    create(http, app, "peter")
    page = http.get("/apps").json()
    apps = page["apps"]
    while "next" in page:
        page = http.get("/apps", params={"cursor": page["next"]}).json()
        apps += page["apps"]
    assert {"app": app, "sessions": 1, "users": 1} in apps


def test_listings_killsoid_and_killall(http, app) -> None:
    for id in ("peter", "peter", "paul"):
        create(http, app, id)
    assert sorted(ids(http.get(f"/{app}/soapp", params={"dt": 60}))) == ["paul", "peter", "peter"]
    assert ids(http.get(f"/{app}/soid/peter")) == ["peter", "peter"]
    page = http.get(f"/{app}/soapp", params={"dt": 60, "limit": 2})
    rest = http.get(f"/{app}/soapp", params={"dt": 60, "limit": 2, "cursor": page.json()["next"]})
    assert sorted([*ids(page), *ids(rest)]) == ["paul", "peter", "peter"]
    assert "next" not in rest.json()
    assert http.delete(f"/{app}/killsoid/peter").json() == {"kill": 2}
    assert http.delete(f"/{app}/killall").json() == {"kill": 1}
    assert http.get(f"/{app}/soapp", params={"dt": 60}).json() == {"sessions": []}


@pytest.mark.parametrize("id", ["user@example.com", "a:b", "딸기", "a b", "a+b", "ä" * 128], ids=ascii)
def test_ids_of_all_kinds(http, app, id) -> None:
    path = httpx.URL(f"/{app}/soid/").copy_with(path=f"/{app}/soid/{id}")
    answer = http.put(httpx.URL("/").copy_with(path=f"/{app}/create/{id}", query=b"ip=192.0.2.7"))
    assert answer.status_code == 200, answer.text
    assert ids(http.get(path)) == [id]


def test_data_comes_back_as_it_was_sent(http, app) -> None:
    body = '{"big":12345678901234567890,"e":1e300,"f":0.1,"z":-0.0,"s":"","__proto__":"딸기 \\u0001","id":true}'
    token = create(http, app, "peter", content=body.encode(), headers={"Content-Type": "application/json"})
    text = http.get(f"/{app}/get/{token}").text
    for part in ('"big":12345678901234567890', '"f":0.1', '"z":-0.0', '"s":""', '"id":true'):
        assert part in text
    assert json.loads(text)["d"] == json.loads(body)


def test_the_largest_body(http, app) -> None:
    token = create(http, app, "peter")
    headers = {"Content-Type": "application/json; charset=utf-8"}
    largest = json.dumps({"a": "x" * (262_144 - len('{"a": ""}'))}).encode()
    assert len(largest) == 262_144
    assert http.post(f"/{app}/set/{token}", content=largest, headers=headers).status_code == 200
    answer = http.post(f"/{app}/set/{token}", content=largest + b" ", headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (413, "tooLarge")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "name", "message"),
    [
        ("PUT", "/{app}/create/peter", None, 400, "missingParameter", "No ip supplied"),
        ("PUT", "/{app}/create/peter?ip=1&ttl=9", None, 400, "invalidValue", "ttl must be a positive integer >= 10"),
        ("PUT", "/ab/create/peter?ip=1", None, 400, "invalidFormat", "Invalid app format"),
        ("GET", "/{app}/get/short", None, 400, "invalidFormat", "Invalid token format"),
        ("GET", "/{app}/activity", None, 400, "missingParameter", "No dt supplied"),
        ("POST", "/{app}/set/" + UNKNOWN_TOKEN, "{}", 400, "invalidValue", "d must contain at least one key."),
        ("POST", "/{app}/set/" + UNKNOWN_TOKEN, "[1]", 400, "invalidValue", "d must be an object"),
        ("POST", "/{app}/set/" + UNKNOWN_TOKEN, "{", 400, "invalidJson", "The body is not valid JSON"),
    ],
)
def test_bad_input(http, app, method, path, body, status, name, message) -> None:
    headers = {"Content-Type": "application/json"} if body else {}
    answer = http.request(method, path.format(app=app), content=body, headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (status, name)
    assert answer.json()["message"].startswith(message)


def test_a_body_that_is_not_json(http, app) -> None:
    answer = http.post(f"/{app}/set/{UNKNOWN_TOKEN}", content=b"a=1", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["name"]) == (415, "unsupportedMediaType")


def test_the_answer_to_an_unknown_route_has_only_a_message(http) -> None:
    answer = http.get("/nothing/here")
    assert answer.status_code in (403, 404)
    assert answer.json().keys() == {"message"}


@pytest.mark.parametrize("wrong", [None, "Bearer", "Bearer wrong", "Basic {key}", "{key}"])
def test_nothing_is_served_without_a_key(api, http, app, wrong) -> None:
    token = create(http, app, "peter")
    authorization = wrong and wrong.format(key=api.key)
    with api.client(authorization) as stranger:
        for function in OPERATIONS:
            answer = stranger.request(**http_request(function, app=app, token=token))
            assert answer.status_code in (401, 403), function
            assert answer.json().keys() == {"message"}
    assert http.get(f"/{app}/get/{token}").json()["r"] == 1


def test_no_log_of_a_function_holds_a_token_a_key_or_data(api, http, app, log: Path) -> None:
    if not log.exists():
        pytest.skip("a deployed API's logs are in CloudWatch")
    token = create(http, app, "peter", json={"datum": "a-datum-of-peter"})
    http.get(f"/{app}/get/{token}")
    http.post(f"/{app}/set/{token}", content=b'{"datum":"a-datum-of-peter"')
    http.delete(f"/{app}/killsoid/peter")
    # Only the functions' own lines: SAM's gateway logs paths, unlike AWS's.
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    assert any('"message":"Access"' in line for line in lines)
    for line in lines:
        assert not any(secret in line for secret in (token, api.key, "a-datum-of-peter")), line
