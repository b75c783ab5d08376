<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** No REST Sessions API answers at the URL. */
class UnexpectedAnswer extends ApiError
{
}
