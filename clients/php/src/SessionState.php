<?php

declare(strict_types=1);

namespace RestSessions;

use RestSessions\Errors\Unavailable;
use SensitiveParameter;

/** A session of the service, as far as a request knows it: what it loaded, so that only what it changed is sent. */
final class SessionState
{
    /** The key in $_SESSION, with the value true, by which the cookie outlives the browser. Flask has the same. */
    public const PERMANENT = '_permanent';
    /** The browser's user agent is kept with the data, for a page of devices. $_SESSION does not show it. */
    private const USER_AGENT = '_user_agent';
    private const MAX_USER_AGENT = 256;
    /** In place of an address that is not known. The API requires one. */
    private const UNKNOWN_IP = 'unknown';
    private const MAX_IP = 45;

    private function __construct(
        private readonly Client $client,
        private readonly Values $values,
        #[SensitiveParameter] public readonly string $token,
        public readonly ?string $user = null,
        public readonly ?string $handle = null,
        /** Those with which another session can go on in place of this one; null if they are not known. */
        public readonly ?Timeouts $timeouts = null,
        /** @var array<string> the serialized values of $_SESSION, as loaded or saved */
        #[SensitiveParameter] private array $saved = [],
        /** What the service has, with JSON's objects as objects. */
        #[SensitiveParameter] private readonly array $original = [],
        /** A login has closed the session, or the service is away: nothing is saved. */
        public readonly bool $isReadOnly = false,
        /** Whether it was created with what the service had of another one. */
        public readonly bool $tookOver = false,
    ) {
    }

    /** Reads a session; null if it is missing. A browser that has the token before a rotation gets the new one. */
    public static function load(Client $client, Values $values, #[SensitiveParameter] string $token, bool $peek): ?self
    {
        $session = $client->get($token, peek: $peek, details: true);
        if ($session && Timeouts::areOver($session)) {
            $client->kill($token);
            return null;
        }
        if (!$session) {
            return null;
        }
        $data = array_diff_key($session->data, [self::USER_AGENT => null]);
        $state = new self(
            $client,
            $values,
            $token,
            $session->id,
            $session->handle,
            Timeouts::left($session),
            array_map($values->serialized(...), $data),
            (array) $session->exact,
            $session->closed,
        );
        if ($session->rotated) {
            $state->sendNewToken();
        }
        return $state;
    }

    /** A session that cannot be read while the service is away. */
    public static function unknown(Client $client, Values $values, #[SensitiveParameter] string $token): self
    {
        return new self($client, $values, $token, isReadOnly: true);
    }

    /**
     * Creates a session of `$user`, or an anonymous one.
     *
     * `$old` is the session that a login ends. What it has on the service at this moment is taken over, if it is
     * anonymous or of the same user. `$options` are further arguments of Client::create.
     *
     * @param array<string> $texts the serialized values of $_SESSION
     */
    public static function create(
        Client $client,
        Values $values,
        ?string $user,
        #[SensitiveParameter] array $texts,
        ?self $old,
        Timeouts $timeouts,
        #[SensitiveParameter] array $options,
    ): self {
        // The service gives nothing of another user's session.
        $isSource = $old && in_array($old->user, [null, $user], true);
        $data = ($isSource ? $old : new self($client, $values, ''))->changes($texts);
        $agent = substr($_SERVER['HTTP_USER_AGENT'] ?? '', 0, self::MAX_USER_AGENT);
        if ($agent !== '') {
            $data[self::USER_AGENT] = preg_replace('/[^ -~]/', '?', $agent);
        }
        if ($old) {
            // A visitor's requests that are under way may still read the session. A user's old token is dead at once.
            $options += ['from' => $old->token, 'grace' => $old->user === null ? null : 0];
        }
        $ip = substr($_SERVER['REMOTE_ADDR'] ?? '', 0, self::MAX_IP) ?: self::UNKNOWN_IP;
        $created = $client->create($user, $ip, $data, ...$timeouts->arguments(), ...$options, details: true);
        return new self(
            $client,
            $values,
            $created->token,
            $user,
            $created->handle,
            $timeouts,
            // If the old session had ended, only the changes are there. The next `save` sends the rest.
            $isSource && $created->from !== 1 ? array_intersect_key($texts, $data) : $texts,
            tookOver: $created->from === 1,
        );
    }

    /** For how many seconds the browser is to keep the cookie; null for what PHP's settings say. */
    public function cookieAge(): ?int
    {
        $isPermanent = ($this->saved[self::PERMANENT] ?? '') === serialize(true);
        return $isPermanent ? $this->timeouts->end() : null;
    }

    /** What PHP makes $_SESSION of. */
    public function text(): string
    {
        return Serialized::joined($this->saved);
    }

    /**
     * Sends what has changed. Returns false if the session has ended.
     *
     * @param array<string> $texts the serialized values of $_SESSION
     */
    public function save(#[SensitiveParameter] array $texts): bool
    {
        $changes = $this->isReadOnly ? [] : $this->changes($texts);
        if ($changes && !$this->client->set($this->token, $changes)) {
            return false;
        }
        $this->saved = $texts;
        return true;
    }

    /** Whether the session goes on: neither has it ended, nor has a login closed it. */
    public function isAlive(): bool
    {
        return $this->client->get($this->token, peek: true)?->closed === false;
    }

    /** Ends the session. Returns whether there was one. */
    public function end(): bool
    {
        return $this->client->kill($this->token) === 1;
    }

    /** The values that differ from those loaded or saved, and null for each key that is gone. */
    private function changes(#[SensitiveParameter] array $texts): array
    {
        $changes = array_fill_keys(array_keys(array_diff_key($this->saved, $texts)), null);
        foreach (array_diff_assoc($texts, $this->saved) as $key => $text) {
            $changes[$key] = $this->values->json((string) $key, $text, $this->original[$key] ?? null);
        }
        return $changes;
    }

    /** This request goes on with the old token: the new one is first used when the browser has it. */
    private function sendNewToken(): void
    {
        try {
            $token = $this->client->rotate($this->token);
        } catch (Unavailable) {
            // The old token works on, and the next request tries again.
            return;
        }
        if ($token !== null) {
            Cookie::send($token, $this->cookieAge());
        }
    }
}
