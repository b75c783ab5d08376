<?php

declare(strict_types=1);

namespace RestSessions;

use stdClass;

/** PHP has one array where JSON has lists and objects. */
final class Json
{
    /** A JSON value with arrays in place of JSON's objects. */
    public static function arrays(mixed $value): mixed
    {
        return match (true) {
            $value instanceof stdClass => array_map(self::arrays(...), (array) $value),
            is_array($value) => array_map(self::arrays(...), $value),
            default => $value,
        };
    }

    /** The value with JSON's objects where `$original` has them, so that an empty array stays the {} that it was. */
    public static function shaped(mixed $value, mixed $original): mixed
    {
        if (!is_array($value)) {
            return $value;
        }
        $members = (array) $original;
        $shaped = [];
        foreach ($value as $key => $item) {
            $shaped[$key] = self::shaped($item, $members[$key] ?? null);
        }
        return $original instanceof stdClass ? (object) $shaped : $shaped;
    }

    /** Whether JSON holds exactly a value without objects, and the service takes it. */
    public static function holds(mixed $value, int $levels = 32): bool
    {
        if (is_array($value)) {
            foreach ($value as $key => $item) {
                if (!self::holds($item, $levels - 1) || !self::isKey((string) $key)) {
                    return false;
                }
            }
            return $levels > 0;
        }
        return match (true) {
            is_float($value) => is_finite($value),
            is_string($value) => self::isText($value),
            default => true,
        };
    }

    private static function isText(string $bytes): bool
    {
        return preg_match('//u', $bytes) === 1;
    }

    /** The service refuses keys with control characters, at every depth. */
    private static function isKey(string $key): bool
    {
        return self::isText($key) && preg_match('/[\x00-\x1f\x7f-\x{9f}]/u', $key) === 0;
    }
}
