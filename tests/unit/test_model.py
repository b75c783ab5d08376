import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.model import AppsPage, Created, Cursor, Details, Page, Session, Timeouts, json_string

HANDLE = "krs9ZcLBQyiMzy7JmCB0GD"


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
        flags=st.fixed_dictionaries({name: st.booleans() for name in ("no_resave", "rotated", "closed")}),
        details=st.none() | st.builds(Details, st.just(HANDLE), st.integers(0), st.none() | st.integers(10)),
        data=st.dictionaries(texts_from_json(), json_values(), max_size=5),
    )
    def test_json_equals_the_fields(self, id, ip, numbers, flags, details, data):
        r, w, ttl, idle = numbers
        texts = {key: json.dumps(value) for key, value in data.items()}
        text = Session(id=id, r=r, w=w, ttl=ttl, idle=idle, ip=ip, **flags, details=details, data=texts).json
        shown = {name: value for name, value in details._asdict().items() if value is not None} if details else {}
        assert json.loads(text.encode()) == {
            **({"id": id} if id else {}),
            "r": r,
            "w": w,
            "ttl": ttl,
            "idle": idle,
            "ip": ip,
            **{name: True for name, is_set in flags.items() if is_set},
            **shown,
            **({"d": data} if data else {}),
        }

    def test_json_has_the_keys_in_the_order_of_the_contract(self):
        text = session(no_resave=True, data={"b": "1", "a": "2"}).json
        assert list(json.loads(text)) == ["id", "r", "w", "ttl", "idle", "ip", "no_resave", "d"]
        assert list(json.loads(text)["d"]) == ["b", "a"]

    @pytest.mark.parametrize(
        ("fields", "end"),
        [
            ({}, ""),
            ({"rotated": True}, ',"rotated":true'),
            ({"closed": True}, ',"closed":true'),
            ({"details": Details(HANDLE, 0)}, f',"handle":"{HANDLE}","age":0'),
            ({"details": Details(HANDLE, 60, 86_400)}, f',"handle":"{HANDLE}","age":60,"lifetime":86400'),
        ],
        ids=str,
    )
    def test_json_has_further_members_only_where_they_apply(self, fields, end):
        start = '{"id":"user123","r":1,"w":1,"ttl":7200,"idle":0,"ip":"203.0.113.10"'
        assert session(**fields).json == start + end + "}"

    def test_json_of_an_anonymous_session_has_no_id(self):
        assert session(id="").json == '{"r":1,"w":1,"ttl":7200,"idle":0,"ip":"203.0.113.10"}'

    def test_json_has_the_text_of_each_datum_as_it_is(self):
        text = session(data={"n": "12345678901234567890.10", "s": r'"\ud83d"'}).json
        assert text.endswith(r',"d":{"n":12345678901234567890.10,"s":"\ud83d"}}')

    def test_json_of_the_contracts_example(self):
        example = session(idle=273, ip="192.168.99.22", data={"name": '"Peter"'})
        assert (
            example.json
            == '{"id":"user123","r":1,"w":1,"ttl":7200,"idle":273,"ip":"192.168.99.22","d":{"name":"Peter"}}'
        )


class TestTimeouts:
    @pytest.mark.parametrize(
        ("timeouts", "fixed"),
        [
            (Timeouts(), None),
            (Timeouts(60), None),
            (Timeouts(60, lifetime=600), 600),
            (Timeouts(60, no_resave=True), 60),
        ],
        ids=str,
    )
    def test_have_a_fixed_end_with_a_lifetime_or_no_resave(self, timeouts, fixed):
        assert timeouts.fixed == fixed


class TestCreated:
    @pytest.mark.parametrize(
        ("created", "details", "answer"),
        [
            (Created("T", HANDLE), False, {"token": "T"}),
            (Created("T", HANDLE), True, {"token": "T", "handle": HANDLE}),
            (Created("T", HANDLE, taken_over=True), False, {"token": "T", "from": 1}),
            (Created("T", HANDLE, taken_over=False), False, {"token": "T", "from": 0}),
            (Created("T", HANDLE, killed=0), False, {"token": "T", "kill": 0}),
            (Created("T", HANDLE, True, 2), True, {"token": "T", "handle": HANDLE, "from": 1, "kill": 2}),
        ],
        ids=["plain", "details", "taken-over", "not-taken-over", "cap", "all"],
    )
    def test_answer_has_what_the_request_has_brought_about(self, created, details, answer):
        assert created.answer(details=details) == answer


class TestListing:
    def test_cursor_is_written_as_time_and_handle(self):
        assert str(Cursor(1_700_000_000, HANDLE)) == f"1700000000-{HANDLE}"

    def test_cursors_sort_by_time_and_then_by_handle(self):
        cursors = [Cursor(9, "b"), Cursor(10, "a"), Cursor(9, "a")]
        assert sorted(cursors) == [Cursor(9, "a"), Cursor(9, "b"), Cursor(10, "a")]

    def test_page_is_the_last_unless_it_has_a_next(self):
        assert Page([]).next is None
        assert AppsPage([]).next is None
