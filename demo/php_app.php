<?php

// The shop in PHP.

declare(strict_types=1);

use RestSessions\SessionHandler;

require __DIR__ . '/../clients/php/src/autoload.php';

$sessions = SessionHandler::register();
session_name('session');
session_start();
$body = json_decode(file_get_contents('php://input') ?: '{}', true, flags: JSON_THROW_ON_ERROR);

function isItem(string $key): bool
{
    return str_starts_with($key, 'item-');
}

switch (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case '/state':
        $devices = [];
        if ($sessions->user() !== null) {
            foreach ($sessions->client->soid($sessions->user(), details: true) as $one) {
                $devices[] = [
                    'handle' => $one->handle,
                    'agent' => $one->data['_user_agent'] ?? null,
                    'age' => $one->age,
                    'idle' => $one->idle,
                ];
            }
        }
        header('Content-Type: application/json');
        echo json_encode([
            'user' => $sessions->user(),
            'cart' => (object) array_filter($_SESSION, isItem(...), ARRAY_FILTER_USE_KEY),
            'devices' => $devices,
            'handle' => $sessions->handle(),
        ], JSON_THROW_ON_ERROR);
        return;
    case '/add':
        $_SESSION = [...$_SESSION, ...$body];
        break;
    case '/empty':
        $_SESSION = array_filter($_SESSION, fn(string $key) => !isItem($key), ARRAY_FILTER_USE_KEY);
        break;
    case '/login':
        $sessions->login($body['user']);
        break;
    case '/logout':
        $sessions->logout();
        break;
    case '/end':
        $sessions->client->killsoid($sessions->user(), handle: $body['handle']);
        break;
    case '/end-others':
        $sessions->client->killsoid($sessions->user(), except: $sessions->handle());
        break;
    default:
        http_response_code(404);
        return;
}
http_response_code(204);
