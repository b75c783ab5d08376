"""A request, as API Gateway passes it to a function.

Payload format 2.0 of an HTTP API:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from rest_sessions.access.principal import Principal

Event = Mapping[str, Any]


class Request:
    """The parts of an event that the routes use, not yet checked."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self.path: Mapping[str, str] = event.get("pathParameters") or {}
        self.query: Mapping[str, str] = event.get("queryStringParameters") or {}

    @property
    def id(self) -> str:
        """The request's id, which API Gateway also writes to its access log."""
        text: str = self._event.get("requestContext", {}).get("requestId", "")
        return text

    @property
    def route_key(self) -> str:
        """The route as the template has it, such as `GET /{app}/get/{token}`. Unlike the path, it holds no token."""
        text: str = self._event.get("routeKey", "")
        return text

    def query_names(self) -> list[str]:
        """The names of all query parameters, in their order. A name that is given twice appears twice.

        API Gateway joins the values of such a parameter, so that `query` does not show it.
        """
        raw = self._event.get("rawQueryString") or ""
        # As many values as names, which is the rule, means that none is there twice.
        if raw.count("&") < len(self.query):
            return list(self.query)
        return [name for name, _ in parse_qsl(raw, keep_blank_values=True)]

    @property
    def has_body(self) -> bool:
        """Whether the body has at least one byte."""
        return bool(self._event.get("body"))

    def body(self) -> bytes:
        """The body's bytes. Raises ValueError for bad base64, which is a fault of the gateway."""
        text = self._event.get("body") or ""
        return base64.b64decode(text) if self._event.get("isBase64Encoded") else text.encode(errors="surrogatepass")

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers by their names in lower case, as AWS sends them. SAM's local gateway sends Title-Case."""
        return {name.lower(): value for name, value in (self._event.get("headers") or {}).items()}

    def principal(self, auth_mode: str) -> Principal | None:
        """The principal that the authorizer has identified. None if its answer is missing.

        `auth_mode` is the setting of that name. With `none` there is no authorizer, and everybody may do everything.
        """
        authorizer = self._event.get("requestContext", {}).get("authorizer") or {}
        match auth_mode, authorizer:
            case "token", {"lambda": context}:
                return Principal.from_context(context)
            case "iam", {"iam": {"userArn": str(arn)}}:
                # IAM has already checked app and operation, by the resource path in the policy.
                return Principal.unrestricted(arn)
            case "none", _:
                return Principal.unrestricted("")
        return None
