<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The service is throttled. */
class TooManyRequests extends Unavailable
{
}
