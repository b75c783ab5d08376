"""The Lua scripts, one file for each atomic operation.

Redis runs nothing else between the reads and the writes of a script, and a script takes one round trip. Its header says
its purpose, its KEYS, its ARGV and what it returns. A script on one session returns a status first.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rest_sessions.connection.commands import Argument, Script, ScriptCall

_FOLDER = Path(__file__).with_name("lua")
_INCLUDE = "-- include: "


@cache
def load_script(name: str) -> Script:
    """The script in `lua/NAME.lua`, after all files that it includes, each of them once."""
    text = "".join(_text(file) for file in _with_includes(f"{name}.lua"))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _with_includes(file: str) -> list[str]:
    included = [line.removeprefix(_INCLUDE) for line in _text(file).splitlines() if line.startswith(_INCLUDE)]
    return list(dict.fromkeys([*(name for inner in included for name in _with_includes(inner)), file]))


def _text(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")


def script_call(name: str, keys: Sequence[str], *args: Argument) -> ScriptCall:
    """A call of the script `name`."""
    return ScriptCall(load_script(name), keys, args)
