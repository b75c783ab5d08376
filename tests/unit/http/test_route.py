"""From an event to an answer, through the real handlers. Only the store is a mock."""

import gzip
import json
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from rest_sessions.deadline import remaining
from rest_sessions.errors import StoreUnavailable, TooLarge
from rest_sessions.http import route
from rest_sessions.http.response import HEADERS
from rest_sessions.model import Page
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore
from rest_sessions.telemetry import logger
from tests.cases import CASES, CURSOR, KILLS, SESSION, TOKEN, USES
from tests.events import EVENTS, in_base64, request
from tests.routes import OPERATIONS, ROUTES, load

FUNCTION_REQUEST_ID = "11111111-2222-4333-8444-555555555555"


class Api:
    """The functions, with a mock store whose methods return the results of their cases."""

    def __init__(self):
        self.store = mock.create_autospec(SessionStore, instance=True)
        for name, case in CASES.items():
            getattr(self.store, name).return_value = case.result
        self.settings = Settings.from_environment({"REDIS_URL": "redis://localhost"})

    def call(self, function, event=None):
        context = SimpleNamespace(aws_request_id=FUNCTION_REQUEST_ID)
        return load(function).handler(EVENTS[function] if event is None else event, context)

    def fail(self, function, error):
        getattr(self.store, function).side_effect = error

    @property
    def changes(self):
        """The data that the only call of the store was given to write."""
        [(_, args, _)] = self.store.method_calls
        return args[-1]


@pytest.fixture
def api(monkeypatch):
    api = Api()
    monkeypatch.setattr(route, "open_store", lambda: api.store)
    monkeypatch.setattr(route, "load_settings", lambda: api.settings)
    return api


@pytest.fixture
def missing_is_404(api):
    api.settings = Settings.from_environment({"REDIS_URL": "redis://localhost", "MISSING_SESSION": "404"})


class Output:
    """The output of a function: JSON lines, each of them a log record or metrics."""

    def __init__(self, capsys):
        self._capsys = capsys
        self._text = ""

    @property
    def text(self):
        self._text += self._capsys.readouterr().out
        return self._text

    @property
    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def logs(self):
        """The log records without the audit log."""
        return [line for line in self.lines if "level" in line and line["message"] != "Access"]

    @property
    def audit_log(self):
        parts = ("key_name", "operation", "app", "outcome")
        return [tuple(line[part] for part in parts) for line in self.lines if line.get("message") == "Access"]

    @property
    def metrics(self):
        """Each metric's value, as CloudWatch would extract it."""
        return {
            metric["Name"]: line[metric["Name"]]
            for line in self.lines
            if "_aws" in line
            for directive in line["_aws"]["CloudWatchMetrics"]
            for metric in directive["Metrics"]
        }


class CurrentStdout:
    """Writes to the current stdout. The logger keeps the one that it was imported with, but pytest replaces it."""

    def write(self, text):
        sys.stdout.write(text)

    def flush(self):
        sys.stdout.flush()


@pytest.fixture
def output(capsys, monkeypatch):
    monkeypatch.setattr(logger.registered_handler, "stream", CurrentStdout())
    return Output(capsys)


def error_of(response):
    body = json.loads(response["body"])
    assert list(body) == ["name", "message"]
    return response["statusCode"], body["name"], body["message"]


class TestAnswer:
    @pytest.mark.parametrize("function", ROUTES)
    def test_is_the_result_as_json(self, api, function):
        response = api.call(function)
        assert response == {"statusCode": 200, "headers": HEADERS, "body": CASES[function].answer}

    def test_is_never_cached_or_sniffed(self, api):
        assert api.call("ping")["headers"] == {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }

    def test_of_ping_is_the_bare_word(self, api):
        assert api.call("ping")["body"] == "PONG"

    @pytest.mark.parametrize("function", USES)
    def test_of_a_missing_session_is_an_empty_object(self, api, function):
        getattr(api.store, function).return_value = None
        assert api.call(function) == {"statusCode": 200, "headers": HEADERS, "body": "{}"}

    @pytest.mark.usefixtures("missing_is_404")
    @pytest.mark.parametrize("function", USES)
    def test_of_a_missing_session_is_404_if_configured(self, api, function):
        getattr(api.store, function).return_value = None
        response = api.call(function)
        assert error_of(response) == (404, "notFound", "No such session: it expired, was killed, or never was")
        assert response["headers"] == HEADERS

    @pytest.mark.usefixtures("missing_is_404")
    @pytest.mark.parametrize("function", ROUTES)
    def test_is_otherwise_the_same_if_404_is_configured(self, api, function):
        assert api.call(function)["body"] == CASES[function].answer

    @pytest.mark.usefixtures("missing_is_404")
    @pytest.mark.parametrize(
        ("function", "empty", "body"),
        [
            ("kill_session", 0, '{"kill":0}'),
            ("kill_sessions_of_id", 0, '{"kill":0}'),
            ("count_active_users", 0, '{"activity":0}'),
            ("list_sessions_of_id", Page([]), '{"sessions":[]}'),
            ("list_sessions_of_app", Page([]), '{"sessions":[]}'),
        ],
    )
    def test_of_an_empty_result_is_not_an_error(self, api, function, empty, body):
        getattr(api.store, function).return_value = empty
        response = api.call(function)
        assert (response["statusCode"], response["body"]) == (200, body)


class TestListing:
    @pytest.mark.parametrize("function", ["list_sessions_of_id", "list_sessions_of_app"])
    def test_next_is_the_cursor_of_the_next_request(self, api, function):
        getattr(api.store, function).return_value = Page([SESSION], CURSOR)
        cursor = json.loads(api.call(function)["body"])["next"]
        api.call(function, request(function, query={"cursor": cursor, "limit": "2"}))
        assert getattr(api.store, function).call_args.args[-2:] == (2, CURSOR)

    @pytest.mark.parametrize("function", ["list_sessions_of_id", "list_sessions_of_app"])
    def test_has_no_next_at_its_end(self, api, function):
        getattr(api.store, function).return_value = Page([SESSION])
        assert list(json.loads(api.call(function)["body"])) == ["sessions"]


class TestStoreCall:
    @pytest.mark.parametrize("function", ROUTES)
    def test_has_the_parameters_of_the_event(self, api, function):
        api.call(function)
        assert api.store.mock_calls == [getattr(mock.call, function)(*CASES[function].call.args)]

    @pytest.mark.parametrize("function", ROUTES)
    def test_has_the_deadline_of_its_route(self, api, function):
        seconds = []
        getattr(api.store, function).side_effect = lambda *_, **__: seconds.append(remaining(100)) or mock.DEFAULT
        assert api.call(function)["statusCode"] == 200
        assert seconds == [pytest.approx(25 if function == "kill_sessions_of_app" else 4, abs=1)]
        assert remaining(100) == 100

    def test_of_create_has_the_defaults(self, api):
        api.call("create_session", request("create_session", query={"ttl": None}, body=None))
        assert api.store.create_session.call_args.args[2:] == ("198.51.100.24", 7200, False, {})

    def test_of_create_has_no_resave(self, api):
        api.call("create_session", request("create_session", query={"no_resave": "1"}))
        assert api.store.create_session.call_args.args[4] is True

    def test_of_create_never_uses_the_address_of_the_sender(self, api):
        response = api.call("create_session", request("create_session", query={"ip": None}))
        assert error_of(response) == (400, "missingParameter", "No ip supplied")

    @pytest.mark.parametrize("body", ["{}", "", None], ids=["empty-object", "empty", "absent"])
    def test_of_create_has_no_data_without_a_body(self, api, body):
        assert api.call("create_session", request("create_session", body=body))["statusCode"] == 200
        assert api.changes == {}


# The errors of each parameter: a change of the event that causes the error, and the message to the client.
ERRORS = {
    "app": [({"path": {"app": "a"}}, "Invalid app format")],
    "id": [({"path": {"id": "a\nb"}}, "Invalid id format")],
    "token": [({"path": {"token": "short"}}, "Invalid token format")],
    "ip": [({"query": {"ip": None}}, "No ip supplied")],
    "ttl": [({"query": {"ttl": "9"}}, "ttl must be a positive integer >= 10")],
    "no_resave": [({"query": {"no_resave": "maybe"}}, "no_resave must be 1, true, 0 or false")],
    "dt": [({"query": {"dt": None}}, "No dt supplied")],
    "limit": [({"query": {"limit": "0"}}, "limit must be an integer from 1 to 1000")],
    "cursor": [({"query": {"cursor": "x"}}, "cursor must be the `next` of an earlier answer")],
    "data": [
        (
            {"headers": {"content-type": "text/plain"}},
            "The body must be JSON: send Content-Type: application/json",
        ),
        ({"body": "[1]"}, "d must be an object"),
    ],
}
ERRORS["changes"] = ERRORS["data"]

# All errors of a route's parameters, in the order in which they are checked.
ERRORS_OF_ROUTES = {
    function: [error for name in route.parameters for error in ERRORS[name]]
    for function, route in ROUTES.items()
    if route.parameters
}


def merged(errors):
    """The changes of several errors, merged into one."""
    changes = {}
    for error, _ in errors:
        for part, change in error.items():
            changes[part] = {**changes.get(part, {}), **change} if isinstance(change, dict) else change
    return changes


class TestValidation:
    @pytest.mark.parametrize(
        ("function", "right"),
        [(function, right) for function, errors in ERRORS_OF_ROUTES.items() for right in range(len(errors))],
        ids=lambda value: value if isinstance(value, str) else f"first-{value}-right",
    )
    def test_reports_the_first_error_of_app_then_id_or_token_then_query_then_body(self, api, function, right):
        errors = ERRORS_OF_ROUTES[function][right:]
        response = api.call(function, request(function, **merged(errors)))
        assert error_of(response)[2] == errors[0][1]
        assert response["headers"] == HEADERS

    @pytest.mark.parametrize(
        ("function", "error"),
        [(function, number) for function, errors in ERRORS_OF_ROUTES.items() for number in range(len(errors))],
        ids=lambda value: value if isinstance(value, str) else f"error-{value}",
    )
    def test_reports_each_error_without_a_call_of_the_store(self, api, function, error):
        changes, message = ERRORS_OF_ROUTES[function][error]
        assert error_of(api.call(function, request(function, **changes)))[2] == message
        assert api.store.mock_calls == []

    @pytest.mark.parametrize("function", ERRORS_OF_ROUTES)
    def test_refuses_an_event_without_an_app(self, api, function):
        event = {"requestContext": EVENTS[function]["requestContext"]}
        assert error_of(api.call(function, event)) == (400, "missingParameter", "No app supplied")

    @pytest.mark.parametrize("body", ["", None], ids=["empty", "absent"])
    def test_refuses_set_without_a_body(self, api, body):
        response = api.call("set_session", request("set_session", body=body))
        assert error_of(response) == (400, "missingParameter", "No d supplied")

    def test_refuses_set_without_a_key_in_its_body(self, api):
        response = api.call("set_session", request("set_session", body="{}"))
        assert error_of(response) == (400, "invalidValue", "d must contain at least one key.")

    def test_refuses_data_that_makes_the_session_too_large(self, api):
        api.fail("set_session", TooLarge("A session's data must have at most 512 keys"))
        response = api.call("set_session")
        assert error_of(response) == (413, "tooLarge", "A session's data must have at most 512 keys")


class TestQuery:
    @pytest.mark.parametrize("function", ROUTES)
    @pytest.mark.parametrize("name", ["exept", "x" * 40, "", "IP", "token"])
    def test_with_a_parameter_that_the_route_does_not_take_is_refused(self, api, function, name):
        event = request(function, query={name: "1"}, rawQueryString=f"{name}=1")
        taken = [key for key, parameter in ROUTES[function].parameters.items() if parameter.place == "query"]
        message = f"Unknown parameter {name[:32]}; this route takes {', '.join(taken) or 'none'}"
        assert error_of(api.call(function, event)) == (400, "unknownParameter", message)
        assert api.store.mock_calls == []

    @pytest.mark.parametrize("function", ROUTES)
    def test_with_a_parameter_twice_is_refused(self, api, function):
        for name, parameter in ROUTES[function].parameters.items():
            if parameter.place == "query":
                # API Gateway joins the values with a comma.
                event = request(function, queryStringParameters={name: "1,1"}, rawQueryString=f"{name}=1&{name}=1")
                assert error_of(api.call(function, event)) == (400, "invalidValue", f"{name} must be given once")
        assert api.store.mock_calls == []

    def test_is_judged_after_the_path_and_before_each_parameter(self, api):
        bad = {"query": {"x": "1", "ttl": "9"}, "rawQueryString": "x=1&ttl=9"}
        event = request("create_session", path={"id": "a\nb"}, **bad)
        assert error_of(api.call("create_session", event))[2] == "Invalid id format"
        event = request("create_session", **bad)
        assert error_of(api.call("create_session", event))[1] == "unknownParameter"

    def test_with_a_comma_in_a_value_is_one_value(self, api):
        event = request("create_session", query={"ip": "a,b"}, rawQueryString="ip=a%2Cb&ttl=3600")
        assert api.call("create_session", event)["statusCode"] == 200
        assert api.store.create_session.call_args.args[2] == "a,b"


WITH_BODY = pytest.mark.parametrize("function", ["create_session", "set_session"])
NOT_JSON = (415, "unsupportedMediaType", "The body must be JSON: send Content-Type: application/json")


@WITH_BODY
class TestContentType:
    @pytest.mark.parametrize(
        "media_type",
        [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8;version=1",
            "application/json ; charset=utf-8",
            "Application/JSON",
            "",
            None,
        ],
        ids=repr,
    )
    def test_that_says_json_or_nothing_is_accepted(self, api, function, media_type):
        event = request(function, headers={"content-type": media_type}, body='{"k":1}')
        assert api.call(function, event)["statusCode"] == 200
        assert api.changes == {"k": "1"}

    @pytest.mark.parametrize(
        "media_type",
        [
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "application/jsonp",
            "application/problem+json",
            "application/xml; type=application/json",
        ],
    )
    def test_that_says_something_else_is_refused(self, api, function, media_type):
        event = request(function, headers={"content-type": media_type})
        assert error_of(api.call(function, event)) == NOT_JSON
        assert api.store.mock_calls == []

    @pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
    def test_is_found_by_a_header_name_in_any_case(self, api, function, name):
        event = request(function, headers={"content-type": None, name: "text/plain"})
        assert error_of(api.call(function, event)) == NOT_JSON

    def test_is_not_needed_if_there_are_no_headers(self, api, function):
        assert api.call(function, {**request(function), "headers": None})["statusCode"] == 200

    @pytest.mark.parametrize("charset", ["utf-16", '"UTF-16LE"', "iso-8859-1", "utf-32"])
    def test_that_says_another_encoding_than_utf_8_is_refused(self, api, function, charset):
        event = request(function, headers={"content-type": f"application/json; charset={charset}"})
        assert error_of(api.call(function, event)) == (415, "unsupportedMediaType", "The body must be in UTF-8")

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
    def test_json_of_a_body_in_another_encoding_is_refused(self, api, function, encoding):
        event = request(function, **in_base64('{"k":1}'.encode(encoding)))
        assert error_of(api.call(function, event)) == (415, "unsupportedMediaType", "The body must be in UTF-8")

    @pytest.mark.parametrize(
        "changes",
        [
            {"headers": {"Content-Encoding": "gzip"}},
            {"headers": {"content-encoding": "br"}},
            in_base64(gzip.compress(b'{"k":1}')),
        ],
        ids=["header", "lower-case-header", "bytes"],
    )
    def test_json_of_a_compressed_body_is_refused(self, api, function, changes):
        status, name, message = error_of(api.call(function, request(function, **changes)))
        assert (status, name) == (415, "unsupportedMediaType")
        assert message == "The body must not be compressed: send it without Content-Encoding"

    def test_identity_is_no_compression(self, api, function):
        event = request(function, headers={"content-encoding": "Identity"})
        assert api.call(function, event)["statusCode"] == 200

    def test_without_a_body_does_not_matter(self, api, function):
        event = request(function, headers={"content-type": "text/plain"}, body=None)
        assert api.call(function, event)["statusCode"] == {"create_session": 200, "set_session": 400}[function]


@WITH_BODY
class TestBody:
    @pytest.mark.parametrize("text", ['{"k":"딸기"}', '{"k":["\\u0041"]}'], ids=["unicode", "escape"])
    def test_in_base64_gives_the_same_data(self, api, function, text):
        api.call(function, request(function, body=text))
        plain = api.changes
        api.store.reset_mock()
        api.call(function, request(function, **in_base64(text.encode())))
        assert api.changes == plain

    def test_in_base64_that_is_not_utf_8_is_invalid_json(self, api, function):
        response = api.call(function, request(function, **in_base64(b'{"k":"\xff"}')))
        assert error_of(response) == (400, "invalidJson", "The body is not valid JSON: it is not UTF-8 at byte 6")

    @pytest.mark.parametrize("encode", [lambda body: {"body": body.decode()}, in_base64], ids=["plain", "base64"])
    @pytest.mark.parametrize(("size", "status"), [(262_144, 200), (262_145, 413)])
    def test_is_measured_in_decoded_bytes(self, api, function, encode, size, status):
        body = '{{"k":"{}"}}'.format("딸" * 87_000).encode()
        body += b" " * (size - len(body))
        assert api.call(function, request(function, **encode(body)))["statusCode"] == status

    def test_keeps_the_digits_of_numbers(self, api, function):
        api.call(function, request(function, body='{"n":12345678901234567890.10,"z":-0.0}'))
        assert api.changes == {"n": "12345678901234567890.10", "z": "-0.0"}


class TestFailure:
    @pytest.mark.parametrize("function", ROUTES)
    def test_of_the_store_is_503_with_retry_after(self, api, output, function):
        api.fail(function, StoreUnavailable("ConnectionError: refused"))
        response = api.call(function)
        assert error_of(response) == (503, "storeUnavailable", "The session store is unavailable; try again")
        assert response["headers"] == {**HEADERS, "Retry-After": "1"}
        assert output.metrics == {"StoreUnavailable": 1}

    def test_of_the_store_is_logged_with_its_reason(self, api, output):
        api.fail("get_session", StoreUnavailable("ConnectionError: refused"))
        api.call("get_session")
        [log] = output.logs
        assert log["level"] == "ERROR"
        assert log["reason"] == "ConnectionError: refused"

    @pytest.mark.parametrize("function", ROUTES)
    def test_of_this_service_is_500_without_details(self, api, output, function):
        api.fail(function, ValueError("hunter2"))
        response = api.call(function)
        request_id = EVENTS[function]["requestContext"]["requestId"]
        assert error_of(response) == (
            500,
            "internalError",
            f"Internal error; the log has it under the request id {request_id}",
        )
        assert response["headers"] == HEADERS
        assert output.metrics == {"InternalError": 1}

    def test_of_this_service_is_logged_with_its_place(self, api, output):
        api.fail("get_session", ValueError("hunter2"))
        api.call("get_session")
        [log] = output.logs
        assert log["level"] == "ERROR"
        assert log["error"] == "ValueError"
        assert any("get_session" in frame and frame.endswith(" handler") for frame in log["frames"])

    @pytest.mark.parametrize("error", [StoreUnavailable("refused"), ValueError("hunter2")], ids=["store", "service"])
    def test_is_logged_with_the_ids_of_its_request(self, api, output, error):
        api.fail("get_session", error)
        api.call("get_session")
        [log] = output.logs
        assert log["service"] == "rest-sessions"
        assert log["request_id"] == EVENTS["get_session"]["requestContext"]["requestId"]
        assert log["function_request_id"] == FUNCTION_REQUEST_ID
        assert log["route"] == "GET /{app}/get/{token}"

    @pytest.mark.parametrize("error", [StoreUnavailable("refused"), ValueError("hunter2")], ids=["store", "service"])
    def test_does_not_affect_the_next_request(self, api, error):
        api.store.get_session.side_effect = [error, SESSION]
        assert api.call("get_session")["statusCode"] != 200
        assert api.call("get_session")["statusCode"] == 200


def secrets_of(event):
    """The parts of a request that no output may contain."""
    path = event.get("pathParameters", {})
    query = event.get("queryStringParameters", {})
    return [path.get("token"), path.get("id"), query.get("ip"), event["rawPath"], event.get("body"), "Peter", "hunter2"]


class TestSecrecy:
    @pytest.mark.parametrize("function", ERRORS_OF_ROUTES)
    @pytest.mark.parametrize("outcome", ["success", "missing", "store", "service", "too-large"])
    def test_output_holds_nothing_of_the_request(self, api, output, function, outcome):
        event = EVENTS[function]
        leak = f"{event['rawPath']} {event.get('body')} hunter2 {TOKEN}"
        errors = {"store": StoreUnavailable("refused"), "service": ValueError(leak), "too-large": TooLarge("too large")}
        api.fail(function, errors.get(outcome))
        if outcome == "missing" and function in USES:
            api.store.configure_mock(**{f"{function}.return_value": None})
        api.call(function)
        assert [log["level"] for log in output.logs] == (["ERROR"] if outcome in ("store", "service") else [])
        for secret in filter(None, secrets_of(event)):
            assert secret not in output.text

    @pytest.mark.parametrize("function", [name for name, route in ROUTES.items() if "token" in route.parameters])
    def test_refusal_of_a_token_does_not_repeat_it(self, api, output, function):
        response = api.call(function, request(function, path={"token": f"{TOKEN}-hunter2"}))
        assert response["body"] == '{"name":"invalidFormat","message":"Invalid token format"}'
        assert output.text == ""

    @pytest.mark.parametrize("function", ROUTES)
    @pytest.mark.parametrize("error", [StoreUnavailable("hunter2"), ValueError("hunter2")], ids=["store", "service"])
    def test_answer_holds_nothing_of_a_failure(self, api, output, function, error):
        api.fail(function, error)
        response = api.call(function)
        assert "hunter2" not in json.dumps(response)


FORBIDDEN = (403, "forbidden", "The key may not do this in this app")


def request_with_authorizer(function, authorizer, **parts):
    event = request(function, **parts)
    event["requestContext"] = {**event["requestContext"], "authorizer": authorizer}
    return event


def request_with_key(function, apps, allow, **parts):
    return request_with_authorizer(function, {"lambda": {"name": "web", "apps": apps, "allow": allow}}, **parts)


class TestAccess:
    @pytest.mark.parametrize(("function", "operation"), OPERATIONS.items())
    def test_needs_a_key_that_allows_the_operation_in_the_app(self, api, function, operation):
        others = ",".join(set(OPERATIONS.values()) - {operation})
        for apps, allow in (("web-shop", operation), ("*", "*"), ("a-shop,web-shop", f"{others},{operation}")):
            assert api.call(function, request_with_key(function, apps, allow))["statusCode"] == 200
        api.store.reset_mock()
        for apps, allow in (("web-shop", others), ("a-shop", "*"), ("web", "*"), ("", "*"), ("*", "")):
            assert error_of(api.call(function, request_with_key(function, apps, allow))) == FORBIDDEN
        assert api.store.mock_calls == []

    @pytest.mark.parametrize("function", OPERATIONS)
    @pytest.mark.parametrize(
        "authorizer",
        [
            None,
            {},
            {"lambda": None},
            {"lambda": {}},
            {"lambda": {"name": "web", "apps": "*"}},
            {"lambda": {"name": "web", "apps": ["*"], "allow": ["*"]}},
            {"iam": {"userArn": "arn:aws:iam::123456789012:user/web"}},
            {"jwt": {"claims": {"name": "web", "apps": "*", "allow": "*"}}},
        ],
        ids=repr,
    )
    def test_is_refused_without_an_authorizer(self, api, function, authorizer):
        assert error_of(api.call(function, request_with_authorizer(function, authorizer))) == FORBIDDEN
        assert api.store.mock_calls == []

    @pytest.mark.parametrize("function", OPERATIONS)
    def test_is_refused_before_the_parameters_are_checked(self, api, function):
        assert error_of(api.call(function, {})) == FORBIDDEN

    def test_is_checked_after_the_app_and_before_the_other_parameters(self, api):
        bad = {"path": {"token": "short"}}
        assert error_of(api.call("get_session", request_with_key("get_session", "a-shop", "*", **bad))) == FORBIDDEN
        bad["path"]["app"] = "a"
        assert error_of(api.call("get_session", request_with_key("get_session", "a-shop", "*", **bad)))[0] == 400

    def test_to_ping_is_open(self, api):
        assert api.call("ping", request_with_authorizer("ping", None))["body"] == "PONG"

    def test_with_iam_needs_an_identity(self, api):
        api.settings = Settings.from_environment({"REDIS_URL": "redis://localhost", "AUTH_MODE": "iam"})
        identity = {"iam": {"userArn": "arn:aws:iam::123456789012:user/web"}}
        assert api.call("get_session", request_with_authorizer("get_session", identity))["statusCode"] == 200
        for other in (
            None,
            {"iam": {}},
            {"iam": {"userArn": None}},
            EVENTS["get_session"]["requestContext"]["authorizer"],
        ):
            assert error_of(api.call("get_session", request_with_authorizer("get_session", other))) == FORBIDDEN

    def test_is_open_to_all_if_configured(self, api):
        api.settings = Settings.from_environment({"REDIS_URL": "redis://localhost", "AUTH_MODE": "none"})
        assert api.call("get_session", request_with_authorizer("get_session", None))["statusCode"] == 200


class TestAuditLog:
    @pytest.mark.parametrize("function", OPERATIONS)
    def test_has_every_killsoid_and_killall(self, api, output, function):
        api.call(function)
        is_audited = function in ("kill_sessions_of_id", "kill_sessions_of_app")
        assert output.audit_log == ([("web", OPERATIONS[function], "web-shop", "done")] if is_audited else [])

    @pytest.mark.parametrize(
        ("error", "outcome"),
        [(StoreUnavailable("refused"), "storeUnavailable"), (ValueError("hunter2"), "internalError")],
        ids=["store", "service"],
    )
    @pytest.mark.parametrize(
        ("function", "operation"), [("kill_sessions_of_app", "killall"), ("kill_sessions_of_id", "killsoid")]
    )
    def test_has_a_killsoid_or_killall_that_failed(self, api, output, function, operation, error, outcome):
        api.fail(function, error)
        api.call(function)
        assert output.audit_log == [("web", operation, "web-shop", outcome)]

    def test_has_a_killall_with_bad_input(self, api, output):
        api.call("kill_sessions_of_app", request("kill_sessions_of_app", path={"app": "a"}))
        assert output.audit_log == [("web", "killall", "", "invalidFormat")]

    @pytest.mark.parametrize(("function", "operation"), OPERATIONS.items())
    def test_has_every_refusal(self, api, output, function, operation):
        api.call(function, request_with_key(function, "a-shop", "*"))
        api.call(function, request_with_authorizer(function, None))
        assert output.audit_log == [
            ("web", operation, "web-shop", "forbidden"),
            ("", operation, "web-shop", "forbidden"),
        ]
        for secret in filter(None, secrets_of(EVENTS[function])):
            assert secret not in output.text

    def test_has_the_request_ids(self, api, output):
        api.call("kill_sessions_of_app")
        [line] = [line for line in output.lines if line.get("message") == "Access"]
        assert line["request_id"] == EVENTS["kill_sessions_of_app"]["requestContext"]["requestId"]
        assert line["function_request_id"] == FUNCTION_REQUEST_ID

    def test_does_not_repeat_an_invalid_app_name(self, api, output):
        api.call(
            "kill_sessions_of_app",
            request_with_authorizer("kill_sessions_of_app", None, path={"app": "Bearer hunter2"}),
        )
        assert output.audit_log == [("", "killall", "", "forbidden")]
        assert "hunter2" not in output.text


class TestMetrics:
    @pytest.mark.parametrize("function", ROUTES)
    def test_count_what_was_done(self, api, output, function):
        api.call(function)
        assert output.metrics == CASES[function].metrics
        assert output.logs == []

    @pytest.mark.parametrize("function", KILLS)
    def test_do_not_count_a_kill_of_nothing(self, api, output, function):
        getattr(api.store, function).return_value = 0
        api.call(function)
        assert output.metrics == {}

    @pytest.mark.parametrize("function", USES)
    def test_count_a_missing_session(self, api, output, function):
        getattr(api.store, function).return_value = None
        api.call(function)
        assert output.metrics == {"SessionsMissing": 1}

    @pytest.mark.usefixtures("missing_is_404")
    def test_count_a_missing_session_that_is_a_404(self, api, output):
        api.store.get_session.return_value = None
        api.call("get_session")
        assert output.metrics == {"SessionsMissing": 1}

    @pytest.mark.parametrize("function", ERRORS_OF_ROUTES)
    def test_count_nothing_for_bad_input(self, api, output, function):
        api.call(function, request(function, path={"app": "a"}))
        assert output.metrics == {}
        assert output.logs == []

    def test_are_in_one_namespace_for_this_service(self, api, output):
        api.call("create_session")
        [line] = output.lines
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "RestSessions"
        assert directive["Metrics"] == [{"Name": "SessionsCreated", "Unit": "Count"}]
        assert line["service"] == "rest-sessions"
