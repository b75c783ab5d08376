"""SAM CLI's local API Gateway, which calls the functions in this process instead of in containers."""

import importlib.util
import json
import logging
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from samcli.commands.local.lib.local_api_service import LocalApiService
from samcli.lib.providers.provider import Stack
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.lib.utils.stream_writer import StreamWriter
from samcli.local.lambdafn.exceptions import FunctionNotFound
from werkzeug.serving import BaseWSGIServer

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"

# How many requests run at once; the others wait, as with a concurrency limit in AWS. More threads would only slow
# each other down, and each holds a connection to the store.
_CONCURRENCY = 4
_FUNCTION_SECONDS = 240

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
    """The context that SAM's local API Gateway expects: the template, and the runner that calls its functions."""

    def __init__(self, stacks: list[Stack], handlers: Mapping[str, Handler], *, with_authorizer: bool) -> None:
        self.stacks = stacks
        self._with_authorizer = with_authorizer
        self.local_lambda_runner = InProcessRunner(handlers)
        self.stderr = StreamWriter(sys.stderr)

    def get_cwd(self) -> str:
        """The folder that SAM resolves relative paths against."""
        return str(ROOT)

    def serve(self, host: str, port: int, static: Path) -> None:
        """Serves the template's routes and the files in `static` until SIGINT or SIGTERM."""
        # The server logs the path of every request, and the gateway that of every refused one. Paths contain tokens.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        logging.getLogger("samcli.local.apigw.local_apigw_service").setLevel(logging.CRITICAL)
        # A thousand clients may connect at once. With a shorter queue, some would wait seconds before they retry.
        BaseWSGIServer.request_queue_size = 1024
        service = LocalApiService(
            self, port, host, static_dir=str(static), disable_authorizer=not self._with_authorizer, ssl_context=None
        )
        # A function gets bodies in base64; otherwise a body that is not UTF-8 would not reach it.
        service.api_provider.api.binary_media_types_set.add("*/*")
        service.start()
