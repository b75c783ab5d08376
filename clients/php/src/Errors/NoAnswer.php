<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The service could not be reached, or did not answer in time. */
class NoAnswer extends Unavailable
{
}
