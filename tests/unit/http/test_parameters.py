"""The rules of path and query parameters, on both sides of each limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.errors import InvalidFormat, InvalidValue
from rest_sessions.http import parameters
from rest_sessions.model import Cursor
from tests.unit.http.rules import MORE_DIGITS_THAN_PYTHON_PARSES, named, refusal

CONTROL_CHARACTERS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]

NOT_WHOLE_NUMBERS = {
    "negative": "-10",
    "signed": "+10",
    "fraction": "10.5",
    "fraction-of-zero": "10.0",
    "exponent": "1e3",
    "hexadecimal": "0x10",
    "underscore": "1_000",
    "space-before": " 10",
    "space-after": "10 ",
    "newline-after": "10\n",
    "word": "abc",
    "arabic-digits": "٣٠",
    "superscript": "10²",
}

SURROGATE = "\ud800"


class TestText:
    @pytest.mark.parametrize(
        ("parse", "text"),
        [
            pytest.param(parameters.parse_app, "app", id="app-of-3"),
            pytest.param(parameters.parse_app, "a" * 20, id="app-of-20"),
            pytest.param(parameters.parse_app, "Az09_-", id="app-of-each-kind"),
            pytest.param(parameters.parse_id, "a", id="id-of-1"),
            pytest.param(parameters.parse_id, "a" * 128, id="id-of-128"),
            pytest.param(parameters.parse_id, "😀" * 128, id="id-of-128-astral"),
            pytest.param(parameters.parse_id, "user@example.com", id="id-address"),
            pytest.param(parameters.parse_id, "a:b", id="id-colon"),
            pytest.param(parameters.parse_id, "딸기", id="id-korean"),
            pytest.param(parameters.parse_id, " a b ", id="id-spaces"),
            pytest.param(parameters.parse_id, "#;&=+", id="id-of-url-characters"),
            pytest.param(parameters.parse_id, "{}*[]\\", id="id-of-key-and-pattern-characters"),
            pytest.param(parameters.parse_id, "...", id="id-of-three-dots"),
            pytest.param(parameters.parse_id, ".a", id="id-that-begins-with-a-dot"),
            pytest.param(parameters.parse_id, "a.", id="id-that-ends-with-a-dot"),
            pytest.param(parameters.parse_token, "aZ09" * 16, id="token"),
            pytest.param(parameters.parse_ip, "1", id="ip-of-1"),
            pytest.param(parameters.parse_ip, "203.0.113.10", id="ip-v4"),
            pytest.param(parameters.parse_ip, "2001:db8::1", id="ip-v6"),
            pytest.param(parameters.parse_ip, "0000:0000:0000:0000:0000:ffff:192.168.100.228", id="ip-of-45"),
        ],
    )
    def test_is_returned_unchanged(self, parse, text):
        assert parse(text) == text

    @pytest.mark.parametrize(
        ("parse", "item", "text"),
        [
            pytest.param(parameters.parse_app, "app", "ab", id="app-of-2"),
            pytest.param(parameters.parse_app, "app", "a" * 21, id="app-of-21"),
            pytest.param(parameters.parse_app, "app", "a.b", id="app-dot"),
            pytest.param(parameters.parse_app, "app", "a b", id="app-space"),
            pytest.param(parameters.parse_app, "app", "a{b}", id="app-braces"),
            pytest.param(parameters.parse_app, "app", "app\n", id="app-newline"),
            pytest.param(parameters.parse_app, "app", "äpp", id="app-umlaut"),
            pytest.param(parameters.parse_id, "id", "a" * 129, id="id-of-129"),
            pytest.param(parameters.parse_id, "id", "😀" * 129, id="id-of-129-astral"),
            pytest.param(parameters.parse_id, "id", f"a{SURROGATE}", id="id-surrogate"),
            pytest.param(parameters.parse_id, "id", "a\ufffd", id="id-replacement-character"),
            pytest.param(parameters.parse_id, "id", ".", id="id-dot"),
            pytest.param(parameters.parse_id, "id", "..", id="id-two-dots"),
            pytest.param(parameters.parse_id, "id", "a/b", id="id-slash"),
            pytest.param(parameters.parse_id, "id", "a?", id="id-question-mark"),
            pytest.param(parameters.parse_id, "id", "50%", id="id-percent"),
            pytest.param(parameters.parse_id, "id", "a%2Fb", id="id-escaped-slash"),
            pytest.param(parameters.parse_token, "token", "a" * 63, id="token-of-63"),
            pytest.param(parameters.parse_token, "token", "a" * 65, id="token-of-65"),
            pytest.param(parameters.parse_token, "token", "a" * 63 + "-", id="token-dash"),
            pytest.param(parameters.parse_token, "token", "a" * 63 + "ä", id="token-umlaut"),
            pytest.param(parameters.parse_token, "token", "a" * 63 + "٣", id="token-arabic-digit"),
            pytest.param(parameters.parse_token, "token", "a" * 64 + "\n", id="token-newline"),
            pytest.param(parameters.parse_ip, "ip", "1" * 46, id="ip-of-46"),
            pytest.param(parameters.parse_ip, "ip", "203.0.113.10\n", id="ip-newline"),
        ],
    )
    def test_that_breaks_its_rule_is_an_invalid_format(self, parse, item, text):
        error = refusal(parse, text)
        assert isinstance(error, InvalidFormat)
        assert error.message == f"Invalid {item} format"

    @pytest.mark.parametrize("character", CONTROL_CHARACTERS, ids=lambda character: f"U+{ord(character):04X}")
    def test_id_has_no_control_character(self, character):
        assert isinstance(refusal(parameters.parse_id, f"a{character}b"), InvalidFormat)

    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    @pytest.mark.parametrize(
        ("parse", "item"),
        [
            (parameters.parse_app, "app"),
            (parameters.parse_id, "id"),
            (parameters.parse_token, "token"),
            (parameters.parse_ip, "ip"),
            (parameters.parse_dt, "dt"),
        ],
        ids=["app", "id", "token", "ip", "dt"],
    )
    def test_that_is_required_but_absent_is_a_missing_parameter(self, parse, item, text):
        error = refusal(parse, text)
        assert error.name == "missingParameter"
        assert error.message == f"No {item} supplied"


class TestTtl:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_7200_when_not_given(self, text):
        assert parameters.parse_ttl(text) == 7200

    @pytest.mark.parametrize(("text", "ttl"), [("10", 10), ("0010", 10), ("7200", 7200), ("34560000", 34_560_000)])
    def test_is_a_number_of_seconds(self, text, ttl):
        assert parameters.parse_ttl(text) == ttl

    @pytest.mark.parametrize("text", [*named({"nine": "9", "zero": "0"}), *named(NOT_WHOLE_NUMBERS)])
    def test_is_at_least_10(self, text):
        error = refusal(parameters.parse_ttl, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "ttl must be a positive integer >= 10"

    @pytest.mark.parametrize(
        "text", ["34560001", pytest.param("9" * MORE_DIGITS_THAN_PYTHON_PARSES, id="thousands-of-digits")]
    )
    def test_is_at_most_400_days(self, text):
        error = refusal(parameters.parse_ttl, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "ttl must be a positive integer <= 34560000"


class TestDt:
    @pytest.mark.parametrize(("text", "dt"), [("10", 10), ("0010", 10), ("31536000", 31_536_000)])
    def test_is_a_number_of_seconds(self, text, dt):
        assert parameters.parse_dt(text) == dt

    def test_may_be_longer_than_any_clock(self):
        assert parameters.parse_dt("9" * MORE_DIGITS_THAN_PYTHON_PARSES) > 10**12

    @pytest.mark.parametrize("text", [*named({"nine": "9", "zero": "0"}), *named(NOT_WHOLE_NUMBERS)])
    def test_is_at_least_10(self, text):
        error = refusal(parameters.parse_dt, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "dt must be a positive integer >= 10"


class TestLimit:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_none_when_not_given(self, text):
        assert parameters.parse_limit(text) is None

    @pytest.mark.parametrize(("text", "limit"), [("1", 1), ("0050", 50), ("1000", 1000)])
    def test_is_a_number_of_sessions(self, text, limit):
        assert parameters.parse_limit(text) == limit

    @pytest.mark.parametrize(
        "text",
        [
            *named({"zero": "0", "1001": "1001", "thousands-of-digits": "9" * MORE_DIGITS_THAN_PYTHON_PARSES}),
            *named(NOT_WHOLE_NUMBERS),
        ],
    )
    def test_is_from_1_to_1000(self, text):
        error = refusal(parameters.parse_limit, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "limit must be an integer from 1 to 1000"


class TestCursor:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_none_when_not_given(self, text):
        assert parameters.parse_cursor(text) is None

    @given(
        st.builds(
            Cursor,
            last_used=st.integers(min_value=0, max_value=10**12 - 1),
            handle=st.text("0123456789abcdef", min_size=32, max_size=32),
        )
    )
    def test_parses_the_next_of_an_answer(self, cursor):
        assert parameters.parse_cursor(str(cursor)) == cursor

    @pytest.mark.parametrize(
        "text",
        named(
            {
                "word": "abc",
                "no-time": "-" + "a" * 32,
                "no-handle": "1700000000-",
                "short-handle": "1700000000-" + "a" * 31,
                "long-handle": "1700000000-" + "a" * 33,
                "handle-not-hex": "1700000000-" + "g" * 32,
                "time-too-long": "1" * 13 + "-" + "a" * 32,
                "negative-time": "-1700000000-" + "a" * 32,
                "newline-after": "1700000000-" + "a" * 32 + "\n",
            }
        ),
    )
    def test_of_another_form_is_an_invalid_value(self, text):
        error = refusal(parameters.parse_cursor, text)
        assert isinstance(error, InvalidValue)
        assert text not in error.message


class TestNoResave:
    @pytest.mark.parametrize(
        ("text", "no_resave"),
        [("1", True), ("true", True), ("0", False), ("false", False), ("", False), (None, False)],
    )
    def test_is_a_flag(self, text, no_resave):
        assert parameters.parse_no_resave(text) is no_resave

    @pytest.mark.parametrize("text", ["2", "yes", "TRUE", " 1"])
    def test_of_another_word_is_an_invalid_value(self, text):
        error = refusal(parameters.parse_no_resave, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "no_resave must be 1, true, 0 or false"
