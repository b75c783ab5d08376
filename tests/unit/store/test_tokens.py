import re
import string
from collections import Counter

import pytest

from rest_sessions.store.tokens import Place, hash_of, is_own, new_token, place_of, rotated_token

ALPHABET = string.ascii_letters + string.digits
HEX_DIGITS = "0123456789abcdef"
NONCE = b"0123456789abcdef"

FOREIGN_TOKENS = {
    "of-rest-sessions": "OfRestSessionsOfRestSessionsOfRestSessionsOfRestSessionZmk2f0a9x",
    "hex-digit-in-upper-case": "ZF" + "a" * 62,
    "no-hex-digit": "Zg" + "a" * 62,
    "digits": "0" * 64,
}


@pytest.fixture(scope="module")
def tokens():
    return [new_token(number % 16) for number in range(8000)]


@pytest.fixture(scope="module")
def rotated(tokens):
    return [rotated_token(token, NONCE, place_of(token)) for token in tokens]


@pytest.fixture(scope="module")
def own_tokens():
    return [f"{number:064}" for number in range(8000)]


@pytest.mark.parametrize("kind", ["tokens", "rotated"])
def test_token_has_64_characters_that_the_api_accepts(kind, request):
    assert all(re.fullmatch(r"Z[0-9a-f][A-Za-z0-9]{62}", token) for token in request.getfixturevalue(kind))


@pytest.mark.parametrize("number", range(16), ids=lambda number: f"partition-{number:x}")
def test_token_tells_the_place_of_its_session(number):
    token = new_token(number)
    assert token[:2] == f"Z{HEX_DIGITS[number]}"
    assert place_of(token) == Place(number, token[2:24])


@pytest.mark.parametrize("kind", ["tokens", "rotated"])
def test_secrets_differ(kind, request):
    tokens = request.getfixturevalue(kind)
    assert len({token[24:] for token in tokens}) == len(tokens)


def test_handles_differ(tokens, own_tokens):
    handles = {place_of(token).handle for token in [*tokens, *own_tokens]}
    assert len(handles) == len(tokens) + len(own_tokens)
    assert all(re.fullmatch(r"[A-Za-z0-9]{22}", handle) for handle in handles)


@pytest.mark.parametrize("kind", ["tokens", "rotated"])
def test_each_place_of_a_token_can_hold_each_character(kind, request):
    tokens = request.getfixturevalue(kind)
    for place in range(2, 64):
        assert {token[place] for token in tokens} == set(ALPHABET)


def test_no_character_is_favoured(tokens, rotated, own_tokens):
    # 256 is not a multiple of 62: taking bytes modulo 62 would give the first 8 characters a quarter more.
    for texts in (
        [token[2:] for token in tokens],
        [token[24:] for token in rotated],
        [place_of(token).handle for token in own_tokens],
    ):
        counts = Counter("".join(texts))
        expected = sum(counts.values()) / len(ALPHABET)
        assert all(abs(count / expected - 1) < 0.1 for count in counts.values())


class TestRotation:
    def test_keeps_the_place(self, tokens, rotated):
        assert [place_of(token) for token in rotated] == [place_of(token) for token in tokens]

    def test_changes_the_secret_with_the_token_and_the_nonce(self):
        token, other = new_token(3), new_token(3)
        place = place_of(token)
        made = {
            rotated_token(token, NONCE, place),
            rotated_token(token, NONCE[::-1], place),
            rotated_token(other, NONCE, place),
            token,
        }
        assert len(made) == 4
        assert rotated_token(token, NONCE, place) in made

    def test_gives_a_callers_own_token_the_form_of_ours(self):
        place = Place(12, place_of("a" * 64).handle)
        assert place_of(rotated_token("a" * 64, NONCE, place)) == place


class TestOwnToken:
    def test_never_has_our_form(self, tokens, rotated):
        assert not any(map(is_own, [*tokens, *rotated]))
        assert is_own(FOREIGN_TOKENS["of-rest-sessions"])

    def test_spreads_over_all_partitions(self, own_tokens):
        counts = Counter(place_of(token).partition for token in own_tokens)
        assert set(counts) == set(range(16))
        assert all(abs(count / 500 - 1) < 0.25 for count in counts.values())


@pytest.mark.parametrize("token", FOREIGN_TOKENS.values(), ids=FOREIGN_TOKENS)
def test_foreign_token_belongs_to_some_partition(token):
    assert place_of(token).partition in range(16)


def test_the_hash_depends_on_every_character(tokens):
    token = tokens[0]
    changed = {token[:i] + ("a" if token[i] != "a" else "b") + token[i + 1 :] for i in range(64)}
    assert len({hash_of(text) for text in changed | {token}}) == 65
