"""The HTTP API's Lambda authorizer: finds out who sends a request, by its key.

Payload format 2.0, simple answers:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html

API Gateway caches the answer for a key and uses it for every route. So the answer cannot say what the key may do in
this request. It passes on name, apps and operations, and `route` decides for each request.
"""

import re
from collections.abc import Mapping
from typing import Any

from rest_sessions.access.principal import Principal
from rest_sessions.access.source import KeySource

from .audit import write_audit_log

_SCHEME = "bearer"
_OPERATION = re.compile(r"[A-Z]+ (?:/\{app\})?/([a-z]+).*")


def authorize(event: Mapping[str, Any], keys: KeySource) -> dict[str, Any]:
    """API Gateway's answer for the key in `event`. A refusal is written to the audit log.

    Raises RegistryUnavailable. API Gateway does not cache an error. It would cache a refusal, even beyond the repair.
    """
    principal = _authenticate(event, keys)
    if principal is None:
        _audit_refusal(event)
        return {"isAuthorized": False}
    return {"isAuthorized": True, "context": principal.to_context()}


def _authenticate(event: Mapping[str, Any], keys: KeySource) -> Principal | None:
    [credentials, *_] = event.get("identitySource") or [""]
    scheme, _, key = credentials.partition(" ")
    registry = keys.registry()
    # RFC 9110, section 11.4, allows more than one space.
    return registry.find(key.lstrip(" ")) if scheme.lower() == _SCHEME else None


def _audit_refusal(event: Mapping[str, Any]) -> None:
    route = event.get("routeKey", "")
    operation = _OPERATION.fullmatch(route)
    write_audit_log(
        "unknownKey",
        key_name="",
        operation=operation[1] if operation else "",
        app=(event.get("pathParameters") or {}).get("app", ""),
        request_id=event.get("requestContext", {}).get("requestId", ""),
        route=route,
    )
