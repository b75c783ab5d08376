<?php

declare(strict_types=1);

namespace RestSessions;

use CurlHandle;
use RestSessions\Errors\ConnectionLost;
use RestSessions\Errors\NoAnswer;
use SensitiveParameter;
use SensitiveParameterValue;

/** Sends requests, on one connection that it keeps. */
final class Transport
{
    private const USER_AGENT = 'rest-sessions-client-php/0.1.0';
    // API Gateway and proxies close an idle connection after about a minute.
    private const KEPT_SECONDS = 30;
    // HTTP/2 errors, for which PHP has no constants.
    private const HTTP2 = 16;
    private const HTTP2_STREAM = 92;

    private ?CurlHandle $handle = null;
    private int $process = 0;

    public function __construct(private readonly string $url, private readonly ?SensitiveParameterValue $key)
    {
    }

    /**
     * Sends a request, whose answer must be there within `$seconds`. Throws NoAnswer.
     *
     * Without `$mayRepeat` it is certain that the request is sent only once.
     */
    public function send(
        string $method,
        #[SensitiveParameter] string $path,
        #[SensitiveParameter] ?string $body,
        bool $mayRepeat,
        float $seconds,
    ): Answer {
        $retryAfter = null;
        $handle = $this->handle();
        curl_setopt_array($handle, [
            CURLOPT_URL => $this->url . $path,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $this->headers(),
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT_MS => max(1, (int) ($seconds * 1000)),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_MAXAGE_CONN => self::KEPT_SECONDS,
            CURLOPT_PATH_AS_IS => true,
            // On a kept connection that turns out to be closed, curl sends a request again by itself.
            CURLOPT_FRESH_CONNECT => !$mayRepeat,
            CURLOPT_HEADERFUNCTION => static function (CurlHandle $_, string $line) use (&$retryAfter): int {
                if (stripos($line, 'retry-after:') === 0) {
                    $retryAfter = trim(substr($line, strlen('retry-after:')));
                }
                return strlen($line);
            },
        ]);
        if ($method !== 'GET' && $method !== 'DELETE') {
            curl_setopt($handle, CURLOPT_POSTFIELDS, $body ?? '');
        }
        $answer = curl_exec($handle);
        $failure = curl_errno($handle) ? self::noAnswer($handle) : null;
        $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
        // The handle keeps its connection, and forgets the key, the token and the data.
        curl_reset($handle);
        return $failure ? throw $failure : new Answer($status, $retryAfter, $answer);
    }

    private function handle(): CurlHandle
    {
        if ($this->process !== getmypid()) {
            // On its parent's connection a forked process would read its parent's answers.
            $this->handle = curl_init();
            $this->process = getmypid();
        }
        return $this->handle;
    }

    /** @return list<string> */
    private function headers(): array
    {
        // Without an empty Expect, curl waits for a permission before it sends a long body.
        $headers = ['User-Agent: ' . self::USER_AGENT, 'Content-Type: application/json', 'Expect:'];
        return $this->key ? [...$headers, "Authorization: Bearer {$this->key->getValue()}"] : $headers;
    }

    private static function noAnswer(CurlHandle $handle): NoAnswer
    {
        $number = curl_errno($handle);
        return match ($number) {
            CURLE_OPERATION_TIMEDOUT => new NoAnswer('REST Sessions did not answer in time'),
            CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, self::HTTP2, self::HTTP2_STREAM
                => new ConnectionLost(),
            // curl's own words, which tell of the host, its address and its certificate.
            CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_SSL_CONNECT_ERROR,
            CURLE_SSL_CACERT => new NoAnswer('REST Sessions cannot be reached: ' . curl_error($handle)),
            default => new NoAnswer('REST Sessions cannot be called: ' . curl_strerror($number)),
        };
    }
}
