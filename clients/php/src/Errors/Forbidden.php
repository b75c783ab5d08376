<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The key is unknown, or does not allow this operation in this app. */
class Forbidden extends ApiError
{
    protected const NAME = 'forbidden';
}
