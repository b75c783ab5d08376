"""All errors of this package.

RestSessionsError
├── ConfigurationError           a setting or the key registry is missing or wrong
├── RegistryUnavailable          the key registry is broken, or cannot be read now
├── SweepIncomplete              the sweep failed for some apps
└── ApiError                     an answer to the client, with a status and a name
    ├── BadRequest          400
    │   ├── MissingParameter     missingParameter
    │   ├── UnknownParameter     unknownParameter
    │   ├── InvalidFormat        invalidFormat
    │   ├── InvalidValue         invalidValue
    │   └── InvalidJson          invalidJson
    ├── Forbidden           403  forbidden
    ├── SessionNotFound     404  notFound
    ├── Conflict            409  conflict
    ├── TooManySessions     409  tooManySessions
    ├── TokenInUse          409  tokenInUse
    ├── TooLarge            413  tooLarge
    ├── UnsupportedMediaType 415 unsupportedMediaType
    ├── InternalError       500  internalError
    └── StoreUnavailable    503  storeUnavailable

The message of an ApiError goes to the client unchanged, so it never holds a token, a key or session data.
"""

from collections.abc import Iterable


class RestSessionsError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(RestSessionsError):
    """A setting is missing or wrong, or the text of the key registry is wrong.

    The message names the setting and says what to set, or says where the text is wrong. It never repeats a value.
    """


class RegistryUnavailable(RestSessionsError):
    """The key registry is broken, or cannot be read now. `reason` is for the log and quotes nothing of the registry."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SweepIncomplete(RestSessionsError):
    """The sweep failed for some apps, for example because their data is damaged. The log has a line for each."""


class ApiError(RestSessionsError):
    """An answer other than 200. `status` is its HTTP status, `name` the error's name in the body."""

    status: int
    name: str

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(ApiError):
    """The request breaks a rule. Nothing in the store was changed."""

    status = 400


class MissingParameter(BadRequest):
    """The required `item` is absent or empty."""

    name = "missingParameter"

    def __init__(self, item: str) -> None:
        super().__init__(f"No {item} supplied")


class UnknownParameter(BadRequest):
    """The query has a parameter that the route does not take. `taken` are those that it takes."""

    name = "unknownParameter"

    def __init__(self, item: str, taken: Iterable[str]) -> None:
        super().__init__(f"Unknown parameter {item}; this route takes {', '.join(taken) or 'none'}")


class InvalidFormat(BadRequest):
    """The `item` of the path or query has a character or a length that is not allowed."""

    name = "invalidFormat"

    def __init__(self, item: str) -> None:
        super().__init__(f"Invalid {item} format")


class InvalidValue(BadRequest):
    """A value is outside its range or of a forbidden type."""

    name = "invalidValue"


class InvalidJson(BadRequest):
    """The body is not JSON; `reason` says what is wrong and where."""

    name = "invalidJson"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The body is not valid JSON: {reason}")


class Forbidden(ApiError):
    """The principal is unknown, or may not do this in this app."""

    status = 403
    name = "forbidden"

    def __init__(self) -> None:
        super().__init__("The key may not do this in this app")


class SessionNotFound(ApiError):
    """There is no such session, and the setting `MISSING_SESSION=404` makes that an error."""

    status = 404
    name = "notFound"

    def __init__(self) -> None:
        super().__init__("No such session: it expired, was killed, or never was")


class Conflict(ApiError):
    """The session, or the list of a user's sessions, is not as the client expects. Nothing was changed."""

    status = 409
    name = "conflict"


class TooManySessions(ApiError):
    """The user has `most` live sessions already, and the client wants no session of theirs ended."""

    status = 409
    name = "tooManySessions"

    def __init__(self, most: int) -> None:
        super().__init__(f"The user has as many live sessions as max allows, {most}; end one, or send over=oldest")


class TokenInUse(ApiError):
    """A session has the token that the client chose, or had it and was killed before its time."""

    status = 409
    name = "tokenInUse"

    def __init__(self) -> None:
        super().__init__("A session has or had this token; choose another")


class TooLarge(ApiError):
    """The body, or the session's data after this write, is over its limit. Nothing was changed."""

    status = 413
    name = "tooLarge"


class UnsupportedMediaType(ApiError):
    """The body is not JSON in UTF-8, or is compressed, as its headers or its first bytes say."""

    status = 415
    name = "unsupportedMediaType"


class InternalError(ApiError):
    """A fault of this service. The log has the details under the request's id."""

    status = 500
    name = "internalError"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"Internal error; the log has it under the request id {request_id}")


class StoreUnavailable(ApiError):
    """Redis did not answer, or cannot serve now. The call may or may not have run.

    `reason` is for the log. `ended` is how many sessions a call that ends many of them had ended before.
    """

    status = 503
    name = "storeUnavailable"
    retry_after = 1

    def __init__(self, reason: str = "", *, ended: int = 0) -> None:
        progress = f" after {ended} sessions were ended; call again for the rest" if ended else "; try again"
        super().__init__(f"The session store is unavailable{progress}")
        self.reason = reason
