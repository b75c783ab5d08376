<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/**
 * An answer other than 200, or none.
 *
 *     ApiError
 *     ├── BadRequest               400
 *     │   ├── MissingParameter         missingParameter
 *     │   ├── UnknownParameter         unknownParameter
 *     │   ├── InvalidFormat            invalidFormat
 *     │   ├── InvalidValue             invalidValue
 *     │   └── InvalidJson              invalidJson
 *     ├── Unauthorized             401
 *     ├── Forbidden                403  forbidden
 *     ├── SessionNotFound          404  notFound, only inside this package
 *     ├── Conflict                 409  conflict
 *     ├── TooManySessions          409  tooManySessions
 *     ├── TokenInUse               409  tokenInUse
 *     ├── TooLarge                 413  tooLarge
 *     ├── UnsupportedMediaType     415  unsupportedMediaType
 *     ├── UnexpectedAnswer         any other answer: the URL is not that of a REST Sessions API
 *     └── Unavailable              the service is away for now, and the call may have run or not
 *         ├── TooManyRequests      429
 *         ├── InternalError        500  internalError
 *         ├── StoreUnavailable     503  storeUnavailable
 *         └── NoAnswer             no connection, or no answer in time
 *             └── ConnectionLost   the connection ended before the answer
 *
 * A missing session is no error: the methods return null for it. No message holds a token, a key or session data.
 */
class ApiError extends RestSessionsError
{
    protected const NAME = null;

    /** The error's name in the API, null if it has none. */
    public readonly ?string $name;

    /** `$status` is the answer's HTTP status, null without an answer. */
    public function __construct(string $message, public readonly ?int $status = null)
    {
        parent::__construct($message);
        $this->name = static::NAME;
    }
}
