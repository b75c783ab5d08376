<?php

declare(strict_types=1);

namespace RestSessions;

use Generator;
use JsonException;
use RestSessions\Errors\Conflict;
use RestSessions\Errors\InvalidFormat;
use RestSessions\Errors\InvalidJson;
use RestSessions\Errors\SessionNotFound;
use RestSessions\Errors\Unavailable;
use SensitiveParameter;
use stdClass;
use TypeError;

/**
 * A client of REST Sessions, the session store that app servers of any platform share over REST.
 *
 *     $client = new Client('https://sessions.example.com', app: 'webapp', key: $key);
 *     $token = $client->create('user123', ip: '192.0.2.7', data: ['name' => 'Peter'])->token;
 *     $client->set($token, ['unread' => 12]);
 *     $session = $client->get($token);
 *
 * A method has the name of its operation, and its parameters have the API's names. All methods throw ApiError.
 */
class Client
{
    private const OK = 200;
    private const BAD_REQUEST = 400;
    private const CONFLICT = 409;
    /** How often `update` starts again because others wrote in between. */
    private const MAX_ATTEMPTS = 100;
    /** What `killsoid` ends without a handle. No handle is this. */
    private const ALL = "\0all";
    /** API Gateway and proxies change a path that contains these, so that two users could become one. */
    private const UNSAFE = '~[/?%]|^\.{0,2}$~D';

    private readonly string $url;
    private readonly string $app;
    private readonly Transport $transport;

    /**
     * A client of the API at `url` for `app`.
     *
     * What is not given comes from REST_SESSIONS_URL, REST_SESSIONS_APP and REST_SESSIONS_KEY. Without a key none is
     * sent. `timeout` is how many seconds a call may take. Throws ConfigurationError.
     */
    public function __construct(
        #[SensitiveParameter] ?string $url = null,
        ?string $app = null,
        #[SensitiveParameter] ?string $key = null,
        private readonly float $timeout = 3.0,
    ) {
        $this->url = Settings::url($url);
        $this->app = Settings::app($app);
        $this->transport = new Transport($this->url, Settings::key($key));
    }

    /**
     * Creates a session of the user `id`, or an anonymous one.
     *
     * With `from`, a token, this is a login: the session takes over the data of the session of that token, which is
     * closed, and can be read for another `grace` seconds. With `max`, the user has at most so many sessions
     * afterwards: more end, least recently used first, or with over: 'refuse' it throws TooManySessions. `token` is the
     * caller's own token; it throws TokenInUse if a session has or had it.
     */
    public function create(
        ?string $id = null,
        // The API requires it. It has a default because it comes after `id`.
        ?string $ip = null,
        #[SensitiveParameter] array $data = [],
        ?int $ttl = null,
        ?int $lifetime = null,
        bool $no_resave = false,
        #[SensitiveParameter] ?string $from = null,
        ?int $grace = null,
        ?int $max = null,
        ?string $over = null,
        #[SensitiveParameter] ?string $token = null,
        bool $details = false,
    ): Created {
        $query = [
            'ip' => $ip,
            'ttl' => $ttl,
            'lifetime' => $lifetime,
            'no_resave' => $no_resave,
            'from' => $from,
            'grace' => $grace,
            'max' => $max,
            'over' => $over,
            'token' => $token,
            'details' => $details,
        ];
        $path = $id === null ? ['create'] : ['create', $id];
        return $this->call('PUT', $path, $query, $data ?: null, Created::parse(...));
    }

    /** Reads a session; null if it is missing. Its idle timeout starts again, unless with `peek`. */
    public function get(#[SensitiveParameter] string $token, bool $peek = false, bool $details = false): ?Session
    {
        return $this->session('GET', ['get', $token], ['peek' => $peek, 'details' => $details]);
    }

    /**
     * Writes the keys of `data`; null removes a key, and with `replace` all keys that `data` leaves out go.
     *
     * With `w` it writes only if the session's `w` is this number, else it throws Conflict. `ttl` is a new idle
     * timeout. Returns the session as it is now, null if it is missing.
     */
    public function set(
        #[SensitiveParameter] string $token,
        #[SensitiveParameter] array $data,
        ?int $ttl = null,
        bool $replace = false,
        ?int $w = null,
        bool $details = false,
    ): ?Session {
        $query = ['ttl' => $ttl, 'replace' => $replace, 'w' => $w, 'details' => $details];
        return $this->session('POST', ['set', $token], $query, $data, mayRepeat: $w === null);
    }

    /**
     * Changes data that depend on themselves, such as a counter, and loses no write of another.
     *
     * `change` takes the data and returns what `set` is to write. It is called again if somebody else wrote in
     * between. Returns the session as it is now, null if it ended. Throws Unavailable if it cannot tell whether it
     * wrote.
     *
     * @param callable(array<mixed>): array<mixed> $change
     */
    public function update(#[SensitiveParameter] string $token, callable $change): ?Session
    {
        $unsure = null;
        $w = 0;
        for ($attempt = 0; $attempt < self::MAX_ATTEMPTS; $attempt++) {
            $session = $this->get($token, peek: true);
            if ($session === null) {
                return null;
            }
            if ($unsure && $session->w !== $w) {
                throw $unsure;
            }
            $w = $session->w;
            $changes = $change($session->data);
            if (!$changes) {
                return $session;
            }
            try {
                return $this->set($token, (array) Json::shaped($changes, $session->exact), w: $w);
            } catch (Conflict) {
                // The first try of this write may have come late.
                if ($unsure) {
                    throw $unsure;
                }
            } catch (Unavailable $error) {
                if ($unsure) {
                    throw $error;
                }
                $unsure = $error;
            }
        }
        throw new Conflict('Others wrote in between ' . self::MAX_ATTEMPTS . ' times', self::CONFLICT);
    }

    /** Starts the idle timeout again, or sets a new one. Returns the session without data; null if it is missing. */
    public function touch(#[SensitiveParameter] string $token, ?int $ttl = null, bool $details = false): ?Session
    {
        return $this->session('POST', ['touch', $token], ['ttl' => $ttl, 'details' => $details]);
    }

    /**
     * Gives the session a new token, and returns it; null if the session is missing.
     *
     * The old token works until `grace` seconds after the first use of the new one.
     */
    public function rotate(#[SensitiveParameter] string $token, ?int $grace = null): ?string
    {
        $parse = static fn (stdClass $answer): ?string => (array) $answer ? Created::parse($answer)->token : null;
        return $this->call('POST', ['rotate', $token], ['grace' => $grace], null, $parse);
    }

    /** Ends a session. Returns 1, or 0 if there was none. */
    public function kill(#[SensitiveParameter] string $token): int
    {
        return $this->number('kill', 'DELETE', ['kill', $token]);
    }

    /**
     * Ends all sessions of a user, or only that with `handle`, or all but that with `except`. Returns how many.
     *
     * Throws Conflict, and ends nothing, if `except` is the handle of no live session of this user.
     */
    public function killsoid(string $id, ?string $handle = self::ALL, ?string $except = self::ALL): int
    {
        $given = array_diff(['handle' => $handle, 'except' => $except], [self::ALL]);
        if (in_array(null, $given, true)) {
            // A handle that is missing must not end all sessions.
            throw new InvalidFormat('A handle must not be null', self::BAD_REQUEST);
        }
        return $this->number('kill', 'DELETE', ['killsoid', $id], $given);
    }

    /** Ends all sessions of the app. Returns how many. */
    public function killall(): int
    {
        return $this->number('kill', 'DELETE', ['killall']);
    }

    /**
     * The sessions of a user, most recently used first. It gets `limit` a page, when they are needed.
     *
     * @return Generator<Session>
     */
    public function soid(string $id, ?int $limit = null, bool $details = false): Generator
    {
        $query = ['limit' => $limit, 'details' => $details];
        return $this->listing(['soid', $id], $query, 'sessions', Session::parse(...));
    }

    /**
     * The sessions of the app that were used in the last `dt` seconds, most recently used first.
     *
     * @return Generator<Session>
     */
    public function soapp(int $dt, ?int $limit = null, bool $details = false): Generator
    {
        $query = ['dt' => $dt, 'limit' => $limit, 'details' => $details];
        return $this->listing(['soapp'], $query, 'sessions', Session::parse(...));
    }

    /** How many users were active in the last `dt` seconds. */
    public function activity(int $dt): int
    {
        return $this->number('activity', 'GET', ['activity'], ['dt' => $dt]);
    }

    /**
     * The apps that the key may use, by name.
     *
     * @return Generator<App>
     */
    public function apps(?int $limit = null): Generator
    {
        return $this->listing(null, ['limit' => $limit], 'apps', App::parse(...));
    }

    /** Returns "PONG" if the service and its store answer. */
    public function ping(): string
    {
        return $this->send('GET', '/ping', null, true)->body;
    }

    /** What var_dump and print_r show: not the key. */
    public function __debugInfo(): array
    {
        return ['url' => $this->url, 'app' => $this->app, 'timeout' => $this->timeout];
    }

    private function session(
        string $method,
        #[SensitiveParameter] array $path,
        array $query,
        #[SensitiveParameter] ?array $data = null,
        bool $mayRepeat = true,
    ): ?Session {
        $parse = static fn (stdClass $answer): ?Session => (array) $answer ? Session::parse($answer) : null;
        return $this->call($method, $path, $query, $data, $parse, $mayRepeat);
    }

    private function number(string $name, string $method, #[SensitiveParameter] array $path, array $query = []): int
    {
        return $this->call($method, $path, $query, null, static fn (stdClass $answer): int => $answer->$name ?? null);
    }

    /** The items of all pages. Without a path it is the listing of the apps. */
    private function listing(?array $path, array $query, string $name, callable $parse): Generator
    {
        $page = static fn (stdClass $answer) => [array_map($parse, $answer->$name ?? null), $answer->next ?? null];
        do {
            [$items, $query['cursor']] = $this->call('GET', $path, $query, null, $page);
            foreach ($items as $item) {
                yield $item;
            }
        } while ($query['cursor'] !== null);
    }

    /**
     * Calls a route of the app, or /apps without a path, and returns what `$parse` makes of the answer.
     *
     * A session that is missing is an empty answer. A TypeError of `$parse` means that it is no answer of this API.
     */
    private function call(
        string $method,
        #[SensitiveParameter] ?array $path,
        #[SensitiveParameter] array $query,
        #[SensitiveParameter] ?array $data,
        callable $parse,
        bool $mayRepeat = true,
    ): mixed {
        $segments = $path === null ? ['apps'] : [$this->app, ...$path];
        if (preg_grep(self::UNSAFE, $segments)) {
            $message = 'An app, id or token must not be empty, only dots, or contain / ? %';
            throw new InvalidFormat($message, self::BAD_REQUEST);
        }
        $given = array_filter($query, static fn (mixed $value) => $value !== null && $value !== false);
        $url = '/' . implode('/', array_map(rawurlencode(...), $segments)) . '?' . http_build_query($given);
        try {
            $answer = $this->send($method, $url, $data === null ? null : self::json($data), $mayRepeat);
            $parsed = $answer->parsed();
        } catch (SessionNotFound) {
            return $parse(new stdClass());
        }
        try {
            return $parse($parsed);
        } catch (TypeError) {
            throw $answer->unexpected();
        }
    }

    /** Sends a request, and again, once, if the service asks for that or the connection was lost. */
    private function send(
        string $method,
        #[SensitiveParameter] string $path,
        #[SensitiveParameter] ?string $body,
        bool $mayRepeat,
    ): Answer {
        $deadline = self::now() + $this->timeout;
        try {
            return $this->sendOnce($method, $path, $body, $mayRepeat, $this->timeout);
        } catch (Unavailable $error) {
            $seconds = $error->retryAfter;
            if (!$mayRepeat || $seconds === null || self::now() + $seconds >= $deadline) {
                throw $error;
            }
        }
        sleep($seconds);
        return $this->sendOnce($method, $path, $body, $mayRepeat, $deadline - self::now());
    }

    private function sendOnce(
        string $method,
        #[SensitiveParameter] string $path,
        #[SensitiveParameter] ?string $body,
        bool $mayRepeat,
        float $seconds,
    ): Answer {
        $answer = $this->transport->send($method, $path, $body, $mayRepeat, $seconds);
        return $answer->status === self::OK ? $answer : throw $answer->error();
    }

    private static function json(#[SensitiveParameter] array $data): string
    {
        $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;
        try {
            return json_encode((object) $data, $flags);
        } catch (JsonException $error) {
            // Without the first error, whose trace has the data.
            throw new InvalidJson("The data cannot be sent as JSON: {$error->getMessage()}", self::BAD_REQUEST);
        }
    }

    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
