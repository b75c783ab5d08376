<?php

declare(strict_types=1);

namespace RestSessions;

use Closure;
use RestSessions\Errors\ConfigurationError;
use RestSessions\Errors\RestSessionsError;
use RestSessions\Errors\Unavailable;
use SensitiveParameter;
use SessionHandlerInterface;
use SessionIdInterface;
use SessionUpdateTimestampHandlerInterface;

/**
 * PHP's sessions, kept by REST Sessions.
 *
 *     $sessions = SessionHandler::register();
 *     session_start();
 *     $_SESSION['cart'] = [1, 2];
 *     $sessions->login($userId);   // when the password is right
 *     $sessions->logout();
 *
 * A new visitor's session gets its token from here, because PHP sends the cookie before there are data. It is created
 * when $_SESSION is first saved with something in it.
 */
final class SessionHandler implements
    SessionHandlerInterface,
    SessionIdInterface,
    SessionUpdateTimestampHandlerInterface
{
    /** Set it before session_start: then the session is read without being used, as a page that polls should. */
    public bool $peek = false;

    public readonly Client $client;
    private readonly Values $values;
    /** The session of the service in which this request is; null if there is none yet. */
    private ?SessionState $state = null;
    /** The session in place of which session_regenerate_id has begun a new one. */
    private ?SessionState $replaced = null;
    private bool $endsReplaced = false;
    /** The session that `login` has created, until PHP has its token. */
    private ?SessionState $next = null;
    /** Why the session could not be loaded. */
    private ?RestSessionsError $failure = null;
    /** @var array<string, true> the tokens made in this request */
    private array $made = [];

    /**
     * Without `client`, the address and the key come from REST_SESSIONS_URL, REST_SESSIONS_APP and REST_SESSIONS_KEY.
     *
     * `user` takes $_SESSION and returns the id of the user who is logged in, or null: then session_regenerate_id at
     * login is enough, and `login` need not be called. `lifetime` is the absolute timeout in seconds; the idle timeout
     * is session.gc_maxlifetime. `classes` are those whose objects may be in $_SESSION, or true for all; see Values.
     *
     * While the service is away, session_start throws Unavailable, and so does what saves the session. With
     * on_unavailable: 'anonymous' the session is empty instead, and nothing is saved.
     *
     * @param (Closure(array<mixed>): (string|int|null))|null $user
     * @param list<class-string>|true $classes
     */
    public function __construct(
        ?Client $client = null,
        private readonly ?Closure $user = null,
        private readonly ?int $lifetime = null,
        array|bool $classes = [],
        private readonly string $on_unavailable = 'raise',
    ) {
        if (!in_array($on_unavailable, ['raise', 'anonymous'], true)) {
            throw new ConfigurationError("on_unavailable must be 'raise' or 'anonymous'");
        }
        $this->client = $client ?? new Client();
        $this->values = new Values($classes);
    }

    /**
     * Makes PHP's sessions those of REST Sessions. Call it before session_start.
     *
     * The cookie becomes HttpOnly, SameSite=Lax unless it is set already, and Secure unless `secure` is false, for a
     * server without HTTPS that is not on localhost. The other arguments are those of the constructor.
     */
    public static function register(
        ?Client $client = null,
        ?Closure $user = null,
        ?int $lifetime = null,
        array|bool $classes = [],
        string $on_unavailable = 'raise',
        bool $secure = true,
    ): self {
        if (session_status() === PHP_SESSION_ACTIVE || Cookie::isTooLate()) {
            throw new ConfigurationError('Register the session handler before session_start, and before any output');
        }
        $handler = new self($client, $user, $lifetime, $classes, $on_unavailable);
        ini_set('session.serialize_handler', 'php_serialize');
        ini_set('session.use_strict_mode', '1');
        ini_set('session.use_only_cookies', '1');
        ini_set('session.cookie_httponly', '1');
        ini_set('session.cookie_secure', $secure ? '1' : '0');
        ini_set('session.cookie_samesite', ini_get('session.cookie_samesite') ?: 'Lax');
        session_set_save_handler($handler, true);
        return $handler;
    }

    /** The user who has logged in; null in an anonymous session. */
    public function user(): ?string
    {
        return $this->state?->user;
    }

    /** The session's public name, for a page of devices; null if there is no session yet. */
    public function handle(): ?string
    {
        return $this->state?->handle;
    }

    /**
     * Makes this the session of a user, with a new token, and keeps its data. Call it at login, before any output.
     *
     * Call it again when the user's rights or password change: then the old token is dead at once. `ttl` and `lifetime`
     * are the idle and the absolute timeout in seconds, `max` and `over` limit the user's sessions, as in
     * Client::create. With a `ttl` above session.gc_maxlifetime the cookie outlives the browser: "remember me".
     * Throws TooManySessions, Unavailable and other errors of the client: then nothing has changed.
     */
    public function login(
        string|int $user,
        ?int $ttl = null,
        ?int $lifetime = null,
        ?int $max = null,
        ?string $over = null,
    ): void {
        if (session_status() !== PHP_SESSION_ACTIVE || Cookie::isTooLate()) {
            throw new ConfigurationError('login needs a session that has started, and no output yet');
        }
        $old = $this->state ?? $this->replaced;
        // Nothing of one user goes to another.
        $isKept = in_array($old?->user, [null, (string) $user], true);
        $texts = $isKept ? Serialized::entries(session_encode()) : [];
        unset($texts[SessionState::PERMANENT]);
        $kept = array_intersect_key($_SESSION, $texts);
        if ($ttl > Timeouts::idle()) {
            $texts[SessionState::PERMANENT] = serialize(true);
            $kept[SessionState::PERMANENT] = true;
        }
        $timeouts = $this->timeouts($ttl, $lifetime);
        $this->next = $this->create((string) $user, $texts, $old, $timeouts, ['max' => $max, 'over' => $over]);
        $_SESSION = $kept;
        session_regenerate_id(true);
        $this->keepCookie();
    }

    /** Ends the session, and removes its cookie. Throws Unavailable if the service is away: then it has not ended. */
    public function logout(): void
    {
        if (session_status() !== PHP_SESSION_ACTIVE) {
            throw new ConfigurationError('logout needs a session that has started, and was not closed yet');
        }
        session_destroy();
        $_SESSION = [];
        Cookie::remove();
    }

    public function open(string $path, string $name): bool
    {
        if (!ini_get('session.use_strict_mode') || ini_get('session.serialize_handler') !== 'php_serialize') {
            throw new ConfigurationError(
                'REST Sessions needs session.use_strict_mode = 1 and session.serialize_handler = php_serialize',
            );
        }
        if (!self::isRegenerating()) {
            $this->state = $this->replaced = $this->next = $this->failure = null;
            $this->endsReplaced = false;
            $this->made = [];
        }
        return true;
    }

    public function close(): bool
    {
        if ($this->state?->isReadOnly) {
            // PHP sends the cookie again if the session was started twice, or its id was set. A login has sent another.
            Cookie::takeBack();
        }
        return true;
    }

    public function create_sid(): string
    {
        $token = $this->next?->token ?? Token::make();
        if (self::isRegenerating()) {
            $this->replaced = $this->next ? null : $this->state ?? $this->replaced;
            $this->endsReplaced = $this->endsReplaced && !$this->next;
            [$this->state, $this->next] = [$this->next, null];
        }
        $this->made[$token] = true;
        return $token;
    }

    /** Whether PHP shall go on with a token, from a cookie for example. PHP takes a new one for one that it has now. */
    public function validateId(#[SensitiveParameter] string $id): bool
    {
        if (isset($this->made[$id]) || !Token::isOne($id)) {
            return false;
        }
        try {
            $this->state = SessionState::load($this->client, $this->values, $id, $this->peek);
        } catch (RestSessionsError $error) {
            $this->state = SessionState::unknown($this->client, $this->values, $id);
            try {
                $this->goOnOrThrow($error);
            } catch (RestSessionsError $failure) {
                // Thrown here, it would reach the application as an error about the id.
                $this->failure = $failure;
            }
        }
        return $this->state !== null;
    }

    public function read(#[SensitiveParameter] string $id): string
    {
        $isKnown = $this->state?->token === $id || $this->validateId($id);
        if ($this->failure) {
            throw $this->failure;
        }
        return $isKnown ? $this->state->text() : '';
    }

    public function write(#[SensitiveParameter] string $id, #[SensitiveParameter] string $data): bool
    {
        if ($data === '') {
            // PHP could not serialize $_SESSION.
            return false;
        }
        if ($this->state?->token === $id) {
            $this->save(Serialized::entries($data));
            return true;
        }
        if (!isset($this->made[$id])) {
            return false;
        }
        if (!self::isRegenerating()) {
            $this->begin($id, Serialized::entries($data));
        }
        return true;
    }

    /** Calls nothing: to read the session was a use of it. */
    public function updateTimestamp(#[SensitiveParameter] string $id, #[SensitiveParameter] string $data): bool
    {
        return true;
    }

    public function destroy(#[SensitiveParameter] string $id): bool
    {
        if (self::isRegenerating()) {
            // It ends when its data are in the new session.
            $this->endsReplaced = true;
            return true;
        }
        $this->state?->end();
        $this->replaced?->end();
        $this->state = $this->replaced = null;
        return true;
    }

    /** Does nothing: the service removes expired sessions. */
    public function gc(int $max_lifetime): int
    {
        return 0;
    }

    /** What var_dump and print_r show: no token and no data. */
    public function __debugInfo(): array
    {
        return ['client' => $this->client, 'user' => $this->user(), 'handle' => $this->handle()];
    }

    private function save(#[SensitiveParameter] array $texts): void
    {
        $isOtherUser = $this->user !== null && $this->userNow() !== $this->state->user;
        if ($isOtherUser && self::isRegenerating()) {
            // Who planted the old token must not be logged in by it.
            return;
        }
        try {
            if (!$this->state->save($texts)) {
                self::logEnd();
            } elseif ($isOtherUser && !$this->state->isReadOnly) {
                trigger_error('Call session_regenerate_id when the user changes: it is unknown now', E_USER_WARNING);
            }
        } catch (Unavailable $error) {
            $this->goOnOrThrow($error);
        }
    }

    /** Goes on with a token that was made in this request: creates its session, if there is something to keep. */
    private function begin(#[SensitiveParameter] string $token, #[SensitiveParameter] array $texts): void
    {
        [$old, $this->replaced] = [$this->replaced, null];
        $user = $this->user === null ? $old?->user : $this->userNow();
        $isLogin = $user !== null && $user !== $old?->user;
        $endsOld = $old && ($this->endsReplaced || $user !== $old->user);
        try {
            if ($old?->isReadOnly && !$isLogin) {
                // A login has given the browser another token.
                Cookie::takeBack();
            } elseif ($isLogin) {
                $this->state = $this->create($user, $texts, $old, $this->timeouts(), ['token' => $token]);
                // If the old session had ended, its data are sent only now.
                $this->state->save($texts);
            } elseif ($user !== null || $texts) {
                $this->renew($token, $texts, $user, $old, $endsOld);
            } else {
                $old ? Cookie::remove() : Cookie::takeBack();
                $endsOld && $old->end();
            }
        } catch (RestSessionsError $error) {
            // The browser keeps the session that it has.
            Cookie::takeBack();
            $this->goOnOrThrow($error);
        }
    }

    /** Creates a session that goes on in place of the old one, or that of a new visitor. */
    private function renew(
        #[SensitiveParameter] string $token,
        #[SensitiveParameter] array $texts,
        ?string $user,
        ?SessionState $old,
        bool $endsOld,
    ): void {
        $takesOver = $endsOld && $user !== null;
        // Only a login begins the absolute timeout anew.
        $timeouts = ($old?->user === $user ? $old?->timeouts : null) ?? $this->timeouts();
        $new = $this->create($user, $texts, $takesOver ? $old : null, $timeouts, ['token' => $token]);
        $wasAlive = match (true) {
            $old === null => true,
            $takesOver => $new->tookOver,
            $endsOld => $old->end(),
            default => $old->isAlive(),
        };
        if ($wasAlive) {
            $this->state = $new;
            $this->keepCookie();
        } else {
            // A logout came before: nothing is revived.
            $new->end();
            Cookie::takeBack();
            self::logEnd();
        }
    }

    private function create(
        ?string $user,
        #[SensitiveParameter] array $texts,
        ?SessionState $old,
        Timeouts $timeouts,
        #[SensitiveParameter] array $options,
    ): SessionState {
        return SessionState::create($this->client, $this->values, $user, $texts, $old, $timeouts, $options);
    }

    /** Sends the cookie again, if PHP's settings have made one that ends before the session. */
    private function keepCookie(): void
    {
        $age = $this->state->cookieAge();
        if ($age !== null) {
            Cookie::send($this->state->token, $age);
        }
    }

    private function timeouts(?int $ttl = null, ?int $lifetime = null): Timeouts
    {
        return Timeouts::chosen($ttl, $lifetime ?? $this->lifetime);
    }

    /** Throws an error, unless it means that the service is away, and the application is to go on without sessions. */
    private function goOnOrThrow(RestSessionsError $error): void
    {
        if (!$error instanceof Unavailable || $this->on_unavailable === 'raise') {
            throw $error;
        }
        error_log('REST Sessions is unavailable: a request goes on without its session, or does not save it');
    }

    /** No warning of PHP: it is nobody's fault, and must not become an error page. */
    private static function logEnd(): void
    {
        error_log('A session ended during a request, for example by a logout: its changes are dropped');
    }

    private function userNow(): ?string
    {
        $user = ($this->user)($_SESSION ?? []);
        return $user === null ? null : (string) $user;
    }

    /** Whether session_regenerate_id has called. It makes calls that session_destroy makes too, but goes on. */
    private static function isRegenerating(): bool
    {
        foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS) as $frame) {
            // An application's method may have the same name.
            if ($frame['function'] === 'session_regenerate_id' && !isset($frame['class'])) {
                return true;
            }
        }
        return false;
    }
}
