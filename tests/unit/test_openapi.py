"""docs/openapi.yaml agrees with the template's routes and with the rules of parameters and bodies."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from samcli.yamlhelper import yaml_parse

from rest_sessions import errors, limits
from rest_sessions.errors import ApiError, BadRequest
from rest_sessions.http import parameters as rules
from rest_sessions.http.body import parse_data
from rest_sessions.http.response import HEADERS
from tests.events import EVENTS
from tests.routes import ROUTES

ROOT = Path(__file__).parents[2]
DOCUMENT = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
COMPONENTS = DOCUMENT["components"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
}


def resolve(part):
    """The part of the document, or the part that its `$ref` points to."""
    while "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def parameters(route):
    method, _, path = route.partition(" ")
    item = DOCUMENT["paths"][path]
    return [resolve(p) for p in [*item.get("parameters", []), *item[method.lower()].get("parameters", [])]]


def in_python(part):
    """The schema with its patterns translated to Python: `$` in JSON Schema is Python's end of text."""
    if isinstance(part, list):
        return [in_python(item) for item in part]
    if isinstance(part, dict):
        pattern = {"pattern": part["pattern"].removesuffix("$") + r"\Z"} if isinstance(part.get("pattern"), str) else {}
        return {name: in_python(value) for name, value in part.items()} | pattern
    return part


def is_valid(schema, value):
    return Draft202012Validator(in_python({**schema, "components": COMPONENTS})).is_valid(value)


def schema_of(name):
    return resolve(COMPONENTS["parameters"][name]["schema"])


def is_accepted(parse, value):
    try:
        parse(value)
    except BadRequest:
        return False
    return True


def test_is_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


@pytest.mark.parametrize("name", COMPONENTS["parameters"])
def test_has_patterns_that_every_engine_accepts(name):
    # Engines for UTF-8 text, which has no surrogates, refuse a pattern with surrogates. Tools then ignore the pattern.
    assert r"\ud" not in schema_of(name).get("pattern", "").lower()


def template_routes():
    for resource in yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "HttpApi":
                yield f"{event['Properties']['Method']} {event['Properties']['Path']}"


def test_has_the_routes_of_the_template():
    assert set(OPERATIONS) == set(template_routes())


# Each route's declaration, by its method and path.
DECLARED = {EVENTS[function]["routeKey"]: route for function, route in ROUTES.items()}


def declared(route, place):
    return {name for name, parameter in DECLARED[route].parameters.items() if parameter.place == place}


@pytest.mark.parametrize("route", OPERATIONS)
class TestRoute:
    def test_has_the_operation_that_a_key_must_allow(self, route):
        assert OPERATIONS[route]["operationId"] == (DECLARED[route].operation or "ping")

    @pytest.mark.parametrize("place", ["path", "query"])
    def test_has_the_parameters_that_the_route_declares(self, route, place):
        assert {p["name"] for p in parameters(route) if p["in"] == place} == declared(route, place)

    def test_has_a_body_where_the_route_declares_one(self, route):
        assert ("requestBody" in OPERATIONS[route]) == bool(declared(route, "body"))

    def test_has_the_parameters_of_its_path(self, route):
        in_path = {parameter["name"] for parameter in parameters(route) if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)}", route))

    def test_needs_a_key_unless_it_is_open(self, route):
        assert OPERATIONS[route].get("security") == (None if DECLARED[route].operation else [])

    def test_has_the_answers_that_every_route_can_have(self, route):
        expected = {"200", "400", "429", "500", "503"} | ({"401", "403"} if DECLARED[route].operation else set())
        assert expected <= OPERATIONS[route]["responses"].keys()

    def test_has_the_errors_of_bodies_only_if_it_has_a_body(self, route):
        of_bodies = {"413", "415"} & OPERATIONS[route]["responses"].keys()
        assert of_bodies == ({"413", "415"} if "requestBody" in OPERATIONS[route] else set())

    def test_has_examples_that_are_valid(self, route):
        responses = [resolve(response) for response in OPERATIONS[route]["responses"].values()]
        for content in [r["content"] for r in (*responses, OPERATIONS[route].get("requestBody", {})) if "content" in r]:
            media = content["application/json"]
            if "schema" not in media:
                assert route == "GET /ping"
                continue
            examples = [example["value"] for example in media.get("examples", {}).values()]
            if "example" in media:
                examples.append(media["example"])
            assert examples
            assert all(is_valid(media["schema"], example) for example in examples), examples


def test_has_the_headers_of_every_answer():
    for name, header in COMPONENTS["headers"].items():
        if name != "Retry-After":
            assert header["schema"]["const"] == HEADERS[name]


def all_errors():
    found = [ApiError]
    for error in found:
        found += error.__subclasses__()
    return [error for error in found if hasattr(error, "name")]


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_has_every_error_by_status_and_name(error):
    routes = [operation["responses"] for operation in OPERATIONS.values()]
    answers = [resolve(responses[str(error.status)]) for responses in routes if str(error.status) in responses]
    assert answers
    for answer in answers:
        schema = answer["content"]["application/json"]["schema"]
        assert is_valid(schema, {"name": error.name, "message": "x"})
        assert not is_valid(schema, {"name": "another", "message": "x"})


text = st.text() | st.text("abcXYZ019_- ./:ä딸\x7f\ufffd\n", max_size=140)


texts = st.text(st.characters(codec="utf-8"), max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


class TestRules:
    """The document and the rules accept exactly the same values."""

    @given(text)
    @example("a" * 20)
    @example("a" * 21)
    def test_of_app(self, value):
        assert is_valid(schema_of("app"), value) == is_accepted(rules.parse_app, value)

    @given(text)
    @example("ä" * 128)
    @example("ä" * 129)
    def test_of_id(self, value):
        assert is_valid(schema_of("id"), value) == is_accepted(rules.parse_id, value)

    @given(text)
    @example("a" * 45)
    @example("a" * 46)
    def test_of_ip(self, value):
        assert is_valid(schema_of("ip"), value) == is_accepted(rules.parse_ip, value)

    @given(text | st.text("aZ0-", min_size=63, max_size=65))
    def test_of_token(self, value):
        assert is_valid(schema_of("token"), value) == is_accepted(rules.parse_token, value)

    @given(st.integers())
    @example(9)
    @example(10)
    @example(limits.MAX_TTL)
    @example(limits.MAX_TTL + 1)
    @example(limits.MAX_LIMIT)
    @example(limits.MAX_LIMIT + 1)
    def test_of_numbers(self, value):
        for name, parse in (
            ("ttl", rules.parse_ttl),
            ("dt", rules.parse_dt),
            ("limit", rules.parse_limit),
        ):
            assert is_valid(schema_of(name), value) == is_accepted(parse, str(value)), name

    @given(st.sampled_from(["1", "0", "true", "false", "True", "yes", "2", "on"]))
    def test_of_no_resave(self, value):
        assert is_valid(schema_of("no_resave"), value) == is_accepted(rules.parse_no_resave, value)

    @given(st.from_regex(r"[0-9]{1,13}-[0-9a-g]{31,33}", fullmatch=True))
    def test_of_cursor(self, value):
        assert is_valid(schema_of("cursor"), value) == is_accepted(rules.parse_cursor, value)

    @pytest.mark.parametrize("name", ["ip", "ttl", "no_resave", "dt", "limit", "cursor"])
    def test_of_empty_values(self, name):
        parse = getattr(rules, f"parse_{name}")
        assert COMPONENTS["parameters"][name].get("allowEmptyValue", False) == is_accepted(parse, "")

    def test_of_defaults(self):
        assert schema_of("ttl")["default"] == limits.DEFAULT_TTL
        assert rules.parse_no_resave(schema_of("no_resave")["default"]) is False

    @given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=130), values, max_size=4) | values)
    def test_of_data(self, value):
        body = json.dumps(value).encode()
        if "Infinity" not in body.decode():
            schema = OPERATIONS["PUT /{app}/create/{id}"]["requestBody"]["content"]["application/json"]["schema"]
            assert is_valid(schema, value) == is_accepted(parse_data, body)

    def test_of_sizes(self):
        assert COMPONENTS["schemas"]["Data"]["maxProperties"] == limits.MAX_BODY_KEYS
        assert f"{limits.MAX_BODY_BYTES:,}" in COMPONENTS["schemas"]["Data"]["description"]


def test_has_no_unknown_error():
    names = {error.name for error in all_errors()}
    documented = set(
        re.findall(r'"name": "(\w+)", "message"', (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
    )
    assert documented <= names
    assert errors.StoreUnavailable.name in documented
