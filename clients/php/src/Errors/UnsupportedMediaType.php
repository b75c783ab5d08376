<?php

declare(strict_types=1);

namespace RestSessions\Errors;

/** Something between this client and the service changed the request's content type. */
class UnsupportedMediaType extends ApiError
{
    protected const NAME = 'unsupportedMediaType';
}
