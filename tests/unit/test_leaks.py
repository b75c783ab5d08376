"""The search for secrets finds every planted one, and nothing else."""

import json
import secrets
import sys

import pytest

from rest_sessions.store.tokens import new_token
from tests.leaks import SCANNER, SecretScanner

TOKEN = new_token(3)
KEY = secrets.token_urlsafe(32)
DATUM = "a-datum of 딸기 nobody should see"


@pytest.fixture
def scanner() -> SecretScanner:
    """A separate instance, because the secrets that are planted here must not fail the run."""
    return SecretScanner()


@pytest.mark.parametrize("kind", ["token", "key", "datum"])
@pytest.mark.parametrize("late", [False, True], ids=["secret-first", "output-first"])
def test_reports_kind_and_place_but_not_the_secret(scanner, kind, late) -> None:
    secret = {"token": TOKEN, "key": KEY, "datum": DATUM}[kind]
    steps = [
        lambda: scanner.add_secret(kind, secret),
        lambda: scanner.add_output(f"a line with {secret} in it", "log", "a test"),
    ]
    for step in reversed(steps) if late else steps:
        step()
    scanner.add_output("a line without", "log", "another test")
    assert scanner.leaks() == [f"a {kind} in the log of a test"]


def test_finds_part_of_a_token(scanner) -> None:
    scanner.add_secret("token", TOKEN)
    for part in (TOKEN[:12], TOKEN[7:30], TOKEN[-12:]):
        scanner.add_output(f"…{part}…", "log", part)
    scanner.add_output(TOKEN[:8], "log", "too little")
    assert len(scanner.leaks()) == 3


def test_finds_a_secret_across_the_chunks_of_a_long_text(scanner) -> None:
    scanner.add_secret("token", TOKEN)
    for length in range(99_900, 100_001, 10):
        scanner.add_output("." * length + TOKEN, "log", f"{length}")
    assert len(scanner.leaks()) == 11


@pytest.mark.parametrize("written", [json.dumps(DATUM), json.dumps(DATUM, ensure_ascii=False), DATUM])
@pytest.mark.parametrize(
    "body", [json.dumps({"k": DATUM}), json.dumps({"k": [{"k": DATUM}]}), json.dumps({"k": DATUM})[:-1]]
)
def test_finds_a_datum_of_a_body_however_it_is_written(scanner, written, body) -> None:
    scanner.add_body(body.encode())
    scanner.add_output(written, "error body", "a test")
    assert scanner.leaks() == ["a datum in the error body of a test"]


def test_finds_a_long_number(scanner) -> None:
    scanner.add_body(b'{"n": 12345678901234567890.10}')
    scanner.add_output("d.n is 12345678901234567890.10", "log", "a test")
    assert scanner.leaks() == ["a datum in the log of a test"]


def test_ignores_keys_of_data_short_words_and_repetitions(scanner) -> None:
    scanner.add_body(json.dumps({"a-key-that-is-long-enough": "short", "a": "x" * 100}).encode())
    scanner.add_output('d.a-key-that-is-long-enough has "short" and xxxxxxxxxxxxxxxxxxxx', "log", "a test")
    assert scanner.leaks() == []
    assert scanner.secrets.total() == 0


def test_finds_the_keys_of_a_broken_registry(scanner) -> None:
    scanner.add_registry(json.dumps({"keys": [{"key": KEY}]})[:-1])
    scanner.add_authorization(f"Bearer {TOKEN}")
    scanner.add_output(KEY, "process", "a test")
    scanner.add_output(TOKEN, "process", "another test")
    assert scanner.leaks() == ["a key in the process of a test", "a key in the process of another test"]


def test_counts_each_secret_once(scanner) -> None:
    for _ in range(2):
        scanner.add_secret("token", TOKEN)
    scanner.add_output("12345", "log")
    assert (scanner.secrets["token"], scanner.characters["log"]) == (1, 5)


def test_searches_what_a_test_reads_from_capsys(capsys) -> None:
    before = SCANNER.characters["log"]
    sys.stdout.write("12345\n")
    assert capsys.readouterr().out == "12345\n"
    assert SCANNER.characters["log"] == before + 6
