<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The data are not JSON that all platforms can read. */
class InvalidJson extends BadRequest
{
    protected const NAME = 'invalidJson';
}
