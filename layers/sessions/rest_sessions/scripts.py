"""The Lua scripts, one file an atomic operation.

A script sees and changes its keys with nothing in between, and finishes in one round trip. Each opens with its KEYS,
ARGV and what it returns.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).with_name("scripts")
_INCLUDE = "-- include: "


@dataclass(frozen=True)
class Script:
    """A script's whole text, and the SHA-1 under which Redis caches it."""

    text: str
    sha: str


class ScriptCall(NamedTuple):
    """One run of a script: a command for the client."""

    script: Script
    keys: Sequence[str]
    args: Sequence[str | bytes | int]


@cache
def load_script(name: str) -> Script:
    """The script in `scripts/NAME.lua`, after the files that it includes."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    included = [line.removeprefix(_INCLUDE) for line in text.splitlines() if line.startswith(_INCLUDE)]
    text = "".join((_FOLDER / file).read_text(encoding="utf-8") for file in included) + text
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def call(name: str, keys: Sequence[str], *args: str | bytes | int) -> ScriptCall:
    """A call of the script `name`."""
    return ScriptCall(load_script(name), keys, args)
