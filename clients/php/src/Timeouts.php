<?php

declare(strict_types=1);

namespace RestSessions;

/** The timeouts of a session in seconds, as the service takes them. */
final readonly class Timeouts
{
    private const LEAST = 10;
    /** 400 days: the most that browsers keep a cookie, and that the API takes. */
    private const MOST = 34_560_000;

    private function __construct(private int $ttl, private ?int $lifetime)
    {
    }

    /** Those that are chosen for a session; without an idle timeout it is that of PHP's settings. */
    public static function chosen(?int $ttl, ?int $lifetime): self
    {
        return new self(min(max($ttl ?? self::idle(), self::LEAST), self::MOST), $lifetime);
    }

    /** Those with which another session can go on in place of this one: what is left of the absolute timeout. */
    public static function left(Session $session): self
    {
        $lifetime = $session->lifetime === null ? null : max($session->lifetime - $session->age, self::LEAST);
        return new self(max($session->ttl, self::LEAST), $lifetime);
    }

    /** The idle timeout of PHP's settings. */
    public static function idle(): int
    {
        return (int) ini_get('session.gc_maxlifetime');
    }

    /** Whether a session is over that the service still has, because its timeout is at least 10 s. */
    public static function areOver(Session $session): bool
    {
        return self::idle() < self::LEAST && $session->ttl <= self::LEAST && $session->idle > self::idle();
    }

    /** The seconds after which a session ends in any case. */
    public function end(): int
    {
        return $this->lifetime ?? self::MOST;
    }

    /** The arguments of Client::create. */
    public function arguments(): array
    {
        return ['ttl' => $this->ttl, 'lifetime' => $this->lifetime];
    }
}
