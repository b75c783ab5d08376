// All errors of this package.
//
// RestSessionsError
// ├── ConfigurationError           an argument or a setting is missing or wrong
// └── ApiError                     an answer other than 200, with its `status` and `name`, or no answer
//     ├── BadRequest               400
//     │   ├── MissingParameter         missingParameter
//     │   ├── UnknownParameter         unknownParameter
//     │   ├── InvalidFormat            invalidFormat
//     │   ├── InvalidValue             invalidValue
//     │   └── InvalidJson              invalidJson
//     ├── Unauthorized             401
//     ├── Forbidden                403  forbidden
//     ├── SessionNotFound          404  notFound, only inside this package
//     ├── Conflict                 409  conflict
//     ├── TooManySessions          409  tooManySessions
//     ├── TokenInUse               409  tokenInUse
//     ├── TooLarge                 413  tooLarge
//     ├── UnsupportedMediaType     415  unsupportedMediaType
//     ├── UnexpectedAnswer         any other answer: the URL is not that of a REST Sessions API
//     └── Unavailable              the service is away for now, and the call may have run or not
//         ├── TooManyRequests      429
//         ├── InternalError        500  internalError
//         ├── StoreUnavailable     503  storeUnavailable
//         └── NoAnswer             no connection, or no answer in time
//             └── ConnectionLost   the connection ended before the answer
//
// A missing session is no error: the methods return null for it. No message holds a token, a key or session data. No
// error has a `cause`: an error of fetch may hold them.

/** Base of all errors of this package. Its name is that of the API's error, or if the API has none, of the class. */
export class RestSessionsError extends Error {
  get name() {
    return this.constructor.name;
  }
}

/** An argument or a setting is missing or wrong. The message says what to set, and repeats no value. */
export class ConfigurationError extends RestSessionsError {}

/** An answer other than 200, or none. `status` is its HTTP status, undefined without an answer. */
export class ApiError extends RestSessionsError {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The request breaks a rule of the API. It changed nothing. */
export class BadRequest extends ApiError {}

/** A required parameter is missing. */
export class MissingParameter extends BadRequest {
  get name() {
    return "missingParameter";
  }
}

/** The route does not take a parameter. */
export class UnknownParameter extends BadRequest {
  get name() {
    return "unknownParameter";
  }
}

/** The app, id, ip, token or handle has a character or a length that is not allowed. */
export class InvalidFormat extends BadRequest {
  get name() {
    return "invalidFormat";
  }
}

/** A value is outside its range or of a forbidden type. */
export class InvalidValue extends BadRequest {
  get name() {
    return "invalidValue";
  }
}

/** The data is not JSON that all platforms can read. */
export class InvalidJson extends BadRequest {
  get name() {
    return "invalidJson";
  }
}

/** The service requires a key and got none. */
export class Unauthorized extends ApiError {}

/** The key is unknown, or does not allow this operation in this app. */
export class Forbidden extends ApiError {
  get name() {
    return "forbidden";
  }
}

/** There is no such session. The methods return null for it. */
export class SessionNotFound extends ApiError {
  get name() {
    return "notFound";
  }
}

/** The session is not as `w` tells, or `except` is no live session of the user. Nothing was changed. */
export class Conflict extends ApiError {
  get name() {
    return "conflict";
  }
}

/** The user has `max` sessions already. No session was created. */
export class TooManySessions extends ApiError {
  get name() {
    return "tooManySessions";
  }
}

/** A session has or had the token. No session was created. */
export class TokenInUse extends ApiError {
  get name() {
    return "tokenInUse";
  }
}

/** The body, or the session's data after the change, exceeds a limit. Nothing was changed. */
export class TooLarge extends ApiError {
  get name() {
    return "tooLarge";
  }
}

/** Something between this client and the service changed the request's content type. */
export class UnsupportedMediaType extends ApiError {
  get name() {
    return "unsupportedMediaType";
  }
}

/** No REST Sessions API answers at the URL. */
export class UnexpectedAnswer extends ApiError {}

/**
 * The service is away for now. The call may have run or not; to repeat it is safe, except for `set` with `w`.
 *
 * `retryAfter`: the seconds after which the service asks to be called again.
 */
export class Unavailable extends ApiError {}

/** The service is throttled. */
export class TooManyRequests extends Unavailable {}

/** A fault of the service. Its log has the details, under the request id in the message. */
export class InternalError extends Unavailable {
  get name() {
    return "internalError";
  }
}

/** The service could not reach its store. */
export class StoreUnavailable extends Unavailable {
  get name() {
    return "storeUnavailable";
  }
}

/** The service could not be reached, or did not answer in time. */
export class NoAnswer extends Unavailable {}

/** The connection ended before the answer. */
export class ConnectionLost extends NoAnswer {
  retryAfter = 0;
}
