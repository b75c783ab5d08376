<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** The service could not reach its store. */
class StoreUnavailable extends Unavailable
{
    protected const NAME = 'storeUnavailable';
}
