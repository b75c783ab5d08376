<?php

declare(strict_types=1);

namespace RestSessions;

use RestSessions\Errors\ApiError;
use RestSessions\Errors\Conflict;
use RestSessions\Errors\Forbidden;
use RestSessions\Errors\InternalError;
use RestSessions\Errors\InvalidFormat;
use RestSessions\Errors\InvalidJson;
use RestSessions\Errors\InvalidValue;
use RestSessions\Errors\MissingParameter;
use RestSessions\Errors\SessionNotFound;
use RestSessions\Errors\StoreUnavailable;
use RestSessions\Errors\TokenInUse;
use RestSessions\Errors\TooLarge;
use RestSessions\Errors\TooManyRequests;
use RestSessions\Errors\TooManySessions;
use RestSessions\Errors\Unauthorized;
use RestSessions\Errors\Unavailable;
use RestSessions\Errors\UnexpectedAnswer;
use RestSessions\Errors\UnknownParameter;
use RestSessions\Errors\UnsupportedMediaType;
use SensitiveParameter;
use stdClass;

/** An answer of the service. */
final readonly class Answer
{
    private const NAMED = [
        'missingParameter' => MissingParameter::class,
        'unknownParameter' => UnknownParameter::class,
        'invalidFormat' => InvalidFormat::class,
        'invalidValue' => InvalidValue::class,
        'invalidJson' => InvalidJson::class,
        'forbidden' => Forbidden::class,
        'notFound' => SessionNotFound::class,
        'conflict' => Conflict::class,
        'tooManySessions' => TooManySessions::class,
        'tokenInUse' => TokenInUse::class,
        'tooLarge' => TooLarge::class,
        'unsupportedMediaType' => UnsupportedMediaType::class,
        'internalError' => InternalError::class,
        'storeUnavailable' => StoreUnavailable::class,
    ];

    public function __construct(
        public int $status,
        private ?string $retryAfter,
        #[SensitiveParameter] public string $body,
    ) {
    }

    /** The JSON object in the body. */
    public function parsed(): stdClass
    {
        $parsed = json_decode($this->body);
        return $parsed instanceof stdClass ? $parsed : throw $this->unexpected();
    }

    /** The error that an answer other than 200 tells. Its message has only texts of the API and of this package. */
    public function error(): ApiError
    {
        $answer = json_decode($this->body, true);
        $name = is_array($answer) ? $answer['name'] ?? null : null;
        $message = is_array($answer) ? $answer['message'] ?? null : null;
        $class = is_string($name) && is_string($message) ? self::NAMED[$name] ?? null : null;
        if ($class === null) {
            // What API Gateway answers by itself has no name.
            [$class, $message] = match (true) {
                $this->status === 401 => [Unauthorized::class, 'The service requires a key: set REST_SESSIONS_KEY'],
                $this->status === 403 => [Forbidden::class, 'The service does not know this key'],
                $this->status === 429 => [TooManyRequests::class, 'The service is throttled'],
                $this->status >= 500 => [Unavailable::class, "The service failed with status $this->status"],
                default => [null, null],
            };
        }
        return match (true) {
            $class === null => $this->unexpected(),
            is_a($class, Unavailable::class, true) => new $class($message, $this->status, $this->secondsToWait()),
            default => new $class($message, $this->status),
        };
    }

    /** The error to raise for an answer that no REST Sessions API gives. */
    public function unexpected(): UnexpectedAnswer
    {
        $message = "No REST Sessions API: it answered with status $this->status. Check the URL";
        return new UnexpectedAnswer($message, $this->status);
    }

    private function secondsToWait(): ?int
    {
        return preg_match('/^\d{1,9}$/D', $this->retryAfter ?? '') ? (int) $this->retryAfter : null;
    }
}
