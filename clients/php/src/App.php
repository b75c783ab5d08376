<?php

declare(strict_types=1);

namespace RestSessions;

use stdClass;

/** An app, with how many sessions and users it has. */
final readonly class App
{
    private function __construct(public string $app, public int $sessions, public int $users)
    {
    }

    /** Reads an app in the answer of `apps`. */
    public static function parse(stdClass $answer): self
    {
        return new self($answer->app ?? null, $answer->sessions ?? null, $answer->users ?? null);
    }
}
