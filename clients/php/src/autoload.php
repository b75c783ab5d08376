<?php

declare(strict_types=1);

// Loads the classes of this package without Composer: require __DIR__ . '/rest-sessions/src/autoload.php';
spl_autoload_register(static function (string $class): void {
    $prefix = 'RestSessions\\';
    $file = __DIR__ . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
    if (str_starts_with($class, $prefix) && is_file($file)) {
        require $file;
    }
});
