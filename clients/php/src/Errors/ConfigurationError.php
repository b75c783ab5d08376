<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** An argument or a setting is missing or wrong. The message says what to set, and repeats no value. */
class ConfigurationError extends RestSessionsError
{
}
