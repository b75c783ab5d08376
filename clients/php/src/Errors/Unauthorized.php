<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The service requires a key and got none. */
class Unauthorized extends ApiError
{
}
