<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** A session has or had the token. No session was created. */
class TokenInUse extends ApiError
{
    protected const NAME = 'tokenInUse';
}
