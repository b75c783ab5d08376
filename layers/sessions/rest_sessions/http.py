"""An API Gateway event in, an answer out. With `authorizer`, the only module that knows API Gateway.

An event is an HTTP API's, payload format 2.0:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any

from . import validation
from .access import Caller
from .client import CALL_SECONDS
from .errors import (
    ApiError,
    Forbidden,
    InternalError,
    InvalidValue,
    MissingParameter,
    SessionNotFound,
    StoreUnavailable,
    UnsupportedMediaType,
)
from .model import Page, Position, Session, json_string
from .runtime import load_settings, open_store, report_unavailable
from .store import SessionStore
from .telemetry import count, frames, log_access, logger
from .time_limit import time_limit

Event = Mapping[str, Any]
Response = dict[str, Any]
Handler = Callable[[Event, Any], Response]

# What an operation gives: a session or None for a missing one, a page of them, an object, or a bare word.
Result = Session | Page | Mapping[str, Any] | str | None

# Each leaves a line in the trail, whatever comes of it.
_AUDITED = ("killall", "killsoid")

HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

# The member of an answer that counts what was done, and the metric that adds it up.
_METRICS: Mapping[str, tuple[str, Callable[[Any], int]]] = {
    "token": ("SessionsCreated", lambda _: 1),
    "kill": ("SessionsKilled", int),
}


class Request:
    """A request's parts, each parsed and checked when it is asked for: bad input raises its ApiError.

    An operation asks for the app first, then for the id or token, then for the query, then for the body, so that this
    is the order in which they are judged.
    """

    def __init__(self, event: Event) -> None:
        self._event = event
        self._path: Mapping[str, str] = event.get("pathParameters") or {}
        self._query: Mapping[str, str] = event.get("queryStringParameters") or {}

    @property
    def app(self) -> str:
        return validation.parse_app(self._path.get("app"))

    @property
    def id(self) -> str:
        return validation.parse_id(self._path.get("id"))

    @property
    def token(self) -> str:
        return validation.parse_token(self._path.get("token"))

    @property
    def ip(self) -> str:
        return validation.parse_ip(self._query.get("ip"))

    @property
    def ttl(self) -> int:
        return validation.parse_ttl(self._query.get("ttl"))

    @property
    def no_resave(self) -> bool:
        return validation.parse_no_resave(self._query.get("no_resave"))

    @property
    def dt(self) -> int:
        return validation.parse_dt(self._query.get("dt"))

    @property
    def limit(self) -> int | None:
        return validation.parse_limit(self._query.get("limit"))

    @property
    def cursor(self) -> Position | None:
        return validation.parse_cursor(self._query.get("cursor"))

    @property
    def initial_data(self) -> dict[str, str | None]:
        """The optional body of `create`: each key with its value's JSON text, None for null."""
        body = self._body()
        return validation.parse_data(body) if body else {}

    @property
    def changes(self) -> dict[str, str | None]:
        """The body of `set`, likewise, with at least one key."""
        body = self._body()
        if not body:
            raise MissingParameter("d")
        changes = validation.parse_data(body)
        if not changes:
            raise InvalidValue("d must contain at least one key.")
        return changes

    def _body(self) -> bytes:
        text = self._event.get("body") or ""
        if text and not self._says_json():
            raise UnsupportedMediaType
        return base64.b64decode(text) if self._event.get("isBase64Encoded") else text.encode(errors="surrogatepass")

    def _says_json(self) -> bool:
        # AWS sends header names in lower case, SAM's local gateway in Title-Case.
        for name, value in (self._event.get("headers") or {}).items():
            if name.lower() == "content-type":
                media_type: str = value.partition(";")[0].strip().lower()
                return media_type in ("application/json", "")
        return True


Operation = Callable[[SessionStore, Request], Result]


def route(needs: str | None, seconds: float = CALL_SECONDS) -> Callable[[Operation], Handler]:
    """The Lambda handler of an operation, connected to the store.

    `needs` is the operation that the caller's key must allow, named as in the routes; None opens it to all.
    Together, its calls of the store wait for `seconds` at most; after that the store is unavailable.
    """

    def decorate(operation: Operation) -> Handler:
        store = open_store()
        settings = load_settings()

        @wraps(operation)
        def handler(event: Event, context: Any) -> Response:
            ids = {
                "request_id": event.get("requestContext", {}).get("requestId", ""),
                "function_request_id": context.aws_request_id,
                "route": event.get("routeKey", ""),
            }
            request = Request(event)
            caller = _identify(event, settings.auth_mode)
            outcome = "done"
            try:
                if needs is not None:
                    _authorize(caller, needs, request)
                with time_limit(seconds):
                    result = operation(store, request)
                _count(result)
                if result is None and settings.missing_session_is_error:
                    response = _respond_error(SessionNotFound())
                else:
                    response = _respond(200, _text(result))
            except ApiError as error:
                outcome = error.name
                response = _respond_error(error)
                if isinstance(error, StoreUnavailable):
                    report_unavailable(error, **ids)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and the client gets an answer
                outcome = InternalError.name
                response = _respond_error(InternalError(ids["request_id"]))
                details = {"error": type(error).__name__, "frames": frames(error.__traceback__)}
                logger.error("Internal error", extra={**ids, **details})
                count("InternalError")
            if needs in _AUDITED or outcome == Forbidden.name:
                log_access(
                    outcome,
                    key_name=caller.name if caller else "",
                    operation=needs or "",
                    app=(event.get("pathParameters") or {}).get("app", ""),
                    **ids,
                )
            return response

        return handler

    return decorate


def _identify(event: Event, auth_mode: str) -> Caller | None:
    """Who calls, as the gateway's authorizer says; None when none has spoken."""
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    match auth_mode, authorizer:
        case "token", {"lambda": context}:
            return Caller.from_context(context)
        case "iam", {"iam": {"userArn": str(arn)}}:
            # IAM has judged app and operation already, by the resource path in the caller's policy.
            return Caller.anyone(arn)
        case "none", _:
            return Caller.anyone("")
    return None


def _authorize(caller: Caller | None, operation: str, request: Request) -> None:
    if caller is None or not caller.may(operation, request.app):
        raise Forbidden


def _count(result: Result) -> None:
    if result is None:
        count("SessionsMissing")
    elif isinstance(result, Mapping):
        for member, (metric, amount) in _METRICS.items():
            if member in result and amount(result[member]):
                count(metric, amount(result[member]))


def _text(result: Result) -> str:
    match result:
        case None:
            return "{}"
        case str():
            return result
        case Session():
            return result.json
        case Page(sessions, next):
            listing = ",".join(session.json for session in sessions)
            return f'{{"sessions":[{listing}]' + (f',"next":"{next}"}}' if next else "}")
    return json.dumps(result, separators=(",", ":"))


def _respond(status: int, body: str, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    return {"statusCode": status, "headers": {**HEADERS, **headers}, "body": body}


def _respond_error(error: ApiError) -> Response:
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, StoreUnavailable) else {}
    body = f'{{"name":"{error.name}","message":{json_string(error.message)}}}'
    return _respond(error.status, body, headers)
