<?php

declare(strict_types=1);

namespace RestSessions;

use SensitiveParameter;

/** The session's cookie, where PHP itself does not send it. After the headers are sent, nothing is done. */
final class Cookie
{
    private const HEADER = 'Set-Cookie: ';

    /** Whether PHP can no longer send a cookie. */
    public static function isTooLate(): bool
    {
        return ini_get('session.use_cookies') && headers_sent();
    }

    /** `$age` is how many seconds it lasts, null for what PHP's settings say. */
    public static function send(#[SensitiveParameter] string $token, ?int $age): void
    {
        $age ??= session_get_cookie_params()['lifetime'];
        self::set($token, $age ? time() + $age : 0);
    }

    /** Makes the browser forget its cookie. */
    public static function remove(): void
    {
        self::set('', 1);
    }

    /** Leaves the browser's cookie as it is, although PHP was about to send one. */
    public static function takeBack(): void
    {
        if (headers_sent()) {
            return;
        }
        $own = preg_quote(self::HEADER . session_name(), '/');
        $others = preg_grep("/^$own=/i", headers_list(), PREG_GREP_INVERT);
        header_remove('Set-Cookie');
        foreach (preg_grep('/^' . self::HEADER . '/i', $others) as $header) {
            header($header, false);
        }
    }

    private static function set(#[SensitiveParameter] string $token, int $expires): void
    {
        if (headers_sent() || !ini_get('session.use_cookies')) {
            return;
        }
        self::takeBack();
        $options = session_get_cookie_params();
        unset($options['lifetime']);
        setcookie(session_name(), $token, ['expires' => $expires] + $options);
    }
}
