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
    "kill_sessions_of_app",
    "list_apps",
}
# These scripts are used by several operations, or together with another script.
PARTS_OF_OPERATIONS = {
    "claim_token",
    "close_session",
    "kill_sessions",
    "rank_sessions",
    "read_sessions",
    "release_token",
    "reopen_session",
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


def used(name, table):
    """The indices of KEYS or ARGV in a script's code. OPEN stands for computed ones."""
    # index_of() uses the first four keys.
    code = code_of(name).replace("index_of(KEYS)", "KEYS[1] KEYS[2] KEYS[3] KEYS[4]")
    indices = {int(index) for index in re.findall(rf"\b{table}\[(\d+)\]", code)}
    return indices | ({OPEN} if re.search(rf"\b{table}\b(?!\[\d+\])", code) else set())


def code_of(name):
    """The code of a file, without comments."""
    return "\n".join(line.partition("--")[0] for line in LUA[name].splitlines())


def included_by(name):
    """The files that a file includes directly."""
    return [Path(line.removeprefix("-- include: ")).stem for line in header(name) if line.startswith("-- include: ")]


FUNCTION = re.compile(r"^local function (\w+)", re.MULTILINE)


def test_names_are_those_of_the_operations():
    operations = {*CASES, "sweep_expired"}
    assert set(SCRIPTS) - PARTS_OF_OPERATIONS == operations - WITHOUT_SCRIPT


class TestInclude:
    @pytest.mark.parametrize("name", LUA)
    def test_is_named_by_each_file_that_uses_its_functions(self, name):
        for other in INCLUDES - {name}:
            used = [
                function for function in FUNCTION.findall(LUA[other]) if re.search(rf"\b{function}\(", code_of(name))
            ]
            assert bool(used) == (other in included_by(name)), used

    @pytest.mark.parametrize("name", sorted(INCLUDES))
    def test_takes_what_it_needs_as_parameters(self, name):
        assert not re.search(r"\b(KEYS|ARGV)\b", code_of(name))

    def test_comes_once_and_before_the_code_that_uses_it(self):
        for name in SCRIPTS:
            text = load_script(name).text
            for file in INCLUDES:
                assert text.count(LUA[file]) <= 1
                for inner in included_by(file) if LUA[file] in text else ():
                    assert text.index(LUA[inner]) < text.index(LUA[file])
            assert all(LUA[file] in text for file in included_by(name))
            assert text.endswith(LUA[name])


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
        assert used(name, table) <= documented(name, table)

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
    FIELDS = (b"id", b"u", b"ip", b"i", b"r", b"1", b"w", b"1", b"ttl", b"10", b"used", b"9", b"created", b"9")

    def __init__(self):
        self.names = {load_script(name): name for name in SCRIPTS}
        self.calls = {}
        self.replies = {
            "PING": True,
            "SMEMBERS": [b"app"],
            "ZCARD": 0,
            "ZCOUNT": 0,
            "ZRANGEBYLEX": [b"u\0" + self.HANDLE],
            "ZRANGEBYSCORE": [self.HANDLE + b":u"],
            "claim_token": [OK, 0],
            "create_session": [OK, 0, 1],
            "kill_sessions": 1,
            "rank_sessions": [9],
            "rotate_session": [ROTATED, b"nonce"],
            "sweep_expired": 1,
            "list_sessions_of_id": [self.HANDLE, b"9"],
            "list_sessions_of_app": [self.HANDLE, b"9"],
            "read_sessions": [list(self.FIELDS)],
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
    recorder.next_replies["create_session"] = [
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
