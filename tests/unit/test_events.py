"""The sample events have the form of API Gateway's and EventBridge Scheduler's events, and contain no real data."""

import json
import re
from ipaddress import ip_address, ip_network
from urllib.parse import parse_qsl

import pytest

from tests.events import EVENTS
from tests.routes import ROUTES

REQUESTS = {name: event for name, event in EVENTS.items() if "routeKey" in event}
DOCUMENTATION = [ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]

AUTHORIZER = EVENTS["authorize"]

requests = pytest.mark.parametrize("event", REQUESTS.values(), ids=REQUESTS)


def test_all_events_but_the_scheduled_one_are_requests():
    assert set(EVENTS) - set(REQUESTS) == {"sweep_expired"}


def test_the_scheduled_event_is_what_scheduler_sends_by_default():
    event = EVENTS["sweep_expired"]
    assert event["source"] == "aws.scheduler"
    assert event["detail-type"] == "Scheduled Event"
    assert json.loads(event["detail"]) == {}


def test_the_authorizers_event_has_its_form():
    assert AUTHORIZER["type"] == "REQUEST"
    assert AUTHORIZER["identitySource"] == [AUTHORIZER["headers"]["authorization"]]
    assert AUTHORIZER["routeArn"].endswith(f"/$default/GET{AUTHORIZER['rawPath']}")
    assert "authorizer" not in AUTHORIZER["requestContext"]


@requests
class TestRequest:
    def test_has_the_form_of_payload_2_0(self, event):
        assert event["version"] == "2.0"
        assert event is AUTHORIZER or event["isBase64Encoded"] is False
        assert event["requestContext"]["requestId"]
        assert all(name == name.lower() for name in event["headers"])

    def test_is_consistent(self, event):
        context = event["requestContext"]
        method, _, route = event["routeKey"].partition(" ")
        path = re.sub(r"\{(\w+)\}", lambda name: event["pathParameters"][name[1]], route)
        assert context["routeKey"] == event["routeKey"]
        assert context["http"]["method"] == method
        assert context["http"]["path"] == event["rawPath"] == path
        assert dict(parse_qsl(event["rawQueryString"])) == event.get("queryStringParameters", {})
        assert set(event.get("pathParameters", {})) == set(re.findall(r"\{(\w+)\}", route))
        assert event["headers"].get("content-length", "0") == str(len(event.get("body", "").encode()))

    def test_has_a_json_body_only_if_the_route_takes_one(self, event):
        routes = [route for name, route in ROUTES.items() if EVENTS[name] is event]
        has_body = any(parameter.place == "body" for route in routes for parameter in route.parameters.values())
        assert ("body" in event) is has_body
        assert event["headers"].get("content-type") == ("application/json" if has_body else None)

    def test_has_example_addresses_only(self, event):
        addresses = [
            event["requestContext"]["http"]["sourceIp"],
            event["headers"]["x-forwarded-for"],
            *(value for name, value in event.get("queryStringParameters", {}).items() if name == "ip"),
        ]
        assert all(any(ip_address(address) in net for net in DOCUMENTATION) for address in addresses)
        assert "example" in event["requestContext"]["domainName"]

    def test_has_a_token_in_this_projects_form(self, event):
        token = event.get("pathParameters", {}).get("token")
        assert token is None or re.fullmatch(r"Z[0-9a-f][A-Za-z0-9]{62}", token)
