"""What is PHP's own in the client. What all clients have in common is in test_conformance.py."""

import json
import re
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import PHP, Php
from proxy import Proxy

from rest_sessions_client import Client
from tests.conftest import running_service
from tests.servers import hang_up, last, reply, reset, scripted, silence, trickle

KEY = "the-key-that-nobody-may-see-in-a-log"
TOKEN = "Z" + "0123456789abcdef" * 3 + "nobodymaysee123"
OTHER_TOKEN = "A" + TOKEN[1:]
SECRET = "nobody-may-see-this"
SESSION = {"id": "user123", "r": 1, "w": 1, "ttl": 7200, "idle": 0, "ip": "192.0.2.7"}
AWAY = {"name": "storeUnavailable", "message": "The session store is unavailable; try again"}
CONFLICT = {"name": "conflict", "message": "w is 2, not 1: read the session again"}
GET = f"$client->get('{TOKEN}')"
SET = f"$client->set('{TOKEN}', ['card' => '{SECRET}'])"
SET_W = f"$client->set('{TOKEN}', ['card' => '{SECRET}'], w: 1)"
ADD_ONE = f"$client->update('{TOKEN}', fn (array $data) => ['n' => ($data['n'] ?? 0) + 1])"
OPERATIONS = {
    "create": f"$client->create('user123', ip: '192.0.2.7', data: ['card' => '{SECRET}'], from: '{TOKEN}', token: '{OTHER_TOKEN}')",
    "get": GET,
    "set": SET,
    "set with w": SET_W,
    "update": ADD_ONE,
    "touch": f"$client->touch('{TOKEN}')",
    "rotate": f"$client->rotate('{TOKEN}')",
    "kill": f"$client->kill('{TOKEN}')",
    "killsoid": "$client->killsoid('user123')",
    "killall": "$client->killall()",
    "soid": "iterator_to_array($client->soid('user123'))",
    "soapp": "iterator_to_array($client->soapp(600))",
    "activity": "$client->activity(600)",
    "apps": "iterator_to_array($client->apps())",
    "ping": "$client->ping()",
}
# A test of a timeout may take so much longer on a busy machine.
SLOW = 2.5


@pytest.fixture
def php() -> Php:
    """PHP whose client is made of what a test says."""
    return Php()


@pytest.fixture
def call(php: Php) -> Callable[..., Any]:
    """Makes calls of a client of the URL, and returns what the last one returns, or the error that it throws."""

    def calling(url: str, *calls: str, options: str = "") -> Any:
        return php(
            f"""
            $client = new Client('{url}', 'webapp', '{KEY}'{options});
            try {{
                {"".join(f"$result = {one};" for one in calls)}
            }} catch (RestSessions\\Errors\\RestSessionsError $error) {{
                return ['error' => substr($error::class, 20), 'message' => $error->getMessage(), 'status' => $error->status ?? null,
                    'name' => $error->name ?? null, 'retryAfter' => $error->retryAfter ?? null];
            }}
            return $result;
            """
        )

    return calling


def operations(server: Any) -> list[str]:
    return [request.path.split("/")[2].split("?")[0] for request in server.received]


# Settings


def test_arguments_come_before_the_environment(php: Php) -> None:
    with scripted(reply("{}")) as server:
        settings = {"REST_SESSIONS_URL": server.url, "REST_SESSIONS_APP": "env-app", "REST_SESSIONS_KEY": "env-key"}
        php(f"return (new Client())->get('{TOKEN}');", **settings)
        php(f"return (new Client(app: 'arg-app', key: 'arg-key'))->get('{TOKEN}');", **settings)
        php(f"$_ENV += {{settings}}; return (new Client())->get('{TOKEN}');".replace("{settings}", php_array(settings)))
    assert [(request.path.split("/")[1], request.headers["authorization"]) for request in server.received] == [
        ("env-app", "Bearer env-key"),
        ("arg-app", "Bearer arg-key"),
        ("env-app", "Bearer env-key"),
    ]


def php_array(members: dict[str, str]) -> str:
    return "[" + ", ".join(f"'{name}' => '{value}'" for name, value in members.items()) + "]"


def test_without_a_key_none_is_sent(php: Php) -> None:
    with scripted(reply("{}")) as server:
        php(f"return (new Client('{server.url}', 'webapp'))->get('{TOKEN}');")
    [request] = server.received
    assert "authorization" not in request.headers


@pytest.mark.parametrize("end", ["", "/", "/stage", "/stage/", "/a@b"])
def test_the_url_may_have_a_path(call: Callable, end: str) -> None:
    with scripted(reply("{}")) as server:
        call(server.url + end, GET)
    [request] = server.received
    assert request.path.partition("?")[0] == f"{end.rstrip('/')}/webapp/get/{TOKEN}"


@pytest.mark.parametrize("name", ["URL", "APP"])
def test_a_missing_setting_is_named(php: Php, name: str) -> None:
    settings = {"REST_SESSIONS_URL": "http://127.0.0.1:3000", "REST_SESSIONS_APP": "webapp"} | {
        f"REST_SESSIONS_{name}": ""
    }
    finished = php.run("new Client();", **settings)
    assert f"ConfigurationError: Pass {name.lower()}, or set REST_SESSIONS_{name}" in finished.stderr


@pytest.mark.parametrize(
    "url",
    [
        "secret.example", "secret.example:3000", "//secret.example", "ftp://secret.example", "https://", "https://:443", "https://secret.example:0",
        "https://secret.example:65536", "https://secret.example:port", "https://[::secret", "https://secret@api.example",
        "https://secret:secret@api.example", "https://@secret.example", "https://secret.example/?key=secret", "https://secret.example/#secret",
        "https://secret.example?", "https://secret.example/#", r"https://secret.example\n", " https://secret.example", "https://secret .example",
        "https://secret.example/a b", r"https://api.example\\@secret.example",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_and_not_repeated(php: Php, url: str) -> None:
    shown = php(
        f"try {{ new Client(\"{url}\", 'webapp'); }} catch (RestSessions\\Errors\\ConfigurationError $error) {{ return (string) $error; }}"
    )
    assert "The URL must have the form" in shown
    assert "secret" not in shown


@pytest.mark.parametrize("key", ["secret key", r"secret\n", r"secret\r\nX-Header: 1", "sécret", " "])
def test_a_wrong_key_is_refused_and_not_repeated(php: Php, key: str) -> None:
    code = f"new Client('http://127.0.0.1:3000', 'webapp', \"{key}\");"
    shown = php(
        f"try {{ {code} }} catch (RestSessions\\Errors\\ConfigurationError $error) {{ return (string) $error; }}"
    )
    assert "The key has a space" in shown
    assert "cret" not in shown


# Errors


def named_errors() -> dict[str, str]:
    """The name of each error in the API, and its class, as ApiError's documentation draws them."""
    drawn = (PHP / "src/Errors/ApiError.php").read_text()
    return {
        name: kind
        for kind, name in re.findall(r"── (\w+) +(?:\d+ +)?([a-z]+[A-Z]\w*|forbidden|conflict)(?=[,\n])", drawn)
    }


def test_each_error_of_the_api_has_a_class(call: Callable) -> None:
    openapi = (PHP.parents[1] / "docs/openapi.yaml").read_text()
    names = set(re.findall(r"\w+", " ".join(re.findall(r"name: \{(?:enum|const): (.*)\}", openapi))))
    assert named_errors().keys() == names
    for name, kind in named_errors().items():
        with scripted(reply({"name": name, "message": "What is wrong"}, 499)) as server:
            answer = call(server.url, SET)
        if name == "notFound":
            assert answer is None
        else:
            assert (answer["error"], answer["message"], answer["status"], answer["name"]) == (
                kind,
                "What is wrong",
                499,
                name,
            )


def test_the_classes_are_as_they_are_drawn(php: Php) -> None:
    drawn = (PHP / "src/Errors/ApiError.php").read_text()
    parents: list[str] = []
    tree = {}
    for branch, name in re.findall(r"^ \*     ([│├└─ ]*)(\w+)", drawn, re.MULTILINE):
        parents[len(branch) // 4 :] = [name]
        tree[name] = parents[-2] if len(parents) > 1 else "RestSessionsError"
    tree |= {"ConfigurationError": "RestSessionsError", "RestSessionsError": "RuntimeException"}
    files = {path.stem for path in (PHP / "src/Errors").iterdir()}
    assert files == tree.keys()
    names = ", ".join(f"'{name}'" for name in tree)
    found = php(
        f"""foreach ([{names}] as $name) {{
            $parents[$name] = preg_replace('/.*\\\\\\\\/', '', get_parent_class("RestSessions\\\\Errors\\\\$name"));
        }}
        return $parents;"""
    )
    assert found == tree


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "Unauthorized"), (403, "Forbidden"), (429, "TooManyRequests")]
    + [(status, "Unavailable") for status in (500, 502, 503, 504)],
)
@pytest.mark.parametrize(
    "body", [{"message": "Words of a gateway"}, {"message": None}, "<html>Words</html>", "", "[]", '{"name": []}']
)
def test_what_api_gateway_answers_by_itself(call: Callable, status: int, kind: str, body: Any) -> None:
    with scripted(reply(body, status)) as server:
        answer = call(server.url, GET)
    assert (answer["error"], answer["status"]) == (kind, status)
    assert "Words" not in answer["message"]
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply("<html>Welcome</html>"), reply(""), reply("[]"), reply("null"), reply('"PONG"'), reply("{"), reply({"status": "ok"}),
        reply({"token": None, "kill": None, "activity": None, "sessions": None, "apps": None}), reply({"sessions": [{}], "apps": [{}]}),
        reply({"sessions": [1], "apps": [1]}), reply(SESSION | {"d": [1], "kill": "1", "activity": 1.5, "token": 1, "sessions": {}, "apps": {}}),
        reply("<html>Not found</html>", 404), reply({"message": "Not Found"}, 404), reply("[]", 400), reply("", 204),
        reply("", 301, Location="https://elsewhere.example/"), reply("", 302, Location="/login"),
    ],
)  # fmt: skip
def test_an_answer_of_something_else(php: Php, answer: Callable) -> None:
    calls = {name: code for name, code in OPERATIONS.items() if name not in ("ping", "set with w")}
    tries = "".join(
        f"try {{ $results['{name}'] = [{code}]; }} catch (RestSessions\\Errors\\UnexpectedAnswer $error) {{ $results['{name}'] = $error->getMessage(); }}"
        for name, code in calls.items()
    )
    with scripted(answer) as server:
        results = php(f"$client = new Client('{server.url}', 'webapp', '{KEY}'); {tries} return $results;")
    for name, result in results.items():
        assert isinstance(result, str), (name, result)
        assert re.fullmatch(r"No REST Sessions API: it answered with status \d+\. Check the URL", result)


def test_a_service_that_answers_404_for_a_missing_session(php: Php, app: str) -> None:
    names = ("get", "set", "set with w", "update", "touch", "rotate", "kill")
    calls = ", ".join(OPERATIONS[name] for name in names)
    with running_service(MISSING_SESSION="404") as service:
        assert php(f"$client = new Client('{service.url}', '{app}'); return [{calls}];") == [None] * 6 + [0]


@pytest.mark.parametrize(
    "argument", ["handle: null", "except: null", "except: (new SessionHandler($client))->handle()"]
)
def test_a_handle_that_is_missing_ends_nothing(call: Callable, argument: str) -> None:
    with scripted(reply({"kill": 2})) as server:
        answer = call(server.url, f"$client->killsoid('user123', {argument})")
    assert (answer["error"], answer["status"]) == ("InvalidFormat", 400)
    assert not server.received


# Retries and deadlines


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("lose", [hang_up, reset, reply(AWAY, 503, Retry_After="0")])
def test_a_call_is_repeated_once(call: Callable, operation: str, lose: Callable) -> None:
    with scripted(lose) as server:
        answer = call(server.url, OPERATIONS[operation])
    # update has read twice before it gives up.
    assert len(server.received) == {"set with w": 1, "update": 2}.get(operation, 2)
    assert answer["error"] in ("ConnectionLost", "StoreUnavailable")
    assert server.received[0][:4] == server.received[-1][:4]


def test_a_repeated_call_succeeds(call: Callable) -> None:
    for lose in (hang_up, reset, reply(AWAY, 503, Retry_After="0")):
        with scripted(lose, reply(SESSION)) as server:
            assert call(server.url, SET)["w"] == 1
    start = time.monotonic()
    with scripted(reply(AWAY, 503, Retry_After="1"), reply(SESSION)) as server:
        assert call(server.url, GET)["w"] == 1
    assert time.monotonic() - start > 1


@pytest.mark.parametrize("retry_after", [None, "3", "9999999999", "soon", "-1", "Thu, 26 Nov 2026 12:00:00 GMT"])
def test_a_call_is_not_repeated(call: Callable, retry_after: str | None) -> None:
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    with scripted(reply(AWAY, 503, **headers)) as server:
        answer = call(server.url, GET)
    assert (answer["error"], answer["retryAfter"]) == ("StoreUnavailable", 3 if retry_after == "3" else None)
    assert len(server.received) == 1


@pytest.mark.parametrize("lose", [hang_up, reset])
def test_a_set_with_w_on_a_kept_connection_is_sent_once(call: Callable, lose: Callable) -> None:
    """There curl repeats a request by itself, if the connection ends before the answer."""
    with scripted(reply(SESSION), reply(SESSION), lose) as server:
        answer = call(server.url, GET, GET, SET_W)
    assert answer["error"] == "ConnectionLost"
    assert operations(server) == ["get", "get", "set"]


@pytest.mark.parametrize(
    "answer", [silence, trickle("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"), trickle("HTTP/1.1 200 OK\r\nX: ")]
)
def test_a_call_has_one_deadline(call: Callable, answer: Callable) -> None:
    start = time.monotonic()
    with scripted(answer) as server:
        result = call(server.url, GET, options=", timeout: 0.5")
        assert 0.5 < time.monotonic() - start < SLOW
    assert (result["error"], result["message"]) == ("NoAnswer", "REST Sessions did not answer in time")
    assert len(server.received) == 1


def test_the_deadline_is_that_of_both_tries(call: Callable) -> None:
    start = time.monotonic()
    with scripted(reply(AWAY, 503, Retry_After="1"), silence) as server:
        assert call(server.url, GET)["error"] == "NoAnswer"
        assert 3 < time.monotonic() - start < 3.8
    assert len(server.received) == 2


def test_nothing_listens(call: Callable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    answer = call(f"http://127.0.0.1:{port}", GET)
    assert answer["error"] == "NoAnswer"
    assert answer["message"].startswith("REST Sessions cannot be reached: Failed to connect to 127.0.0.1")
    assert call("http://nobody.invalid", GET)["message"].startswith("REST Sessions cannot be reached: ")
    assert call(f"https://127.0.0.1:{port}", GET)["error"] == "NoAnswer"


@pytest.mark.parametrize("beginning", ["SSH-2.0-OpenSSH\r\n", "x", "HTTP/1.1 soon\r\n"])
def test_a_server_that_speaks_something_else(call: Callable, beginning: str) -> None:
    with scripted(trickle(beginning)) as server:
        answer = call(server.url, GET, options=", timeout: 0.5")
    assert (answer["error"], answer["message"]) == ("NoAnswer", "REST Sessions cannot be called: Unsupported protocol")


# Connections


def test_the_connection_is_kept(call: Callable) -> None:
    with scripted(reply(SESSION)) as server:
        call(server.url, GET, SET, GET)
    assert [request.connection for request in server.received] == [1, 1, 1]


def test_a_connection_that_was_closed_meanwhile_is_replaced(call: Callable) -> None:
    with scripted(last(reply(SESSION))) as server:
        call(server.url, GET, "usleep(50_000)", SET_W, "usleep(50_000)", SET_W)
    assert [request.connection for request in server.received] == [1, 2, 3]


def test_a_long_body_is_sent_at_once(call: Callable) -> None:
    with scripted(reply(SESSION)) as server:
        call(server.url, f"$client->set('{TOKEN}', ['a' => str_repeat('x', 2_000_000)])")
    [request] = server.received
    assert len(request.body) == 2_000_008
    assert "expect" not in request.headers


def test_a_request(call: Callable) -> None:
    with scripted(reply(SESSION)) as server:
        call(
            server.url,
            f"$client->set('{TOKEN}', ['a' => 1.0, 'é' => '/', 7 => []], details: true, replace: false)",
            OPERATIONS["touch"],
            GET,
        )
    first, second, third = server.received
    assert (first.method, first.path) == ("POST", f"/webapp/set/{TOKEN}?details=1")
    assert first.body.decode() == '{"a":1.0,"é":"/","7":[]}'
    assert first.headers["content-type"] == "application/json"
    assert first.headers["user-agent"].startswith("rest-sessions-client-php/")
    assert (second.method, second.body, second.headers["content-length"]) == ("POST", b"", "0")
    assert (third.method, "content-length" in third.headers) == ("GET", False)


def test_a_forked_process_has_its_own_connection(
    php: Php, proxy: Proxy, service: Any, app: str, client: Client
) -> None:
    returned = php(
        f"""
        $client = new Client('{proxy.url}', '{app}', '{service.key}');
        $tokens = [];
        for ($n = 0; $n < 3; $n++) {{
            $tokens[] = $client->create("user$n", ip: "192.0.2.$n")->token;
        }}
        for ($n = 0, $children = []; $n < 2; $n++) {{
            if (!($child = pcntl_fork())) {{
                for ($i = 0; $i < 50; $i++) {{
                    if ($client->get($tokens[$n])->id !== "user$n") exit(1);
                }}
                posix_kill(getmypid(), SIGKILL);
            }}
            $children[] = $child;
        }}
        for ($i = 0; $i < 50; $i++) {{
            if ($client->get($tokens[2])->id !== 'user2') return 'wrong';
        }}
        foreach ($children as $child) {{
            pcntl_waitpid($child, $status);
            $statuses[] = pcntl_wifsignaled($status);
        }}
        return $statuses;
        """
    )
    assert returned == [True, True]
    assert proxy.connections == 3
    assert [session.r for session in client.soapp(60)] == [51] * 3


# update


def test_the_change_is_made_again_after_a_conflict(call: Callable) -> None:
    answers = [
        reply(SESSION | {"d": {"n": 1}}),
        reply(CONFLICT, 409),
        reply(SESSION | {"w": 2, "d": {"n": 5}}),
        reply(SESSION | {"w": 3}),
    ]
    with scripted(*answers) as server:
        assert call(server.url, ADD_ONE)["w"] == 3
    assert operations(server) == ["get", "set", "get", "set"]
    assert [request.body for request in server.received] == [b"", b'{"n":2}', b"", b'{"n":6}']
    assert [request.path.partition("?")[2] for request in server.received] == ["peek=1", "w=1", "peek=1", "w=2"]


def test_update_gives_up_some_time(call: Callable) -> None:
    with scripted(*[reply(SESSION), reply(CONFLICT, 409)] * 100) as server:
        answer = call(server.url, ADD_ONE)
    assert (answer["error"], answer["message"]) == ("Conflict", "Others wrote in between 100 times")
    assert len(server.received) == 200


@pytest.mark.parametrize("lose", [hang_up, reset, reply(AWAY, 503, Retry_After="0")])
def test_a_lost_write_that_did_not_happen_is_sent_again(call: Callable, lose: Callable) -> None:
    with scripted(reply(SESSION), lose, reply(SESSION), reply(SESSION | {"w": 2})) as server:
        assert call(server.url, ADD_ONE)["w"] == 2
    assert operations(server) == ["get", "set", "get", "set"]


@pytest.mark.parametrize(
    "after", [[reply(SESSION | {"w": 2})], [reply(SESSION), reply(CONFLICT, 409)], [reply(SESSION), hang_up]]
)
def test_a_lost_write_that_may_have_happened_is_not_made_twice(call: Callable, after: list) -> None:
    with scripted(reply(SESSION), hang_up, *after) as server:
        assert call(server.url, ADD_ONE)["error"] == "ConnectionLost"
    assert operations(server) == ["get", "set", "get", "set"][: 2 + len(after)]


def test_a_session_that_ends_during_an_update(call: Callable) -> None:
    with scripted(reply(SESSION), reply("{}")) as server:
        assert call(server.url, ADD_ONE) is None
    assert operations(server) == ["get", "set"]


def test_an_empty_change_writes_nothing(call: Callable) -> None:
    with scripted(reply(SESSION)) as server:
        assert call(server.url, f"$client->update('{TOKEN}', fn () => [])")["w"] == 1
    assert operations(server) == ["get"]


def test_update_keeps_empty_objects(call: Callable) -> None:
    with scripted(reply(SESSION | {"d": {"a": {"b": {}, "c": []}, "d": {"0": 1}}})) as server:
        call(
            server.url, f"$client->update('{TOKEN}', function (array $data) {{ $data['a']['new'] = 1; return $data; }})"
        )
    assert server.received[1].body == b'{"a":{"b":{},"c":[],"new":1},"d":{"0":1}}'


# Data and answers


def test_what_a_session_has(call: Callable) -> None:
    answer = SESSION | {"d": {"a": {}, "l": [], "o": {"x": [{}]}}, "newer": 1, "closed": True, "no_resave": True}
    with scripted(reply(answer)) as server:
        session = call(server.url, f"(array) {GET}")
        exact = call(server.url, f"json_encode({GET}->exact)")
    assert session == SESSION | {
        "data": {"a": [], "l": [], "o": {"x": [[]]}}, "exact": answer["d"], "closed": True, "no_resave": True, "rotated": False,
        "handle": None, "age": None, "lifetime": None,
    }  # fmt: skip
    assert json.loads(exact) == answer["d"]


def test_a_listing_gets_a_page_when_it_is_needed(call: Callable) -> None:
    pages = [reply({"sessions": [SESSION, SESSION], "next": "the/cursor"}), reply({"sessions": [SESSION]})]
    with scripted(*pages) as server:
        ids = call(
            server.url,
            "array_map(fn ($session) => $session->id, iterator_to_array($client->soid('user123', limit: 2)))",
        )
    assert ids == ["user123"] * 3
    assert [request.path for request in server.received] == [
        "/webapp/soid/user123?limit=2", "/webapp/soid/user123?limit=2&cursor=the%2Fcursor"
    ]  # fmt: skip
    with scripted(*pages) as server:
        call(server.url, "$client->soid('user123', limit: 2)->current()")
        call(server.url, "$client->soapp(60)::class")
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "value",
    ["NAN", "INF", r'"\xff"', r"""['a' => "\xff"]""", "fopen('php://memory', 'r')", "(fn (&$a) => [$a = [&$a]])($x)"],
)
def test_what_is_no_json_is_not_sent(call: Callable, value: str) -> None:
    with scripted(reply(SESSION)) as server:
        answer = call(server.url, f"$client->set('{TOKEN}', ['card' => '{SECRET}', 'a' => {value}])")
    assert (answer["error"], answer["status"]) == ("InvalidJson", 400)
    assert not server.received


# Secrets


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "answer",
    [hang_up, silence, reply("<html>", 200), reply("", 500), reply({"name": "invalidFormat", "message": "No"}, 400)],
)
def test_no_error_holds_a_secret(php: Php, operation: str, answer: Callable) -> None:
    if answer is not silence or operation in ("get", "create"):
        with scripted(answer) as server:
            shown = php(shown_by(f"new Client('{server.url}', 'webapp', '{KEY}', timeout: 0.3)", OPERATIONS[operation]))
        check_no_secret(shown)


@pytest.mark.parametrize(
    "code",
    [
        GET + "->nothing()", f"$client->get('{TOKEN}', 1)", f"$client->set('{TOKEN}', null)", f"$client->set('{TOKEN}', ['card' => '{SECRET}', 'a' => NAN])",
        f"$client->get('{TOKEN}/')", f"$client->update('{TOKEN}', fn () => throw new Exception('stop'))", f"$client->update('{TOKEN}', 1)",
        f"$client->create(ip: [], token: '{TOKEN}', data: ['{SECRET}'])", f"new Client([], 'webapp', '{KEY}')",
    ],
)  # fmt: skip
def test_no_error_of_a_wrong_call_holds_a_secret(php: Php, code: str) -> None:
    with scripted(reply(SESSION)) as server:
        check_no_secret(php(shown_by(f"new Client('{server.url}', 'webapp', '{KEY}')", code)))


def shown_by(client: str, code: str) -> str:
    return f"""
        $client = {client};
        try {{
            {code};
            return 'ok';
        }} catch (Throwable $error) {{
            ob_start();
            var_dump($error);
            for ($one = $error; $one; $one = $one->getPrevious()) {{
                print_r($one->getTrace());
                var_export($one->getMessage());
            }}
            echo $error;
            return ob_get_clean();
        }}"""


def check_no_secret(shown: str) -> None:
    # The test's own closure is a frame of the trace, but it has no arguments.
    assert not [secret for secret in (KEY, TOKEN, OTHER_TOKEN, SECRET) if secret in shown], shown


def test_no_dump_holds_a_secret(php: Php) -> None:
    with scripted(reply(SESSION | {"token": TOKEN})) as server:
        shown = php(
            f"""
            $client = new Client('{server.url}', 'webapp', '{KEY}');
            $created = $client->create(ip: '192.0.2.7');
            $handler = new SessionHandler($client);
            $handler->validateId('{TOKEN}');
            ob_start();
            foreach ([$client, $handler, $created] as $object) {{
                var_dump($object, [$object]);
                print_r($object);
            }}
            var_export($client);
            print_r((array) $client);
            return ob_get_clean();
            """
        )
    check_no_secret(shown)
    assert "webapp" in shown
    shown = php(f"return print_r(new Client('http://127.0.0.1:9', 'webapp', '{KEY}'), true);")
    assert shown.split()[3:-1] == ["[url]", "=>", "http://127.0.0.1:9", "[app]", "=>", "webapp", "[timeout]", "=>", "3"]
    finished = php.run(f"serialize(new Client('http://127.0.0.1:9', 'webapp', '{KEY}'));")
    assert "Serialization of 'SensitiveParameterValue' is not allowed" in finished.stderr
