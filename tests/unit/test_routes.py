"""What the routes declare."""

from typing import get_type_hints

import pytest

from rest_sessions.access import principal
from rest_sessions.http.parameters import PARAMETERS
from tests.events import EVENTS
from tests.routes import OPERATIONS, ROUTES

PLACES = ["path", "query", "body"]


def test_each_operation_that_a_key_can_allow_is_that_of_one_route_but_create_of_two():
    assert sorted([*principal.OPERATIONS, "create"]) == sorted(OPERATIONS.values())


@pytest.mark.parametrize("function", OPERATIONS)
def test_has_the_operation_that_its_path_names(function):
    path = EVENTS[function]["routeKey"].partition("/")[2]
    assert next(part for part in path.split("/") if "{" not in part) == OPERATIONS[function]


def test_each_parameter_is_taken_by_a_route():
    assert {name for route in ROUTES.values() for name in route.parameters} == set(PARAMETERS)


@pytest.mark.parametrize("function", ROUTES)
def test_takes_path_then_query_then_body_which_is_the_order_of_the_checks(function):
    places = [parameter.place for parameter in ROUTES[function].parameters.values()]
    assert places == sorted(places, key=PLACES.index)


@pytest.mark.parametrize("function", sorted(set(OPERATIONS) - {"list_apps"}))
def test_takes_the_app_first_when_it_needs_a_key_for_one_app(function):
    assert next(iter(ROUTES[function].parameters)) == "app"


@pytest.mark.parametrize("function", ROUTES)
@pytest.mark.parametrize("place", ["path", "query"])
def test_takes_no_name_for_two_parameters(function, place):
    names = [
        name
        for parameter in ROUTES[function].parameters.values()
        if parameter.place == place
        for name in parameter.names
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("function", ROUTES)
def test_names_for_each_argument_the_type_that_its_rule_returns(function):
    arguments = get_type_hints(ROUTES[function].__wrapped__)
    for name, parameter in ROUTES[function].parameters.items():
        assert arguments[name] == get_type_hints(parameter.parse)["return"], name
