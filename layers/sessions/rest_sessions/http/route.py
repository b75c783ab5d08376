"""A route: checks API Gateway's event, calls the handler, and answers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import update_wrapper
from types import MappingProxyType
from typing import Any

from rest_sessions.access.principal import Operation, Principal
from rest_sessions.deadline import deadline
from rest_sessions.errors import (
    ApiError,
    Forbidden,
    InternalError,
    InvalidValue,
    SessionNotFound,
    StoreUnavailable,
    UnknownParameter,
)
from rest_sessions.limits import MAX_QUOTED_CHARACTERS, REQUEST_SECONDS
from rest_sessions.runtime import load_settings, open_store, report_unavailable
from rest_sessions.telemetry import count, error_fields, logger

from .audit import write_audit_log
from .parameters import PARAMETERS, parse_app
from .request import Event, Request
from .response import Response, Result, respond, respond_error

Metrics = Mapping[str, Callable[[Any], int]]
# The further operations that a key must allow, given the request's parameters.
Needs = Callable[..., Iterable[Operation]]

_PRINCIPAL = "principal"


def route(
    operation: Operation | None,
    *,
    needs: Needs | None = None,
    metrics: Metrics = MappingProxyType({}),
    is_audited: bool = False,
) -> Callable[[Callable[..., Result]], "Route"]:
    """Declares a route. The decorated handler takes the store, and the route's parameters by their names.

    Its argument `principal`, if there is one, is not of the request: it is who sends it.
    A key must allow `operation`; None opens the route to everybody. It must also allow what `needs` returns for the
    request's parameters.
    `metrics` are CloudWatch metrics, each with a function that computes its value from the handler's result.
    An audited route writes a line to the audit log for each request.
    All waits for Redis end after REQUEST_SECONDS; then the answer is 503.
    """
    return lambda handler: Route(handler, operation, needs, metrics, is_audited=is_audited)


class Route:
    """The Lambda handler of a route, and what the route has declared.

    It opens the store when it is made, which is while the function initialises.
    """

    def __init__(
        self,
        handler: Callable[..., Result],
        operation: Operation | None,
        needs: Needs | None,
        metrics: Metrics,
        *,
        is_audited: bool,
    ) -> None:
        update_wrapper(self, handler)
        self.operation = operation
        arguments = _arguments(handler)[1:]
        self.parameters = {name: PARAMETERS[name] for name in arguments if name != _PRINCIPAL}
        self.needs = needs
        self.metrics = metrics
        self.is_audited = is_audited
        self._handler = handler
        self._takes_principal = _PRINCIPAL in arguments
        self.query_names = [
            name for parameter in self.parameters.values() if parameter.place == "query" for name in parameter.names
        ]
        self._path = self._readers("path")
        self._query_and_body = self._readers("query") | self._readers("body")
        self._settings = load_settings()
        self._store = open_store()

    def __call__(self, event: Event, context: Any) -> Response:
        """API Gateway's answer to `event`."""
        request = Request(event)
        principal = request.principal(self._settings.auth_mode)
        outcome = "done"
        try:
            response = self._serve(request, principal)
        except ApiError as error:
            outcome = error.name
            response = respond_error(error)
            if isinstance(error, StoreUnavailable):
                report_unavailable(error, **_log_fields(request, context))
        except Exception as error:  # noqa: BLE001 - any other error is a fault of this service, and still gets an answer
            outcome = InternalError.name
            response = respond_error(InternalError(request.id))
            logger.error("Internal error", extra={**_log_fields(request, context), **error_fields(error)})
            count("InternalError")
        if self.is_audited or outcome == Forbidden.name:
            write_audit_log(
                outcome,
                key_name=principal.name if principal else "",
                operation=self.operation or "",
                app=request.path.get("app", ""),
                **_log_fields(request, context),
            )
        return response

    def _serve(self, request: Request, principal: Principal | None) -> Response:
        if self.operation is not None and not self._is_allowed(principal, self.operation, request):
            raise Forbidden
        arguments = {name: read(request) for name, read in self._path.items()}
        _check_names(request, self.query_names)
        for name, read in self._query_and_body.items():
            arguments[name] = read(request)
        if self.needs and not all(self._is_allowed(principal, also, request) for also in self.needs(**arguments)):
            raise Forbidden
        if self._takes_principal:
            arguments[_PRINCIPAL] = principal
        with deadline(REQUEST_SECONDS):
            result = self._handler(self._store, **arguments)
        if result is None:
            count("SessionsMissing")
            if self._settings.missing_session_is_error:
                raise SessionNotFound
        else:
            self._count(result)
        return respond(result)

    def _count(self, result: Result) -> None:
        for metric, compute in self.metrics.items():
            if value := compute(result):
                count(metric, value)

    def _readers(self, place: str) -> dict[str, Callable[[Request], Any]]:
        return {name: parameter.reader() for name, parameter in self.parameters.items() if parameter.place == place}

    def _is_allowed(self, principal: Principal | None, operation: Operation, request: Request) -> bool:
        if principal is None:
            return False
        # A route without an app answers only about the apps that the principal may use.
        app = parse_app(request.path.get("app")) if "app" in self.parameters else None
        return principal.may(operation, app)


def _check_names(request: Request, taken: Collection[str]) -> None:
    names = request.query_names()
    for name in names:
        if name not in taken:
            raise UnknownParameter(name[:MAX_QUOTED_CHARACTERS], taken)
        if names.count(name) > 1:
            raise InvalidValue(f"{name} must be given once")


def _log_fields(request: Request, context: Any) -> dict[str, str]:
    return {"request_id": request.id, "function_request_id": context.aws_request_id, "route": request.route_key}


def _arguments(handler: Callable[..., Result]) -> tuple[str, ...]:
    code = handler.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
