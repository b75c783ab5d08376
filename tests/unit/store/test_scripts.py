"""The Lua scripts: their headers agree with their code, and their names with the operations."""

import re
from pathlib import Path

import pytest

from rest_sessions.connection.commands import ScriptCall
from rest_sessions.errors import StoreUnavailable, TooManySessions
from rest_sessions.model import Cap, Cursor, Login, Timeouts
from rest_sessions.store import scripts
from rest_sessions.store.keys import partition_number_of_id
from rest_sessions.store.replies import FULL, MISSING, OK, ROTATED, STATUSES, TOO_MANY, status_of
from rest_sessions.store.scripts import load_script
from rest_sessions.store.sessions import SessionStore
from rest_sessions.store.tokens import place_of
from tests.cases import CASES

FOLDER = Path(scripts.__file__).with_name("lua")
LUA = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.lua"))}
INCLUDES = {Path(file).stem for text in LUA.values() for file in re.findall("^-- include: (.+)$", text, re.MULTILINE)}
SCRIPTS = sorted(set(LUA) - INCLUDES)

# These operations need only plain commands or the scripts below.
WITHOUT_SCRIPT = {
    "ping",
    "count_active_users",
    "create_anonymous_session",
    "kill_sessions_of_id",
    "list_sessions_of_id",
    "list_apps",
}
# These scripts are used by several operations, or together with another script.
PARTS_OF_OPERATIONS = {
    "admit_session",
    "claim_token",
    "close_session",
    "forget_partition",
    "kill_sessions",
    "rank_sessions",
    "read_sessions",
    "release_token",
    "reopen_session",
    "sweep_killed",
}


# Options of Redis's commands, and an error of Redis.
OPTIONS = {"GT", "LIMIT", "WITHSCORES", "WRONGTYPE"}

OPEN = float("inf")
INDEX = re.compile(r"\b(KEYS|ARGV)\[(\d+)(?:\.\.(\d+|\*))?\]")


def header(name):
    """The comment at the beginning of a script."""
    lines = LUA[name].splitlines()
    return lines[: next(i for i, line in enumerate(lines) if not line.startswith("--"))]


def documented(name, table):
    """The indices of KEYS or ARGV that a script's header explains. OPEN stands for any number of further ones."""
    indices = set()
    for line in header(name):
        for kind, first, last in INDEX.findall(line):
            if kind == table:
                indices |= {OPEN} if last == "*" else set()
                indices |= set(range(int(first), int(first if last in ("", "*") else last) + 1))
    return indices


def used(code, table):
    """The indices of KEYS or ARGV that code uses, also by functions to which it passes them. OPEN: computed ones."""
    indices = set()

    def note(some):
        indices.update(some)
        return ""

    for pattern, found in {
        rf"\b{table}\[(\d+)\]": lambda match: [int(match[1])],
        rf"\bunpack\({table}, (\d+), (\d+)\)": lambda match: range(int(match[1]), int(match[2]) + 1),
        rf"^local (.+) = unpack\({table}\)": lambda match: range(1, match[1].count(",") + 2),
        rf"\b({'|'.join(FUNCTIONS)})\({table}\b": lambda match: used(FUNCTIONS[match[1]], "keys"),
    }.items():
        code = re.sub(pattern, lambda match, found=found: note(found(match)), code, flags=re.MULTILINE)
    return indices | ({OPEN} if re.search(rf"\b{table}\b", code) else set())


def without_comments(text):
    return "\n".join(line.partition("--")[0] for line in text.splitlines())


def code_of(name):
    """The code of a file, without comments."""
    return without_comments(LUA[name])


def included_by(name):
    """The files that a file includes directly."""
    return [Path(line.removeprefix("-- include: ")).stem for line in header(name) if line.startswith("-- include: ")]


def blocks_of(text):
    """What is between the empty lines of a text, if it is not only a comment."""
    return [block for block in re.split(r"\n\n+", text.strip()) if without_comments(block).strip()]


# The definitions in the included files, with their comments: functions and constants, by name.
DEFINITION = re.compile(r"(?:--.*\n)*local (?:function )?(\w+)\b.*", re.DOTALL)
DEFINITIONS = {
    match[1]: block
    for file in sorted(INCLUDES)
    for block in blocks_of(LUA[file])
    if (match := DEFINITION.fullmatch(block))
}
# The code of the functions, after the line with their parameters.
FUNCTIONS = {
    name: without_comments(block.partition(f"local function {name}(")[2].partition("\n")[2])
    for name, block in DEFINITIONS.items()
    if f"local function {name}(" in block
}


def definitions_used(code):
    """The names of the definitions that code uses."""
    return set(re.findall(r"\w+", without_comments(code))) & DEFINITIONS.keys()


def test_names_are_those_of_the_operations():
    operations = {*CASES, "sweep_expired"}
    assert set(SCRIPTS) - PARTS_OF_OPERATIONS == operations - WITHOUT_SCRIPT


class TestInclude:
    @pytest.mark.parametrize("name", LUA)
    def test_is_named_by_each_file_that_uses_its_definitions(self, name):
        used_here = definitions_used(LUA[name])
        for other in INCLUDES - {name}:
            from_there = {used for used in used_here if DEFINITIONS[used] in LUA[other]}
            assert bool(from_there) == (other in included_by(name)), other

    @pytest.mark.parametrize("name", sorted(INCLUDES))
    def test_takes_what_it_needs_as_parameters(self, name):
        assert not re.search(r"\b(KEYS|ARGV)\b", code_of(name))

    @pytest.mark.parametrize("name", sorted(INCLUDES))
    def test_has_nothing_but_definitions_each_with_a_name_of_its_own(self, name):
        blocks = blocks_of(LUA[name])
        assert [block for block in DEFINITIONS.values() if block in LUA[name]] == blocks
        # An empty line within a definition would end it.
        assert all(len(re.findall("^local ", block, re.MULTILINE)) == 1 for block in blocks)

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_gives_a_script_each_definition_that_it_needs_once_before_its_use_and_no_other(self, name):
        text = load_script(name).text
        assert text.endswith(f"\n\n{LUA[name]}") or text == LUA[name]
        given = [DEFINITION.fullmatch(block) for block in blocks_of(text.removesuffix(LUA[name]))]
        names = [match[1] for match in given]
        assert [match[0] for match in given] == [DEFINITIONS[name] for name in names]
        assert len(names) == len(set(names))
        needed = definitions_used(LUA[name])
        for position, defined in reversed(list(enumerate(names))):
            assert defined in needed
            needed |= definitions_used(DEFINITIONS[defined])
            assert definitions_used(DEFINITIONS[defined]) <= set(names[: position + 1])
        assert needed == set(names)


class TestStatus:
    def test_is_the_same_in_lua_and_python(self):
        # The names of Redis's commands are in capitals as well, but each follows a parenthesis.
        returned = {status for name in LUA for status in re.findall(r"[^(]'([A-Z_]{2,})'", code_of(name))} - OPTIONS
        assert {status.encode() for status in returned} == set(STATUSES)

    def test_comes_before_the_state(self):
        assert status_of([OK, [b"id", b"u"]]) == (OK, [[b"id", b"u"]])
        assert status_of([MISSING]) == (MISSING, [])

    @pytest.mark.parametrize("reply", [None, b"OK", 1, [], [[]], [b"PONG"], [1, 2], True], ids=repr)
    def test_is_required_in_a_reply(self, reply):
        with pytest.raises(StoreUnavailable):
            status_of(reply)


class TestScript:
    @pytest.mark.parametrize("name", LUA)
    def test_begins_with_its_purpose(self, name):
        assert re.fullmatch(r"-- [A-Z].*[.,:]", header(name)[0])

    @pytest.mark.parametrize("table", ["KEYS", "ARGV"])
    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_explains_each_index_that_the_code_uses(self, name, table):
        assert used(code_of(name), table) <= documented(name, table)

    @pytest.mark.parametrize("table", ["KEYS", "ARGV"])
    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_explains_indices_without_a_gap(self, name, table):
        indices = sorted(documented(name, table) - {OPEN})
        assert indices == list(range(1, len(indices) + 1))

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_says_what_it_returns(self, name):
        assert [line for line in header(name) if re.match(r"-- Returns {2,}\S", line)]

    def test_are_all_called_by_the_store(self, calls):
        assert set(calls) == set(SCRIPTS)

    @pytest.mark.parametrize("table", ["KEYS", "ARGV"])
    @pytest.mark.parametrize("name", SCRIPTS)
    def test_header_agrees_with_what_the_store_passes(self, calls, name, table):
        explained = documented(name, table)
        for call in calls[name]:
            passed = len(call.keys if table == "KEYS" else call.args)
            fixed = len(explained - {OPEN})
            assert passed >= fixed - 1 if OPEN in explained else passed == fixed


class Recorder:
    """A fake client that records script calls, and replies as if every lookup found one session."""

    HANDLE = b"0123456789abcdefGHIJKL"
    FIELDS = tuple(b"id u ip i r 1 w 1 ttl 10 used 9 created 9 token t epoch e".split())

    def __init__(self):
        self.names = {load_script(name): name for name in SCRIPTS}
        self.calls = {}
        self.replies = {
            "GETEX": b"e",
            "HGETALL": list(self.FIELDS),
            "HKEYS": [b"e"],
            "PING": True,
            "SMEMBERS": [b"app"],
            "ZCARD": 0,
            "ZCOUNT": 0,
            "ZRANGEBYLEX": [b"u\0" + self.HANDLE],
            "ZRANGEBYSCORE": [self.HANDLE + b":u"],
            "admit_session": [OK, 0, 0, 1],
            "claim_token": [OK, 0],
            "create_session": [OK, 0],
            "forget_partition": 0,
            "kill_sessions": 1,
            "kill_sessions_of_app": 1,
            "rank_sessions": [9],
            "rotate_session": [ROTATED, b"nonce"],
            "sweep_expired": 1,
            "sweep_killed": 1,
            "list_sessions_of_app": [self.HANDLE, b"9"],
            "read_sessions": [b"e", list(self.FIELDS)],
        }
        # What a script replies in its next calls.
        self.next_replies = {}

    def run(self, *commands, again=None):
        return [self.reply_to(command) for command in again or commands]

    def reply_to(self, command):
        name = self.name(command)
        if self.next_replies.get(name):
            return self.next_replies[name].pop(0)
        # Any other script is one on one session.
        return self.replies.get(name, [OK, list(self.FIELDS)] if isinstance(command, ScriptCall) else 1)

    def name(self, command):
        if not isinstance(command, ScriptCall):
            return command[0]
        name = self.names[command.script]
        self.calls.setdefault(name, []).append(command)
        return name


@pytest.fixture(scope="module")
def calls():
    """The calls of each script that the operations of the store make."""
    recorder = Recorder()
    store = SessionStore(recorder, clock=lambda: 10)
    token = store.create_session("app", "u", "i", Timeouts(no_resave=True)).token
    for name, case in CASES.items():
        case.run(name, store, token)
    store.list_sessions_of_app("app", 10, after=Cursor(10, "f" * 22))
    store.sweep_expired()
    store.set_session("app", token, {"k": "1", "l": None}, expected_w=1)
    own_token = next(
        text for text in (digit * 64 for digit in "0123") if place_of(text).partition != partition_number_of_id("u")
    )
    recorder.next_replies["admit_session"] = [
        [FULL, *[recorder.HANDLE] * 129],
        [FULL, recorder.HANDLE],
        [TOO_MANY],
    ]
    with pytest.raises(TooManySessions):
        store.create_session("app", "u", "i", login=Login(token), cap=Cap(1), own_token=own_token)
    return recorder.calls


def test_an_unknown_script_cannot_be_loaded():
    with pytest.raises(FileNotFoundError):
        load_script("no_such_script")
