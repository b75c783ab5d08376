"""What holds the project together: who may import whom, and one name for one operation everywhere."""

import ast
import re
import sys
from pathlib import Path
from unittest import mock

import pytest
from samcli.yamlhelper import yaml_parse

from rest_sessions import scripts
from rest_sessions.errors import RestSessionsError
from rest_sessions.model import Position
from rest_sessions.scripts import ScriptCall, load_script
from rest_sessions.settings import Settings
from rest_sessions.store import SessionStore

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "sessions" / "rest_sessions"
MODULES = {path.stem: path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"}
FUNCTIONS = {path.parent.name: path for path in sorted((ROOT / "functions").glob("*/app.py"))}
LUA = {path.stem: path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "scripts").glob("*.lua"))}

# A module imports from the lines above its own only.
LEVELS = [
    {"errors", "model", "tokens", "keys", "time_limit"},
    {"settings", "validation", "scripts", "access", "iam", "secret"},
    {"client"},
    {"store"},
    {"telemetry"},
    {"runtime", "key_source"},
    {"http", "authorizer"},
]
PACKAGES = {
    "client": {"redis", "hiredis"},
    "telemetry": {"aws_lambda_powertools"},
    "secret": {"aws_lambda_powertools", "botocore"},
}
OF_A_ROUTE = {"http", "store"}
OF_A_FUNCTION = {"sweep_expired": {"errors", "runtime", "telemetry"}, "authorize": {"authorizer", "key_source"}}

ROUTES = {
    "PUT /{app}/create/{id}": "CreateSession",
    "GET /{app}/get/{token}": "GetSession",
    "POST /{app}/set/{token}": "SetSession",
    "GET /{app}/activity": "CountActiveUsers",
    "GET /{app}/soapp": "ListSessionsOfApp",
    "GET /{app}/soid/{id}": "ListSessionsOfId",
    "DELETE /{app}/kill/{token}": "KillSession",
    "DELETE /{app}/killsoid/{id}": "KillSessionsOfId",
    "DELETE /{app}/killall": "KillSessionsOfApp",
    "GET /ping": "Ping",
}

# Plain commands are all that these need.
WITHOUT_SCRIPT = {"ping", "count_active_users", "kill_sessions_of_id", "kill_sessions_of_app"}
# Of no route: what the sweep reports.
WITHOUT_FUNCTION = {"count_active_users_of_all_apps"}
# Run by more than one operation, or by one among other scripts.
PARTS_OF_OPERATIONS = {"read_sessions", "kill_sessions"}
INCLUDES = {"session", "index"}


def imports(path):
    """The absolute names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(filter(None, ["rest_sessions" if node.level else "", node.module]))
            if origin == "rest_sessions":
                yield from (f"{origin}.{alias.name}" for alias in node.names)
            else:
                yield origin


def own_imports(path):
    return {name.split(".")[1] for name in imports(path) if name.startswith("rest_sessions.")}


def foreign_imports(path):
    """The packages that are neither ours nor Python's."""
    return {name.partition(".")[0] for name in imports(path)} - {"rest_sessions"} - sys.stdlib_module_names


class TestImports:
    def test_each_module_has_its_level(self):
        assert sorted(MODULES) == sorted(module for level in LEVELS for module in level)

    @pytest.mark.parametrize("module", MODULES)
    def test_go_downward_only(self, module):
        [level] = [number for number, modules in enumerate(LEVELS) if module in modules]
        assert own_imports(MODULES[module]) <= set().union(*LEVELS[:level])

    @pytest.mark.parametrize("module", MODULES)
    def test_leave_each_package_to_one_module(self, module):
        assert foreign_imports(MODULES[module]) == PACKAGES.get(module, set())

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_of_a_function_are_few(self, function):
        assert own_imports(FUNCTIONS[function]) == OF_A_FUNCTION.get(function, OF_A_ROUTE)
        assert foreign_imports(FUNCTIONS[function]) == set()


@pytest.fixture(scope="module")
def template():
    return yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def functions(template):
    """The properties of each function of the template, by its logical id."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def snake_case(logical_id):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id).lower()


class TestTemplate:
    def test_has_a_function_for_each_folder(self, functions):
        folders = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
        assert {snake_case(logical_id) for logical_id in functions} == folders == set(FUNCTIONS)

    def test_has_a_function_for_each_event(self, functions):
        events = {path.name for path in (ROOT / "events").iterdir()}
        assert {f"{snake_case(logical_id)}.json" for logical_id in functions} == events

    def test_takes_each_functions_code_from_its_folder(self, functions, template):
        handlers = template["Globals"]["Function"]["Handler"]
        for logical_id, properties in functions.items():
            assert properties["CodeUri"] == f"functions/{snake_case(logical_id)}"
            assert properties.get("Handler", handlers) == "app.handler"

    def test_has_the_routes_of_the_contract(self, functions):
        routes = {
            f"{event['Properties']['Method']} {event['Properties']['Path']}": logical_id
            for logical_id, properties in functions.items()
            for event in properties.get("Events", {}).values()
            if event["Type"] == "HttpApi"
        }
        assert routes == ROUTES

    def test_runs_the_sweep_on_a_schedule(self, functions):
        [event] = functions["SweepExpired"]["Events"].values()
        assert event["Type"] == "ScheduleV2"

    def test_sets_what_the_settings_read(self, template):
        environment = mock.MagicMock(wraps={"REDIS_URL": "redis://localhost"})
        Settings.from_environment(environment)
        read = {name for name, *_ in (call.args for call in environment.get.call_args_list)}
        of_powertools = {"POWERTOOLS_SERVICE_NAME"}
        assert set(template["Globals"]["Function"]["Environment"]["Variables"]) == read | of_powertools


class TestFunction:
    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_is_at_most_30_lines(self, function):
        assert len(FUNCTIONS[function].read_text(encoding="utf-8").splitlines()) <= 30

    @pytest.mark.parametrize(("route", "logical_id"), ROUTES.items(), ids=ROUTES.values())
    def test_opens_with_its_route(self, route, logical_id):
        docstring = ast.get_docstring(ast.parse(FUNCTIONS[snake_case(logical_id)].read_text(encoding="utf-8")))
        assert docstring.startswith(f"{route}: ")


def operations():
    methods = {name for name, member in vars(SessionStore).items() if callable(member) and not name.startswith("_")}
    return methods - WITHOUT_FUNCTION


class TestNames:
    def test_of_functions_are_those_of_the_store(self):
        assert set(FUNCTIONS) - {"authorize"} == operations()

    @pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"authorize"}))
    def test_of_a_function_is_the_method_that_it_calls(self, function):
        called = {
            node.func.attr
            for node in ast.walk(ast.parse(FUNCTIONS[function].read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert called & operations() == {function}

    def test_of_scripts_are_those_of_the_store(self):
        assert set(LUA) - INCLUDES - PARTS_OF_OPERATIONS == operations() - WITHOUT_SCRIPT


OPEN = float("inf")
PLACE = re.compile(r"\b(KEYS|ARGV)\[(\d+)(?:\.\.(\d+|\*))?\]")


def header(name):
    """The comment that opens a script."""
    lines = LUA[name].splitlines()
    return lines[: next(i for i, line in enumerate(lines) if not line.startswith("--"))]


def documented(name, table):
    """The places of KEYS or ARGV that a script's header explains, OPEN for any number from some place on."""
    places = set()
    for line in header(name):
        for kind, first, last in PLACE.findall(line):
            if kind == table:
                places |= {OPEN} if last == "*" else set()
                places |= set(range(int(first), int(first if last in ("", "*") else last) + 1))
    return places


def used(name, table):
    """The places that the code of a script, with what it includes, names by number; OPEN when it computes one."""
    text = load_script(name).text
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    places = {int(place) for place in re.findall(rf"\b{table}\[(\d+)\]", code)}
    return places | ({OPEN} if re.search(rf"\b{table}\b(?!\[\d+\])", code) else set())


SCRIPTS = sorted(set(LUA) - INCLUDES)


class TestScript:
    @pytest.mark.parametrize("name", LUA)
    def test_opens_with_its_purpose(self, name):
        assert re.fullmatch(r"-- [A-Z].*[.,:]", header(name)[0])

    @pytest.mark.parametrize("table", ["KEYS", "ARGV"])
    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_explains_each_place_that_it_uses(self, name, table):
        assert used(name, table) <= documented(name, table)

    @pytest.mark.parametrize("table", ["KEYS", "ARGV"])
    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_explains_places_without_a_gap(self, name, table):
        places = sorted(documented(name, table) - {OPEN})
        assert places == list(range(1, len(places) + 1))

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_says_what_it_returns(self, name):
        assert [line for line in header(name) if re.match(r"-- Returns {2,}\S", line)]

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_includes_are_files_and_come_first(self, name):
        text = load_script(name).text
        included = [line.removeprefix("-- include: ") for line in header(name) if line.startswith("-- include: ")]
        assert {Path(file).stem for file in included} <= INCLUDES
        assert (
            text == "".join((PACKAGE / "scripts" / file).read_text(encoding="utf-8") for file in included) + LUA[name]
        )

    def test_are_all_called_by_the_store(self, calls):
        assert set(calls) == set(SCRIPTS)

    @pytest.mark.parametrize("table", ["KEYS", "ARGV"])
    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_agrees_with_what_the_store_passes(self, calls, name, table):
        explained = documented(name, table)
        for call in calls[name]:
            passed = len(call.keys if table == "KEYS" else call.args)
            fixed = len(explained - {OPEN})
            assert passed >= fixed - 1 if OPEN in explained else passed == fixed


class Recorder:
    """Stands where the client is, keeps the scripts' calls, and answers as if there were one session of all kinds."""

    HANDLE = b"0123456789abcdef" * 2
    FIELDS = (b"id", b"u", b"ip", b"i", b"r", b"1", b"w", b"1", b"ttl", b"10", b"used", b"9")

    def __init__(self):
        self.names = {load_script(name): name for name in SCRIPTS}
        self.calls = {}
        self.replies = {
            "PING": True,
            "SMEMBERS": [b"app"],
            "ZCARD": 0,
            "ZCOUNT": 0,
            "ZRANGEBYLEX": [b"u\0" + self.HANDLE],
            "ZRANGEBYSCORE": [self.HANDLE + b":u"],
            "get_session": list(self.FIELDS),
            "set_session": list(self.FIELDS),
            "list_sessions_of_id": [self.HANDLE, b"9"],
            "list_sessions_of_app": [self.HANDLE, b"9"],
            "read_sessions": [list(self.FIELDS)],
        }

    def run(self, *commands):
        return [self.replies.get(self.name(command), 1) for command in commands]

    def name(self, command):
        if not isinstance(command, ScriptCall):
            return command[0]
        name = self.names[command.script]
        self.calls.setdefault(name, []).append(command)
        return name


@pytest.fixture(scope="module")
def calls():
    """Each script's calls by the operations of the store."""
    recorder = Recorder()
    store = SessionStore(recorder, clock=lambda: 10)
    token = store.create_session("app", "u", ip="i", data={"a": "1", "b": "2"})
    store.create_session("app", "u", ip="i", no_resave=True)
    store.get_session("app", token)
    store.set_session("app", token, {"a": "1"})
    store.set_session("app", token, {"a": None})
    store.kill_session("app", token)
    store.list_sessions_of_id("app", "u")
    store.list_sessions_of_app("app", 10)
    store.list_sessions_of_app("app", 10, after=Position(10, "f" * 32))
    store.kill_sessions_of_id("app", "u")
    store.kill_sessions_of_app("app")
    store.sweep_expired()
    return recorder.calls


def test_script_that_does_not_exist_cannot_be_loaded():
    with pytest.raises(FileNotFoundError):
        scripts.load_script("no_such_script")


def test_one_base_catches_each_error_of_the_package():
    tree = ast.parse((PACKAGE / "errors.py").read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    module = sys.modules[RestSessionsError.__module__]
    assert all(issubclass(getattr(module, name), RestSessionsError) for name in defined)
