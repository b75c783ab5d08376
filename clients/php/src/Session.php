<?php

declare(strict_types=1);

namespace RestSessions;

use stdClass;

/**
 * A session as the API shows it.
 *
 * `id` is the user, null in an anonymous session. `r` and `w` count reads and writes. `ttl` is the idle timeout, `idle`
 * the time since the use before this one, both in seconds. `data` is empty in an answer without data.
 */
final readonly class Session
{
    private function __construct(
        public int $r,
        public int $w,
        public int $ttl,
        public int $idle,
        public string $ip,
        public array $data,
        /** The data with JSON's objects as objects. In `data`, where they are arrays, {} and [] are the same. */
        public stdClass $exact,
        public ?string $id = null,
        /** The session ends `ttl` seconds after its creation; `ttl` is the time that is left. */
        public bool $no_resave = false,
        /** The token is the one before the last rotation: `rotate` gives the new one. */
        public bool $rotated = false,
        /** A login has closed the session. It can still be read for some seconds, and not be changed. */
        public bool $closed = false,
        /** With `details` only. The handle names the session in a page: nobody can use the session with it. */
        public ?string $handle = null,
        /** With `details` only: seconds since the creation. */
        public ?int $age = null,
        /** With `details` only: the absolute timeout in seconds, if the session has one. */
        public ?int $lifetime = null,
    ) {
    }

    /** Reads a session in an answer of the API. Ignores members that are newer than this client. */
    public static function parse(stdClass $answer): self
    {
        $exact = $answer->d ?? new stdClass();
        $given = ['data' => Json::arrays($exact), 'exact' => $exact] + (array) $answer;
        $isKnown = static fn (string $name) => property_exists(self::class, $name);
        return new self(...array_filter($given, $isKnown, ARRAY_FILTER_USE_KEY));
    }
}
