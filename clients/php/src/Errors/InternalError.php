<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** A fault of the service. Its log has the details, under the request id in the message. */
class InternalError extends Unavailable
{
    protected const NAME = 'internalError';
}
