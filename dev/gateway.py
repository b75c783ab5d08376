"""SAM CLI's local API Gateway, which calls the functions in this process instead of in containers."""

import importlib.util
import json
import logging
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, request
from flask_swagger_ui import get_swaggerui_blueprint
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.provider import Stack
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.lib.utils.stream_writer import StreamWriter
from samcli.local.apigw.local_apigw_service import LocalApigwService
from samcli.local.lambdafn.exceptions import FunctionNotFound
from werkzeug.serving import BaseWSGIServer, make_server

from dev.connection import KeptConnection

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
DOCUMENT = ROOT / "docs" / "openapi.yaml"
# No app has a dot in its name, so no route of the API has these paths.
DOCUMENT_PATH = "/openapi.yaml"
VIEWER_PATH = "/api.html"
# Swagger UI has inline scripts and styles, and images as data. Nothing comes from another address.
VIEWER_POLICY = "default-src 'self' 'unsafe-inline'; img-src 'self' data:"

# How many requests run at once; the others wait, as with a concurrency limit in AWS. More threads would only slow
# each other down, and each holds a connection to the store.
_CONCURRENCY = 4
_FUNCTION_SECONDS = 240

_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
# The part of docs/openapi.yaml that names the servers: its first line and the indented ones below.
_SERVERS = re.compile(r"^servers:\n([ -].*\n)+", re.MULTILINE)

# After some dozens of requests SAM CLI reports to AWS, and writes its settings to the home folder.
os.environ["SAM_CLI_TELEMETRY"] = "0"
os.environ["__SAM_CLI_APP_DIR"] = str(ROOT / ".venv" / "sam-cli")
# It warns, in colours, that an authorizer may behave differently in AWS.
logging.getLogger("samcli").setLevel(logging.ERROR)
# It logs the path of every refused request. Paths contain tokens.
logging.getLogger("samcli.local.apigw.local_apigw_service").setLevel(logging.CRITICAL)

Handler = Callable[[dict[str, Any], Any], Any]


def read_template() -> list[Stack]:
    """The stacks in template.yaml, in SAM CLI's own form."""
    stacks: list[Stack]
    stacks, _ = SamLocalStackProvider.get_stacks(str(TEMPLATE))
    return stacks


def load_handlers(stacks: list[Stack]) -> dict[str, Handler]:
    """Imports each function in the template. Returns the handlers by logical id.

    Raises FunctionNotFound, or ConfigurationError when a function refuses the environment.
    """
    functions = {
        name: resource["Properties"]
        for name, resource in stacks[0].resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    return {name: _load_handler(name, properties) for name, properties in functions.items()}


def _load_handler(name: str, properties: Mapping[str, Any]) -> Handler:
    module_name, _, function = properties["Handler"].partition(".")
    path = ROOT / properties["CodeUri"] / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}.{module_name}", path)
    if spec is None or spec.loader is None:
        raise FunctionNotFound(f"{name} has no code at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = getattr(module, function)
    return handler


class Context:
    """The part of Lambda's context object that the functions use."""

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._deadline = time.monotonic() + _FUNCTION_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds until the function's timeout."""
        return int((self._deadline - time.monotonic()) * 1000)


class InProcessRunner:
    """Calls handlers in this process. It has the methods of SAM's container runner and takes its place."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._slots = threading.BoundedSemaphore(_CONCURRENCY)

    def is_debugging(self) -> bool:
        """False, so that SAM serves each request in its own thread."""
        return False

    def call(self, function_name: str, event: dict[str, Any]) -> Any:
        """Calls the function's handler, at most _CONCURRENCY at once, and returns its result."""
        with self._slots:
            return self._handlers[function_name](event, Context())

    def invoke(self, function_name: str, event: str, stdout: StreamWriter, **_: Any) -> None:
        """Calls the function for SAM: JSON in, JSON out."""
        request = json.loads(event)
        # SAM uses one request id for all requests of a run. With unique ids an error can be found in the log.
        request["requestContext"]["requestId"] = str(uuid.uuid4())
        stdout.write_str(json.dumps(self.call(function_name, request)))


class Gateway:
    """SAM CLI's local API Gateway with this template's routes, and the viewer of docs/openapi.yaml."""

    def __init__(self, stacks: list[Stack], handlers: Mapping[str, Handler], *, with_authorizer: bool) -> None:
        self.runner = InProcessRunner(handlers)
        self._api = ApiProvider(stacks, cwd=str(ROOT), disable_authorizer=not with_authorizer).api
        # A function gets bodies in base64; otherwise a body that is not UTF-8 would not reach it.
        self._api.binary_media_types_set.add("*/*")

    def listen(self, host: str, port: int) -> BaseWSGIServer:
        """A server that listens already; its `serve_forever` serves the template's routes and the viewer."""
        service = _Service(self._api, self.runner, port=port, host=host, stderr=StreamWriter(sys.stderr))
        service.create()
        # A thousand clients may connect at once. With a shorter queue, some would wait seconds before they retry.
        BaseWSGIServer.request_queue_size = 1024
        # SAM's own `run` raises an Exception on SIGTERM, and the server goes on if that happens while it accepts.
        return make_server(host, port, service.app, threaded=True, request_handler=KeptConnection)


class _Service(LocalApigwService):  # type: ignore[misc]
    """SAM's service, with the answers that an HTTP API of API Gateway gives where SAM's differ."""

    @property
    def app(self) -> Flask:
        app: Flask = self._app
        return app

    def create(self) -> None:
        super().create()
        app = self.app
        for rule in app.url_map.iter_rules():
            # werkzeug adds HEAD to GET. In API Gateway, HEAD is a method without a route.
            rule.methods.discard("HEAD")
        app.url_map.merge_slashes = False
        app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
        for status in (404, 405):
            app.register_error_handler(status, lambda _: _message(404, "Not Found"))
        app.before_request(_refuse_foreign_host)
        app.add_url_rule(DOCUMENT_PATH, view_func=_document)
        app.register_blueprint(_viewer())


def _message(status: int, message: str) -> Response:
    return Response(json.dumps({"message": message}, separators=(",", ":")), status, content_type="application/json")


def _refuse_foreign_host() -> Response | None:
    """Refuses a request under another name: a web page could point its own name here and read the answers."""
    host = request.headers.get("Host")
    # A browser always sends the header.
    if host is None or _OWN_HOST.fullmatch(host):
        return None
    return _message(421, "The Host must be 127.0.0.1, localhost or [::1]")


def _document() -> Response:
    """docs/openapi.yaml, with this server in place of the document's."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return Response(_SERVERS.sub("servers:\n  - url: /\n", text), content_type="application/yaml")


def _viewer() -> Blueprint:
    """Swagger UI."""
    config = {"app_name": "REST Sessions", "layout": "BaseLayout", "validatorUrl": None}
    viewer: Blueprint = get_swaggerui_blueprint(VIEWER_PATH, DOCUMENT_PATH, config)

    @viewer.after_request
    def keep_to_this_server(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = VIEWER_POLICY
        return response

    return viewer
