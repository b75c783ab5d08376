<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The session is not as `w` tells, or `except` is no live session of the user. Nothing was changed. */
class Conflict extends ApiError
{
    protected const NAME = 'conflict';
}
