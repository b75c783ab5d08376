"""The rules of path and query parameters, on both sides of each limit."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.errors import InvalidFormat, InvalidValue
from rest_sessions.http import parameters
from rest_sessions.model import ALL_DEVICES, Cap, Cursor, Login, Timeouts
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

TOKEN = "aZ09" * 16
HANDLE = "aZ09" * 5 + "aZ"


def each(rules):
    """Arguments for `parametrize`, with the names of the rules as ids."""
    return [pytest.param(*rule, id=name) for name, rule in rules.items()]


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
    def test_is_none_when_not_given(self, text):
        assert parameters.parse_ttl(text) is None

    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_of_a_new_session_is_7200_when_not_given(self, text):
        assert parameters.parse_timeouts(text, None, None) == Timeouts(7200)


def ttl_of_create(text):
    return parameters.parse_timeouts(text, None, None).ttl


def lifetime(text):
    return parameters.parse_timeouts(None, text, None).lifetime


@pytest.mark.parametrize(
    ("parse", "name"),
    [(parameters.parse_ttl, "ttl"), (ttl_of_create, "ttl"), (lifetime, "lifetime")],
    ids=["ttl", "ttl-of-create", "lifetime"],
)
class TestTimeout:
    @pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("0010", 10), ("7200", 7200), ("34560000", 34_560_000)])
    def test_is_a_number_of_seconds(self, parse, name, text, seconds):
        assert parse(text) == seconds

    @pytest.mark.parametrize("text", [*named({"nine": "9", "zero": "0"}), *named(NOT_WHOLE_NUMBERS)])
    def test_is_at_least_10(self, parse, name, text):
        error = refusal(parse, text)
        assert isinstance(error, InvalidValue)
        assert error.message == f"{name} must be a positive integer >= 10"

    @pytest.mark.parametrize(
        "text", ["34560001", pytest.param("9" * MORE_DIGITS_THAN_PYTHON_PARSES, id="thousands-of-digits")]
    )
    def test_is_at_most_400_days(self, parse, name, text):
        error = refusal(parse, text)
        assert isinstance(error, InvalidValue)
        assert error.message == f"{name} must be a positive integer <= 34560000"


class TestTimeouts:
    def test_have_ttl_and_lifetime_independently(self):
        assert parameters.parse_timeouts("600", "60", None) == Timeouts(600, 60)

    @pytest.mark.parametrize("no_resave", [None, "", "0", "false"])
    def test_have_a_lifetime_without_no_resave(self, no_resave):
        assert parameters.parse_timeouts(None, "60", no_resave) == Timeouts(lifetime=60)

    @pytest.mark.parametrize("no_resave", ["1", "true"])
    def test_have_no_lifetime_with_no_resave(self, no_resave):
        error = refusal(parameters.parse_timeouts, None, "60", no_resave)
        assert isinstance(error, InvalidValue)
        assert error.message == "lifetime and no_resave must not both be given"


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


def login_grace(text):
    return parameters.parse_login(TOKEN, text).grace


def cap(text):
    return parameters.parse_cap(text, None).most


# The rules of integers: the name of each, its least and its most.
INTEGERS = {
    "limit": (parameters.parse_limit, "limit", 1, 1000),
    "limit-of-apps": (parameters.parse_apps_limit, "limit", 1, 100),
    "grace-of-login": (login_grace, "grace", 0, 300),
    "grace-of-rotation": (parameters.parse_rotation_grace, "grace", 10, 300),
    "max": (cap, "max", 1, 100),
}


class TestInteger:
    @pytest.mark.parametrize(("parse", "name", "least", "most"), each(INTEGERS))
    def test_is_accepted_within_its_bounds(self, parse, name, least, most):
        for number in (least, least + 1, most - 1, most):
            assert parse(str(number)) == parse(f"00{number}") == number

    @pytest.mark.parametrize(("parse", "name", "least", "most"), each(INTEGERS))
    def test_is_refused_beyond_its_bounds_and_if_it_is_no_whole_number(self, parse, name, least, most):
        beyond = [str(least - 1), str(most + 1), "9" * MORE_DIGITS_THAN_PYTHON_PARSES]
        for text in (*beyond, *NOT_WHOLE_NUMBERS.values()):
            error = refusal(parse, text)
            assert isinstance(error, InvalidValue)
            assert error.message == f"{name} must be an integer from {least} to {most}"

    @pytest.mark.parametrize(
        ("parse", "absent"),
        [
            pytest.param(parameters.parse_limit, None, id="limit"),
            pytest.param(parameters.parse_apps_limit, 100, id="limit-of-apps"),
            pytest.param(login_grace, 10, id="grace-of-login"),
            pytest.param(parameters.parse_rotation_grace, 60, id="grace-of-rotation"),
            pytest.param(parameters.parse_expected_w, None, id="w"),
        ],
    )
    def test_has_a_default(self, parse, absent):
        assert parse(None) == absent

    @pytest.mark.parametrize(("parse", "absent"), [(parameters.parse_limit, None), (parameters.parse_apps_limit, 100)])
    def test_limit_that_is_empty_counts_as_left_out(self, parse, absent):
        assert parse("") == absent

    @pytest.mark.parametrize(
        "parse",
        [lifetime, login_grace, parameters.parse_rotation_grace, cap, parameters.parse_expected_w],
        ids=["lifetime", "grace-of-login", "grace-of-rotation", "max", "w"],
    )
    def test_other_than_limit_that_is_empty_is_refused(self, parse):
        assert isinstance(refusal(parse, ""), InvalidValue)


class TestExpectedW:
    @pytest.mark.parametrize(("text", "w"), [("1", 1), ("0002", 2), ("9" * 15, 10**15 - 1)])
    def test_is_a_number_of_writes(self, text, w):
        assert parameters.parse_expected_w(text) == w

    @pytest.mark.parametrize(
        "text",
        [
            *named({"zero": "0", "thousands-of-digits": "9" * MORE_DIGITS_THAN_PYTHON_PARSES}),
            *named(NOT_WHOLE_NUMBERS),
        ],
    )
    def test_is_at_least_1(self, text):
        error = refusal(parameters.parse_expected_w, text)
        assert isinstance(error, InvalidValue)
        assert error.message.startswith("w must be an integer from 1 ")


def login_token(text):
    return getattr(parameters.parse_login(text, None), "token", None)


def only(text):
    return parameters.parse_devices(text, None).only


def spared(text):
    return parameters.parse_devices(None, text).spared


# The rules of texts that may be left out: the name of each, and a text that it accepts.
OPTIONAL = {
    "from": (login_token, "from", TOKEN),
    "token": (parameters.parse_own_token, "token", TOKEN),
    "handle": (only, "handle", HANDLE),
    "except": (spared, "except", HANDLE),
}


@pytest.mark.parametrize(("parse", "name", "text"), each(OPTIONAL))
class TestOptionalText:
    def test_is_returned_unchanged(self, parse, name, text):
        assert parse(text) == text

    def test_is_none_when_absent(self, parse, name, text):
        assert parse(None) is None

    def test_that_breaks_its_rule_or_is_empty_is_an_invalid_format(self, parse, name, text):
        for wrong in ("", text[1:], f"{text}a", *(text[1:] + last for last in "-_ \näé٣")):
            error = refusal(parse, wrong)
            assert isinstance(error, InvalidFormat)
            assert error.message == f"Invalid {name} format"


class TestOwnToken:
    @pytest.mark.parametrize("first", ["A", "Y", "a", "z", "0", "9"])
    def test_begins_with_any_letter_or_digit(self, first):
        token = first + TOKEN[1:]
        assert parameters.parse_own_token(token) == token

    def test_does_not_begin_as_a_token_of_the_store(self):
        assert isinstance(refusal(parameters.parse_own_token, f"Z{TOKEN[1:]}"), InvalidFormat)


class TestLogin:
    def test_has_token_and_grace(self):
        assert parameters.parse_login(TOKEN, "0") == Login(TOKEN, 0)

    def test_takes_a_token_of_the_store(self):
        assert parameters.parse_login(f"Z{TOKEN[1:]}", None) == Login(f"Z{TOKEN[1:]}", 10)

    @pytest.mark.parametrize("grace", [None, "0", "300"])
    def test_may_be_absent_beside_a_grace(self, grace):
        assert parameters.parse_login(None, grace) is None

    @pytest.mark.parametrize("grace", ["", "x", "301"])
    def test_that_is_absent_excuses_no_wrong_grace(self, grace):
        assert isinstance(refusal(parameters.parse_login, None, grace), InvalidValue)


class TestCap:
    @pytest.mark.parametrize(("over", "refuses"), [(None, False), ("oldest", False), ("refuse", True)])
    def test_ends_the_oldest_unless_it_refuses(self, over, refuses):
        assert parameters.parse_cap("5", over) == Cap(5, refuses)

    def test_is_none_when_not_given(self):
        assert parameters.parse_cap(None, None) is None

    @pytest.mark.parametrize("over", ["", "newest", "Refuse", "oldest "])
    def test_of_another_word_is_an_invalid_value(self, over):
        error = refusal(parameters.parse_cap, "5", over)
        assert isinstance(error, InvalidValue)
        assert error.message == "over must be oldest or refuse"

    @pytest.mark.parametrize("over", ["oldest", "refuse", "", "x"])
    def test_that_is_absent_has_nothing_to_refuse(self, over):
        error = refusal(parameters.parse_cap, None, over)
        assert isinstance(error, InvalidValue)
        assert error.message == "over needs max"


class TestDevices:
    def test_are_all_when_not_given(self):
        assert parameters.parse_devices(None, None) == ALL_DEVICES

    @pytest.mark.parametrize(("handle", "spared"), [(HANDLE, HANDLE), ("", HANDLE), (HANDLE, ""), ("", "")])
    def test_are_not_one_and_all_but_one(self, handle, spared):
        error = refusal(parameters.parse_devices, handle, spared)
        assert isinstance(error, InvalidValue)
        assert error.message == "handle and except must not both be given"


class TestAppsCursor:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_the_beginning_when_not_given(self, text):
        assert parameters.parse_apps_cursor(text) == ""

    @pytest.mark.parametrize("text", ["app", "a" * 20, "Az09_-"])
    def test_is_the_name_of_an_app(self, text):
        assert parameters.parse_apps_cursor(text) == text

    @pytest.mark.parametrize("text", ["ab", "a" * 21, "a.b", "app\n"])
    def test_of_another_form_is_an_invalid_value(self, text):
        error = refusal(parameters.parse_apps_cursor, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "cursor must be the `next` of an earlier answer"


class TestCursor:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_none_when_not_given(self, text):
        assert parameters.parse_cursor(text) is None

    @given(
        st.builds(
            Cursor,
            last_used=st.integers(min_value=0, max_value=10**12 - 1),
            handle=st.text(string.ascii_letters + string.digits, min_size=22, max_size=22),
        )
    )
    def test_parses_the_next_of_an_answer(self, cursor):
        assert parameters.parse_cursor(str(cursor)) == cursor

    @pytest.mark.parametrize(
        "text",
        named(
            {
                "word": "abc",
                "no-time": f"-{HANDLE}",
                "no-handle": "1700000000-",
                "short-handle": f"1700000000-{HANDLE[1:]}",
                "long-handle": f"1700000000-{HANDLE}a",
                "handle-with-dash": f"1700000000-{HANDLE[1:]}-",
                "time-too-long": f"{'1' * 13}-{HANDLE}",
                "negative-time": f"-1700000000-{HANDLE}",
                "newline-after": f"1700000000-{HANDLE}\n",
            }
        ),
    )
    def test_of_another_form_is_an_invalid_value(self, text):
        error = refusal(parameters.parse_cursor, text)
        assert isinstance(error, InvalidValue)
        assert text not in error.message


def no_resave(text):
    return parameters.parse_timeouts(None, None, text).no_resave


FLAGS = {
    "no_resave": no_resave,
    "peek": parameters.parse_peek,
    "replace": parameters.parse_replace,
    "details": parameters.parse_details,
}


@pytest.mark.parametrize(("name", "parse"), FLAGS.items(), ids=FLAGS)
class TestFlag:
    @pytest.mark.parametrize(
        ("text", "is_set"),
        [("1", True), ("true", True), ("0", False), ("false", False), ("", False), (None, False)],
    )
    def test_is_set_or_not(self, name, parse, text, is_set):
        assert parse(text) is is_set

    @pytest.mark.parametrize("text", ["2", "yes", "TRUE", " 1"])
    def test_of_another_word_is_an_invalid_value(self, name, parse, text):
        error = refusal(parse, text)
        assert isinstance(error, InvalidValue)
        assert error.message == f"{name} must be 1, true, 0 or false"
