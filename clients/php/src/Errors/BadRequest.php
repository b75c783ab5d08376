<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The request breaks a rule of the API. It changed nothing. */
class BadRequest extends ApiError
{
}
