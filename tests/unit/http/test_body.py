"""The rules of bodies, on both sides of each limit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.errors import BadRequest, InvalidJson, InvalidValue, TooLarge
from rest_sessions.http.body import parse_data
from rest_sessions.model import json_string
from tests.unit.http.rules import MORE_DIGITS_THAN_PYTHON_PARSES, named, refusal


def number_texts():
    return st.from_regex(r"-?(0|[1-9][0-9]{0,63})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


def json_texts_of_strings(**size):
    """Strings as a client may write them: escaped or not, but lone surrogates are always escaped."""
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
    """The members of a JSON object. A number keeps the digits that were written."""
    return json.loads(text, parse_int=lambda digits: ("number", digits), parse_float=lambda digits: ("number", digits))


class TestData:
    @given(bodies())
    def test_is_parsed_as_it_was_sent(self, body):
        data = parse_data(body.encode())
        parsed = ",".join(f"{json_string(key)}:{text or 'null'}" for key, text in data.items())
        parsed.encode()
        assert read(f"{{{parsed}}}") == read(body)

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
        assert parse_data(f'{{"n":{number}}}'.encode()) == {"n": number}

    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1e99999999999999999999"])
    def test_number_that_no_double_holds_is_an_invalid_value(self, number):
        error = refusal(parse_data, f'{{"n":{number}}}'.encode())
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
        error = refusal(parse_data, f'{{"n":{number}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.n is an integer of more than 64 digits"

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
    def test_nan_and_infinity_are_invalid_json(self, word):
        error = refusal(parse_data, f'{{"n":{word}}}'.encode())
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
        assert parse_data(body.encode()) == data

    @pytest.mark.parametrize("value", ["[]", "[1]", "{}", '{"a":1}', "[" * 500 + "]" * 500], ids=lambda v: v[:8])
    def test_value_of_a_forbidden_type_is_an_invalid_value(self, value):
        error = refusal(parse_data, f'{{"good":1,"bad":{value}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.bad has a forbidden type. Only strings, numbers, boolean and null are allowed."

    @pytest.mark.parametrize("body", ["[]", '[{"a":1}]', '"text"', "1", "1e400", "9" * 100, "true", "null"])
    def test_that_is_not_an_object_is_an_invalid_value(self, body):
        error = refusal(parse_data, body.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d must be an object"

    @pytest.mark.parametrize("key", ["k", "k" * 128, "😀" * 128], ids=["1", "128", "128-astral"])
    def test_key_of_1_to_128_characters_is_accepted(self, key):
        assert parse_data(json.dumps({key: 1}).encode()) == {key: "1"}

    @pytest.mark.parametrize("value", ["1", "null"])
    @pytest.mark.parametrize("key", ["", "k" * 129, "😀" * 129], ids=["empty", "129", "129-astral"])
    def test_key_of_another_length_is_an_invalid_value(self, key, value):
        error = refusal(parse_data, f"{{{json.dumps(key)}:{value}}}".encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "The keys of d must have 1 to 128 characters"

    def test_of_512_keys_is_accepted(self):
        assert len(parse_data(json.dumps({f"k{n}": n for n in range(512)}).encode())) == 512

    def test_of_513_keys_is_too_large(self):
        error = refusal(parse_data, json.dumps({f"k{n}": n for n in range(513)}).encode())
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
        assert parse_data(body) == {"k": body.decode().removeprefix('{"k":').removesuffix("}")}

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
        error = refusal(parse_data, body)
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
    def test_that_is_not_json_is_refused_with_the_place(self, body, where):
        error = refusal(parse_data, body)
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
        error = refusal(parse_data, body if isinstance(body, bytes) else body.encode())
        assert "hunter2" not in error.message
        assert "999" not in error.message

    @given(st.binary(max_size=60))
    def test_of_any_bytes_gives_data_or_a_refusal(self, body):
        try:
            data = parse_data(body)
        except BadRequest:
            return
        assert isinstance(data, dict)
