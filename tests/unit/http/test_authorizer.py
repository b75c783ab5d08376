import json

import pytest

from rest_sessions.access.source import KeySource
from rest_sessions.errors import RegistryUnavailable
from rest_sessions.http.authorizer import authorize
from tests.events import EVENTS
from tests.routes import OPERATIONS

EVENT = EVENTS["authorize"]
KEY = EVENT["identitySource"][0].partition(" ")[2]
REGISTRY = {"keys": [{"name": "web", "key": KEY, "apps": ["webapp", "shop"], "allow": ["get", "create"]}]}
KEYS = KeySource(lambda: json.dumps(REGISTRY))


def answer_to(*identity, keys=KEYS, **parts):
    return authorize({**EVENT, "identitySource": list(identity), **parts}, keys)


def test_answers_with_the_principal_of_the_key():
    assert authorize(EVENT, KEYS) == {
        "isAuthorized": True,
        "context": {"name": "web", "apps": "shop,webapp", "allow": "create,get"},
    }


def test_answers_the_same_for_every_route():
    other = {
        **EVENT,
        "routeKey": "DELETE /{app}/killall",
        "rawPath": "/other/killall",
        "pathParameters": {"app": "other"},
    }
    assert authorize(other, KEYS) == authorize(EVENT, KEYS)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_accepts_the_scheme_in_any_case(scheme):
    assert answer_to(f"{scheme} {KEY}")["isAuthorized"] is True


@pytest.mark.parametrize("spaces", [1, 2, 5])
def test_accepts_one_or_more_spaces_before_the_key(spaces):
    """RFC 9110, section 11.4."""
    assert answer_to(f"Bearer{' ' * spaces}{KEY}")["isAuthorized"] is True


@pytest.mark.parametrize(
    "identity",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [KEY],
        [f"Basic {KEY}"],
        [f"Bearer {KEY[:-1]}"],
        [f"Bearer {KEY}x"],
        [f"Bearer {KEY} "],
        [f"Bearer\t{KEY}"],
        [f" Bearer {KEY}"],
        [f"Bearer {KEY},Bearer {KEY}"],
    ],
    ids=str,
)
def test_refuses_everything_else(identity):
    assert answer_to(*identity) == {"isAuthorized": False}


def test_refuses_an_event_without_an_identity():
    assert authorize({}, KEYS) == {"isAuthorized": False}


@pytest.mark.parametrize("identity", [f"Bearer {KEY}", "Bearer x", "Basic x"])
def test_raises_while_the_registry_is_broken(identity):
    """API Gateway would cache a refusal of a good key until long after the registry is repaired."""
    with pytest.raises(RegistryUnavailable):
        answer_to(identity, keys=KeySource(lambda: "{"))


def test_logs_a_refusal(caplog):
    answer_to(f"Bearer {KEY}x")
    [record] = caplog.records
    line = {name: getattr(record, name) for name in ("key_name", "operation", "app", "outcome", "route", "request_id")}
    assert line == {
        "key_name": "",
        "operation": "get",
        "app": EVENT["pathParameters"]["app"],
        "outcome": "unknownKey",
        "route": "GET /{app}/get/{token}",
        "request_id": EVENT["requestContext"]["requestId"],
    }
    logged = str(vars(record))
    assert KEY not in logged
    assert EVENT["pathParameters"]["token"] not in logged
    assert EVENT["rawPath"] not in logged


@pytest.mark.parametrize(("route", "operation"), [("GET /apps", "apps"), ("$default", ""), ("", "")])
def test_logs_a_refusal_without_an_app(caplog, route, operation):
    assert answer_to("Bearer x", routeKey=route, pathParameters=None) == {"isAuthorized": False}
    [record] = caplog.records
    assert (record.operation, record.app, record.outcome, record.route) == (operation, "", "unknownKey", route)


@pytest.mark.parametrize("function", OPERATIONS)
def test_logs_the_operation_of_each_route(caplog, function):
    answer_to("Bearer x", routeKey=EVENTS[function]["routeKey"])
    [record] = caplog.records
    assert record.operation == OPERATIONS[function]


def test_does_not_log_an_invalid_app_name(caplog):
    answer_to("Bearer x", pathParameters={"app": "a secret"})
    [record] = caplog.records
    assert record.app == ""
