"""The answers of the API: results and errors as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from rest_sessions.errors import ApiError, StoreUnavailable
from rest_sessions.model import AppsPage, Page, Session, json_string

# What a handler returns: a session or None for a missing one, a page of sessions or apps, an object, or a bare word.
Result = Session | Page | AppsPage | Mapping[str, Any] | str | None

# What API Gateway takes as an answer.
Response = dict[str, Any]

HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def respond(result: Result) -> Response:
    """The answer 200 with `result`."""
    return {"statusCode": 200, "headers": HEADERS, "body": _to_json(result)}


def respond_error(error: ApiError) -> Response:
    """The answer for `error`."""
    headers = {**HEADERS, "Retry-After": str(error.retry_after)} if isinstance(error, StoreUnavailable) else HEADERS
    body = f'{{"name":"{error.name}","message":{json_string(error.message)}}}'
    return {"statusCode": error.status, "headers": headers, "body": body}


def _to_json(result: Result) -> str:
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
        case AppsPage(apps, next_app):
            result = {"apps": [{"app": app.name, "sessions": app.sessions, "users": app.users} for app in apps]}
            if next_app:
                result["next"] = next_app
    return json.dumps(result, separators=(",", ":"))
