"""Sessions in a real Django site, over a real service."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rest_sessions_client import Client, Session
from rest_sessions_client.errors import Conflict, NoAnswer
from tests import django_site
from tests.conftest import Service
from tests.recorder import Recorder

from django.conf import settings  # isort: skip
from django.contrib.auth.models import User  # isort: skip
from django.contrib.sessions.backends.base import UpdateError  # isort: skip
from django.core.exceptions import ImproperlyConfigured  # isort: skip
from django.http import HttpRequest  # isort: skip
from django.test import AsyncClient as AsyncBrowser  # isort: skip
from django.test import Client as Browser  # isort: skip
from django.test import override_settings  # isort: skip

from rest_sessions_client import django as engine  # isort: skip

COOKIE = "sessionid"
NOBODY_LISTENS = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def site(service: Service, app: str) -> Iterator[None]:
    django_site.meanwhile.clear()
    with override_settings(REST_SESSIONS={"URL": service.url, "APP": app, "KEY": service.key}):
        yield


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


@pytest.fixture
def browser() -> Browser:
    return Browser(HTTP_USER_AGENT="Firefox on Linux", REMOTE_ADDR="192.0.2.7")


def token_of(browser: Browser) -> str:
    return browser.cookies[COOKIE].value


def same_browser(browser: Browser) -> Browser:
    """Another request of the same browser, with the cookie that it has now."""
    other = Browser()
    other.cookies[COOKIE] = token_of(browser)
    return other


def write(browser: Browser, **data: Any) -> Any:
    return browser.post("/write", json.dumps(data), content_type="application/json")


class TestCalls:
    """How many calls each kind of request makes, and which."""

    def test_a_page_without_a_session(self, browser: Browser, sent: Recorder) -> None:
        browser.get("/untouched")
        browser.get("/read")
        assert sent.take() == []
        write(browser, a=1)
        sent.take()
        browser.get("/untouched")
        assert sent.take() == []

    def test_a_visitors_first_change_is_one_call(self, browser: Browser, sent: Recorder) -> None:
        write(browser, cart=[1])
        assert sent.take() == ["create"]

    def test_a_page_view_is_one_call(self, browser: Browser, sent: Recorder) -> None:
        write(browser, cart=[1])
        sent.take()
        assert browser.get("/read").json() == {"cart": [1]}
        assert sent.take() == ["get"]

    def test_a_change_is_two_calls(self, browser: Browser, sent: Recorder) -> None:
        write(browser, cart=[1])
        sent.take()
        write(browser, cart=[1, 2])
        assert sent.take() == ["get", "set"]

    def test_a_change_of_nothing_is_one_call(self, browser: Browser, sent: Recorder) -> None:
        write(browser, cart=[1])
        sent.take()
        write(browser, cart=[1])
        assert sent.take() == ["get"]

    def test_login_is_two_calls(self, browser: Browser, sent: Recorder, client: Client) -> None:
        write(browser, cart=[1])
        visitor = token_of(browser)
        sent.take()
        browser.get("/log_in/peter")
        assert sent.take() == ["get", "create"]
        session = client.get(token_of(browser))
        assert session is not None
        assert session.id == str(User.objects.get(username="peter").pk)
        assert session.data["cart"] == [1]
        closed = client.get(visitor)
        assert closed is not None
        assert closed.closed

    def test_login_without_a_session_is_one_call(self, browser: Browser, sent: Recorder) -> None:
        browser.get("/log_in/peter")
        assert sent.take() == ["create"]
        assert browser.get("/whoami").content == b"peter"

    def test_logout_is_two_calls(self, browser: Browser, sent: Recorder, client: Client) -> None:
        browser.get("/log_in/peter")
        token = token_of(browser)
        sent.take()
        answer = browser.get("/log_out")
        assert sent.take() == ["get", "kill"]
        assert client.get(token) is None
        assert answer.cookies[COOKIE]["max-age"] == 0

    def test_every_request_may_be_saved_without_a_call_more(self, browser: Browser, sent: Recorder) -> None:
        write(browser, a=1)
        sent.take()
        with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
            answer = browser.get("/read")
        assert sent.take() == ["get"]
        assert COOKIE not in answer.cookies


def test_only_changed_keys_are_sent(browser: Browser, client: Client) -> None:
    write(browser, a=1, b=2, c=3)
    token = token_of(browser)
    django_site.meanwhile.append(lambda: client.set(token, {"a": "of another", "b": None}))
    write(browser, c=4)
    assert browser.get("/read").json() == {"a": "of another", "c": 4}


def test_parallel_requests_lose_nothing(browser: Browser) -> None:
    write(browser, first=True)
    have_all_read = threading.Barrier(25, timeout=30)
    django_site.meanwhile.append(have_all_read.wait)
    threads = [threading.Thread(target=write, args=(same_browser(browser),), kwargs={f"k{n}": n}) for n in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert browser.get("/read").json() == {"first": True, **{f"k{n}": n for n in range(25)}}


def test_keeps_every_json_value(browser: Browser, client: Client) -> None:
    data = {
        "none": None,
        "nested": {"none": None, "list": [None, [], {}]},
        "numbers": [0, -1, 2**70, 0.1, 1e300, True, False],
        "texts": ["", "딸기", "\u0000", "</script>"],
        "__proto__": 1,
        "": "the empty key",
    }
    write(browser, **data)
    assert browser.get("/read").json() == data
    write(browser, other=1)
    assert browser.get("/read").json() == {**data, "other": 1}
    # The API removes a key that is null.
    session = client.get(token_of(browser))
    assert session is not None
    assert session.data["none"] == {"$null": True}
    browser.get("/remove/none")
    assert browser.get("/read").json() == {**{key: data[key] for key in data if key != "none"}, "other": 1}


def test_a_change_inside_a_value(browser: Browser) -> None:
    write(browser, list=[0])
    browser.get("/change_inside")
    browser.get("/change_inside")
    assert browser.get("/read").json() == {"list": [0, 1, 2]}


def test_clear_removes_what_was_there(browser: Browser, sent: Recorder) -> None:
    write(browser, a=1)
    token = token_of(browser)
    browser.get("/clear")
    assert browser.get("/read").json() == {}
    assert token_of(browser) == token


def test_clear_of_a_session_that_has_ended_makes_none(browser: Browser, client: Client) -> None:
    write(browser, a=1)
    client.kill(token_of(browser))
    assert browser.get("/clear").status_code == 400
    assert list(client.soapp(60)) == []


class TestCookie:
    def test_is_set_once(self, browser: Browser) -> None:
        assert COOKIE in write(browser, a=1).cookies
        assert COOKIE not in write(browser, a=2).cookies
        assert COOKIE not in browser.get("/read").cookies

    def test_is_safe(self, browser: Browser) -> None:
        with override_settings(SESSION_COOKIE_SECURE=True):
            cookie = write(browser, a=1).cookies[COOKIE]
        assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
        # The service ends the session after SESSION_COOKIE_AGE without a use.
        assert cookie["max-age"] == 34_560_000
        assert re.fullmatch("[A-Za-z0-9]{64}", cookie.value)

    def test_a_slow_response_does_not_undo_a_login(self, browser: Browser) -> None:
        write(browser, a=1)
        slow = same_browser(browser)
        django_site.meanwhile.append(lambda: browser.get("/log_in/peter"))
        answer = write(slow, b=2)
        # Django says that the session was deleted meanwhile.
        assert answer.status_code == 400
        assert COOKIE not in answer.cookies
        assert browser.get("/whoami").content == b"peter"

    @pytest.mark.parametrize("every", [False, True])
    def test_a_request_that_comes_late_to_a_login_sees_the_session_and_changes_nothing(
        self, browser: Browser, every: bool, client: Client
    ) -> None:
        write(browser, a=1)
        late = same_browser(browser)
        browser.get("/log_in/peter")
        with override_settings(SESSION_SAVE_EVERY_REQUEST=every):
            for answer in (late.get("/read"), write(late, b=2), late.get("/read")):
                assert answer.status_code == 200
                assert COOKIE not in answer.cookies
        assert late.get("/read").json() == {"a": 1}
        assert len(list(client.soapp(60))) == 1

    @pytest.mark.parametrize("every", [False, True])
    def test_of_a_session_that_has_ended_stays(self, browser: Browser, every: bool, client: Client) -> None:
        write(browser, a=1)
        client.kill(token_of(browser))
        with override_settings(SESSION_SAVE_EVERY_REQUEST=every):
            answer = browser.get("/read")
        assert answer.json() == {}
        assert COOKIE not in answer.cookies
        assert list(client.soapp(60)) == []

    def test_the_next_change_replaces_that_of_a_session_that_has_ended(self, browser: Browser, client: Client) -> None:
        write(browser, a=1)
        ended = token_of(browser)
        client.kill(ended)
        write(browser, b=2)
        assert token_of(browser) != ended
        assert browser.get("/read").json() == {"b": 2}

    @pytest.mark.parametrize("value", ["x", "x" * 63, "x" * 65, "ü" * 64, "../" + "x" * 61, "'" * 64, "x" * 64 + "\n"])
    def test_that_is_malformed_is_none(self, browser: Browser, sent: Recorder, value: str) -> None:
        browser.cookies[COOKIE] = value
        assert browser.get("/read").json() == {}
        assert sent.take() == []
        write(browser, a=1)
        assert sent.take() == ["create"]
        assert browser.get("/read").json() == {"a": 1}

    def test_of_an_unknown_session_starts_none(self, browser: Browser, client: Client) -> None:
        browser.cookies[COOKIE] = "x" * 64
        assert browser.get("/read").json() == {}
        assert list(client.soapp(60)) == []
        write(browser, a=1)
        assert token_of(browser) != "x" * 64

    @pytest.mark.parametrize("every", [False, True])
    def test_a_slow_reader_does_not_undo_a_login(self, browser: Browser, every: bool) -> None:
        write(browser, a=1)
        slow = same_browser(browser)
        django_site.meanwhile.append(lambda: browser.get("/log_in/peter"))
        with override_settings(SESSION_SAVE_EVERY_REQUEST=every):
            answer = slow.get("/read_slowly")
        assert (answer.status_code, COOKIE in answer.cookies) == (200, False)

    def test_follows_djangos_expiry(self, browser: Browser) -> None:
        write(browser, a=1)
        assert browser.get("/expire/0").cookies[COOKIE]["max-age"] == ""
        assert 3590 <= browser.get("/expire_in_an_hour").cookies[COOKIE]["max-age"] <= 3600

    def test_is_set_again_with_a_new_expiry(self, browser: Browser, client: Client) -> None:
        write(browser, a=1)
        token = token_of(browser)
        answer = browser.get("/expire/2592000")
        assert answer.cookies[COOKIE].value == token
        session = client.get(token)
        assert session is not None
        assert session.ttl == 2592000
        # Its own changes leave the timeout as it is.
        client.touch(token, ttl=600)
        write(browser, a=2)
        session = client.get(token)
        assert session is not None
        assert session.ttl == 600


class TestRotation:
    def test_the_browser_gets_the_new_token_and_the_request_keeps_the_old(
        self, browser: Browser, client: Client, sent: Recorder
    ) -> None:
        write(browser, a=1)
        old = token_of(browser)
        new = client.rotate(old)
        sent.take()
        sent.tokens.clear()
        answer = write(browser, b=2)
        assert sent.take() == ["get", "rotate", "set"]
        assert set(sent.tokens) == {old}
        assert answer.cookies[COOKIE].value == new
        assert browser.get("/read").json() == {"a": 1, "b": 2}

    def test_during_a_request(self, browser: Browser, client: Client, sent: Recorder) -> None:
        write(browser, a=1)
        old = token_of(browser)
        rotated: list[str | None] = []
        django_site.meanwhile.append(lambda: rotated.append(client.rotate(old)))
        answer = write(browser, b=2)
        assert answer.cookies[COOKIE].value == rotated[0]
        assert browser.get("/read").json() == {"a": 1, "b": 2}

    def test_a_request_that_only_reads_sets_the_cookie_as_well(self, browser: Browser, client: Client) -> None:
        write(browser, a=1)
        new = client.rotate(token_of(browser))
        assert browser.get("/read").cookies[COOKIE].value == new


class TestLogin:
    def test_a_changed_password_makes_the_old_token_worthless(self, browser: Browser, sent: Recorder) -> None:
        browser.get("/log_in/anna")
        write(browser, a=1)
        thief = same_browser(browser)
        sent.take()
        browser.get("/change_password")
        assert sent.take() == ["get", "create"]
        assert browser.get("/whoami").content == b"anna"
        assert browser.get("/read").json()["a"] == 1
        assert thief.get("/read").json() == {}

    def test_beside_the_end_of_the_session_keeps_the_user_logged_in(
        self, browser: Browser, sent: Recorder, client: Client
    ) -> None:
        """As with Django's own: a parallel request with the old password ends the session, the new one has its data."""
        browser.get("/log_in/anna")
        write(browser, a=1)
        old = token_of(browser)

        def kill(operation: str) -> None:
            if operation == "create":
                client.kill(old)

        sent.before = kill
        browser.get("/change_password")
        assert browser.get("/whoami").content == b"anna"
        assert browser.get("/read").json()["a"] == 1

    def test_without_a_session_gives_a_key_at_once(self, browser: Browser) -> None:
        key = browser.get("/log_in_and_tell_key/peter").content.decode()
        assert key == token_of(browser)

    def test_another_user_gets_nothing_of_the_session(self, browser: Browser, client: Client) -> None:
        browser.get("/log_in/peter")
        write(browser, secret="of peter")
        peter = token_of(browser)
        browser.get("/log_in/anna")
        assert browser.get("/whoami").content == b"anna"
        assert "secret" not in browser.get("/read").json()
        assert client.get(peter) is None

    def test_gets_nothing_of_who_has_logged_in_on_another_platform(self, browser: Browser, client: Client) -> None:
        browser.cookies[COOKIE] = client.create("anna", ip="192.0.2.7", data={"secret": "of anna"}).token
        browser.get("/log_in/peter")
        assert "secret" not in browser.get("/read").json()
        assert browser.get("/whoami").content == b"peter"
        assert list(client.soid("anna")) == []

    def test_the_same_user_again_keeps_the_session(self, browser: Browser) -> None:
        browser.get("/log_in/peter")
        write(browser, cart=1)
        browser.get("/log_in/peter")
        assert browser.get("/read").json()["cart"] == 1

    def test_two_at_once_are_both_logged_in(self, browser: Browser, sent: Recorder) -> None:
        write(browser, cart=1)
        other = same_browser(browser)

        def log_in_other(operation: str) -> None:
            if operation == "create":
                other.get("/log_in/peter")

        sent.before = log_in_other
        browser.get("/log_in/peter")
        for one in (browser, other):
            assert one.get("/whoami").content == b"peter"
            assert one.get("/read").json()["cart"] == 1

    def test_the_new_key_may_be_asked_for_at_once(self, browser: Browser, sent: Recorder) -> None:
        write(browser, cart=1)
        key = browser.get("/log_in_and_tell_key/peter").content.decode()
        assert key == token_of(browser)
        assert browser.get("/whoami").content == b"peter"

    def test_a_user_whom_the_application_sets_itself(self, client: Client) -> None:
        store = engine.SessionStore()
        store["cart"] = 1
        store.save()
        anonymous = store.session_key
        store["_auth_user_id"] = "7"
        store.save()
        assert store.session_key != anonymous
        assert [session.data["cart"] for session in client.soid("7")] == [1]

    def test_nothing_is_revived_after_a_logout(self, browser: Browser, client: Client) -> None:
        browser.get("/log_in/peter")
        token = token_of(browser)
        slow = same_browser(browser)
        django_site.meanwhile.append(lambda: browser.get("/log_out"))
        answer = write(slow, a=1)
        assert answer.status_code == 400
        assert COOKIE not in answer.cookies
        assert client.get(token) is None
        assert list(client.soapp(60)) == []


class TestCycleKey:
    """Of a session without a user."""

    @staticmethod
    def cycled() -> tuple[engine.SessionStore, str]:
        store = engine.SessionStore()
        store["a"] = 1
        store.save()
        key = store.session_key
        store.cycle_key()
        return store, key

    def test_keeps_the_data_and_ends_the_old_session(self, client: Client) -> None:
        store, old = self.cycled()
        store.save()
        assert client.get(old) is None
        assert engine.SessionStore(store.session_key).load() == {"a": 1}

    def test_revives_nothing(self, client: Client) -> None:
        store, old = self.cycled()
        client.kill(old)
        with pytest.raises(UpdateError):
            store.save()
        assert not store.changes_cookie
        assert list(client.soapp(60)) == []

    def test_of_a_session_that_a_login_has_closed_changes_nothing(self, client: Client) -> None:
        first = engine.SessionStore()
        first["a"] = 1
        first.save()
        client.create("peter", ip="192.0.2.7", from_=first.session_key)
        late = engine.SessionStore(first.session_key)
        late.cycle_key()
        late.save()
        assert not late.changes_cookie
        assert [session.id for session in client.soapp(60)] == ["peter"]


class TestDevices:
    def test_are_listed_with_what_a_page_shows(self, browser: Browser) -> None:
        browser.get("/log_in/peter")
        Browser(REMOTE_ADDR="192.0.2.8").get("/log_in/peter")
        sessions = engine.sessions_of(User.objects.get(username="peter"))
        assert {session.ip for session in sessions} == {"192.0.2.7", "192.0.2.8"}
        [laptop] = [session for session in sessions if session.ip == "192.0.2.7"]
        assert laptop.data["_user_agent"] == "Firefox on Linux"
        assert laptop.handle is not None
        assert len(laptop.handle) == 22
        assert (laptop.age, laptop.idle) in [(0, 0), (1, 1), (1, 0)]
        # The application does not see it among its data.
        assert "_user_agent" not in browser.get("/read").json()

    def test_end_one_by_one_and_all_others(self, browser: Browser) -> None:
        others = [Browser(REMOTE_ADDR=f"192.0.2.{n}") for n in (1, 2, 3)]
        for one in (browser, *others):
            one.get("/log_in/peter")
        peter = User.objects.get(username="peter")
        [first] = [session for session in engine.sessions_of(peter) if session.ip == "192.0.2.1"]
        assert engine.end_session(peter, first.handle) == 1  # type: ignore[arg-type]
        assert engine.end_session(peter, first.handle) == 0  # type: ignore[arg-type]
        assert engine.end_session(peter, "no handle") == 0
        assert [one.get("/whoami").content for one in others] == [b"", b"peter", b"peter"]
        request = HttpRequest()
        request.user = peter
        request.session = engine.SessionStore(token_of(browser))
        assert engine.end_other_sessions(request) == 2
        assert [one.get("/whoami").content for one in (browser, *others)] == [b"peter", b"", b"", b""]

    def test_the_handle_of_a_login_may_be_asked_for_at_once(self, client: Client) -> None:
        store = engine.SessionStore()
        store["cart"] = 1
        store.save()
        store.cycle_key()
        store["_auth_user_id"] = "8"
        handle = store.handle
        assert [session.handle for session in client.soid("8", details=True)] == [handle]

    def test_nothing_ends_without_a_session_to_spare(self, browser: Browser, client: Client) -> None:
        browser.get("/log_in/peter")
        request = HttpRequest()
        request.user = User.objects.get(username="peter")
        request.session = engine.SessionStore("x" * 64)
        with pytest.raises(Conflict):
            engine.end_other_sessions(request)
        assert browser.get("/whoami").content == b"peter"


class TestExpiry:
    @pytest.mark.parametrize("how", ["set_expiry", "SESSION_COOKIE_AGE"])
    @pytest.mark.parametrize(("idle", "is_alive"), [(4, True), (5, True), (6, False)])
    def test_below_ten_seconds_is_kept_here(
        self, browser: Browser, client: Client, how: str, idle: int, is_alive: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(browser, a=1)
        if how == "set_expiry":
            browser.get("/expire/5")
        parse = Session.parse.__func__  # type: ignore[attr-defined]
        monkeypatch.setattr(Session, "parse", classmethod(lambda cls, answer: parse(cls, {**answer, "idle": idle})))
        with override_settings(SESSION_COOKIE_AGE=5 if how == "SESSION_COOKIE_AGE" else 1000):
            assert ("a" in browser.get("/read").json()) is is_alive
        assert (client.get(token_of(browser)) is not None) is is_alive

    def test_is_the_cookie_age_by_default(self, browser: Browser, client: Client) -> None:
        with override_settings(SESSION_COOKIE_AGE=1000):
            write(browser, a=1)
        session = client.get(token_of(browser))
        assert session is not None
        assert session.ttl == 1000

    def test_in_half_seconds(self, client: Client) -> None:
        store = engine.SessionStore()
        store.set_expiry(1800.5)
        store.save()
        session = client.get(store.session_key)
        assert session is not None
        assert session.ttl == 1800

    def test_longer_than_the_service_allows(self, browser: Browser, client: Client) -> None:
        browser.get("/expire/99999999")
        session = client.get(token_of(browser))
        assert session is not None
        assert session.ttl == 34_560_000


def test_a_polling_view_does_not_use_the_session(browser: Browser, client: Client) -> None:
    write(browser, a=1)
    before = client.get(token_of(browser), peek=True).r
    assert browser.get("/polled").json() == {"a": 1}
    assert client.get(token_of(browser), peek=True).r == before


class TestServiceAway:
    @pytest.fixture(autouse=True)
    def away(self, site: None, app: str) -> Iterator[None]:
        with override_settings(REST_SESSIONS={"URL": NOBODY_LISTENS, "APP": app}):
            yield

    @pytest.fixture
    def browser(self) -> Browser:
        browser = Browser()
        browser.cookies[COOKIE] = "x" * 64
        return browser

    def test_a_page_without_the_session_works(self, browser: Browser) -> None:
        assert browser.get("/untouched").content == b"no session"

    def test_a_page_with_the_session_raises(self, browser: Browser) -> None:
        with pytest.raises(NoAnswer, match="cannot be reached"):
            browser.get("/read")

    def test_the_session_may_be_empty_instead(self, browser: Browser, app: str, sent: Recorder) -> None:
        options = {"URL": NOBODY_LISTENS, "APP": app, "ON_UNAVAILABLE": "anonymous"}
        with override_settings(REST_SESSIONS=options):
            assert browser.get("/read").json() == {}
            answer = write(browser, a=1)
            assert answer.status_code == 200
            assert COOKIE not in answer.cookies
            assert sent.take() == ["get", "get"]
            answer = write(Browser(), a=1)
        assert answer.status_code == 200
        assert sent.take() == ["create"]

    def test_clear_after_a_failure_clears(self, service: Service, app: str, client: Client) -> None:
        token = client.create(ip="192.0.2.7", data={"a": 1}).token
        store = engine.SessionStore(token)
        with pytest.raises(NoAnswer):
            store.load()
        with override_settings(REST_SESSIONS={"URL": service.url, "APP": app, "KEY": service.key}):
            store.clear()
            store.save()
        session = client.get(token)
        assert session is not None
        assert session.data == {}

    def test_djangos_report_of_an_error_holds_no_token(self, browser: Browser) -> None:
        with override_settings(DEBUG=True):
            browser.raise_request_exception = False
            report = browser.get("/read").content.decode()
        assert "NoAnswer" in report
        assert "x" * 64 not in report


class TestConfiguration:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "URL"),
            ({"URL": "http://127.0.0.1:3000"}, "APP"),
            ({"URL": "127.0.0.1", "APP": "webapp"}, "http"),
            ({"URL": "http://127.0.0.1:3000", "APP": "webapp", "TOKEN": "x"}, "TOKEN"),
        ],
    )
    def test_says_what_is_missing_or_wrong(self, options: dict[str, str], message: str) -> None:
        with override_settings(REST_SESSIONS=options), pytest.raises(ImproperlyConfigured, match=message):
            engine.SessionStore()

    def test_is_looked_at_when_the_site_starts(self) -> None:
        with override_settings(REST_SESSIONS={}), pytest.raises(ImproperlyConfigured, match="URL"):
            engine.SessionMiddleware(lambda _: None)

    def test_comes_from_the_environment_as_well(
        self, monkeypatch: pytest.MonkeyPatch, service: Service, app: str, browser: Browser, client: Client
    ) -> None:
        for name, value in (("URL", service.url), ("APP", app), ("KEY", service.key)):
            monkeypatch.setenv(f"REST_SESSIONS_{name}", value)
        with override_settings(REST_SESSIONS={}):
            write(browser, a=1)
        assert client.get(token_of(browser)) is not None

    def test_the_middleware_needs_the_engine(self) -> None:
        with (
            override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache"),
            pytest.raises(ImproperlyConfigured, match="SESSION_ENGINE"),
        ):
            engine.SessionMiddleware(lambda _: None)

    def test_works_with_djangos_middleware(self, browser: Browser) -> None:
        own = ["django.contrib.sessions.middleware.SessionMiddleware", *settings.MIDDLEWARE[1:]]
        with override_settings(MIDDLEWARE=own):
            write(browser, a=1)
            late = same_browser(browser)
            browser.get("/log_in/peter")
            assert browser.get("/whoami").content == b"peter"
            # A closed session is not saved, and sets no cookie here either.
            assert COOKIE not in write(late, b=2).cookies


def test_async_views() -> None:
    async def visit() -> tuple[Any, Any]:
        browser = AsyncBrowser()
        await browser.get("/write_async")
        return (await browser.get("/write_async")).json(), (await browser.get("/read")).json()

    assert asyncio.run(visit()) == ({"async": 1}, {"async": 1})


def test_a_deleted_session_is_not_saved() -> None:
    store = engine.SessionStore()
    store.create()
    store.delete()
    with pytest.raises(UpdateError):
        store.save()
