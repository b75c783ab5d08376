"""What is accepted: each rule of the contract, from both sides of its bounds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions import validation
from rest_sessions.errors import ApiError, BadRequest, InvalidFormat, InvalidJson, InvalidValue, TooLarge
from rest_sessions.model import Position, json_string

CONTROL_CHARACTERS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
MORE_DIGITS_THAN_PYTHON_PARSES = 5000

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


def refusal(parse, *args):
    with pytest.raises(ApiError) as caught:
        parse(*args)
    return caught.value


def named(cases):
    return [pytest.param(value, id=name) for name, value in cases.items()]


class TestText:
    @pytest.mark.parametrize(
        ("parse", "text"),
        [
            pytest.param(validation.parse_app, "app", id="app-of-3"),
            pytest.param(validation.parse_app, "a" * 20, id="app-of-20"),
            pytest.param(validation.parse_app, "Az09_-", id="app-of-each-kind"),
            pytest.param(validation.parse_id, "a", id="id-of-1"),
            pytest.param(validation.parse_id, "a" * 128, id="id-of-128"),
            pytest.param(validation.parse_id, "😀" * 128, id="id-of-128-astral"),
            pytest.param(validation.parse_id, "user@example.com", id="id-address"),
            pytest.param(validation.parse_id, "a:b", id="id-colon"),
            pytest.param(validation.parse_id, "딸기", id="id-korean"),
            pytest.param(validation.parse_id, " a b ", id="id-spaces"),
            pytest.param(validation.parse_id, "a/b%2F?#", id="id-of-path-characters"),
            pytest.param(validation.parse_id, "{}*[]\\", id="id-of-key-and-pattern-characters"),
            pytest.param(validation.parse_token, "aZ09" * 16, id="token"),
            pytest.param(validation.parse_ip, "1", id="ip-of-1"),
            pytest.param(validation.parse_ip, "203.0.113.10", id="ip-v4"),
            pytest.param(validation.parse_ip, "2001:db8::1", id="ip-v6"),
            pytest.param(validation.parse_ip, "0000:0000:0000:0000:0000:ffff:192.168.100.228", id="ip-of-45"),
        ],
    )
    def test_comes_back_as_it_is(self, parse, text):
        assert parse(text) == text

    @pytest.mark.parametrize(
        ("parse", "item", "text"),
        [
            pytest.param(validation.parse_app, "app", "ab", id="app-of-2"),
            pytest.param(validation.parse_app, "app", "a" * 21, id="app-of-21"),
            pytest.param(validation.parse_app, "app", "a.b", id="app-dot"),
            pytest.param(validation.parse_app, "app", "a b", id="app-space"),
            pytest.param(validation.parse_app, "app", "a{b}", id="app-braces"),
            pytest.param(validation.parse_app, "app", "app\n", id="app-newline"),
            pytest.param(validation.parse_app, "app", "äpp", id="app-umlaut"),
            pytest.param(validation.parse_id, "id", "a" * 129, id="id-of-129"),
            pytest.param(validation.parse_id, "id", "😀" * 129, id="id-of-129-astral"),
            pytest.param(validation.parse_id, "id", f"a{SURROGATE}", id="id-surrogate"),
            pytest.param(validation.parse_id, "id", "a\ufffd", id="id-replacement-character"),
            pytest.param(validation.parse_token, "token", "a" * 63, id="token-of-63"),
            pytest.param(validation.parse_token, "token", "a" * 65, id="token-of-65"),
            pytest.param(validation.parse_token, "token", "a" * 63 + "-", id="token-dash"),
            pytest.param(validation.parse_token, "token", "a" * 63 + "ä", id="token-umlaut"),
            pytest.param(validation.parse_token, "token", "a" * 63 + "٣", id="token-arabic-digit"),
            pytest.param(validation.parse_token, "token", "a" * 64 + "\n", id="token-newline"),
            pytest.param(validation.parse_ip, "ip", "1" * 46, id="ip-of-46"),
            pytest.param(validation.parse_ip, "ip", "203.0.113.10\n", id="ip-newline"),
        ],
    )
    def test_outside_its_rule_is_an_invalid_format(self, parse, item, text):
        error = refusal(parse, text)
        assert isinstance(error, InvalidFormat)
        assert error.message == f"Invalid {item} format"

    @pytest.mark.parametrize("character", CONTROL_CHARACTERS, ids=lambda character: f"U+{ord(character):04X}")
    def test_id_has_no_control_character(self, character):
        assert isinstance(refusal(validation.parse_id, f"a{character}b"), InvalidFormat)

    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    @pytest.mark.parametrize(
        ("parse", "item"),
        [
            (validation.parse_app, "app"),
            (validation.parse_id, "id"),
            (validation.parse_token, "token"),
            (validation.parse_ip, "ip"),
            (validation.parse_dt, "dt"),
        ],
        ids=["app", "id", "token", "ip", "dt"],
    )
    def test_that_is_required_and_not_there_is_missing(self, parse, item, text):
        error = refusal(parse, text)
        assert error.name == "missingParameter"
        assert error.message == f"No {item} supplied"


class TestTtl:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_7200_when_not_given(self, text):
        assert validation.parse_ttl(text) == 7200

    @pytest.mark.parametrize(("text", "ttl"), [("10", 10), ("0010", 10), ("7200", 7200), ("2592000", 2_592_000)])
    def test_is_a_number_of_seconds(self, text, ttl):
        assert validation.parse_ttl(text) == ttl

    @pytest.mark.parametrize("text", [*named({"nine": "9", "zero": "0"}), *named(NOT_WHOLE_NUMBERS)])
    def test_is_at_least_10(self, text):
        error = refusal(validation.parse_ttl, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "ttl must be a positive integer >= 10"

    @pytest.mark.parametrize(
        "text", ["2592001", pytest.param("9" * MORE_DIGITS_THAN_PYTHON_PARSES, id="thousands-of-digits")]
    )
    def test_is_at_most_30_days(self, text):
        error = refusal(validation.parse_ttl, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "ttl must be a positive integer <= 2592000"


class TestDt:
    @pytest.mark.parametrize(("text", "dt"), [("10", 10), ("0010", 10), ("31536000", 31_536_000)])
    def test_is_a_number_of_seconds(self, text, dt):
        assert validation.parse_dt(text) == dt

    def test_reaches_back_beyond_any_clock(self):
        assert validation.parse_dt("9" * MORE_DIGITS_THAN_PYTHON_PARSES) > 10**12

    @pytest.mark.parametrize("text", [*named({"nine": "9", "zero": "0"}), *named(NOT_WHOLE_NUMBERS)])
    def test_is_at_least_10(self, text):
        error = refusal(validation.parse_dt, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "dt must be a positive integer >= 10"


class TestLimit:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_none_when_not_given(self, text):
        assert validation.parse_limit(text) is None

    @pytest.mark.parametrize(("text", "limit"), [("1", 1), ("0050", 50), ("1000", 1000)])
    def test_is_a_number_of_sessions(self, text, limit):
        assert validation.parse_limit(text) == limit

    @pytest.mark.parametrize(
        "text",
        [
            *named({"zero": "0", "1001": "1001", "thousands-of-digits": "9" * MORE_DIGITS_THAN_PYTHON_PARSES}),
            *named(NOT_WHOLE_NUMBERS),
        ],
    )
    def test_is_from_1_to_1000(self, text):
        error = refusal(validation.parse_limit, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "limit must be an integer from 1 to 1000"


class TestCursor:
    @pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
    def test_is_none_when_not_given(self, text):
        assert validation.parse_cursor(text) is None

    @given(
        st.builds(
            Position,
            used=st.integers(min_value=0, max_value=10**12 - 1),
            handle=st.text("0123456789abcdef", min_size=32, max_size=32),
        )
    )
    def test_is_the_next_of_an_answer(self, position):
        assert validation.parse_cursor(str(position)) == position

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
        error = refusal(validation.parse_cursor, text)
        assert isinstance(error, InvalidValue)
        assert text not in error.message


class TestNoResave:
    @pytest.mark.parametrize(
        ("text", "no_resave"),
        [("1", True), ("true", True), ("0", False), ("false", False), ("", False), (None, False)],
    )
    def test_is_a_flag(self, text, no_resave):
        assert validation.parse_no_resave(text) is no_resave

    @pytest.mark.parametrize("text", ["2", "yes", "TRUE", " 1"])
    def test_of_another_word_is_an_invalid_value(self, text):
        error = refusal(validation.parse_no_resave, text)
        assert isinstance(error, InvalidValue)
        assert error.message == "no_resave must be 1, true, 0 or false"


def number_texts():
    return st.from_regex(r"-?(0|[1-9][0-9]{0,63})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


def json_texts_of_strings(**size):
    """As a client may write them: escaped or not, a lone surrogate always escaped."""
    return st.builds(lambda text, write: write(text), st.text(st.characters(), **size), st.sampled_from(WRITERS))


WRITERS = [json.dumps, json_string]


@st.composite
def bodies(draw):
    """A JSON object of data, as text."""
    values = st.one_of(number_texts(), json_texts_of_strings(max_size=20), st.sampled_from(["true", "false", "null"]))
    members = draw(st.lists(st.tuples(json_texts_of_strings(min_size=1, max_size=12), values), max_size=8))
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    return f"{space}{{{space}{','.join(f'{space}{key}{space}:{value}{space}' for key, value in members)}}}{space}"


def read(text):
    """The members of a JSON object, each number as it is written."""
    return json.loads(text, parse_int=lambda digits: ("number", digits), parse_float=lambda digits: ("number", digits))


class TestData:
    @given(bodies())
    def test_is_kept_as_it_was_sent(self, body):
        data = validation.parse_data(body.encode())
        kept = ",".join(f"{json_string(key)}:{text or 'null'}" for key, text in data.items())
        kept.encode()
        assert read(f"{{{kept}}}") == read(body)

    @pytest.mark.parametrize(
        "number",
        [
            "0",
            "-0",
            "-0.0",
            "0.1",
            "1.10",
            "1E+2",
            "1e300",
            "-1.7976931348623157e308",
            "1e-400",
            "9007199254740993",
            "12345678901234567890123",
            "0.1000000000000000055511151231257827021181583404541015625",
            pytest.param("9" * 64, id="64-digits"),
            pytest.param("-" + "9" * 64, id="minus-and-64-digits"),
        ],
    )
    def test_number_keeps_its_digits(self, number):
        assert validation.parse_data(f'{{"n":{number}}}'.encode()) == {"n": number}

    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1e99999999999999999999"])
    def test_number_that_no_double_holds_is_an_invalid_value(self, number):
        error = refusal(validation.parse_data, f'{{"n":{number}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.n is a number that no double can hold"

    @pytest.mark.parametrize(
        "number",
        [
            pytest.param("9" * 65, id="65-digits"),
            pytest.param("-" + "9" * 65, id="minus-and-65-digits"),
            pytest.param("9" * MORE_DIGITS_THAN_PYTHON_PARSES, id="thousands-of-digits"),
        ],
    )
    def test_integer_of_too_many_digits_is_an_invalid_value(self, number):
        error = refusal(validation.parse_data, f'{{"n":{number}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.n is an integer of more than 64 digits"

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
    def test_what_only_javascript_calls_a_number_is_invalid_json(self, word):
        error = refusal(validation.parse_data, f'{{"n":{word}}}'.encode())
        assert isinstance(error, InvalidJson)
        assert error.message == f"The body is not valid JSON: {word} is not a JSON value"

    @pytest.mark.parametrize(
        ("body", "data"),
        [
            pytest.param('{"s":"text"}', {"s": '"text"'}, id="string"),
            pytest.param('{"s":""}', {"s": '""'}, id="empty-string"),
            pytest.param('{"t":true,"f":false}', {"t": "true", "f": "false"}, id="booleans"),
            pytest.param('{"n":null}', {"n": None}, id="null"),
            pytest.param("{}", {}, id="nothing"),
            pytest.param('{"s":"딸기 😀"}', {"s": '"딸기 😀"'}, id="unicode"),
            pytest.param(r'{"s":"\ud83d\ude00"}', {"s": '"😀"'}, id="surrogate-pair"),
            pytest.param(r'{"s":"\ud83d"}', {"s": r'"\ud83d"'}, id="lone-surrogate"),
            pytest.param(r'{"\ude00":1}', {"\ude00": "1"}, id="lone-surrogate-in-key"),
            pytest.param(r'{"s":"\u0000"}', {"s": r'"\u0000"'}, id="nul"),
            pytest.param('{"__proto__":1,"constructor":2}', {"__proto__": "1", "constructor": "2"}, id="javascript"),
            pytest.param('{"id":1,"d:id":2,"d":3}', {"id": "1", "d:id": "2", "d": "3"}, id="names-of-fields"),
            pytest.param('{"a":1,"b":2,"a":3}', {"a": "3", "b": "2"}, id="last-of-duplicate-keys"),
        ],
    )
    def test_maps_each_key_to_the_text_of_its_value(self, body, data):
        assert validation.parse_data(body.encode()) == data

    @pytest.mark.parametrize("value", ["[]", "[1]", "{}", '{"a":1}', "[" * 500 + "]" * 500], ids=lambda v: v[:8])
    def test_value_of_a_forbidden_type_is_an_invalid_value(self, value):
        error = refusal(validation.parse_data, f'{{"good":1,"bad":{value}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.bad has a forbidden type. Only strings, numbers, boolean and null are allowed."

    @pytest.mark.parametrize("body", ["[]", '[{"a":1}]', '"text"', "1", "1e400", "9" * 100, "true", "null"])
    def test_that_is_no_object_is_an_invalid_value(self, body):
        error = refusal(validation.parse_data, body.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d must be an object"

    @pytest.mark.parametrize("key", ["k", "k" * 128, "😀" * 128], ids=["1", "128", "128-astral"])
    def test_key_of_1_to_128_characters_is_accepted(self, key):
        assert validation.parse_data(json.dumps({key: 1}).encode()) == {key: "1"}

    @pytest.mark.parametrize("value", ["1", "null"])
    @pytest.mark.parametrize("key", ["", "k" * 129, "😀" * 129], ids=["empty", "129", "129-astral"])
    def test_key_of_another_length_is_an_invalid_value(self, key, value):
        error = refusal(validation.parse_data, f"{{{json.dumps(key)}:{value}}}".encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "The keys of d must have 1 to 128 characters"

    def test_of_512_keys_is_accepted(self):
        assert len(validation.parse_data(json.dumps({f"k{n}": n for n in range(512)}).encode())) == 512

    def test_of_513_keys_is_too_large(self):
        error = refusal(validation.parse_data, json.dumps({f"k{n}": n for n in range(513)}).encode())
        assert isinstance(error, TooLarge)
        assert error.message == "A session's data must have at most 512 keys"


def body_of(size, character="x"):
    """A valid body of `size` bytes."""
    room = size - len('{"k":""}')
    width = len(character.encode())
    return f'{{"k":"{character * (room // width)}{"." * (room % width)}"}}'.encode()


class TestBody:
    @pytest.mark.parametrize("character", ["x", "딸"], ids=["ascii", "wide"])
    def test_of_60000_bytes_is_accepted(self, character):
        body = body_of(60_000, character)
        assert len(body) == 60_000
        assert validation.parse_data(body) == {"k": body.decode().removeprefix('{"k":').removesuffix("}")}

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(body_of(60_001), id="ascii"),
            pytest.param(body_of(60_001, "딸"), id="of-fewer-characters"),
            pytest.param(b"{}" + b" " * 59_999, id="spaces"),
            pytest.param(b"\xff" * 60_001, id="neither-utf-8-nor-json"),
        ],
    )
    def test_of_60001_bytes_is_too_large(self, body):
        error = refusal(validation.parse_data, body)
        assert isinstance(error, TooLarge)
        assert error.message == "The body must be at most 60000 bytes"

    @pytest.mark.parametrize(
        ("body", "where"),
        [
            pytest.param(b"", "line 1 column 1", id="empty"),
            pytest.param(b"hello", "line 1 column 1", id="word"),
            pytest.param(b'{"a":1} {"b":2}', "line 1 column 9", id="two-objects"),
            pytest.param(b'{"a":1,\n"b":?}', "line 2 column 5", id="second-line"),
            pytest.param(b"{'a':1}", "line 1 column 2", id="single-quotes"),
            pytest.param(b'{"a":01}', "line 1 column 7", id="leading-zero"),
            pytest.param(b'{"a":.5}', "line 1 column 6", id="no-integer-part"),
            pytest.param(b'{"a":"\n"}', "line 1 column 7", id="raw-newline"),
            pytest.param(rb'{"a":"\x41"}', "line 1 column 7", id="escape-of-another-language"),
            pytest.param(b'\xef\xbb\xbf{"a":1}', "line 1 column 1", id="byte-order-mark"),
            pytest.param(b'{"a":"\xff"}', "it is not UTF-8 at byte 6", id="not-utf-8"),
            pytest.param(b'{"a":"\xed\xa0\x80"}', "it is not UTF-8 at byte 6", id="encoded-surrogate"),
            pytest.param(b'{"a":"\xc0\xaf"}', "it is not UTF-8 at byte 6", id="overlong"),
            pytest.param('{"a":1}'.encode("utf-16"), "it is not UTF-8 at byte 0", id="utf-16"),
            pytest.param(b'{"a":' + b"[" * 50_000, "it is nested too deeply", id="50000-arrays"),
            pytest.param(b'{"a":' * 10_000, "it is nested too deeply", id="10000-objects"),
        ],
    )
    def test_that_is_not_json_is_refused_with_where(self, body, where):
        error = refusal(validation.parse_data, body)
        assert isinstance(error, InvalidJson)
        assert error.message.startswith("The body is not valid JSON: ")
        assert error.message.endswith(where)

    @pytest.mark.parametrize(
        "body",
        named(
            {
                "array": '{"k":["hunter2"]}',
                "object": '{"k":{"hunter2":"hunter2"}}',
                "unterminated": '{"k":"hunter2',
                "unquoted": '{"k":hunter2}',
                "extra-data": '{"k":1}hunter2',
                "bad-escape": r'{"k":"hunter2\q"}',
                "raw-newline": '{"k":"hunter2\n"}',
                "constant": '{"s":"hunter2","k":NaN}',
                "no-object": '"hunter2"',
                "not-utf-8": b'{"k":"hunter2\xff"}',
                "too-many-digits": '{"s":"hunter2","k":' + "9" * 65 + "}",
                "no-double": '{"s":"hunter2","k":1e400}',
                "empty-key": '{"":"hunter2"}',
                "too-large": '{"k":"hunter2"}' + " " * 60_000,
                "too-many-keys": json.dumps({f"k{n}": "hunter2" for n in range(513)}),
            }
        ),
    )
    def test_is_never_quoted_in_a_refusal(self, body):
        error = refusal(validation.parse_data, body if isinstance(body, bytes) else body.encode())
        assert "hunter2" not in error.message
        assert "999" not in error.message

    @given(st.binary(max_size=60))
    def test_of_any_bytes_gives_data_or_a_refusal(self, body):
        try:
            data = validation.parse_data(body)
        except BadRequest:
            return
        assert isinstance(data, dict)


class TestSize:
    def test_at_the_limits_is_accepted(self):
        validation.check_size(512, 1_000_000)

    @pytest.mark.parametrize(
        ("keys", "size", "message"),
        [
            (513, 0, "A session's data must have at most 512 keys"),
            (0, 1_000_001, "A session's data must be at most 1000000 bytes"),
        ],
        ids=["keys", "bytes"],
    )
    def test_beyond_a_limit_is_too_large(self, keys, size, message):
        error = refusal(validation.check_size, keys, size)
        assert isinstance(error, TooLarge)
        assert error.message == message
