<?php

declare(strict_types=1);

namespace RestSessions;

use SensitiveParameter;
use stdClass;

/** A new session. `from` and `kill` are null unless `from` and `max` were sent. */
final readonly class Created
{
    private function __construct(
        #[SensitiveParameter] public string $token,
        /** With `details` only. */
        public ?string $handle,
        /** 1 if the session took over the data of that of `from`, 0 if that one was missing. */
        public ?int $from,
        /** How many sessions `max` ended. */
        public ?int $kill,
    ) {
    }

    /** Reads the answer of `create`. */
    public static function parse(stdClass $answer): self
    {
        return new self(
            $answer->token ?? null,
            $answer->handle ?? null,
            $answer->from ?? null,
            $answer->kill ?? null,
        );
    }

    /** What var_dump and print_r show: all but the token. */
    public function __debugInfo(): array
    {
        return array_diff_key(get_object_vars($this), ['token' => null]);
    }
}
