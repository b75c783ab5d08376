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
    return st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


ANY_CHARACTER = st.characters(codec="utf-8")


def json_texts_of_strings(characters=ANY_CHARACTER, **size):
    """Strings as a client may write them, escaped or not."""
    return st.builds(lambda text, write: write(text), st.text(characters, **size), st.sampled_from(WRITERS))


WRITERS = [json.dumps, json_string]

keys = json_texts_of_strings(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12)
values = st.recursive(
    st.one_of(number_texts(), json_texts_of_strings(max_size=20), st.sampled_from(["true", "false", "null"])),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{' ,'.join(items)}]")
        | st.lists(st.tuples(keys, inner), max_size=3).map(
            lambda members: f"{{{','.join(f'{key} :{value}' for key, value in members)}}}"
        )
    ),
    max_leaves=8,
)


@st.composite
def bodies(draw):
    """A JSON object of data, as text."""
    members = draw(st.lists(st.tuples(keys, values), max_size=8))
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    return f"{space}{{{space}{','.join(f'{space}{key}{space}:{value}{space}' for key, value in members)}}}{space}"


def read(text):
    """The members of a JSON object. A number keeps the digits that were written."""
    return json.loads(text, parse_int=lambda digits: ("number", digits), parse_float=lambda digits: ("number", digits))


# Where in a value something may be.
PLACES = {"top": "%s", "array": "[1,%s]", "object": '{"a":%s}', "deep": '[{"a":[[%s]]}]'}


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
            pytest.param("-" + "9" * 63, id="minus-and-63-digits"),
            pytest.param("0." + "1" * 62, id="decimal-of-64-characters"),
        ],
    )
    def test_number_keeps_its_digits(self, number):
        assert parse_data(f'{{"n":{number}}}'.encode()) == {"n": number}

    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1e99999999999999999999"])
    def test_number_that_no_double_holds_is_an_invalid_value(self, number):
        error = refusal(parse_data, f'{{"n":{number}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.n has a number that no double can hold"

    @pytest.mark.parametrize(
        "number",
        [
            pytest.param("9" * 65, id="65-digits"),
            pytest.param("-" + "9" * 64, id="minus-and-64-digits"),
            pytest.param("0." + "1" * 63, id="decimal-of-65-characters"),
            pytest.param("1" * 60 + "e+100", id="exponent-of-65-characters"),
            pytest.param("9" * MORE_DIGITS_THAN_PYTHON_PARSES, id="thousands-of-digits"),
        ],
    )
    def test_number_of_too_many_characters_is_an_invalid_value(self, number):
        error = refusal(parse_data, f'{{"n":{number}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.n has a number of more than 64 characters"

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
            pytest.param('{"":1}', {"": "1"}, id="empty-key"),
            pytest.param("[]", {}, id="empty-array-of-php"),
            pytest.param('\ufeff{"a":1}', {"a": "1"}, id="byte-order-mark"),
            pytest.param('{"a":[1.10, {"b" :[]} ,null]}', {"a": '[1.10,{"b":[]},null]'}, id="nested"),
            pytest.param('{"a":{"n":null,"":0}}', {"a": '{"n":null,"":0}'}, id="nested-null-and-empty-key"),
            pytest.param(r'{"s":"\u0000"}', {"s": r'"\u0000"'}, id="nul"),
            pytest.param('{"__proto__":1,"constructor":2}', {"__proto__": "1", "constructor": "2"}, id="javascript"),
            pytest.param('{"id":1,"d:id":2,"d":3}', {"id": "1", "d:id": "2", "d": "3"}, id="names-of-fields"),
            pytest.param('{"a":1,"b":2,"a":3}', {"a": "3", "b": "2"}, id="last-of-duplicate-keys"),
        ],
    )
    def test_maps_each_key_to_the_text_of_its_value(self, body, data):
        assert parse_data(body.encode()) == data

    @pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["arrays", "objects"])
    def test_value_is_nested_at_most_32_deep(self, opening):
        closing = "]" if opening == "[" else "}"
        deepest = f"{opening * 32}1{closing * 32}"
        assert parse_data(f'{{"good":{deepest}}}'.encode()) == {"good": deepest}
        error = refusal(parse_data, f'{{"good":1,"bad":{opening}{deepest}{closing}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d.bad is nested more than 32 deep"

    @pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (r'"hi \ud83d"', "d.k has half of a surrogate pair"),
            (r'"\ude00"', "d.k has half of a surrogate pair"),
            (r'"\ude00\ud83d"', "d.k has half of a surrogate pair"),
            ("1e400", "d.k has a number that no double can hold"),
            ("1e-9999999999", "d.k has a number that no double can hold"),
            ("0e99999", "d.k has a number that no double can hold"),
            ("1" * 65, "d.k has a number of more than 64 characters"),
            ("0." + "1" * 1201, "d.k has a number of more than 64 characters"),
        ],
        ids=[
            "high-surrogate",
            "low-surrogate",
            "swapped-surrogates",
            "too-large",
            "small",
            "zero",
            "65-digits",
            "1203-digits",
        ],
    )
    def test_value_that_another_platform_cannot_read_is_refused_at_every_depth(self, place, bad, message):
        error = refusal(parse_data, f'{{"good":1,"k":{place % bad}}}'.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == message

    @pytest.mark.parametrize("place", ["%s", '{"k":%s}', '{"k":[{"l":%s}]}'], ids=["top", "object", "deep"])
    @pytest.mark.parametrize("key", [r"a\u0000", r"\n", r"\u007f", r"\u0085", r"\ud83d"])
    def test_key_that_another_platform_cannot_read_is_refused_at_every_depth(self, place, key):
        error = refusal(parse_data, (place % f'{{"{key}":1}}').encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "A key of d has a control character or half of a surrogate pair"

    def test_a_long_key_is_quoted_in_part(self):
        error = refusal(parse_data, json.dumps({"k" * 128: [[["x"] * 3]] * 2}).replace('"x"', "1e400").encode())
        assert error.message == f"d.{'k' * 32} has a number that no double can hold"

    @pytest.mark.parametrize(
        "body", ["[1]", "[[]]", "[null]", '[{"a":1}]', '"text"', "1", "1e400", "9" * 100, "true", "null"]
    )
    def test_that_is_not_an_object_is_an_invalid_value(self, body):
        error = refusal(parse_data, body.encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "d must be an object"

    @pytest.mark.parametrize("key", ["", "k", "k" * 128, "😀" * 128], ids=["0", "1", "128", "128-astral"])
    def test_key_of_at_most_128_characters_is_accepted(self, key):
        assert parse_data(json.dumps({key: 1}).encode()) == {key: "1"}

    @pytest.mark.parametrize("value", ["1", "null"])
    @pytest.mark.parametrize("key", ["k" * 129, "😀" * 129], ids=["129", "129-astral"])
    def test_longer_key_is_an_invalid_value(self, key, value):
        error = refusal(parse_data, f"{{{json.dumps(key)}:{value}}}".encode())
        assert isinstance(error, InvalidValue)
        assert error.message == "The keys of d must have at most 128 characters"

    def test_of_512_keys_is_accepted(self):
        assert len(parse_data(json.dumps({f"k{n}": n for n in range(512)}).encode())) == 512

    @pytest.mark.parametrize("value", [1, None], ids=["numbers", "nulls"])
    def test_of_513_keys_is_too_large(self, value):
        error = refusal(parse_data, json.dumps({f"k{n}": value for n in range(513)}).encode())
        assert isinstance(error, TooLarge)
        assert error.message == "The body must have at most 512 keys"


def body_of(size, character="x"):
    """A valid body of `size` bytes."""
    room = size - len('{"k":""}')
    width = len(character.encode())
    return f'{{"k":"{character * (room // width)}{"." * (room % width)}"}}'.encode()


class TestBody:
    @pytest.mark.parametrize("character", ["x", "딸"], ids=["ascii", "wide"])
    def test_of_262144_bytes_is_accepted(self, character):
        body = body_of(262_144, character)
        assert len(body) == 262_144
        assert parse_data(body) == {"k": body.decode().removeprefix('{"k":').removesuffix("}")}

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(body_of(262_145), id="ascii"),
            pytest.param(body_of(262_145, "딸"), id="of-fewer-characters"),
            pytest.param(b"{}" + b" " * 262_143, id="spaces"),
            pytest.param(b"\xff" * 262_145, id="neither-utf-8-nor-json"),
        ],
    )
    def test_of_262145_bytes_is_too_large(self, body):
        error = refusal(parse_data, body)
        assert isinstance(error, TooLarge)
        assert error.message == "The body must be at most 262144 bytes"

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
            pytest.param(b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}', "line 1 column 1", id="two-byte-order-marks"),
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
                "surrogate": r'{"k":["hunter2\ud83d"]}',
                "control-character": r'{"k":{"hunter2\u0000":"hunter2"}}',
                "too-deep": '{"k":' + "[" * 33 + '"hunter2"' + "]" * 33 + "}",
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
                "long-key": '{"' + "k" * 129 + '":"hunter2"}',
                "too-large": '{"k":"hunter2"}' + " " * 262_144,
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
