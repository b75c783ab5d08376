"""From an event to an answer, through the real handlers. Only the store is a mock."""

import gzip
import json
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from rest_sessions.deadline import remaining
from rest_sessions.errors import Conflict, StoreUnavailable, TokenInUse, TooLarge, TooManySessions
from rest_sessions.http import route
from rest_sessions.http.response import HEADERS
from rest_sessions.limits import REQUEST_SECONDS
from rest_sessions.model import App, AppsPage, Cap, Created, Devices, Login, Page, Timeouts
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore
from rest_sessions.telemetry import logger
from tests.cases import CASES, CURSOR, HANDLE, KILLS, SESSION, TOKEN, USES
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
        [data] = [arg for arg in args if isinstance(arg, dict)]
        return data


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


CREATES = pytest.mark.parametrize("function", ["create_session", "create_anonymous_session"])


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
            ("list_apps", AppsPage([]), '{"apps":[]}'),
        ],
    )
    def test_of_an_empty_result_is_not_an_error(self, api, function, empty, body):
        getattr(api.store, function).return_value = empty
        response = api.call(function)
        assert (response["statusCode"], response["body"]) == (200, body)

    @pytest.mark.parametrize(
        ("details", "answer"),
        [
            ("0", {"token": TOKEN, "from": 0, "kill": 2}),
            ("1", {"token": TOKEN, "handle": HANDLE, "from": 0, "kill": 2}),
        ],
    )
    def test_of_create_has_what_from_and_max_have_brought_about(self, api, details, answer):
        api.store.create_session.return_value = Created(TOKEN, HANDLE, taken_over=False, killed=2)
        response = api.call("create_session", request("create_session", query={"details": details}))
        assert json.loads(response["body"]) == answer

    @pytest.mark.parametrize(("details", "members"), [("0", ["token"]), ("1", ["token", "handle"])])
    def test_of_create_has_a_handle_with_details(self, api, details, members):
        for function in ("create_session", "create_anonymous_session"):
            response = api.call(function, request(function, query={"details": details}))
            assert list(json.loads(response["body"])) == members


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


class TestListOfApps:
    def test_next_is_the_cursor_of_the_next_request(self, api):
        api.store.list_apps.return_value = AppsPage([App("webapp", 12, 7)], "webapp")
        cursor = json.loads(api.call("list_apps")["body"])["next"]
        api.call("list_apps", request("list_apps", query={"cursor": cursor, "limit": "2"}))
        assert api.store.list_apps.call_args.args[1:] == (2, "webapp")

    def test_has_each_app_and_no_next_at_its_end(self, api):
        api.store.list_apps.return_value = AppsPage([App("shop", 0, 0), App("webapp", 12, 7)])
        assert api.call("list_apps")["body"] == (
            '{"apps":[{"app":"shop","sessions":0,"users":0},{"app":"webapp","sessions":12,"users":7}]}'
        )

    def test_has_the_defaults(self, api):
        api.call("list_apps", request("list_apps", query={"limit": None}))
        assert api.store.list_apps.call_args.args[1:] == (100, "")

    @pytest.mark.parametrize(
        ("apps", "seen"),
        [
            ("shop,webapp", ["shop", "webapp"]),
            ("webapp", ["webapp"]),
            ("*", ["blog", "shop", "web", "webapp"]),
            ("", []),
        ],
    )
    def test_is_of_the_apps_of_the_key(self, api, apps, seen):
        assert api.call("list_apps", request_with_key("list_apps", apps, "apps"))["statusCode"] == 200
        [visible, *_] = api.store.list_apps.call_args.args
        assert list(filter(visible, ["blog", "shop", "web", "webapp"])) == seen

    def test_is_of_all_apps_without_keys(self, api):
        api.settings = Settings.from_environment({"REDIS_URL": "redis://localhost", "AUTH_MODE": "none"})
        api.call("list_apps", request_with_authorizer("list_apps", None))
        assert api.store.list_apps.call_args.args[0]("webapp")


OWN_TOKEN = f"a{TOKEN[1:]}"

# What a parameter of the query becomes in the call of the store: an argument, or keyword arguments.
PARTS_OF_CALLS = [
    ("create_session", {"no_resave": "1"}, Timeouts(3600, no_resave=True)),
    ("create_session", {"lifetime": "86400"}, Timeouts(3600, 86_400)),
    ("create_session", {"from": TOKEN}, {"login": Login(TOKEN, 10), "cap": None}),
    ("create_session", {"from": OWN_TOKEN, "grace": "0"}, {"login": Login(OWN_TOKEN, 0)}),
    ("create_session", {"max": "5"}, {"login": None, "cap": Cap(5)}),
    ("create_session", {"max": "5", "over": "refuse"}, {"cap": Cap(5, refuses=True)}),
    ("create_session", {"token": OWN_TOKEN}, {"own_token": OWN_TOKEN}),
    ("create_anonymous_session", {"token": OWN_TOKEN}, OWN_TOKEN),
    ("create_anonymous_session", {"ttl": "60", "lifetime": None, "no_resave": "1"}, Timeouts(60, no_resave=True)),
    ("get_session", {"peek": "1"}, {"peek": True, "details": False}),
    ("get_session", {"details": "1"}, {"peek": False, "details": True}),
    ("set_session", {"ttl": "60"}, {"ttl": 60}),
    ("set_session", {"replace": "1"}, {"replace": True}),
    ("set_session", {"w": "2"}, {"expected_w": 2}),
    ("set_session", {"details": "1"}, {"details": True}),
    ("touch_session", {"ttl": None}, {"ttl": None}),
    ("touch_session", {"ttl": ""}, {"ttl": None}),
    ("touch_session", {"details": "1"}, {"details": True}),
    ("rotate_session", {"grace": None}, 60),
    ("rotate_session", {"grace": "300"}, 300),
    ("kill_sessions_of_id", {"handle": HANDLE}, Devices(only=HANDLE)),
    ("kill_sessions_of_id", {"except": HANDLE}, Devices(spared=HANDLE)),
    ("list_sessions_of_id", {"details": "1"}, {"details": True}),
    ("list_sessions_of_app", {"details": "1"}, {"details": True}),
]


class TestStoreCall:
    @pytest.mark.parametrize("function", ROUTES)
    def test_has_the_parameters_of_the_event(self, api, function):
        api.call(function)
        assert api.store.mock_calls == [
            getattr(mock.call, function)(*CASES[function].call.args, **CASES[function].call.kwargs)
        ]

    @pytest.mark.parametrize("function", ROUTES)
    def test_has_the_deadline_of_a_request(self, api, function):
        seconds = []
        getattr(api.store, function).side_effect = lambda *_, **__: seconds.append(remaining(100)) or mock.DEFAULT
        assert api.call(function)["statusCode"] == 200
        assert seconds == [pytest.approx(REQUEST_SECONDS, abs=1)]
        assert remaining(100) == 100

    @pytest.mark.parametrize(("function", "query", "part"), PARTS_OF_CALLS)
    def test_has_each_parameter(self, api, function, query, part):
        response = api.call(function, request(function, query=query))
        assert response["statusCode"] == 200
        [(_, args, kwargs)] = api.store.method_calls
        assert part.items() <= kwargs.items() if isinstance(part, dict) else part in args

    def test_of_create_has_the_defaults(self, api):
        api.call("create_session", request("create_session", query={"ttl": None}, body=None))
        assert api.store.create_session.call_args == mock.call(
            "web-shop", "user@example.com", "198.51.100.24", Timeouts(7200), {}, login=None, cap=None, own_token=None
        )

    @CREATES
    @pytest.mark.parametrize("ip", [None, ""], ids=["absent", "empty"])
    def test_of_create_never_uses_the_address_of_the_sender(self, api, function, ip):
        response = api.call(function, request(function, query={"ip": ip}))
        assert error_of(response) == (400, "missingParameter", "No ip supplied")

    @CREATES
    @pytest.mark.parametrize("body", ["{}", "[]", "", None], ids=["empty-object", "empty-array", "empty", "absent"])
    def test_of_create_has_no_data_without_a_body(self, api, function, body):
        assert api.call(function, request(function, body=body))["statusCode"] == 200
        assert api.changes == {}

    @pytest.mark.parametrize("body", ["{}", "[]"])
    def test_of_set_may_remove_all_data(self, api, body):
        assert api.call("set_session", request("set_session", query={"replace": "1"}, body=body))["statusCode"] == 200
        assert api.store.set_session.call_args == mock.call(
            "web-shop", TOKEN, {}, ttl=None, replace=True, expected_w=None, details=False
        )


# The errors of each parameter: a change of the event that causes the error, and the message to the client.
ERRORS = {
    "app": [({"path": {"app": "a"}}, "Invalid app format")],
    "id": [({"path": {"id": "a\nb"}}, "Invalid id format")],
    "token": [({"path": {"token": "short"}}, "Invalid token format")],
    "ip": [({"query": {"ip": None}}, "No ip supplied")],
    "timeouts": [
        ({"query": {"ttl": "9"}}, "ttl must be a positive integer >= 10"),
        ({"query": {"lifetime": ""}}, "lifetime must be a positive integer >= 10"),
        ({"query": {"no_resave": "maybe"}}, "no_resave must be 1, true, 0 or false"),
    ],
    "login": [
        ({"query": {"from": ""}}, "Invalid from format"),
        ({"query": {"grace": "301"}}, "grace must be an integer from 0 to 300"),
    ],
    "cap": [
        ({"query": {"max": ""}}, "max must be an integer from 1 to 100"),
        ({"query": {"over": "refuse"}}, "over needs max"),
    ],
    "own_token": [({"query": {"token": TOKEN}}, "Invalid token format")],
    "new_ttl": [({"query": {"ttl": "9"}}, "ttl must be a positive integer >= 10")],
    "peek": [({"query": {"peek": "maybe"}}, "peek must be 1, true, 0 or false")],
    "replace": [({"query": {"replace": "maybe"}}, "replace must be 1, true, 0 or false")],
    "expected_w": [({"query": {"w": ""}}, f"w must be an integer from 1 to {10**15 - 1}")],
    "rotation_grace": [({"query": {"grace": ""}}, "grace must be an integer from 10 to 300")],
    "devices": [({"query": {"except": ""}}, "Invalid except format")],
    "dt": [({"query": {"dt": None}}, "No dt supplied")],
    "limit": [({"query": {"limit": "0"}}, "limit must be an integer from 1 to 1000")],
    "cursor": [({"query": {"cursor": "x"}}, "cursor must be the `next` of an earlier answer")],
    "apps_limit": [({"query": {"limit": "101"}}, "limit must be an integer from 1 to 100")],
    "apps_cursor": [({"query": {"cursor": "x"}}, "cursor must be the `next` of an earlier answer")],
    "details": [({"query": {"details": "maybe"}}, "details must be 1, true, 0 or false")],
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

    @pytest.mark.parametrize("function", [name for name, route in ROUTES.items() if "app" in route.parameters])
    def test_refuses_an_event_without_an_app(self, api, function):
        event = {"requestContext": EVENTS[function]["requestContext"]}
        assert error_of(api.call(function, event)) == (400, "missingParameter", "No app supplied")

    @pytest.mark.parametrize("body", ["", None], ids=["empty", "absent"])
    @pytest.mark.parametrize("replace", ["0", "1"])
    def test_refuses_set_without_a_body(self, api, body, replace):
        response = api.call("set_session", request("set_session", query={"replace": replace}, body=body))
        assert error_of(response) == (400, "missingParameter", "No d supplied")

    def test_refuses_set_without_a_key_in_its_body(self, api):
        for body in ("{}", "[]"):
            for replace in (None, "", "0", "false"):
                response = api.call("set_session", request("set_session", query={"replace": replace}, body=body))
                assert error_of(response) == (400, "invalidValue", "d must contain at least one key.")
        assert api.store.mock_calls == []

    def test_refuses_data_that_makes_the_session_too_large(self, api):
        api.fail("set_session", TooLarge("A session's data must have at most 512 keys"))
        response = api.call("set_session")
        assert error_of(response) == (413, "tooLarge", "A session's data must have at most 512 keys")

    @pytest.mark.parametrize(
        ("function", "query", "message"),
        [
            ("create_session", {"lifetime": "60", "no_resave": "1"}, "lifetime and no_resave must not both be given"),
            ("create_anonymous_session", {"no_resave": "1"}, "lifetime and no_resave must not both be given"),
            ("create_session", {"from": TOKEN, "grace": "301"}, "grace must be an integer from 0 to 300"),
            ("rotate_session", {"grace": "9"}, "grace must be an integer from 10 to 300"),
            ("kill_sessions_of_id", {"handle": HANDLE, "except": HANDLE}, "handle and except must not both be given"),
        ],
    )
    def test_refuses_parameters_that_do_not_go_together(self, api, function, query, message):
        assert error_of(api.call(function, request(function, query=query))) == (400, "invalidValue", message)
        assert api.store.mock_calls == []

    @pytest.mark.parametrize(
        ("function", "error", "answer"),
        [
            ("set_session", Conflict("w is 3, not 2: read the session again"), "conflict"),
            ("kill_sessions_of_id", Conflict("except must be a live session"), "conflict"),
            ("create_session", TooManySessions(5), "tooManySessions"),
            ("create_session", TokenInUse(), "tokenInUse"),
            ("create_anonymous_session", TokenInUse(), "tokenInUse"),
        ],
    )
    def test_reports_a_conflict_and_counts_nothing(self, api, output, function, error, answer):
        api.fail(function, error)
        assert error_of(api.call(function)) == (409, answer, error.message)
        assert (output.metrics, output.logs) == ({}, [])


class TestQuery:
    @pytest.mark.parametrize("function", ROUTES)
    @pytest.mark.parametrize("name", ["exept", "x" * 40, "", "IP", "app"])
    def test_with_a_parameter_that_the_route_does_not_take_is_refused(self, api, function, name):
        event = request(function, query={name: "1"}, rawQueryString=f"{name}=1")
        taken = ", ".join(ROUTES[function].query_names) or "none"
        message = f"Unknown parameter {name[:32]}; this route takes {taken}"
        assert error_of(api.call(function, event)) == (400, "unknownParameter", message)
        assert api.store.mock_calls == []

    @pytest.mark.parametrize("name", ["from", "grace", "max", "over"])
    def test_of_an_anonymous_create_takes_nothing_of_a_user(self, api, name):
        event = request("create_anonymous_session", query={name: "1"})
        assert error_of(api.call("create_anonymous_session", event))[1] == "unknownParameter"

    @pytest.mark.parametrize("function", ROUTES)
    def test_with_a_parameter_twice_is_refused(self, api, function):
        for name in ROUTES[function].query_names:
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


WITH_BODY = pytest.mark.parametrize("function", ["create_session", "create_anonymous_session", "set_session"])
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
        assert api.call(function, event)["statusCode"] == (400 if function == "set_session" else 200)


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
    raw_path = event["rawPath"] if path else None
    return [path.get("token"), path.get("id"), query.get("ip"), raw_path, event.get("body"), "Peter", "hunter2"]


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

    @pytest.mark.parametrize(
        ("function", "name"),
        [
            ("create_session", "from"),
            ("create_session", "token"),
            ("create_anonymous_session", "token"),
            ("kill_sessions_of_id", "handle"),
            ("kill_sessions_of_id", "except"),
        ],
    )
    def test_refusal_of_a_token_or_handle_in_the_query_does_not_repeat_it(self, api, output, function, name):
        response = api.call(function, request(function, query={name: f"{TOKEN}-hunter2"}))
        assert response["body"] == f'{{"name":"invalidFormat","message":"Invalid {name} format"}}'
        assert TOKEN not in output.text

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


# Parameters of create, and what a key must allow for them besides `create`.
NEEDS_OF_CREATE = [
    ({}, ()),
    ({"token": OWN_TOKEN, "details": "1"}, ()),
    ({"from": TOKEN}, ("get", "kill")),
    ({"max": "5"}, ("killsoid",)),
    ({"max": "5", "over": "oldest"}, ("killsoid",)),
    ({"max": "5", "over": "refuse"}, ()),
    ({"from": TOKEN, "max": "5"}, ("get", "kill", "killsoid")),
    ({"from": TOKEN, "max": "5", "over": "refuse"}, ("get", "kill")),
]


class TestAccess:
    @pytest.mark.parametrize(("function", "operation"), OPERATIONS.items())
    def test_needs_a_key_that_allows_the_operation_in_the_app(self, api, function, operation):
        others = ",".join(set(OPERATIONS.values()) - {operation})
        for apps, allow in (("web-shop", operation), ("*", "*"), ("a-shop,web-shop", f"{others},{operation}")):
            assert api.call(function, request_with_key(function, apps, allow))["statusCode"] == 200
        api.store.reset_mock()
        other_apps = [("a-shop", "*"), ("web", "*"), ("", "*")] if "app" in ROUTES[function].parameters else []
        for apps, allow in (("web-shop", others), ("*", ""), *other_apps):
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

    @pytest.mark.parametrize(("query", "needed"), NEEDS_OF_CREATE)
    def test_needs_a_key_that_allows_what_the_parameters_of_create_do(self, api, output, query, needed):
        def call(allow):
            key = request_with_key("create_session", "web-shop", ",".join(sorted(allow)), query=query)
            return api.call("create_session", key)

        assert call({"create", *needed})["statusCode"] == 200
        api.store.reset_mock()
        for operation in needed:
            assert error_of(call(set(OPERATIONS.values()) - {operation})) == FORBIDDEN
        assert api.store.mock_calls == []
        assert output.audit_log == [("web", "create", "web-shop", "forbidden")] * len(needed)

    def test_to_ping_is_open(self, api):
        assert api.call("ping", request_with_authorizer("ping", None))["body"] == "PONG"

    def test_with_iam_needs_an_identity(self, api):
        api.settings = Settings.from_environment({"REDIS_URL": "redis://localhost", "AUTH_MODE": "iam"})
        identity = {"iam": {"userArn": "arn:aws:iam::123456789012:user/web"}}
        assert api.call("get_session", request_with_authorizer("get_session", identity))["statusCode"] == 200
        login = request_with_authorizer("create_session", identity, query={"from": TOKEN, "max": "5"})
        assert api.call("create_session", login)["statusCode"] == 200
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
        api.call(function, request_with_key(function, "a-shop", "ping"))
        api.call(function, request_with_authorizer(function, None))
        app = EVENTS[function].get("pathParameters", {}).get("app", "")
        assert output.audit_log == [("web", operation, app, "forbidden"), ("", operation, app, "forbidden")]
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

    @pytest.mark.parametrize(("killed", "counted"), [(None, {}), (0, {}), (2, {"SessionsKilled": 2})])
    def test_count_the_sessions_that_a_create_has_ended(self, api, output, killed, counted):
        api.store.create_session.return_value = Created(TOKEN, HANDLE, killed=killed)
        api.call("create_session")
        assert output.metrics == {"SessionsCreated": 1, **counted}

    @pytest.mark.usefixtures("missing_is_404")
    def test_count_a_missing_session_that_is_a_404(self, api, output):
        api.store.get_session.return_value = None
        api.call("get_session")
        assert output.metrics == {"SessionsMissing": 1}

    @pytest.mark.parametrize("function", ERRORS_OF_ROUTES)
    def test_count_nothing_for_bad_input(self, api, output, function):
        api.call(function, request(function, **merged(ERRORS_OF_ROUTES[function])))
        assert output.metrics == {}
        assert output.logs == []

    def test_are_in_one_namespace_for_this_service(self, api, output):
        api.call("create_session")
        [line] = output.lines
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "RestSessions"
        assert directive["Metrics"] == [{"Name": "SessionsCreated", "Unit": "Count"}]
        assert line["service"] == "rest-sessions"
