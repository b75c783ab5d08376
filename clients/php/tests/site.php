<?php

declare(strict_types=1);

// The router of a site whose pages are files that a test has written. A page returns what the answer is, as JSON.

use RestSessions\SessionHandler;

require __DIR__ . '/../src/autoload.php';
require __DIR__ . '/classes.php';

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new ErrorException($message, 0, $level, $file, $line);
});

$pages = getenv('PAGES');
$sessions = SessionHandler::register(...(require "$pages/options.php"));
$result = require $pages . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) . '.php';
if (!headers_sent()) {
    header('Content-Type: application/json');
}
echo json_encode($result, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
