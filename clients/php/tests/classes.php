<?php

declare(strict_types=1);

/** An object in a session, which tells how often it was made from a text. */
final class Cart
{
    public static int $wakeups = 0;
    public ?self $other = null;

    public function __construct(private array $items = [], protected string $name = 'cart')
    {
    }

    public function items(): array
    {
        return $this->items;
    }

    public function __wakeup(): void
    {
        self::$wakeups++;
    }
}

enum Suit: string
{
    case Hearts = 'h';
    case Spades = 's';
}

/** What an attacker would like PHP to make. */
final class Gadget
{
    public string $file = '';

    public function __destruct()
    {
        if ($this->file !== '') {
            touch($this->file);
        }
    }
}
