"""The search for secrets finds every planted one, and nothing else."""

import json
import secrets
import sys

import pytest

from rest_sessions.store.tokens import new_token
from tests.leaks import WATCH, Watch

TOKEN = new_token(3)
KEY = secrets.token_urlsafe(32)
DATUM = "a-datum of 딸기 nobody should see"


@pytest.fixture
def watch() -> Watch:
    """A separate instance, because the secrets that are planted here must not fail the run."""
    return Watch()


@pytest.mark.parametrize("kind", ["token", "key", "datum"])
@pytest.mark.parametrize("late", [False, True], ids=["kept-first", "read-first"])
def test_tells_what_was_found_where_but_not_the_secret(watch, kind, late) -> None:
    secret = {"token": TOKEN, "key": KEY, "datum": DATUM}[kind]
    steps = [lambda: watch.keep(kind, secret), lambda: watch.read(f"a line with {secret} in it", "log", "a test")]
    for step in reversed(steps) if late else steps:
        step()
    watch.read("a line without", "log", "another test")
    assert watch.leaks() == [f"a {kind} in the log of a test"]


def test_finds_part_of_a_token(watch) -> None:
    watch.keep("token", TOKEN)
    for part in (TOKEN[:12], TOKEN[7:30], TOKEN[-12:]):
        watch.read(f"…{part}…", "log", part)
    watch.read(TOKEN[:8], "log", "too little")
    assert len(watch.leaks()) == 3


def test_finds_what_lies_across_pieces_of_a_long_text(watch) -> None:
    watch.keep("token", TOKEN)
    for length in range(99_900, 100_001, 10):
        watch.read("." * length + TOKEN, "log", f"{length}")
    assert len(watch.leaks()) == 11


@pytest.mark.parametrize("written", [json.dumps(DATUM), json.dumps(DATUM, ensure_ascii=False), DATUM])
@pytest.mark.parametrize(
    "body", [json.dumps({"k": DATUM}), json.dumps({"k": [{"k": DATUM}]}), json.dumps({"k": DATUM})[:-1]]
)
def test_finds_a_datum_of_a_body_however_it_is_written(watch, written, body) -> None:
    watch.keep_body(body.encode())
    watch.read(written, "error body", "a test")
    assert watch.leaks() == ["a datum in the error body of a test"]


def test_finds_a_long_number(watch) -> None:
    watch.keep_body(b'{"n": 12345678901234567890.10}')
    watch.read("d.n is 12345678901234567890.10", "log", "a test")
    assert watch.leaks() == ["a datum in the log of a test"]


def test_leaves_out_keys_of_data_short_words_and_repetitions(watch) -> None:
    watch.keep_body(json.dumps({"a-key-that-is-long-enough": "short", "a": "x" * 100}).encode())
    watch.read('d.a-key-that-is-long-enough has "short" and xxxxxxxxxxxxxxxxxxxx', "log", "a test")
    assert watch.leaks() == []
    assert watch.secrets.total() == 0


def test_finds_the_keys_of_a_broken_registry(watch) -> None:
    watch.keep_registry(json.dumps({"keys": [{"key": KEY}]})[:-1])
    watch.keep_authorization(f"Bearer {TOKEN}")
    watch.read(KEY, "process", "a test")
    watch.read(TOKEN, "process", "another test")
    assert watch.leaks() == ["a key in the process of a test", "a key in the process of another test"]


def test_counts_each_secret_once(watch) -> None:
    for _ in range(2):
        watch.keep("token", TOKEN)
    watch.read("12345", "log")
    assert (watch.secrets["token"], watch.characters["log"]) == (1, 5)


def test_reads_what_a_test_reads_from_capsys(capsys) -> None:
    before = WATCH.characters["log"]
    sys.stdout.write("12345\n")
    assert capsys.readouterr().out == "12345\n"
    assert WATCH.characters["log"] == before + 6
