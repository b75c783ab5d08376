<?php

declare(strict_types=1);

namespace RestSessions;

use DateInterval;
use DateTime;
use DateTimeImmutable;
use DateTimeZone;
use RestSessions\Errors\ConfigurationError;
use SensitiveParameter;
use stdClass;
use Throwable;

/**
 * The values of $_SESSION, between PHP's serialized texts and the JSON of the service.
 *
 * What JSON can hold is plain JSON, so that other platforms read it. Anything else, such as an object, NAN or a binary
 * string, is {"$php": "…"}, with PHP's serialized text in base64. The API removes a key whose value is null, so
 * a null that is to stay is {"$null": true}.
 *
 * Other platforms write JSON too, perhaps as their users sent it. If PHP made an object of each class that the JSON
 * names, who can choose such JSON could run code by the methods of these classes. So only objects of known classes are
 * made; anything else that looks like a mark is an array.
 */
final readonly class Values
{
    private const MARK = '$php';
    private const NULL = ['$null' => true];
    /** Their objects hold values, and do nothing. */
    private const SAFE_CLASSES = [
        stdClass::class,
        DateTime::class,
        DateTimeImmutable::class,
        DateTimeZone::class,
        DateInterval::class,
    ];

    /** @var array<string, true>|true the names in lower case, or true for all classes */
    private array|bool $classes;

    /** @param list<class-string>|true $classes the classes of further objects, or true for all classes */
    public function __construct(array|bool $classes)
    {
        $names = $classes === true ? [] : array_map(strtolower(...), [...self::SAFE_CLASSES, ...$classes]);
        $this->classes = $classes === true ?: array_fill_keys($names, true);
    }

    /** PHP's serialized text of a value of the service, in which JSON's objects are arrays. */
    public function serialized(#[SensitiveParameter] mixed $value): string
    {
        if ($value === self::NULL) {
            return serialize(null);
        }
        $text = self::isMarked($value) ? base64_decode($value[self::MARK], true) : false;
        return $text !== false && $this->isSafe($text) ? $text : serialize($value);
    }

    /**
     * The value of the service for PHP's serialized text of that which $_SESSION has under `$key`.
     *
     * `$original` is what the service has there: an empty array stays the {} that it was.
     */
    public function json(string $key, #[SensitiveParameter] string $text, #[SensitiveParameter] mixed $original): mixed
    {
        if (Serialized::isEntangled($text)) {
            foreach (Serialized::classes($text) as $class) {
                if (!$this->allows($class)) {
                    $what = "\$_SESSION['$key'] has an object of $class";
                    throw new ConfigurationError("$what: pass the class in classes, or store an array");
                }
            }
            return [self::MARK => base64_encode($text)];
        }
        $value = unserialize($text, ['allowed_classes' => false]);
        return match (true) {
            $value === null => self::NULL,
            Json::holds($value) && !self::isMarked($value) && $value !== self::NULL => Json::shaped($value, $original),
            default => [self::MARK => base64_encode($text)],
        };
    }

    private static function isMarked(mixed $value): bool
    {
        return is_array($value) && array_keys($value) === [self::MARK] && is_string($value[self::MARK]);
    }

    private function isSafe(string $text): bool
    {
        try {
            $classes = Serialized::classes($text);
            if (array_filter($classes, fn (string $class) => !$this->allows($class))) {
                return false;
            }
            // What another platform wrote may be no such object, and session_start would fail again and again. An
            // object of the application's own is made only once, by PHP.
            $own = array_udiff($classes, self::SAFE_CLASSES, strcasecmp(...));
            return $classes === [] || $own !== [] || @unserialize($text) !== false;
        } catch (Throwable) {
            return false;
        }
    }

    private function allows(string $class): bool
    {
        return $this->classes === true || isset($this->classes[strtolower($class)]);
    }
}
