<?php

declare(strict_types=1);

// Runs clients/conformance/cases.json against the service at REST_SESSIONS_URL. Prints what was wrong with each case.

use RestSessions\Client;
use RestSessions\Errors\ApiError;
use RestSessions\Session;

require __DIR__ . '/../src/autoload.php';

const NOTHING_LISTENS = 'http://127.0.0.1:9';
const FORMS = ['token' => '/^Z[A-Za-z0-9]{63}$/D', 'handle' => '/^[A-Za-z0-9]{22}$/D'];
const SECONDS = [0, 60];

set_error_handler(static fn (int $level, string $message) => throw new ErrorException($message));

/** What is given, with values in place of names and repetitions. */
function resolved(mixed $given, array $names): mixed
{
    $members = $given instanceof stdClass ? (array) $given : [];
    if (array_keys($members) === ['$'] && is_string($members['$'])) {
        return array_reduce(explode('.', $members['$']), static fn ($value, $name) => ((array) $value)[$name], $names);
    }
    if (array_keys($members) === ['$repeat']) {
        return str_repeat(...$members['$repeat']);
    }
    return match (true) {
        $given instanceof stdClass => (object) array_map(static fn ($value) => resolved($value, $names), $members),
        is_array($given) => array_map(static fn ($value) => resolved($value, $names), $given),
        default => $given,
    };
}

/** Whether an answer is the expected one, in which there may be placeholders. */
function isMatch(mixed $expected, mixed $answer): bool
{
    if ($expected instanceof stdClass && array_keys((array) $expected) === ['$any']) {
        $any = ((array) $expected)['$any'];
        [$least, $most] = is_array($any) ? $any : SECONDS;
        return isset(FORMS[is_string($any) ? $any : ''])
            ? is_string($answer) && preg_match(FORMS[$any], $answer)
            : is_int($answer) && $least <= $answer && $answer <= $most;
    }
    if (!is_object($expected) && !is_array($expected)) {
        return $expected === $answer;
    }
    [$members, $others] = [(array) $expected, (array) $answer];
    return gettype($expected) === gettype($answer) && count($members) === count($others)
        && !array_diff_key($members, $others)
        && !in_array(false, array_map(isMatch(...), $members, array_replace($members, $others)), true);
}

/** A result in the form of the cases. */
function plain(mixed $result): mixed
{
    if ($result instanceof Generator) {
        $items = array_map(plain(...), iterator_to_array($result));
        usort($items, static fn ($one, $other) => ($one->ip ?? $one->app) <=> ($other->ip ?? $other->app));
        return $items;
    }
    if (!is_object($result)) {
        return $result;
    }
    $members = get_object_vars($result);
    if ($result instanceof Session) {
        // Where PHP has one array, JSON has {} and [].
        $members = ['data' => (array) $result->exact ? $result->exact : null] + $members;
        unset($members['exact']);
    }
    return (object) array_filter($members, static fn ($value) => $value !== null && $value !== false);
}

function runCase(stdClass $case, mixed $item, array $keys): void
{
    $app = 'case-' . bin2hex(random_bytes(6));
    $names = ['app' => $app, 'other' => "$app-2"];
    $names['each'] = resolved($item, $names);
    $url = $case->offline ?? false ? NOTHING_LISTENS : getenv('REST_SESSIONS_URL');
    foreach ($case->steps as $step) {
        $key = property_exists($step, 'key') ? $step->key : 'all';
        $client = new Client($url, $names[$step->in ?? 'app'], $keys[$key ?? ''] ?? $key, timeout: 20);
        $arguments = (array) resolved($step->with, $names);
        $arguments = (array) ($arguments['+'] ?? []) + array_diff_key($arguments, ['+' => null]);
        if (isset($arguments['data'])) {
            $data = (array) $arguments['data'];
            unset($arguments['data']);
            $arguments += $step->do === 'update' ? ['change' => static fn () => $data] : ['data' => $data];
        }
        $raised = null;
        try {
            $answer = plain($client->{$step->do}(...$arguments));
        } catch (ApiError $error) {
            $raised = $answer = (object) ['name' => $error->name, 'status' => $error->status];
        }
        if ($step->do === 'apps' && !$raised) {
            $isOurs = static fn ($one) => in_array($one->app, [$app, "$app-2"], true);
            $answer = array_values(array_filter($answer, $isOurs));
        }
        $names[$step->as ?? ''] = $answer;
        $expected = match (true) {
            isset($step->raises) => (object) ((array) $step->raises + ['name' => $raised?->name]),
            property_exists($step, 'returns') => resolved($step->returns, $names),
            default => $raised ? 'success' : $answer,
        };
        if (isset($step->raises) !== (bool) $raised || !isMatch($expected, $answer)) {
            throw new RuntimeException(json_encode([$step, $expected, $answer], JSON_UNESCAPED_UNICODE));
        }
    }
}

$conformance = json_decode(file_get_contents(__DIR__ . '/../../conformance/cases.json'), flags: JSON_THROW_ON_ERROR);
$keys = array_column($conformance->registry->keys, 'key', 'name');
$wrong = [];
foreach ($conformance->cases as $case) {
    foreach ($case->each ?? [null] as $place => $item) {
        try {
            runCase($case, $item, $keys);
            $wrong[$case->name][$place] = null;
        } catch (Throwable $error) {
            $wrong[$case->name][$place] = (string) $error;
        }
    }
}
echo json_encode($wrong, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
