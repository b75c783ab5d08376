"""All errors of this package.

RestSessionsError
├── ConfigurationError           an argument or a setting is missing or wrong
└── ApiError                     an answer other than 200, with its `status` and `name`, or no answer
    ├── BadRequest               400
    │   ├── MissingParameter         missingParameter
    │   ├── UnknownParameter         unknownParameter
    │   ├── InvalidFormat            invalidFormat
    │   ├── InvalidValue             invalidValue
    │   └── InvalidJson              invalidJson
    ├── Unauthorized             401
    ├── Forbidden                403  forbidden
    ├── SessionNotFound          404  notFound, only inside this package
    ├── Conflict                 409  conflict
    ├── TooManySessions          409  tooManySessions
    ├── TokenInUse               409  tokenInUse
    ├── TooLarge                 413  tooLarge
    ├── UnsupportedMediaType     415  unsupportedMediaType
    ├── UnexpectedAnswer         any other answer: the URL is not that of a REST Sessions API
    └── Unavailable              the service is away for now, and the call may have run or not
        ├── TooManyRequests      429
        ├── InternalError        500  internalError
        ├── StoreUnavailable     503  storeUnavailable
        └── NoAnswer             no connection, or no answer in time
            └── ConnectionLost   the connection ended before the answer

A missing session is no error: the methods return None for it. No message holds a token, a key or session data.
"""

import json
from collections.abc import Iterator


class RestSessionsError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(RestSessionsError):
    """An argument or a setting is missing or wrong. The message says what to set, and repeats no value."""


class ApiError(RestSessionsError):
    """An answer other than 200, or none.

    `status` is its HTTP status, None without an answer. `name` is the error's name in the API, None if it has none.
    """

    name: str | None = None

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class BadRequest(ApiError):
    """The request breaks a rule of the API. It changed nothing."""


class MissingParameter(BadRequest):
    """A required parameter is missing."""

    name = "missingParameter"


class UnknownParameter(BadRequest):
    """The route does not take a parameter."""

    name = "unknownParameter"


class InvalidFormat(BadRequest):
    """The app, id, ip, token or handle has a character or a length that is not allowed."""

    name = "invalidFormat"


class InvalidValue(BadRequest):
    """A value is outside its range or of a forbidden type."""

    name = "invalidValue"


class InvalidJson(BadRequest):
    """The data is not JSON that all platforms can read."""

    name = "invalidJson"


class Unauthorized(ApiError):
    """The service requires a key and got none."""


class Forbidden(ApiError):
    """The key is unknown, or does not allow this operation in this app."""

    name = "forbidden"


class SessionNotFound(ApiError):
    """There is no such session. The methods return None for it."""

    name = "notFound"


class Conflict(ApiError):
    """The session is not as `w` tells, or `except_` is no live session of the user. Nothing was changed."""

    name = "conflict"


class TooManySessions(ApiError):
    """The user has `max` sessions already. No session was created."""

    name = "tooManySessions"


class TokenInUse(ApiError):
    """A session has or had the token. No session was created."""

    name = "tokenInUse"


class TooLarge(ApiError):
    """The body, or the session's data after the change, exceeds a limit. Nothing was changed."""

    name = "tooLarge"


class UnsupportedMediaType(ApiError):
    """Something between this client and the service changed the request's content type."""

    name = "unsupportedMediaType"


class UnexpectedAnswer(ApiError):
    """No REST Sessions API answers at the URL."""


class Unavailable(ApiError):
    """The service is away for now. The call may have run or not; to repeat it is safe, except for `set` with `w`."""

    # The seconds after which the service asks to be called again.
    retry_after: int | None = None


class TooManyRequests(Unavailable):
    """The service is throttled."""


class InternalError(Unavailable):
    """A fault of the service. Its log has the details, under the request id in the message."""

    name = "internalError"


class StoreUnavailable(Unavailable):
    """The service could not reach its store."""

    name = "storeUnavailable"


class NoAnswer(Unavailable):
    """The service could not be reached, or did not answer in time."""


class ConnectionLost(NoAnswer):
    """The connection ended before the answer."""

    retry_after = 0


def _subclasses(error: type[ApiError]) -> Iterator[type[ApiError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


_OF_NAME = {error.name: error for error in _subclasses(ApiError) if error.name}
# What API Gateway answers by itself has no name.
_OF_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (Unauthorized, "The service requires a key: pass key, or set REST_SESSIONS_KEY"),
    403: (Forbidden, "The service does not know this key"),
    429: (TooManyRequests, "The service is throttled"),
}
_SERVER_ERROR = 500


def error_of(status: int, body: bytes, retry_after: str | None) -> ApiError:
    """The error that an answer other than 200 tells. Only texts of this API and of this module get into its message."""
    try:
        answer = json.loads(body)
        error = _OF_NAME[answer["name"]](str(answer["message"]), status)
    except (ValueError, TypeError, KeyError):
        if status in _OF_STATUS:
            kind, message = _OF_STATUS[status]
            error = kind(message, status)
        elif status >= _SERVER_ERROR:
            error = Unavailable(f"The service failed with status {status}", status)
        else:
            error = UnexpectedAnswer(f"No REST Sessions API: it answered with status {status}. Check the URL", status)
    if isinstance(error, Unavailable) and retry_after is not None and retry_after.isdecimal():
        error.retry_after = int(retry_after)
    return error
