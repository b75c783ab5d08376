<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The service is away for now. The call may have run or not; to repeat it is safe, except for `set` with `w`. */
class Unavailable extends ApiError
{
    /** `$retryAfter` is after how many seconds the service asks to be called again. */
    public function __construct(string $message, ?int $status = null, public readonly ?int $retryAfter = null)
    {
        parent::__construct($message, $status);
    }
}
