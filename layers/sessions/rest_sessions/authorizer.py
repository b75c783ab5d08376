"""The HTTP API's Lambda authorizer: who calls, by the key. Payload format 2.0, simple answers.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html

API Gateway keeps an answer for the key across all routes, so it cannot say what the key may do in this request: it
hands on name, apps and operations, and `http` decides each time.
"""

import re
from collections.abc import Mapping
from typing import Any

from .access import Caller
from .key_source import KeySource
from .telemetry import log_access

_SCHEME = "bearer"
_OPERATION = re.compile(r"[A-Z]+ /\{app\}/([a-z]+).*")


def authorize(event: Mapping[str, Any], keys: KeySource) -> dict[str, Any]:
    """API Gateway's answer for the bearer of the key in `event`; a refusal is logged."""
    caller = _identify(event, keys)
    if caller is None:
        _log_refusal(event)
        return {"isAuthorized": False}
    return {"isAuthorized": True, "context": caller.to_context()}


def _identify(event: Mapping[str, Any], keys: KeySource) -> Caller | None:
    [credentials, *_] = event.get("identitySource") or [""]
    scheme, _, key = credentials.partition(" ")
    registry = keys.registry()
    if scheme.lower() != _SCHEME or registry is None:
        return None
    return registry.find(key)


def _log_refusal(event: Mapping[str, Any]) -> None:
    route = event.get("routeKey", "")
    operation = _OPERATION.fullmatch(route)
    log_access(
        "unknownKey",
        key_name="",
        operation=operation[1] if operation else "",
        app=(event.get("pathParameters") or {}).get("app", ""),
        request_id=event.get("requestContext", {}).get("requestId", ""),
        route=route,
    )
