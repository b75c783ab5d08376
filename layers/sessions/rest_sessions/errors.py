"""What a caller can be told.

RestSessionsError
├── ConfigurationError           the deployment lacks a setting, or has a wrong one
├── RegistryUnreadable           the key registry cannot be read now
└── ApiError                     has a status and a name: an answer to the client
    ├── BadRequest          400
    │   ├── MissingParameter     missingParameter
    │   ├── InvalidFormat        invalidFormat
    │   ├── InvalidValue         invalidValue
    │   └── InvalidJson          invalidJson
    ├── Forbidden           403  forbidden
    ├── SessionNotFound     404  notFound
    ├── TooLarge            413  tooLarge
    ├── UnsupportedMediaType 415 unsupportedMediaType
    ├── InternalError       500  internalError
    └── StoreUnavailable    503  storeUnavailable

A message goes to the client as it is, so none holds a token, a key or session data.
"""


class RestSessionsError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(RestSessionsError):
    """A setting is missing or wrong. The message names it and says what to set; it never repeats the value."""


class RegistryUnreadable(RestSessionsError):
    """The key registry cannot be read now. `reason` is for the log: AWS's own code, or what kept it from answering."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ApiError(RestSessionsError):
    """An answer other than 200: `status` is its HTTP status, `name` the error's name in the body."""

    status: int
    name: str

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(ApiError):
    """The request breaks a rule; it changed nothing in the store."""

    status = 400


class MissingParameter(BadRequest):
    """A required `item` is absent or empty."""

    name = "missingParameter"

    def __init__(self, item: str) -> None:
        super().__init__(f"No {item} supplied")


class InvalidFormat(BadRequest):
    """An `item` of the path or query has characters or a length that are not allowed."""

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
    """The caller is unknown here, or may not do this in this app."""

    status = 403
    name = "forbidden"

    def __init__(self) -> None:
        super().__init__("The key may not do this in this app")


class SessionNotFound(ApiError):
    """There is no such session, and the deployment wants that to be a 404 (`MISSING_SESSION=404`)."""

    status = 404
    name = "notFound"

    def __init__(self) -> None:
        super().__init__("No such session: it expired, was killed, or never was")


class TooLarge(ApiError):
    """The body, or the session's data after this write, is over its limit."""

    status = 413
    name = "tooLarge"


class UnsupportedMediaType(ApiError):
    """The body says that it is not JSON."""

    status = 415
    name = "unsupportedMediaType"

    def __init__(self) -> None:
        super().__init__("The body must be JSON: send Content-Type: application/json")


class InternalError(ApiError):
    """A fault of this service. The log has the detail under the request's id."""

    status = 500
    name = "internalError"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"Internal error; the log has it under the request id {request_id}")


class StoreUnavailable(ApiError):
    """Redis did not answer, or cannot take the command now. Nothing is known of what it did."""

    status = 503
    name = "storeUnavailable"
    retry_after = 1

    def __init__(self, reason: str = "") -> None:
        super().__init__("The session store is unavailable; try again")
        self.reason = reason
