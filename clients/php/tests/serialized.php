<?php

declare(strict_types=1);

// Takes random sessions apart and puts them together again. Prints what differs from what PHP makes of them.

use RestSessions\Serialized;

require __DIR__ . '/../src/autoload.php';

const ROUNDS = 3000;
const SCALARS = [null, true, 0, -1, PHP_INT_MAX, 0.1, -0.0, 1e300, NAN, -INF, '', 'a";}', 'R:2;', "\0\xff", 'é'];
const KEYS = ['x', '', '5', '-1', 'a b', "k\0"];

/** An object whose serialized form has its value twice. */
final class Twice
{
    public function __construct(public mixed $value = null)
    {
    }

    public function __serialize(): array
    {
        return [$this->value, 'again' => $this->value];
    }

    public function __unserialize(array $data): void
    {
        $this->value = $data[0];
    }
}

/** A random value, in which the objects in `$made` may appear again. */
function randomValue(int $levels, array &$made): mixed
{
    $kind = mt_rand(0, $levels > 0 ? 6 : 2);
    if ($kind === 0 && $made) {
        return $made[array_rand($made)];
    }
    if ($kind <= 2) {
        return SCALARS[array_rand(SCALARS)];
    }
    if ($kind <= 4) {
        $array = [];
        for ($left = mt_rand(0, 4); $left > 0; $left--) {
            $key = mt_rand(0, 1) ? $left : KEYS[array_rand(KEYS)];
            if (array_key_exists($key, $array)) {
                continue;
            }
            $array[$key] = randomValue($levels - 1, $made);
            // PHP itself does not read a reference to an object as it wrote it.
            if (mt_rand(0, 4) === 0 && !is_object($array[$key])) {
                $array["and $key"] = &$array[$key];
            }
        }
        return $array;
    }
    $made[] = $object = $kind === 5 ? new stdClass() : new Twice();
    $object->value = randomValue($levels - 1, $made);
    return $object;
}

mt_srand((int) $argv[1]);
for ($round = 0; $round < ROUNDS; $round++) {
    $session = [];
    for ($left = mt_rand(0, 5); $left > 0; $left--) {
        $made = [];
        $session["key $left"] = randomValue(4, $made);
    }
    $text = serialize($session);
    $entries = Serialized::entries($text);
    $again = Serialized::entries(serialize(unserialize(Serialized::joined($entries))));
    ksort($again);
    ksort($entries);
    if ($entries != array_map(serialize(...), $session) || $again !== $entries) {
        echo bin2hex($text), "\n";
    }
}
