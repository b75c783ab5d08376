<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The route does not take a parameter. */
class UnknownParameter extends BadRequest
{
    protected const NAME = 'unknownParameter';
}
