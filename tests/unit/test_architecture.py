"""Which module may import which, and that an operation has the same name everywhere."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from samcli.yamlhelper import yaml_parse

from rest_sessions.errors import RestSessionsError
from rest_sessions.limits import REQUEST_SECONDS
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore
from tests.cases import CASES
from tests.events import EVENTS, logical_id
from tests.routes import FUNCTIONS, ROUTES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "sessions" / "rest_sessions"
MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}

# A part of the package is one of its folders or top-level modules. This says which other parts each part may import.
PLAIN = {"errors", "limits", "model", "deadline", "settings", "telemetry"}
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "deadline": set(),
    "telemetry": set(),
    "limits": {"errors"},
    "model": {"limits"},
    "settings": {"errors"},
    "access": PLAIN,
    "connection": PLAIN,
    "store": PLAIN | {"connection"},
    "runtime": PLAIN | {"connection", "store"},
    "http": PLAIN | {"access", "runtime"},
}
# Which third-party packages a part or a module may import.
THIRD_PARTY = {
    "connection": {"redis", "hiredis"},
    "telemetry": {"aws_lambda_powertools"},
    "runtime": {"snapshot_restore_py"},
    "access/secrets_manager": {"aws_lambda_powertools", "botocore"},
}
# The documented parts of redis-py, which every module of `connection` may import. Only one module may import the rest.
DOCUMENTED_MODULES_OF_REDIS_PY = {"redis.exceptions", "redis.credentials"}
USES_INTERNALS_OF_REDIS_PY = "connection/redis_py"

IMPORTS_OF_A_ROUTE = {"access.principal", "http.route", "http.response", "model", "store.sessions"}
IMPORTS_OF_OTHER_FUNCTIONS = {
    "sweep_expired": {"errors", "runtime", "telemetry"},
    "authorize": {"access.source", "http.authorizer"},
    "console": {"http.console"},
}
# They do not use the store.
WITHOUT_STORE = {"authorize", "console"}

# The sweep calls this method, not a function of its own.
WITHOUT_FUNCTION = {"count_active_users_of_all_apps"}


def imports(path):
    """The absolute names of all modules that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].relative_to(PACKAGE.parent).parts
            yield ".".join([*folder, *filter(None, [node.module])])
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def own_imports(path):
    return {name.removeprefix("rest_sessions.") for name in imports(path) if name.startswith("rest_sessions")}


def third_party_imports(path):
    """The third-party packages that a file imports."""
    return {name.partition(".")[0] for name in imports(path)} - {"rest_sessions"} - sys.stdlib_module_names


def part_of(module):
    return re.split("[/.]", module)[0]


class TestImports:
    def test_each_part_has_a_rule(self):
        assert {part_of(module) for module in MODULES} == set(MAY_IMPORT)

    @pytest.mark.parametrize("module", MODULES)
    def test_of_other_parts_are_allowed(self, module):
        parts = {part_of(name) for name in own_imports(MODULES[module])}
        assert parts - {part_of(module)} <= MAY_IMPORT[part_of(module)]

    def test_between_parts_have_no_cycle(self):
        for part, below in MAY_IMPORT.items():
            assert all(part not in MAY_IMPORT[other] for other in below)

    @pytest.mark.parametrize("module", MODULES)
    def test_of_third_party_packages_are_allowed(self, module):
        assert third_party_imports(MODULES[module]) <= THIRD_PARTY.get(module, THIRD_PARTY.get(part_of(module), set()))

    @pytest.mark.parametrize("module", MODULES)
    def test_of_internals_of_redis_py_are_in_one_module(self, module):
        of_redis = {name for name in imports(MODULES[module]) if part_of(name) == "redis"}
        assert of_redis <= DOCUMENTED_MODULES_OF_REDIS_PY or module == USES_INTERNALS_OF_REDIS_PY

    @pytest.mark.parametrize("module", [module for module in MODULES if module.endswith("__init__")])
    def test_are_not_in_an_init(self, module):
        """A cold start executes every `__init__`."""
        [docstring] = ast.parse(MODULES[module].read_text(encoding="utf-8")).body
        assert isinstance(docstring.value, ast.Constant)

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_of_a_function_are_allowed(self, function):
        assert own_imports(FUNCTIONS[function]) <= IMPORTS_OF_OTHER_FUNCTIONS.get(function, IMPORTS_OF_A_ROUTE)
        assert third_party_imports(FUNCTIONS[function]) == set()


@pytest.fixture(scope="module")
def template():
    return yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def functions(template):
    """The properties of each function of the template, by the name of its folder."""
    folders = {logical_id(name): name for name in FUNCTIONS}
    return {
        folders.get(name, name): resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


class TestTemplate:
    def test_has_a_function_for_each_folder(self, functions):
        folders = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
        assert set(functions) == folders == set(FUNCTIONS)

    def test_has_a_function_for_each_event(self, functions):
        events = {path.name for path in (ROOT / "events").iterdir()}
        assert {f"{name}.json" for name in functions} == events

    def test_takes_each_functions_code_from_its_folder(self, functions, template):
        handlers = template["Globals"]["Function"]["Handler"]
        for name, properties in functions.items():
            assert properties["CodeUri"] == f"functions/{name}"
            assert properties.get("Handler", handlers) == "app.handler"

    def test_has_the_route_of_each_sample_event(self, functions):
        routes = {
            (name, f"{event['Properties']['Method']} {event['Properties']['Path']}")
            for name, properties in functions.items()
            for event in properties.get("Events", {}).values()
            if event["Type"] == "HttpApi"
        }
        samples = {(name, EVENTS[name]["routeKey"]) for name in (*ROUTES, "console")}
        assert routes == samples | {("console", "GET /console")}

    def test_gives_each_route_more_time_than_it_waits_for_redis(self, functions, template):
        for name in ROUTES:
            timeout = functions[name].get("Timeout", template["Globals"]["Function"]["Timeout"])
            assert REQUEST_SECONDS + 3 <= timeout < 30

    def test_runs_the_sweep_on_a_schedule(self, functions):
        [event] = functions["sweep_expired"]["Events"].values()
        assert event["Type"] == "ScheduleV2"

    def test_sets_what_the_settings_read(self, template):
        environment = mock.MagicMock(wraps={"REDIS_URL": "redis://localhost"})
        Settings.from_environment(environment)
        read = {name for name, *_ in (call.args for call in environment.get.call_args_list)}
        of_powertools = {"POWERTOOLS_SERVICE_NAME"}
        assert set(template["Globals"]["Function"]["Environment"]["Variables"]) == read | of_powertools


class TestFunction:
    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_is_at_most_40_lines(self, function):
        assert len(FUNCTIONS[function].read_text(encoding="utf-8").splitlines()) <= 40

    @pytest.mark.parametrize("function", ROUTES)
    def test_begins_with_its_route(self, function):
        docstring = ast.get_docstring(ast.parse(FUNCTIONS[function].read_text(encoding="utf-8")))
        assert docstring.startswith(f"{EVENTS[function]['routeKey']}: ")

    @pytest.mark.parametrize("function", sorted(WITHOUT_STORE))
    def test_loads_no_redis_if_it_does_not_use_the_store(self, function):
        code = f"import runpy, sys; runpy.run_path({str(FUNCTIONS[function])!r}); sys.exit('redis' in sys.modules)"
        environment = {"PYTHONPATH": str(PACKAGE.parent), "API_KEYS": '{"keys": []}', "AUTH_MODE": "token"}
        assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0

    def test_has_a_case_if_it_is_a_route(self):
        assert set(CASES) == set(ROUTES)


def operations():
    methods = {name for name, member in vars(SessionStore).items() if callable(member) and not name.startswith("_")}
    return methods - WITHOUT_FUNCTION


class TestNames:
    def test_of_functions_are_those_of_the_store(self):
        assert set(FUNCTIONS) - WITHOUT_STORE == operations()

    @pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - WITHOUT_STORE))
    def test_of_a_function_is_the_method_that_it_calls(self, function):
        called = {
            node.func.attr
            for node in ast.walk(ast.parse(FUNCTIONS[function].read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert called & operations() == {function}


def test_all_errors_of_the_package_have_one_base():
    tree = ast.parse((PACKAGE / "errors.py").read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    module = sys.modules[RestSessionsError.__module__]
    assert all(issubclass(getattr(module, name), RestSessionsError) for name in defined)
