import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.access.principal import OPERATIONS, Principal
from rest_sessions.access.registry import KeyRegistry
from rest_sessions.errors import ConfigurationError

KEY = "0123456789abcdef" * 2
NAME_RULE = "name is not a text of 1 to 64 characters without double quotes, backslashes and control characters"
ENTRY = {"name": "web", "key": KEY, "apps": ["webapp"], "allow": ["create", "get"]}

# A character that is in no valid key, app or operation, and in none of the messages.
MARK = "§"
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(MARK, min_size=1),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ENTRY, MARK]), inner),
)


def registry(*entries):
    return KeyRegistry.parse(json.dumps({"keys": list(entries)}))


def without(field):
    return {name: value for name, value in ENTRY.items() if name != field}


class TestRegistry:
    def test_finds_the_principal_of_a_key(self):
        assert registry(ENTRY).find(KEY) == Principal("web", frozenset({"webapp"}), frozenset({"create", "get"}))

    @pytest.mark.parametrize(
        "key",
        ["", KEY[:-1], KEY + "x", KEY.upper(), f" {KEY}", f"{KEY} ", f"{KEY}\n", "*", "딸" * 32, "\ud800"],
        ids=ascii,
    )
    def test_finds_nobody_by_another_text(self, key):
        assert registry(ENTRY).find(key) is None

    def test_without_keys_finds_nobody(self):
        assert registry().find(KEY) is None

    def test_may_have_two_keys_of_one_name(self):
        both = registry(ENTRY, {**ENTRY, "key": KEY[::-1]})
        assert both.find(KEY) == both.find(KEY[::-1])

    @pytest.mark.parametrize("place", [0, 1, 2, None])
    def test_compares_in_constant_time_with_every_key(self, monkeypatch, place):
        keys = [f"{number}{KEY}" for number in range(3)]
        known = registry(*({**ENTRY, "key": key} for key in keys))
        compared = []
        compare = hmac.compare_digest
        monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or compare(a, b))
        assert bool(known.find(KEY if place is None else keys[place])) is (place is not None)
        assert compared == [(32, 32)] * 3

    @pytest.mark.parametrize("everything", ["*", ["*"], ["*", "webapp"]], ids=str)
    def test_accepts_a_star_for_all_apps(self, everything):
        assert registry({**ENTRY, "apps": everything}).find(KEY).may("get", "any-app")

    @pytest.mark.parametrize("everything", ["*", ["*"], ["*", "get"]], ids=str)
    def test_accepts_a_star_for_all_operations(self, everything):
        principal = registry({**ENTRY, "allow": everything}).find(KEY)
        assert all(principal.may(operation, "webapp") for operation in OPERATIONS)

    @pytest.mark.parametrize("length", [32, 512])
    def test_accepts_a_key_of_32_to_512_characters(self, length):
        assert registry({**ENTRY, "key": "k" * length}).find("k" * length)


class TestBrokenRegistry:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "it is not JSON"),
            ("{", "it is not JSON"),
            ("[" * 100_000, "it is not JSON"),
            ("[]", 'it is not an object with the one member "keys", a list'),
            ("null", 'it is not an object with the one member "keys", a list'),
            ("{}", 'it is not an object with the one member "keys", a list'),
            ('{"keys": {}}', 'it is not an object with the one member "keys", a list'),
            ('{"keys": [], "more": 1}', 'it is not an object with the one member "keys", a list'),
            ('{"keys": [], "keys": []}', "an object in it has a member twice"),
            (f'{{"keys": [{json.dumps(ENTRY)[:-1]}, "apps": "*"}}]}}', "an object in it has a member twice"),
        ],
        ids=lambda text: text[:20],
    )
    def test_of_another_form(self, text, message):
        with pytest.raises(ConfigurationError) as raised:
            KeyRegistry.parse(text)
        assert str(raised.value) == message

    @pytest.mark.parametrize("entry", ["web", None, {}, {**ENTRY, "more": 1}, *map(without, ENTRY)], ids=str)
    def test_with_wrong_fields_in_an_entry(self, entry):
        with pytest.raises(ConfigurationError) as raised:
            registry({**ENTRY, "key": KEY[::-1]}, entry)
        assert str(raised.value) == "keys[1] is not an object with just name, key, apps and allow"

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            *(
                ("name", value, NAME_RULE)
                for value in ("", "x" * 65, "a\nb", 'a"b', "a\\b", "a\x85b", "\ud800", 1, None)
            ),
            *(
                ("key", value, "key is not a text of 32 to 512 visible ASCII characters")
                for value in ("", KEY[:-1], "k" * 513, KEY + " ", KEY + "é", 1, None)
            ),
            *(
                ("apps", value, 'apps is neither "*" nor a non-empty list of app names')
                for value in ([], "webapp", ["ap"], ["a" * 21], ["a.pp"], [1], [""], None, {"webapp": 1}, ["web*"])
            ),
            *(
                ("allow", value, f'allow is neither "*" nor a non-empty list of operations ({" ".join(OPERATIONS)})')
                for value in ([], "get", ["fly"], ["GET"], [None], [""], None, ["ping"])
            ),
        ],
        ids=ascii,
    )
    def test_with_a_wrong_value(self, field, value, message):
        with pytest.raises(ConfigurationError) as raised:
            registry({**ENTRY, field: value})
        assert str(raised.value) == f"keys[0].{message}"

    def test_with_a_duplicate_key(self):
        with pytest.raises(ConfigurationError, match=r"^keys\[1\] has the key of an earlier entry$"):
            registry(ENTRY, {**ENTRY, "name": "other", "allow": "*"})

    @given(ANY_JSON)
    def test_is_never_quoted(self, entry):
        with pytest.raises(ConfigurationError) as raised:
            registry(entry)
        assert MARK not in str(raised.value)

    @pytest.mark.parametrize("field", ["key", "apps", "allow"])
    @given(value=ANY_JSON)
    def test_is_never_quoted_if_the_other_fields_are_valid(self, field, value):
        with pytest.raises(ConfigurationError) as raised:
            registry({**ENTRY, "name": MARK, field: value})
        assert str(raised.value).startswith(f"keys[0].{field} ")
        assert MARK not in str(raised.value)
