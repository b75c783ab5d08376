"""An API Gateway event in, an answer out. The only module that knows API Gateway.

An event is an HTTP API's, payload format 2.0:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from . import validation
from .errors import (
    ApiError,
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
from .telemetry import count, frames, logger

Event = Mapping[str, Any]
Response = dict[str, Any]
Handler = Callable[[Event, Any], Response]

# What an operation gives: a session or None for a missing one, a page of them, an object, or a bare word.
Result = Session | Page | Mapping[str, Any] | str | None

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


def route(operation: Callable[[SessionStore, Request], Result]) -> Handler:
    """The Lambda handler of `operation`, connected to the store."""
    store = open_store()
    missing_is_error = load_settings().missing_session_is_error

    @wraps(operation)
    def handler(event: Event, context: Any) -> Response:
        ids = {
            "request_id": event.get("requestContext", {}).get("requestId", ""),
            "function_request_id": context.aws_request_id,
            "route": event.get("routeKey", ""),
        }
        try:
            result = operation(store, Request(event))
            _count(result)
            if result is None and missing_is_error:
                return _respond_error(SessionNotFound())
            return _respond(200, _text(result))
        except StoreUnavailable as error:
            report_unavailable(error, **ids)
            return _respond_error(error, {"Retry-After": str(error.retry_after)})
        except ApiError as error:
            return _respond_error(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and the client gets an answer
            logger.error(
                "Internal error", extra={**ids, "error": type(error).__name__, "frames": frames(error.__traceback__)}
            )
            return _respond_error(InternalError(ids["request_id"]))

    return handler


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


def _respond(status: int, body: str, headers: Mapping[str, str] | None = None) -> Response:
    return {"statusCode": status, "headers": {**HEADERS, **(headers or {})}, "body": body}


def _respond_error(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    body = f'{{"name":"{error.name}","message":{json_string(error.message)}}}'
    return _respond(error.status, body, headers)
