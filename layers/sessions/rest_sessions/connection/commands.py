"""What a client sends to Redis: plain commands and calls of Lua scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

Argument = str | bytes | int
PlainCommand = tuple[Argument, ...]

_BY_SHA = "EVALSHA"
_BY_TEXT = "EVAL"
_WRITES = ("GETEX", "SADD", "SREM", "ZREM")


@dataclass(frozen=True)
class Script:
    """The whole text of a script, and the SHA-1 under which Redis caches it."""

    text: str
    sha: str


class ScriptCall(NamedTuple):
    """One run of a script."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]


Command = ScriptCall | PlainCommand


def by_sha(command: Command) -> PlainCommand:
    """`command` in its short form: a server knows a script by its SHA-1 once it has run it."""
    if isinstance(command, ScriptCall):
        return (_BY_SHA, command.script.sha, len(command.keys), *command.keys, *command.args)
    return command


def by_text(command: Command) -> PlainCommand:
    """`command` in the form that every server understands, with the whole text of a script."""
    if isinstance(command, ScriptCall):
        return (_BY_TEXT, command.script.text, len(command.keys), *command.keys, *command.args)
    return command


def is_script(command: PlainCommand) -> bool:
    """Whether `command` runs a script."""
    return command[0] in (_BY_SHA, _BY_TEXT)


def is_write(command: PlainCommand) -> bool:
    """Whether a read-only server refuses `command`. A script that changes nothing runs GETEX, which is one."""
    return is_script(command) or command[0] in _WRITES


def first_key(command: PlainCommand) -> Argument | None:
    """The key that decides which node of a cluster serves `command`. None for a command without a key."""
    if is_script(command):
        return command[3]
    return command[1] if len(command) > 1 else None
