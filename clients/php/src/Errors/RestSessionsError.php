<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** Base of all errors of this package. */
class RestSessionsError extends \RuntimeException
{
}
