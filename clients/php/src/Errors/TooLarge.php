<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The body, or the session's data after the change, exceeds a limit. Nothing was changed. */
class TooLarge extends ApiError
{
    protected const NAME = 'tooLarge';
}
