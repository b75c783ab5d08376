import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.model import Cursor, Page, Session, json_string


def texts_from_json():
    """Any text that the API accepts in a JSON document."""
    return st.text(st.characters(codec="utf-8"))


def json_values():
    return st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts_from_json()
    )


def session(**fields):
    return Session(**{"id": "user123", "r": 1, "w": 1, "ttl": 7200, "idle": 0, "ip": "203.0.113.10", **fields})


class TestJsonString:
    @given(texts_from_json())
    def test_is_json_that_utf_8_can_encode(self, text):
        assert json.loads(json_string(text).encode()) == text

    @pytest.mark.parametrize(
        ("text", "encoded"),
        [
            ("딸기 😀", '"딸기 😀"'),
            ('"\\\n', r'"\"\\\n"'),
        ],
        ids=["unicode", "escapes"],
    )
    def test_escapes_only_what_it_must(self, text, encoded):
        assert json_string(text) == encoded


class TestSession:
    @given(
        id=texts_from_json(),
        ip=texts_from_json(),
        numbers=st.tuples(*[st.integers(min_value=0)] * 4),
        no_resave=st.booleans(),
        data=st.dictionaries(texts_from_json(), json_values(), max_size=5),
    )
    def test_json_equals_the_fields(self, id, ip, numbers, no_resave, data):
        r, w, ttl, idle = numbers
        texts = {key: json.dumps(value) for key, value in data.items()}
        text = Session(id=id, r=r, w=w, ttl=ttl, idle=idle, ip=ip, no_resave=no_resave, data=texts).json
        assert json.loads(text.encode()) == {
            "id": id,
            "r": r,
            "w": w,
            "ttl": ttl,
            "idle": idle,
            "ip": ip,
            **({"no_resave": True} if no_resave else {}),
            **({"d": data} if data else {}),
        }

    def test_json_has_the_keys_in_the_order_of_the_contract(self):
        text = session(no_resave=True, data={"b": "1", "a": "2"}).json
        assert list(json.loads(text)) == ["id", "r", "w", "ttl", "idle", "ip", "no_resave", "d"]
        assert list(json.loads(text)["d"]) == ["b", "a"]

    def test_json_omits_absent_fields(self):
        assert list(json.loads(session().json)) == ["id", "r", "w", "ttl", "idle", "ip"]

    def test_json_has_the_text_of_each_datum_as_it_is(self):
        text = session(data={"n": "12345678901234567890.10", "s": r'"\ud83d"'}).json
        assert text.endswith(r',"d":{"n":12345678901234567890.10,"s":"\ud83d"}}')

    def test_json_of_the_contracts_example(self):
        example = session(idle=273, ip="192.168.99.22", data={"name": '"Peter"'})
        assert (
            example.json
            == '{"id":"user123","r":1,"w":1,"ttl":7200,"idle":273,"ip":"192.168.99.22","d":{"name":"Peter"}}'
        )


class TestListing:
    def test_cursor_is_written_as_time_and_handle(self):
        assert str(Cursor(1_700_000_000, "ab" * 16)) == "1700000000-" + "ab" * 16

    def test_cursors_sort_by_time_and_then_by_handle(self):
        cursors = [Cursor(9, "b"), Cursor(10, "a"), Cursor(9, "a")]
        assert sorted(cursors) == [Cursor(9, "a"), Cursor(9, "b"), Cursor(10, "a")]

    def test_page_is_the_last_unless_it_has_a_next(self):
        assert Page([]).next is None
