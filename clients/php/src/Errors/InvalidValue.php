<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** A value is outside its range or of a forbidden type. */
class InvalidValue extends BadRequest
{
    protected const NAME = 'invalidValue';
}
