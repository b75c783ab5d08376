<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The connection ended before the answer. */
class ConnectionLost extends NoAnswer
{
    public function __construct()
    {
        parent::__construct('The connection to REST Sessions was lost before the answer', retryAfter: 0);
    }
}
