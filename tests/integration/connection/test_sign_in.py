"""Sign-in with a password and with IAM, as the user that the template creates for its cache."""

import dataclasses
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError
from samcli.yamlhelper import yaml_parse

from rest_sessions.connection import sign_in
from rest_sessions.connection.client import Client
from rest_sessions.errors import StoreUnavailable
from rest_sessions.model import Cap, Login, Timeouts
from rest_sessions.settings import Settings
from rest_sessions.store.sessions import SessionStore
from tests.servers import Server

ROOT = Path(__file__).parents[3]
USER = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"]["CacheUser"]["Properties"]
ACCESS = USER["AccessString"]["Fn::Sub"]
PASSWORD = uuid.uuid4().hex


class User:
    """A user on all nodes of a server, with all rights of the template's user, or with all but one."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.name = f"test-{uuid.uuid4().hex}"
        self.settings = dataclasses.replace(server.settings(namespace), redis_user=self.name, redis_password=PASSWORD)
        self._rules = ACCESS.replace("${Namespace}", namespace).split()
        with server.connect() as client:
            self._nodes = server.nodes(client)
        self.allow_all()

    def allow_all(self, *, but: str = "") -> None:
        rules = [rule for rule in self._rules if rule != f"+{but}"]
        self._run("ACL", "SETUSER", self.name, "reset", f">{PASSWORD}", *rules)
        # A loaded script would not need the right to load it.
        self._run("SCRIPT", "FLUSH")

    def delete(self) -> None:
        self._run("ACL", "DELUSER", self.name)

    def _run(self, *command: str) -> None:
        for node in self._nodes:
            node.execute_command(*command)


@pytest.fixture
def user(real_server: Server, namespace: str) -> Iterator[User]:
    user = User(real_server, namespace)
    yield user
    user.delete()


def use_everything(settings: Settings) -> None:
    """Calls each operation of the store, which together send each of its commands."""
    app = f"app-{uuid.uuid4().hex[:12]}"
    store = SessionStore(Client(settings), settings.namespace)
    assert store.ping() == "PONG"
    token = store.create_session(app, "peter", "192.0.2.7", data={"a": "1"}).token
    assert store.get_session(app, token)
    assert store.set_session(app, token, {"b": "2", "a": None})
    assert store.list_sessions_of_app(app, 60).sessions
    assert store.list_sessions_of_id(app, "peter").sessions
    assert store.count_active_users(app, 60) == 1
    assert store.kill_session(app, token) == 1
    own = store.create_session(app, "peter", "192.0.2.7", own_token="a" * 64).token
    assert store.rotate_session(app, own)
    assert store.touch_session(app, own)
    login = Login(store.create_anonymous_session(app, "192.0.2.7").token)
    assert store.create_session(app, "peter", "192.0.2.7", login=login, cap=Cap(1)).killed == 1
    assert store.list_apps(lambda _: True).apps
    for _ in range(2):
        token = store.create_session(app, "paul", "192.0.2.7").token
    assert store.kill_session(app, token) == 1
    assert store.kill_sessions_of_id(app, "paul") == 1
    for _ in range(9):
        store.create_session(app, "mary", "192.0.2.7")
    assert len(store.list_sessions_of_id(app, "mary").sessions) == 9
    assert store.kill_sessions_of_app(app) == 10
    store.create_session(app, "late", "192.0.2.7", Timeouts(10))
    later = SessionStore(Client(settings), settings.namespace, lambda: 4_000_000_000)
    swept = later.sweep_expired()
    for error in swept.errors.values():
        raise error
    assert swept.total >= 1


def test_the_templates_user_may_do_all_that_the_store_does(user) -> None:
    use_everything(user.settings)


def test_the_templates_user_needs_each_of_its_rights(user, real_server) -> None:
    needed_by_clusters = {"cluster|slots"}
    for command in re.findall(r"\+(\S+)", ACCESS):
        if command in needed_by_clusters and not real_server.is_cluster:
            continue
        user.allow_all(but=command)
        with pytest.raises((NoPermissionError, StoreUnavailable, redis.ResponseError)):
            use_everything(user.settings)


def test_the_templates_user_may_not_use_other_keys(user, real_server) -> None:
    other = dataclasses.replace(user.settings, namespace="another")
    with pytest.raises((NoPermissionError, redis.ResponseError)):
        use_everything(other)


def test_with_a_wrong_password_the_store_is_unavailable(user) -> None:
    settings = dataclasses.replace(user.settings, redis_password="wrong")
    with pytest.raises(StoreUnavailable) as raised:
        SessionStore(Client(settings), settings.namespace).ping()
    assert "wrong" not in raised.value.reason.replace("WRONGPASS", "")


def test_with_iam_each_connection_signs_a_token(user, monkeypatch) -> None:
    signed = []

    class Signer:
        def __init__(self, cache, name, environment) -> None:
            signed.append((cache, name))

        def sign(self) -> str:
            signed.append("signed")
            return PASSWORD

    monkeypatch.setattr(sign_in, "TokenSigner", Signer)
    settings = dataclasses.replace(user.settings, redis_password="", redis_iam_cache="serverlesscache:sessions")
    use_everything(settings)
    assert signed[0] == ("serverlesscache:sessions", user.name)
    assert signed.count("signed") >= 2


def test_with_iam_but_no_credentials_the_store_is_unavailable(user, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/v2/credentials")
    settings = dataclasses.replace(user.settings, redis_password="", redis_iam_cache="serverlesscache:sessions")
    with pytest.raises(StoreUnavailable) as raised:
        SessionStore(Client(settings), settings.namespace).ping()
    assert "credentials" in raised.value.reason or settings.redis_cluster
