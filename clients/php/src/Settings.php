<?php

declare(strict_types=1);

namespace RestSessions;

use RestSessions\Errors\ConfigurationError;
use SensitiveParameter;
use SensitiveParameterValue;

/** The settings of a client: what it is given, or else what REST_SESSIONS_URL, _APP and _KEY say. */
final class Settings
{
    public static function url(#[SensitiveParameter] ?string $given): string
    {
        $url = $given ?: self::required('url');
        // parse_url takes a port that is no number, or too large, for a wrong URL.
        $parts = preg_match('~^https?://[^\s/@?#\\\\]+(/[^\s?#]*)?$~D', $url) ? parse_url($url) : false;
        if (!$parts || ($parts['port'] ?? null) === 0) {
            throw new ConfigurationError(
                'The URL must have the form https://HOST or http://HOST:PORT, without a user, query or fragment',
            );
        }
        return rtrim($url, '/');
    }

    public static function app(?string $given): string
    {
        return $given ?: self::required('app');
    }

    /** The key, wrapped so that no dump shows it; null without one. */
    public static function key(#[SensitiveParameter] ?string $given): ?SensitiveParameterValue
    {
        $key = $given ?: self::ofEnvironment('key');
        if ($key !== null && !preg_match('/^[!-~]+$/D', $key)) {
            throw new ConfigurationError('The key has a space, or a character outside ASCII');
        }
        return $key === null ? null : new SensitiveParameterValue($key);
    }

    private static function required(string $name): string
    {
        return self::ofEnvironment($name)
            ?? throw new ConfigurationError("Pass $name, or set REST_SESSIONS_" . strtoupper($name));
    }

    private static function ofEnvironment(string $name): ?string
    {
        $variable = 'REST_SESSIONS_' . strtoupper($name);
        // Frameworks that read a .env file keep what it says in the first two only.
        return $_SERVER[$variable] ?? $_ENV[$variable] ?? getenv($variable) ?: null;
    }
}
