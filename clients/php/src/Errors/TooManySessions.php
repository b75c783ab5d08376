<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The user has `max` sessions already. No session was created. */
class TooManySessions extends ApiError
{
    protected const NAME = 'tooManySessions';
}
