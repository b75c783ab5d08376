<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** A required parameter is missing. */
class MissingParameter extends BadRequest
{
    protected const NAME = 'missingParameter';
}
