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
from rest_sessions.access import principal
from rest_sessions.errors import ApiError, BadRequest
from rest_sessions.http import parameters as rules
from rest_sessions.http.body import parse_data
from rest_sessions.http.response import HEADERS
from tests.cases import USES
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
    """Each route of the template, and whether it is open."""
    for resource in yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "HttpApi":
                route = event["Properties"]
                yield f"{route['Method']} {route['Path']}", route.get("Auth") == {"Authorizer": "NONE"}


IS_OPEN = dict(template_routes())


def test_has_the_routes_of_the_template():
    assert set(OPERATIONS) == set(IS_OPEN)


# Each route's declaration, by its method and path. The console's routes have none: they have no parameters and need no
# operation.
DECLARED = {EVENTS[function]["routeKey"]: route for function, route in ROUTES.items()}
FUNCTIONS = {EVENTS[function]["routeKey"]: function for function in ROUTES}

# Two routes may have one operation, but their names in the document must differ.
OPERATION_IDS = {"PUT /{app}/create": "createAnonymous", "GET /ping": "ping"}
# The query parameters that bring about a 409.
MAY_CONFLICT = {"max", "token", "w", "except"}


def declared(route, place):
    """The parameters that a route declares, in one place."""
    return [parameter for parameter in DECLARED[route].parameters.values() if parameter.place == place]


def in_document(route, place):
    return [parameter["name"] for parameter in parameters(route) if parameter["in"] == place]


@pytest.mark.parametrize("route", OPERATIONS)
class TestRoute:
    def test_needs_a_key_unless_it_is_open(self, route):
        assert OPERATIONS[route].get("security") == ([] if IS_OPEN[route] else None)

    def test_has_the_answers_that_every_route_can_have(self, route):
        expected = {"200", "429", "500"} | (set() if IS_OPEN[route] else {"401", "403"})
        if route in DECLARED:
            expected |= {"400", "503"}
        assert expected <= OPERATIONS[route]["responses"].keys()

    def test_has_examples_that_are_valid(self, route):
        responses = [resolve(response) for response in OPERATIONS[route]["responses"].values()]
        for content in [r["content"] for r in (*responses, OPERATIONS[route].get("requestBody", {})) if "content" in r]:
            [media] = content.values()
            if "schema" not in media:
                assert route == "GET /ping"
                continue
            examples = [example["value"] for example in media.get("examples", {}).values()]
            if "example" in media:
                examples.append(media["example"])
            assert examples
            assert all(is_valid(media["schema"], example) for example in examples), examples

    def test_has_no_parameters_if_it_declares_none(self, route):
        assert route in DECLARED or not (parameters(route) or "requestBody" in OPERATIONS[route])


@pytest.mark.parametrize("route", DECLARED)
class TestDeclaredRoute:
    def test_has_the_operation_that_a_key_must_allow(self, route):
        assert OPERATIONS[route]["operationId"] == OPERATION_IDS.get(route, DECLARED[route].operation)

    @pytest.mark.parametrize("place", ["path", "query"])
    def test_has_the_parameters_that_the_route_declares(self, route, place):
        names = [name for parameter in declared(route, place) for name in parameter.names]
        assert sorted(in_document(route, place)) == sorted(names)

    def test_has_a_body_where_the_route_declares_one(self, route):
        assert ("requestBody" in OPERATIONS[route]) == bool(declared(route, "body"))

    def test_has_the_parameters_of_its_path(self, route):
        assert set(in_document(route, "path")) == set(re.findall(r"\{(\w+)}", route))

    def test_needs_a_key_if_it_has_an_operation(self, route):
        assert IS_OPEN[route] == (DECLARED[route].operation is None)

    def test_has_the_errors_of_bodies_only_if_it_has_a_body(self, route):
        of_bodies = {"413", "415"} & OPERATIONS[route]["responses"].keys()
        assert of_bodies == ({"413", "415"} if "requestBody" in OPERATIONS[route] else set())

    def test_has_a_conflict_only_if_a_parameter_can_bring_it_about(self, route):
        assert ("409" in OPERATIONS[route]["responses"]) == bool(MAY_CONFLICT & set(in_document(route, "query")))

    def test_has_a_missing_session_as_an_error_only_if_it_uses_one(self, route):
        assert ("404" in OPERATIONS[route]["responses"]) == (FUNCTIONS[route] in USES)


def test_lists_the_operations_that_a_key_can_allow():
    answer = OPERATIONS["GET /console/key"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["allow"]["items"]["enum"] == [principal.EVERYTHING, *sorted(principal.OPERATIONS)]


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


ANY_CHARACTER = st.characters(codec="utf-8")

texts = st.text(ANY_CHARACTER, max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


# A parameter that is accepted only together with others.
NEEDED = {"grace": {"from": "a" * 64}, "over": {"max": "1"}}

# Each query parameter of each route, and its schema.
QUERY = [
    pytest.param(route, parameter, resolve(parameter["schema"]), id=f"{route} {parameter['name']}")
    for route in OPERATIONS
    for parameter in parameters(route)
    if parameter["in"] == "query"
]
of_query = pytest.mark.parametrize(("route", "parameter", "schema"), QUERY)
# Those whose schema is a pattern.
of_texts = pytest.mark.parametrize(
    ("route", "parameter", "schema"), [case for case in QUERY if "pattern" in case.values[-1]]
)


def in_query(route, name):
    """The route's rule for this parameter of the query, as a function of one text."""
    [parameter] = [parameter for parameter in declared(route, "query") if name in parameter.names]
    return lambda value: parameter.parse(*[{**NEEDED.get(name, {}), name: value}.get(each) for each in parameter.names])


def edges(schema):
    """Values on both sides of each bound of a number, or all words and some others."""
    bounds = [schema[bound] for bound in ("minimum", "maximum") if bound in schema]
    words = [*schema["enum"], "True", "yes", "2", "on", "newest"] if "enum" in schema else []
    return [*(bound + step for bound in bounds for step in (-1, 0, 1)), *words]


def texts_like(pattern):
    """Texts that match the pattern, and some that differ at their beginning or end. None is empty."""
    right = st.from_regex(pattern, alphabet=ANY_CHARACTER)
    wrong = st.builds(lambda text, cut, end: text[cut:] + end, right, st.integers(0, 1), text)
    return (right | wrong | text).filter(bool)


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

    @given(text | st.text("aZ0-", min_size=63, max_size=65))
    def test_of_token(self, value):
        assert is_valid(schema_of("token"), value) == is_accepted(rules.parse_token, value)

    @given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=130), values, max_size=4) | values)
    def test_of_data(self, value):
        body = json.dumps(value).encode()
        if "Infinity" not in body.decode():
            schema = OPERATIONS["PUT /{app}/create/{id}"]["requestBody"]["content"]["application/json"]["schema"]
            assert is_valid(schema, value) == is_accepted(parse_data, body)

    @of_query
    def test_of_numbers_and_words(self, route, parameter, schema):
        for value in edges(schema):
            assert is_valid(schema, value) == is_accepted(in_query(route, parameter["name"]), str(value)), value

    @of_texts
    @given(data=st.data())
    def test_of_texts(self, route, parameter, schema, data):
        value = data.draw(texts_like(schema["pattern"]))
        assert is_valid(schema, value) == is_accepted(in_query(route, parameter["name"]), value)

    @of_query
    def test_of_empty_values(self, route, parameter, schema):
        assert parameter.get("allowEmptyValue", False) == is_accepted(in_query(route, parameter["name"]), "")

    @of_query
    def test_of_absent_values(self, route, parameter, schema):
        parse = in_query(route, parameter["name"])
        assert parameter.get("required", False) != is_accepted(parse, None)
        if "default" in schema:
            assert parse(str(schema["default"])) == parse(None)

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
