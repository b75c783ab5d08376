"""Python and Lua agree on how sessions are stored, on every server."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rest_sessions.connection.client import Client
from rest_sessions.connection.commands import Script, ScriptCall
from rest_sessions.store import record, scripts
from rest_sessions.store.tokens import new_token, place_of
from tests.servers import Server

LUA = (scripts._FOLDER / "record.lua").read_text(encoding="utf-8")

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=128)
handles = st.integers(0, 15).map(lambda partition: place_of(new_token(partition)).handle)
keys = st.text(max_size=128)


def in_lua(server: Server, namespace: str, expression: str, *args: str | bytes) -> list:
    text = f"{LUA}\nreturn {{ {expression} }}"
    script = Script(text, "0" * 40)
    [reply] = Client(server.settings(namespace)).run(ScriptCall(script, [f"{namespace}:any"], args))
    return reply


on_each_server = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_each_server
@given(ids, handles)
def test_members_of_ids(server: Server, namespace: str, id: str, handle: str) -> None:
    expression = "ids_member(ARGV[1], ARGV[2]), split_ids_member(ids_member(ARGV[1], ARGV[2]))"
    member, *parts = in_lua(server, namespace, expression, id, handle)
    assert parts == [id.encode(), handle.encode()]
    assert record.handle_in_ids(member) == handle


@on_each_server
@given(ids, handles)
def test_members_of_expiry(server: Server, namespace: str, id: str, handle: str) -> None:
    expression = "expiry_member(ARGV[2], ARGV[1]), split_expiry_member(expiry_member(ARGV[2], ARGV[1]))"
    member, *parts = in_lua(server, namespace, expression, id, handle)
    assert parts == [id.encode(), handle.encode()]
    assert record.handle_in_expiry(member) == handle


@on_each_server
@given(ids)
def test_the_range_of_a_user(server: Server, namespace: str, id: str) -> None:
    assert in_lua(server, namespace, "user_range(ARGV[1])", id) == [text.encode() for text in record.user_range(id)]


@on_each_server
@given(keys)
def test_fields_of_data(server: Server, namespace: str, key: str) -> None:
    field = record.field_of(key)
    assert in_lua(server, namespace, "is_datum(ARGV[1]) and 1 or 0, is_datum('used') and 1 or 0", field) == [1, 0]
