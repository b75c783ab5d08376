"""The Lua scripts, one file for each atomic operation.

Redis runs nothing else between the reads and the writes of a script, and a script takes one round trip. Its header says
its purpose, its KEYS, its ARGV and what it returns. A script on one session returns a status first.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rest_sessions.connection.commands import Argument, Script, ScriptCall

_FOLDER = Path(__file__).with_name("lua")
_INCLUDE = "-- include: "
# A definition in an included file: its comment, and all lines to the next empty one.
_DEFINITION = re.compile(r"(?:^--.*\n)*^local (?:function )?(\w+)(?s:.*?)(?=\n\n|\Z)", re.MULTILINE)
_WORD = re.compile(r"\w+")


@cache
def load_script(name: str) -> Script:
    """The script in `lua/NAME.lua`, after those definitions in the files it includes that it needs.

    Redis makes each function of a script anew with each call, also one that is not used.
    """
    *included, own = map(_text, _with_includes(f"{name}.lua"))
    parts = [own]
    words = _words(own)
    # A definition only uses those before it.
    for definition in reversed([match for text in included for match in _DEFINITION.finditer(text)]):
        if definition[1] in words:
            parts.append(definition[0])
            words |= _words(definition[0])
    text = "\n\n".join(reversed(parts))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _words(code: str) -> set[str]:
    return {word for line in code.splitlines() for word in _WORD.findall(line.partition("--")[0])}


def _with_includes(file: str) -> list[str]:
    included = [line.removeprefix(_INCLUDE) for line in _text(file).splitlines() if line.startswith(_INCLUDE)]
    return list(dict.fromkeys([*(name for inner in included for name in _with_includes(inner)), file]))


def _text(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")


def script_call(name: str, keys: Sequence[str], *args: Argument) -> ScriptCall:
    """A call of the script `name`."""
    return ScriptCall(load_script(name), keys, args)
