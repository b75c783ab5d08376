<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** There is no such session. The methods return null for it. */
class SessionNotFound extends ApiError
{
    protected const NAME = 'notFound';
}
