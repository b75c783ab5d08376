"""SAM CLI's own local API Gateway, with the functions called in this process instead of in containers."""

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

# Requests beyond this wait, as they would for a concurrency limit in AWS: more threads than this only get in each
# other's way, and each holds a connection to the store.
_CONCURRENCY = 4
_FUNCTION_SECONDS = 240

Handler = Callable[[dict[str, Any], Any], Any]


def read_template() -> list[Stack]:
    stacks: list[Stack]
    stacks, _ = SamLocalStackProvider.get_stacks(str(TEMPLATE))
    return stacks


def load_handlers(stacks: list[Stack]) -> dict[str, Handler]:
    """The handler of each function of the template, by its logical id. Each function initialises here."""
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
        return int((self._deadline - time.monotonic()) * 1000)


class InProcessRunner:
    """Invokes handlers in place of SAM's runner of containers, whose methods it has."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._slots = threading.BoundedSemaphore(_CONCURRENCY)

    def is_debugging(self) -> bool:
        """False: SAM then serves each request in a thread of its own."""
        return False

    def call(self, function_name: str, event: dict[str, Any]) -> Any:
        with self._slots:
            return self._handlers[function_name](event, Context())

    def invoke(self, function_name: str, event: str, stdout: StreamWriter, **_: Any) -> None:
        request = json.loads(event)
        # SAM gives all requests of a run the same one, by which nobody would find an error in the log.
        request["requestContext"]["requestId"] = str(uuid.uuid4())
        stdout.write_str(json.dumps(self.call(function_name, request)))


class Gateway:
    """What SAM's local API Gateway takes as its context: the template, and who invokes its functions."""

    def __init__(self, stacks: list[Stack], handlers: Mapping[str, Handler], *, with_authorizer: bool) -> None:
        self.stacks = stacks
        self._with_authorizer = with_authorizer
        self.local_lambda_runner = InProcessRunner(handlers)
        self.stderr = StreamWriter(sys.stderr)

    def get_cwd(self) -> str:
        return str(ROOT)

    def serve(self, host: str, port: int, static: Path) -> None:
        """Serves the template's routes, and the files of `static`, until SIGINT or SIGTERM."""
        # Its server would log each request's path, and its gateway that of each refused one, and so tokens.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        logging.getLogger("samcli.local.apigw.local_apigw_service").setLevel(logging.CRITICAL)
        # A thousand clients may connect at once; those that the queue has no place for would wait seconds to try again.
        BaseWSGIServer.request_queue_size = 1024
        service = LocalApiService(
            self, port, host, static_dir=str(static), disable_authorizer=not self._with_authorizer, ssl_context=None
        )
        # Bodies reach a function in base64, so that one which is not UTF-8 reaches it at all.
        service.api_provider.api.binary_media_types_set.add("*/*")
        service.start()
