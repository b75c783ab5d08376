<?php

declare(strict_types=1);

namespace RestSessions;

use SensitiveParameter;

/** A session's token, which is also PHP's session id and the value of the cookie. */
final class Token
{
    private const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
    private const LENGTH = 64;

    /** A token of 375 random bits. It does not begin with Z, as the tokens of the service do. */
    public static function make(): string
    {
        $token = 'P';
        while (strlen($token) < self::LENGTH) {
            $token .= self::ALPHABET[random_int(0, strlen(self::ALPHABET) - 1)];
        }
        return $token;
    }

    /** Whether a text, from a cookie for example, may be a token. */
    public static function isOne(#[SensitiveParameter] string $text): bool
    {
        return preg_match('/^[A-Za-z0-9]{64}$/D', $text) === 1;
    }
}
