import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.access.principal import OPERATIONS, Principal


class TestPrincipal:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("app", ["webapp", "shop"])
    def test_may_do_what_is_allowed_in_its_apps(self, operation, app):
        principal = Principal("web", frozenset({"webapp"}), frozenset({"create", "get"}))
        assert principal.may(operation, app) is (app == "webapp" and operation in ("create", "get"))

    @pytest.mark.parametrize("allow", [{"apps"}, {"*"}, {"get", "apps"}], ids=str)
    def test_may_do_without_an_app_what_is_allowed_in_any(self, allow):
        assert Principal("web", frozenset({"webapp"}), frozenset(allow)).may("apps", None)

    @pytest.mark.parametrize("allow", [{"get"}, set()], ids=str)
    def test_may_do_nothing_else_without_an_app(self, allow):
        assert not Principal("web", frozenset({"*"}), frozenset(allow)).may("apps", None)

    @pytest.mark.parametrize(
        ("apps", "seen"),
        [
            ({"webapp", "shop"}, ["webapp", "shop"]),
            ({"*"}, ["webapp", "shop", "blog", "web"]),
            ({"web"}, ["web"]),
            ({""}, []),
        ],
        ids=str,
    )
    def test_sees_its_apps_only(self, apps, seen):
        principal = Principal("web", frozenset(apps), frozenset({"apps"}))
        assert list(filter(principal.sees, ["webapp", "shop", "blog", "web"])) == seen

    @given(
        st.text(),
        st.sets(st.sampled_from(["*", "webapp", "shop"]), min_size=1),
        st.sets(st.sampled_from(OPERATIONS), min_size=1),
    )
    def test_is_the_same_after_passing_through_the_gateway(self, name, apps, allow):
        principal = Principal(name, frozenset(apps), frozenset(allow))
        context = principal.to_context()
        assert all(isinstance(value, str) for value in context.values())
        assert Principal.from_context(json.loads(json.dumps(context))) == principal

    @pytest.mark.parametrize(
        "context",
        [None, {}, [], "web", {"name": "web", "apps": "*"}, {"name": 1, "apps": "*", "allow": "*"}],
        ids=str,
    )
    def test_is_not_found_in_any_other_context(self, context):
        assert Principal.from_context(context) is None
