<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The app, id, ip, token or handle has a character or a length that is not allowed. */
class InvalidFormat extends BadRequest
{
    protected const NAME = 'invalidFormat';
}
