<?php

declare(strict_types=1);

namespace RestSessions;

use RestSessions\Errors\ConfigurationError;
use SensitiveParameter;
use UnexpectedValueException;

/**
 * PHP's serialized texts, taken apart and put together without making an object: an object made here would run its
 * __wakeup and its destructor once more.
 *
 * In such a text, `R:2;` and `r:2;` refer to the second value of the whole text, so their numbers change when a value
 * moves to a text of its own.
 */
final class Serialized
{
    private const SCALAR = '~\G(?:N|b:[01]|i:-?\d+|d:(?:-?\d*\.?\d+(?:[eE][+-]?\d+)?|-?INF|NAN));~';
    private const REFERENCE = '~\G([rR]):(\d{1,9});~';
    private const ARRAY = '~\Ga:(\d{1,9}):\{~';
    private const OBJECT = '~\GO:(\d{1,9}):"([^"]+)":(\d{1,9}):\{~';
    private const ENUM = '~\GE:(\d{1,9}):"(([^":]+):[^":]+)";~';
    private const TEXT = '~\Gs:(\d{1,9}):"~';
    // PHP itself reads 4096, of which one is $_SESSION.
    private const MAX_DEPTH = 4000;

    private int $at = 0;
    private int $depth = 0;
    /** How many values have begun, as PHP counts them for references. */
    private int $count = 0;
    /** @var list<array{int, int}> where the number of each reference begins, and the number */
    private array $references = [];
    /** @var list<string> */
    private array $classes = [];
    /** @var array<int, true> which of the values are objects */
    private array $objects = [];

    private function __construct(#[SensitiveParameter] private readonly string $text)
    {
    }

    /**
     * The serialized values of a serialized array.
     *
     * @return array<string>
     */
    public static function entries(#[SensitiveParameter] string $text): array
    {
        $scan = new self($text);
        $scan->count = 1;
        $entries = [];
        for ($left = (int) $scan->match(self::ARRAY)[1]; $left > 0; $left--) {
            $key = $scan->key();
            [$start, $before, $scan->references] = [$scan->at, $scan->count, []];
            $scan->value();
            $entry = substr($text, $start, $scan->at - $start);
            foreach (array_reverse($scan->references) as [$at, $number]) {
                if ($number <= $before) {
                    // It refers to a value of another entry: only PHP can make two of the one.
                    return array_map(serialize(...), unserialize($text));
                }
                $entry = substr_replace($entry, (string) ($number - $before), $at - $start, strlen((string) $number));
            }
            $entries[$key] = $entry;
        }
        $scan->end('}');
        return $entries;
    }

    /**
     * The serialized array of serialized values. Those with references come first.
     *
     * @param array<string> $entries
     */
    public static function joined(#[SensitiveParameter] array $entries): string
    {
        $count = 1;
        [$first, $others] = ['', ''];
        foreach ($entries as $key => $entry) {
            if (!preg_match('/[rR]:\d/', $entry)) {
                $others .= serialize($key) . $entry;
                continue;
            }
            $scan = self::scan($entry);
            foreach (array_reverse($scan->references) as [$at, $number]) {
                $entry = substr_replace($entry, (string) ($number + $count), $at, strlen((string) $number));
            }
            $count += $scan->count;
            $first .= serialize($key) . $entry;
        }
        return 'a:' . count($entries) . ':{' . $first . $others . '}';
    }

    /**
     * The classes of a serialized value.
     *
     * @return list<string>
     * @throws UnexpectedValueException if it is no serialized value
     */
    public static function classes(#[SensitiveParameter] string $text): array
    {
        return self::scan($text)->classes;
    }

    /** Whether a serialized value has objects or references. */
    public static function isEntangled(#[SensitiveParameter] string $text): bool
    {
        // Most have nothing that looks like one, and need not be scanned.
        $scan = preg_match('/[OErR]:\d/', $text) ? self::scan($text) : null;
        return $scan?->classes || $scan?->references;
    }

    private static function scan(#[SensitiveParameter] string $text): self
    {
        $scan = new self($text);
        $scan->value();
        $scan->end('');
        return $scan;
    }

    private function value(): void
    {
        switch ($this->text[$this->at] ?? '') {
            case 's':
                $this->count++;
                $this->text();
                return;
            case 'a':
                $this->count++;
                $this->entriesOf((int) $this->match(self::ARRAY)[1]);
                return;
            case 'O':
                $this->count++;
                [, $length, $class, $count] = $this->match(self::OBJECT);
                $this->class($class, $length, $class);
                $this->entriesOf((int) $count);
                return;
            case 'E':
                $this->count++;
                [, $length, $case, $class] = $this->match(self::ENUM);
                $this->class($class, $length, $case);
                return;
            case 'C':
                throw new ConfigurationError('An object in $_SESSION needs __serialize and __unserialize');
            case 'r':
            case 'R':
                [$token, $kind, $number] = $this->match(self::REFERENCE);
                if ($kind === 'r' ? !isset($this->objects[$number]) : $number < 1 || $number > $this->count) {
                    $this->fail();
                }
                // A reference is no value of its own, but a second appearance of an object is.
                $this->count += $kind === 'r' ? 1 : 0;
                $this->references[] = [$this->at - strlen($token) + 2, (int) $number];
                return;
            default:
                $this->count++;
                $this->match(self::SCALAR);
        }
    }

    private function entriesOf(int $left): void
    {
        if (++$this->depth > self::MAX_DEPTH) {
            $this->fail();
        }
        for (; $left > 0; $left--) {
            $this->key();
            $this->value();
        }
        $this->skip('}');
        $this->depth--;
    }

    private function class(string $name, string $length, string $quoted): void
    {
        if ((int) $length !== strlen($quoted)) {
            $this->fail();
        }
        $this->classes[] = $name;
        $this->objects[$this->count] = true;
    }

    private function key(): int|string
    {
        return match ($this->text[$this->at] ?? '') {
            's' => $this->text(),
            default => (int) substr($this->match('~\Gi:-?\d+;~')[0], 2),
        };
    }

    private function text(): string
    {
        $length = (int) $this->match(self::TEXT)[1];
        $text = substr($this->text, $this->at, $length);
        $this->at += $length;
        $this->skip('";');
        return $text;
    }

    /** @return list<string> */
    private function match(string $pattern): array
    {
        if (!preg_match($pattern, $this->text, $found, 0, $this->at)) {
            $this->fail();
        }
        $this->at += strlen($found[0]);
        return $found;
    }

    private function skip(string $expected): void
    {
        if (substr($this->text, $this->at, strlen($expected)) !== $expected) {
            $this->fail();
        }
        $this->at += strlen($expected);
    }

    private function end(string $expected): void
    {
        if (substr($this->text, $this->at) !== $expected) {
            $this->fail();
        }
    }

    private function fail(): never
    {
        throw new UnexpectedValueException("Not a serialized value, at byte $this->at");
    }
}
