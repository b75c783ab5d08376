"""The contract, line by line, over HTTP against `make dev` on every server."""

import gzip
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest

from rest_sessions.connection.client import Client
from rest_sessions.model import Timeouts
from rest_sessions.store.sessions import SessionStore
from tests.conftest import HTTP_NAMESPACE
from tests.servers import Server

IP = "192.168.99.22"
# The seconds that a few calls may take on a busy machine. These tests use the real clock.
SLOW = 30


def create(http: httpx.Client, app: str, id: str = "user123", data: object = None, **query: object) -> str:
    body = {} if data is None else {"json": data}
    answer = http.put(f"/{app}/create/{quote(id, safe='')}", params={"ip": IP, **query}, **body)
    assert answer.status_code == 200, answer.text
    [(name, token)] = answer.json().items()
    assert name == "token"
    return token


def get(http: httpx.Client, app: str, token: str) -> dict:
    return http.get(f"/{app}/get/{token}").json()


def set_(http: httpx.Client, app: str, token: str, data: object) -> dict:
    return http.post(f"/{app}/set/{token}", json=data).json()


@pytest.fixture
def earlier(server: Server) -> Callable[[int], SessionStore]:
    """Returns the store of `make dev` with a clock some seconds behind: the sessions that it creates are already idle."""

    def at(seconds: int) -> SessionStore:
        return SessionStore(
            Client(server.settings(HTTP_NAMESPACE)), HTTP_NAMESPACE, clock=lambda: time.time() - seconds
        )

    return at


def test_the_life_of_a_session(http: httpx.Client, app: str) -> None:
    token = create(http, app)
    session = {"id": "user123", "r": 1, "w": 1, "ttl": 7200, "idle": 0, "ip": IP}
    assert get(http, app, token) == session | {"idle": pytest.approx(0, abs=SLOW)}
    written = set_(http, app, token, {"name": "Peter", "unread_msgs": 12})
    assert written["d"] == {"name": "Peter", "unread_msgs": 12}
    assert (written["r"], written["w"]) == (2, 2)
    written = set_(http, app, token, {"name": "Bruce", "unread_msgs": None})
    assert written["d"] == {"name": "Bruce"}
    read = get(http, app, token)
    assert (read["r"], read["w"]) == (2, 3)
    assert http.get(f"/{app}/activity", params={"dt": 600}).json() == {"activity": 1}
    assert [session["id"] for session in http.get(f"/{app}/soapp", params={"dt": 600}).json()["sessions"]] == [
        "user123"
    ]
    [listed] = http.get(f"/{app}/soid/user123").json()["sessions"]
    assert listed == read | {"r": 3, "idle": listed["idle"]}
    assert http.delete(f"/{app}/kill/{token}").json() == {"kill": 1}
    assert http.delete(f"/{app}/kill/{token}").json() == {"kill": 0}
    assert get(http, app, token) == {}
    assert set_(http, app, token, {"a": 1}) == {}
    assert http.get(f"/{app}/activity", params={"dt": 600}).json() == {"activity": 0}


def test_ping_is_the_bare_word(http: httpx.Client) -> None:
    answer = http.get("/ping")
    assert (answer.status_code, answer.text) == (200, "PONG")
    assert answer.headers["content-type"] == "application/json"


def test_killsoid_and_killall_count(http: httpx.Client, app: str) -> None:
    for id in ("a", "a", "a", "b"):
        create(http, app, id)
    assert http.delete(f"/{app}/killsoid/a").json() == {"kill": 3}
    create(http, app, "c")
    assert http.delete(f"/{app}/killall").json() == {"kill": 2}
    assert http.delete(f"/{app}/killall").json() == {"kill": 0}


def test_idle_and_expiry(http: httpx.Client, app: str, earlier) -> None:
    token = earlier(273).create_session(app, "user123", IP).token
    assert get(http, app, token)["idle"] - 273 in range(SLOW)
    assert set_(http, app, token, {"a": 1})["idle"] in range(SLOW)
    expired = earlier(12).create_session(app, "user123", IP, Timeouts(10)).token
    assert get(http, app, expired) == {}
    assert set_(http, app, expired, {"a": 1}) == {}
    assert len(http.get(f"/{app}/soid/user123").json()["sessions"]) == 1


def test_no_resave(http: httpx.Client, app: str, earlier) -> None:
    token = earlier(100).create_session(app, "user123", IP, Timeouts(3600, no_resave=True)).token
    for _ in range(50):
        session = get(http, app, token)
    assert session["no_resave"] is True
    assert 3500 - session["ttl"] in range(SLOW)
    for flag in ("1", "true"):
        assert get(http, app, create(http, app, no_resave=flag))["no_resave"] is True
    for flag in ("", "0", "false"):
        assert "no_resave" not in get(http, app, create(http, app, no_resave=flag))


def test_listings_have_pages(http: httpx.Client, app: str, earlier) -> None:
    for age in range(25, 0, -1):
        earlier(age).create_session(app, "user123", f"192.0.2.{age}", Timeouts(100))
    create(http, "x" + app, "user123")
    for path, query in ((f"/{app}/soapp", {"dt": 600}), (f"/{app}/soid/user123", {})):
        seen, cursor = [], {}
        while True:
            page = http.get(path, params={**query, "limit": 10, **cursor}).json()
            seen += [session["ip"] for session in page["sessions"]]
            assert not any({"token", "handle"} & session.keys() for session in page["sessions"])
            if "next" not in page:
                break
            cursor = {"cursor": page["next"]}
        assert seen == [f"192.0.2.{age}" for age in range(1, 26)]
        assert len(http.get(path, params=query).json()["sessions"]) == 25
    assert len(http.get(f"/{app}/soapp", params={"dt": 10}).json()["sessions"]) in range(1, 11)


@pytest.mark.parametrize(
    "id",
    [
        "a",
        "user@example.com",
        "a:b",
        "딸기 필드 영원히",
        " ",
        "a b",
        "a+b",
        "&=;",
        "#",
        "...",
        "x" * 128,
        "🍓" * 128,
    ],
)
def test_ids_of_all_kinds(http: httpx.Client, app: str, id: str) -> None:
    token = create(http, app, id)
    assert get(http, app, token)["id"] == id
    [session] = http.get(f"/{app}/soid/{quote(id, safe='')}").json()["sessions"]
    assert session["id"] == id
    assert http.delete(f"/{app}/killsoid/{quote(id, safe='')}").json() == {"kill": 1}


@pytest.mark.parametrize(
    "data",
    [
        '{"n": 12345678901234567890, "m": 9007199254740993, "big": ' + "9" * 64 + "}",
        '{"e": 1e300, "f": 0.1, "z": -0.0, "i": -0, "long": 0.1234567890123456789}',
        '{"s": "", "u": "딸기 🍓 \\u0000 \\ud83c\\udf53", "t": true, "n": {"a": [1.10, null, {"": -0.0}]}, "f": false}',
        '{"__proto__": "x", "id": "y", "d": "z", "constructor": 1, "token": "t"}',
    ],
    ids=["integers", "floats", "strings", "keys"],
)
def test_data_comes_back_as_it_was_sent(http: httpx.Client, app: str, data: str) -> None:
    exactly = {"parse_int": str, "parse_float": str}
    headers = {"content-type": "application/json"}
    answer = http.put(f"/{app}/create/user123", params={"ip": IP}, content=data, headers=headers)
    created = answer.json()["token"]
    written = create(http, app)
    http.post(f"/{app}/set/{written}", content=data, headers=headers)
    for token in (created, written):
        read = http.get(f"/{app}/get/{token}").text
        assert json.loads(read, **exactly)["d"] == json.loads(data, **exactly)


def test_first_data(http: httpx.Client, app: str) -> None:
    assert get(http, app, create(http, app, data={"a": 1, "none": None}))["d"] == {"a": 1}
    for nothing in ({}, {"none": None}):
        assert "d" not in get(http, app, create(http, app, data=nothing))


T = "Z0" + "a" * 62
BAD = [
    # The app is checked first, then the id or token, then the query, then the body.
    ("PUT", "/ap/create/%0A?ttl=x", "[", 400, "invalidFormat", "Invalid app format"),
    ("PUT", "/app/create/%0A?ttl=x", "[", 400, "invalidFormat", "Invalid id format"),
    ("PUT", "/app/create/u?ttl=x", "[", 400, "missingParameter", "No ip supplied"),
    ("PUT", "/app/create/u?ip=1&ttl=x", "[", 400, "invalidValue", "ttl must be a positive integer >= 10"),
    ("PUT", "/app/create/u?ip=1", "[1]", 400, "invalidValue", "d must be an object"),
    ("PUT", f"/{'a' * 21}/create/u?ip=1", None, 400, "invalidFormat", "Invalid app format"),
    ("PUT", "/a.p/create/u?ip=1", None, 400, "invalidFormat", "Invalid app format"),
    ("PUT", f"/app/create/{'x' * 129}?ip=1", None, 400, "invalidFormat", "Invalid id format"),
    ("PUT", "/app/create/a%7Fb?ip=1", None, 400, "invalidFormat", "Invalid id format"),
    ("PUT", "/app/create/a%FFb?ip=1", None, 400, "invalidFormat", "Invalid id format"),
    ("PUT", "/app/create/u?ip=", None, 400, "missingParameter", "No ip supplied"),
    ("PUT", f"/app/create/u?ip={'1' * 46}", None, 400, "invalidFormat", "Invalid ip format"),
    ("PUT", "/app/create/u?ip=1&ttl=9", None, 400, "invalidValue", "ttl must be a positive integer >= 10"),
    ("PUT", "/app/create/u?ip=1&ttl=10.5", None, 400, "invalidValue", "ttl must be a positive integer >= 10"),
    ("PUT", "/app/create/u?ip=1&ttl=-10", None, 400, "invalidValue", "ttl must be a positive integer >= 10"),
    ("PUT", "/app/create/u?ip=1&ttl=10&ttl=20", None, 400, "invalidValue", "ttl must be given once"),
    ("PUT", "/app/create/u?ip=1&ttl=34560001", None, 400, "invalidValue", "ttl must be a positive integer <= 34560000"),
    ("PUT", "/app/create/u?ip=1&no_resave=yes", None, 400, "invalidValue", "no_resave must be 1, true, 0 or false"),
    ("GET", f"/ap/get/{T}", None, 400, "invalidFormat", "Invalid app format"),
    ("GET", f"/app/get/{T}x", None, 400, "invalidFormat", "Invalid token format"),
    ("GET", f"/app/get/{T[:-1]}", None, 400, "invalidFormat", "Invalid token format"),
    ("GET", f"/app/get/{T[:-1]}!", None, 400, "invalidFormat", "Invalid token format"),
    ("GET", f"/app/get/{T[:-1]}%0A", None, 400, "invalidFormat", "Invalid token format"),
    ("DELETE", "/app/kill/short", None, 400, "invalidFormat", "Invalid token format"),
    ("DELETE", "/ap/killall", None, 400, "invalidFormat", "Invalid app format"),
    ("DELETE", "/app/killsoid/%00", None, 400, "invalidFormat", "Invalid id format"),
    ("GET", "/app/soid/%1F", None, 400, "invalidFormat", "Invalid id format"),
    ("GET", "/app/soid/u?limit=0", None, 400, "invalidValue", "limit must be an integer from 1 to 1000"),
    ("GET", "/app/soapp", None, 400, "missingParameter", "No dt supplied"),
    ("GET", "/app/soapp?dt=9", None, 400, "invalidValue", "dt must be a positive integer >= 10"),
    ("GET", "/app/soapp?dt=10&limit=1001", None, 400, "invalidValue", "limit must be an integer from 1 to 1000"),
    ("GET", "/app/soapp?dt=10&cursor=x", None, 400, "invalidValue", "cursor must be the `next` of an earlier answer"),
    ("GET", "/app/activity", None, 400, "missingParameter", "No dt supplied"),
    ("GET", "/app/activity?dt=1e3", None, 400, "invalidValue", "dt must be a positive integer >= 10"),
    ("POST", f"/app/set/{T}", None, 400, "missingParameter", "No d supplied"),
    ("POST", f"/app/set/{T}", "{}", 400, "invalidValue", "d must contain at least one key."),
    ("POST", f"/app/set/{T}", '"x"', 400, "invalidValue", "d must be an object"),
    ("POST", f"/app/set/{T}", "null", 400, "invalidValue", "d must be an object"),
    ("POST", f"/app/set/{T}", '{"%s": 1}' % (129 * "k"), 400, "invalidValue", "The keys of d must have at most 128 characters"),
    ("POST", f"/app/set/{T}", r'{"a": ["\ud83d"]}', 400, "invalidValue", "d.a has half of a surrogate pair"),
    ("POST", f"/app/set/{T}", 33 * '{"a":' + "{}" + 33 * "}", 400, "invalidValue", "d.a is nested more than 32 deep"),
    ("POST", f"/app/set/{T}", "[1]", 400, "invalidValue", "d must be an object"),
    ("POST", f"/app/set/{T}", "[]", 400, "invalidValue", "d must contain at least one key."),
    ("POST", f"/app/set/{T}", '{"a": 1e400}', 400, "invalidValue", "d.a has a number that no double can hold"),
    ("POST", f"/app/set/{T}", '{"a": %s}' % (65 * "9"), 400, "invalidValue", "d.a has a number of more than 64 characters"),
    ("POST", f"/app/set/{T}", '{"a": NaN}', 400, "invalidJson", "The body is not valid JSON: NaN is not a JSON value"),
    ("POST", f"/app/set/{T}", "[" * 50_000, 400, "invalidJson", "The body is not valid JSON: it is nested too deeply"),
    ("POST", f"/app/set/{T}", b'{"a": "\xff"}', 400, "invalidJson", "The body is not valid JSON: it is not UTF-8 at byte 7"),
    ("POST", f"/app/set/{T}", '{"a": "%s"}' % ("x" * 262_144), 413, "tooLarge", "The body must be at most 262144 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "name", "message"), BAD)
def test_bad_input(http: httpx.Client, method, path, body, status, name, message) -> None:
    headers = {"content-type": "application/json"} if body else {}
    answer = http.request(method, path, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"name": name, "message": message})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_other_encodings_and_compression(http: httpx.Client, app: str) -> None:
    token = create(http, app)
    for content, headers in (
        ('{"a": 1}'.encode("utf-16"), {}),
        (b'{"a": 1}', {"content-type": "application/json; charset=utf-16"}),
        (gzip.compress(b'{"a": 1}'), {"content-encoding": "gzip"}),
    ):
        answer = http.post(f"/{app}/set/{token}", content=content, headers=headers)
        assert (answer.status_code, answer.json()["name"]) == (415, "unsupportedMediaType")
    assert "d" not in get(http, app, token)


@pytest.mark.parametrize("query", ["exept=1", "ip=1&ip=2", "x=", "%69p=1&ip=2"])
def test_unknown_and_repeated_parameters(http: httpx.Client, app: str, query: str) -> None:
    answer = http.put(f"/{app}/create/peter?ip=192.0.2.7&{query}")
    assert answer.status_code == 400
    assert answer.json()["name"] in ("unknownParameter", "invalidValue")
    assert http.get(f"/{app}/soid/peter").json() == {"sessions": []}


@pytest.mark.parametrize("id", ["a%3Fb", "a%252Fb", "50%25", "."])
def test_ids_that_the_gateway_does_not_pass_on_reliably(http: httpx.Client, app: str, id: str) -> None:
    create(http, app, "a")
    answer = http.delete(httpx.URL("/").copy_with(raw_path=f"/{app}/killsoid/{id}".encode()))
    assert answer.status_code in (400, 403, 404)
    assert len(http.get(f"/{app}/soid/a").json()["sessions"]) == 1


def test_bad_json_says_where(http: httpx.Client) -> None:
    answer = http.post(f"/app/set/{T}", content='{"a": 1,\n "b" 2}', headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("The body is not valid JSON: ")
    assert "line 2 column 6" in answer.json()["message"]


def test_media_types(http: httpx.Client, app: str) -> None:
    token = create(http, app)

    def status(content_type: str | None) -> int:
        headers = {} if content_type is None else {"content-type": content_type}
        return http.post(f"/{app}/set/{token}", content=b'{"a": 1}', headers=headers).status_code

    assert {status(accepted) for accepted in (None, "application/json", "Application/JSON; charset=utf-8")} == {200}
    refused = ("text/plain", "application/x-www-form-urlencoded", "application/jsonp")
    assert {status(content_type) for content_type in refused} == {415}


def test_bad_input_changes_nothing(http: httpx.Client, app: str) -> None:
    token = create(http, app, data={"a": 1})
    for bad in ({"b": 2, "c": 10**64}, {}, [1], {"b": "x" * 262_144}):
        assert set_(http, app, token, bad)["name"]
    http.put(f"/{app}/create/user123", params={"ip": IP, "ttl": 9})
    session = get(http, app, token)
    assert (session["r"], session["w"], session["d"]) == (1, 1, {"a": 1})
    assert len(http.get(f"/{app}/soapp", params={"dt": 60}).json()["sessions"]) == 1


def test_an_answer_of_the_gateway_itself_has_only_a_message(http: httpx.Client) -> None:
    answer = http.get("/no/such/route/here")
    assert answer.json().keys() == {"message"}


def test_thirty_two_clients_at_once(http: httpx.Client, app: str) -> None:
    def live(client: int) -> list[int]:
        with httpx.Client(base_url=http.base_url, timeout=20) as own:
            token = create(own, app, f"user{client}")
            reads = [get(own, app, token)["r"] for _ in range(5)]
            set_(own, app, token, {"a": client})
            return reads

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(live, range(32))) == [[1, 2, 3, 4, 5]] * 32
    assert http.get(f"/{app}/activity", params={"dt": 60}).json() == {"activity": 32}


def test_parallel_sets_over_http_lose_nothing(http: httpx.Client, app: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            token = create(http, app)
            writes = pool.map(lambda i, token=token: set_(http, app, token, {f"k{i}": i})["w"], range(8))
            assert sorted(writes) == list(range(2, 10))
            assert get(http, app, token)["d"] == {f"k{i}": i for i in range(8)}
