"""The routes as their functions declare them."""

import importlib.util
from pathlib import Path
from types import ModuleType
from unittest import mock

from rest_sessions.http.route import Route

FUNCTIONS = {path.parent.name: path for path in sorted((Path(__file__).parents[1] / "functions").glob("*/app.py"))}


def load(function: str) -> ModuleType:
    """The module of a function, executed again."""
    spec = importlib.util.spec_from_file_location(f"{function}_app", FUNCTIONS[function])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _declared() -> dict[str, Route]:
    environment = {"API_KEYS": '{"keys": []}', "AUTH_MODE": "token"}
    with (
        mock.patch("rest_sessions.http.route.open_store"),
        mock.patch("rest_sessions.runtime.open_store"),
        mock.patch("rest_sessions.http.route.load_settings"),
        mock.patch.dict("os.environ", environment),
    ):
        handlers = {function: load(function).handler for function in FUNCTIONS}
    return {function: handler for function, handler in handlers.items() if isinstance(handler, Route)}


# By the name of the function's folder.
ROUTES = _declared()
# The operation of each route that needs a key.
OPERATIONS = {function: route.operation for function, route in ROUTES.items() if route.operation}
