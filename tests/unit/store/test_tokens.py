import hashlib
import re
import string
from collections import Counter

import pytest

from rest_sessions.store.tokens import handle_of, new_token, partition_number_of_token

ALPHABET = string.ascii_letters + string.digits
HEX_DIGITS = "0123456789abcdef"

FOREIGN_TOKENS = {
    "of-rest-sessions": "OfRestSessionsOfRestSessionsOfRestSessionsOfRestSessionZmk2f0a9x",
    "hex-digit-in-upper-case": "ZF" + "a" * 62,
    "no-hex-digit": "Zg" + "a" * 62,
    "digits": "0" * 64,
}


@pytest.fixture(scope="module")
def tokens():
    return [new_token(number % 16) for number in range(8000)]


def test_token_has_64_characters_that_the_api_accepts(tokens):
    assert all(re.fullmatch(r"[A-Za-z0-9]{64}", token) for token in tokens)


@pytest.mark.parametrize("number", range(16), ids=lambda number: f"partition-{number:x}")
def test_token_begins_with_z_and_the_digit_of_its_partition(number):
    token = new_token(number)
    assert token[:2] == f"Z{HEX_DIGITS[number]}"
    assert partition_number_of_token(token) == number


def test_tokens_differ(tokens):
    assert len({token[2:] for token in tokens}) == len(tokens)


def test_each_place_of_a_token_can_hold_each_character(tokens):
    for place in range(2, 64):
        assert {token[place] for token in tokens} == set(ALPHABET)


def test_no_character_is_favoured(tokens):
    # 256 is not a multiple of 62: taking bytes modulo 62 would give the first 8 characters a quarter more.
    counts = Counter("".join(token[2:] for token in tokens))
    expected = sum(counts.values()) / len(ALPHABET)
    assert all(abs(count / expected - 1) < 0.1 for count in counts.values())


@pytest.mark.parametrize("token", FOREIGN_TOKENS.values(), ids=FOREIGN_TOKENS)
def test_foreign_token_belongs_to_some_partition(token):
    assert partition_number_of_token(token) in range(16)


def test_handle_is_32_hex_digits_of_the_tokens_hash():
    token = new_token(0)
    assert re.fullmatch(r"[0-9a-f]{32}", handle_of(token))
    assert hashlib.sha256(token.encode()).hexdigest().startswith(handle_of(token))


def test_handles_differ(tokens):
    assert len({handle_of(token) for token in tokens}) == len(tokens)
