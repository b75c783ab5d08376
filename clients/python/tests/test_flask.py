"""Sessions in a real Flask app, over a real service."""

import contextlib
import datetime as dt
import logging
import threading
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask, flash, get_flashed_messages, jsonify, request, session
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from rest_sessions_client import Client, Session
from rest_sessions_client.errors import NoAnswer, TooManySessions
from rest_sessions_client.flask import RestSessions
from tests.recorder import Recorder

FIREFOX = {"HTTP_USER_AGENT": "Firefox on Linux", "REMOTE_ADDR": "192.0.2.7"}
VALUES = {
    "tuple": (1, 2),
    "date": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "id": uuid.UUID(int=7),
}


class Site:
    """A Flask app with a view for each thing that a session is used for."""

    # What the view `write` calls between reading the session and changing it.
    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, client: Client, **options: Any) -> None:
        self.app = Flask(__name__)
        self.app.testing = True
        RestSessions(self.app, client, **options)
        for view in (self.untouched, self.read, self.polled, self.write, self.append, self.pop, self.clear,
                     self.log_out, self.start_anew, self.flashed, self.values, self.remember):  # fmt: skip
            self.app.add_url_rule(f"/{view.__name__}", view_func=view, methods=["GET", "POST"])
        self.app.add_url_rule("/log_in/<user>", view_func=self.log_in)

    def browser(self) -> FlaskClient:
        browser = self.app.test_client()
        browser.environ_base.update(FIREFOX)
        return browser

    def untouched(self) -> str:
        return "no session"

    def read(self) -> Any:
        return jsonify(data=dict(session), user=session.user)

    def polled(self) -> Any:
        session.peek = True
        return self.read()

    def write(self) -> str:
        session.get("anything")
        self.meanwhile()
        session.update(request.json)
        return "written"

    def append(self) -> str:
        session["list"].append(len(session["list"]))
        return "appended"

    def pop(self) -> str:
        session.popitem()
        return "removed"

    def clear(self) -> str:
        session.clear()
        return "cleared"

    def start_anew(self) -> str:
        session.clear()
        session["user_id"] = 7
        return "started"

    def log_in(self, user: str) -> str:
        session.login(user, **{name: int(value) for name, value in request.args.items() if name != "over"}, **(
            {"over": request.args["over"]} if "over" in request.args else {}
        ))  # fmt: skip
        return str(session.user)

    def remember(self) -> str:
        session.permanent = True
        return "remembered"

    def log_out(self) -> str:
        session.logout()
        return "logged out"

    def flashed(self) -> Any:
        messages = get_flashed_messages(with_categories=True)
        flash("Saved", "info")
        return jsonify(messages)

    def values(self) -> str:
        if not session:
            session.update(VALUES)
        return str(dict(session) == VALUES)


@pytest.fixture
def site(client: Client) -> Site:
    return Site(client)


@pytest.fixture
def browser(site: Site) -> FlaskClient:
    return site.browser()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def token_of(browser: FlaskClient) -> str:
    cookie = browser.get_cookie("session")
    assert cookie is not None
    return cookie.value


def same_browser(site: Site, browser: FlaskClient) -> FlaskClient:
    """Another request of the same browser, with the cookie that it has now."""
    other = site.browser()
    other.set_cookie("session", token_of(browser))
    return other


def write(browser: FlaskClient, **data: Any) -> TestResponse:
    return browser.post("/write", json=data)


def data_of(browser: FlaskClient) -> Any:
    return browser.get("/read").json["data"]


def test_calls_of_each_kind_of_request(browser: FlaskClient, sent: Recorder) -> None:
    for path, calls in (
        ("/untouched", []),
        ("/read", []),
        ("/values", ["create"]),
        ("/untouched", []),
        ("/read", ["get"]),
        ("/remember", ["get", "set"]),
        ("/remember", ["get"]),
        ("/log_in/peter", ["get", "create"]),
        ("/read", ["get"]),
        ("/log_out", ["kill"]),
        ("/read", []),
    ):
        assert browser.get(path).status_code == 200
        assert (path, sent.take()) == (path, calls)


def test_parallel_requests_lose_nothing(site: Site, browser: FlaskClient) -> None:
    write(browser, first=True)
    site.meanwhile = threading.Barrier(25, timeout=30).wait
    threads = [
        threading.Thread(target=write, args=(same_browser(site, browser),), kwargs={f"k{n}": n}) for n in range(25)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert data_of(browser) == {"first": True, **{f"k{n}": n for n in range(25)}}


class TestCookie:
    def test_is_safe_and_ends_with_the_browser(self, browser: FlaskClient) -> None:
        write(browser, a=1)
        cookie = browser.get_cookie("session")
        assert cookie is not None
        assert (cookie.http_only, cookie.secure, cookie.same_site, cookie.path) == (True, True, "Lax", "/")
        assert cookie.max_age is None

    def test_lasts_as_long_as_the_session_can(self, browser: FlaskClient) -> None:
        browser.get("/log_in/peter?ttl=7776000")
        assert browser.get_cookie("session").max_age == 34_560_000
        browser.get("/log_in/peter?ttl=2592000&lifetime=7776000")
        assert browser.get_cookie("session").max_age == 7_776_000

    def test_follows_a_session_that_becomes_permanent(self, browser: FlaskClient) -> None:
        write(browser, a=1)
        token = token_of(browser)
        browser.get("/remember")
        assert (browser.get_cookie("session").value, browser.get_cookie("session").max_age) == (token, 34_560_000)
        assert "Set-Cookie" not in browser.get("/remember").headers

    def test_of_a_session_that_becomes_permanent_too_late_stays(self, site: Site, browser: FlaskClient) -> None:
        write(browser, a=1)
        late = same_browser(site, browser)
        site.meanwhile = lambda: browser.get("/log_in/peter")
        assert "Set-Cookie" not in write(late, _permanent=True).headers

    def test_after_a_rotation_lasts_for_what_is_left(
        self, browser: FlaskClient, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser.get("/log_in/peter?lifetime=7776000")
        new = client.rotate(token_of(browser))
        parse = Session.parse.__func__
        monkeypatch.setattr(Session, "parse", classmethod(lambda cls, answer: parse(cls, {**answer, "age": 1000})))
        browser.get("/read")
        cookie = browser.get_cookie("session")
        assert (cookie.value, cookie.max_age) == (new, 7_775_000)

    def test_follows_flasks_settings(self, client: Client) -> None:
        site = Site(client, secure=False)
        site.app.config.update(SESSION_COOKIE_NAME="sid", SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_PATH="/app")
        [header] = write(site.browser(), a=1).headers.getlist("Set-Cookie")
        assert header.startswith("sid=Z")
        assert header.endswith("; HttpOnly; Path=/app; SameSite=Strict")
        assert "Secure" not in header

    def test_is_set_only_if_the_token_changed(self, browser: FlaskClient) -> None:
        assert "Set-Cookie" in write(browser, a=1).headers
        assert "Set-Cookie" not in write(browser, a=2).headers
        assert "Set-Cookie" not in browser.get("/read").headers

    def test_the_response_varies_with_it(self, browser: FlaskClient) -> None:
        assert write(browser, a=1).headers["Vary"] == "Cookie"
        assert browser.get("/read").headers["Vary"] == "Cookie"
        assert "Vary" not in browser.get("/untouched").headers

    @pytest.mark.parametrize("value", ["x", "x" * 65, "../" + "x" * 61, "ü" * 64])
    def test_that_is_malformed_is_none(self, browser: FlaskClient, sent: Recorder, value: str) -> None:
        browser.set_cookie("session", value)
        assert data_of(browser) == {}
        assert sent.take() == []
        write(browser, a=1)
        assert data_of(browser) == {"a": 1}

    def test_of_a_session_that_has_ended_stays(self, browser: FlaskClient, client: Client) -> None:
        write(browser, a=1)
        ended = token_of(browser)
        client.kill(ended)
        answer = browser.get("/read")
        assert answer.json["data"] == {}
        assert "Set-Cookie" not in answer.headers
        write(browser, b=2)
        assert token_of(browser) != ended

    def test_a_rotated_token_is_replaced_and_the_request_keeps_the_old(
        self, browser: FlaskClient, client: Client, sent: Recorder
    ) -> None:
        write(browser, a=1)
        old = token_of(browser)
        new = client.rotate(old)
        sent.take()
        sent.tokens.clear()
        write(browser, b=2)
        assert sent.take() == ["get", "rotate", "set"]
        assert set(sent.tokens) == {old}
        assert token_of(browser) == new
        assert data_of(browser) == {"a": 1, "b": 2}


class TestLogin:
    def test_keeps_the_data_and_names_the_user(self, browser: FlaskClient, client: Client) -> None:
        write(browser, cart=[1])
        visitor = token_of(browser)
        assert browser.get("/log_in/peter").text == "peter"
        assert browser.get("/read").json == {"data": {"cart": [1]}, "user": "peter"}
        [device] = client.soid("peter", details=True)
        assert (device.ip, device.data["_user_agent"]) == ("192.0.2.7", "Firefox on Linux")
        closed = client.get(visitor)
        assert closed is not None
        assert closed.closed

    def test_again_makes_the_old_token_worthless(self, site: Site, browser: FlaskClient, client: Client) -> None:
        browser.get("/log_in/peter")
        write(browser, a=1)
        old = token_of(browser)
        browser.get("/log_in/peter")
        assert client.get(old) is None
        assert data_of(browser) == {"a": 1}

    def test_as_another_user_takes_nothing(self, browser: FlaskClient, client: Client, sent: Recorder) -> None:
        browser.get("/log_in/peter")
        write(browser, secret="of peter")
        old = token_of(browser)
        sent.take()
        browser.get("/log_in/anna")
        assert sent.take() == ["get", "create"]
        assert client.get(old) is None
        assert browser.get("/read").json == {"data": {}, "user": "anna"}

    def test_beside_the_end_of_the_session_keeps_the_data(
        self, browser: FlaskClient, client: Client, sent: Recorder
    ) -> None:
        write(browser, cart=[1])
        visitor = token_of(browser)
        sent.before = lambda operation: None if operation == "get" else client.kill(visitor) and None
        browser.get("/log_in/peter")
        assert browser.get("/read").json == {"data": {"cart": [1]}, "user": "peter"}

    def test_limits_the_sessions(self, site: Site) -> None:
        first, second, third = site.browser(), site.browser(), site.browser()
        first.get("/log_in/peter?max=2")
        second.get("/log_in/peter?max=2")
        with pytest.raises(TooManySessions):
            third.get("/log_in/peter?max=2&over=refuse")
        third.get("/log_in/peter?max=2")
        # Which of the first two goes is open, as they were used within the same second.
        assert sorted(str(one.get("/read").json["user"]) for one in (first, second)) == ["None", "peter"]
        assert third.get("/read").json["user"] == "peter"

    def test_timeouts(self, browser: FlaskClient, client: Client) -> None:
        browser.get("/log_in/peter?ttl=600&lifetime=6000")
        session = client.get(token_of(browser), details=True)
        assert session is not None
        assert (session.ttl, session.lifetime) == (600, 6000)

    def test_a_late_request_sees_the_session_and_changes_nothing(self, site: Site, browser: FlaskClient) -> None:
        write(browser, a=1)
        late = same_browser(site, browser)
        browser.get("/log_in/peter")
        answer = write(late, b=2)
        assert "Set-Cookie" not in answer.headers
        assert data_of(late) == {"a": 1}
        assert data_of(browser) == {"a": 1}


class TestLogout:
    def test_ends_the_session_and_the_cookie(self, browser: FlaskClient, client: Client) -> None:
        browser.get("/log_in/peter")
        token = token_of(browser)
        browser.get("/log_out")
        assert client.get(token) is None
        assert browser.get_cookie("session") is None

    def test_a_slow_request_revives_nothing(
        self, site: Site, browser: FlaskClient, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        write(browser, a=1)
        slow = same_browser(site, browser)
        site.meanwhile = lambda: browser.get("/log_out")
        with caplog.at_level(logging.WARNING):
            answer = write(slow, b=2)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert list(client.soapp(60)) == []
        assert [record.getMessage() for record in caplog.records] == [
            "A session ended during a request, for example by a logout: its changes are dropped"
        ]

    def test_by_clear(self, browser: FlaskClient, client: Client) -> None:
        write(browser, a=1)
        browser.get("/clear")
        assert browser.get_cookie("session") is None
        assert list(client.soapp(60)) == []

    def test_what_is_stored_after_clear_goes_into_a_new_session(self, browser: FlaskClient, client: Client) -> None:
        """As in Flask's tutorial, at login: a token that was planted is worthless afterwards."""
        write(browser, a=1)
        planted = token_of(browser)
        browser.get("/start_anew")
        assert data_of(browser) == {"user_id": 7}
        assert client.get(planted) is None

    @pytest.mark.parametrize("path", ["/clear", "/start_anew"])
    def test_clear_that_comes_late_to_a_login_leaves_the_cookie(
        self, site: Site, browser: FlaskClient, sent: Recorder, path: str
    ) -> None:
        write(browser, a=1)
        late = same_browser(site, browser)

        def log_in(operation: str) -> None:
            if operation == "kill":
                browser.get("/log_in/peter")

        sent.before = log_in
        assert "Set-Cookie" not in late.get(path).headers
        assert browser.get("/read").json == {"data": {"a": 1}, "user": "peter"}

    def test_the_last_value_may_go_without(self, browser: FlaskClient) -> None:
        browser.get("/log_in/peter")
        write(browser, a=1)
        browser.get("/pop")
        assert browser.get("/read").json == {"data": {}, "user": "peter"}


def test_keeps_what_flask_keeps(browser: FlaskClient) -> None:
    browser.get("/values")
    assert browser.get("/values").text == "True"
    browser.get("/flashed")
    assert browser.get("/flashed").json == [["info", "Saved"]]


def test_is_a_mapping_like_flasks(site: Site) -> None:
    with site.app.test_request_context():
        session.update(a=1, b=2, day=dt.date(2026, 1, 2))
        assert session.copy() == {"a": 1, "b": 2, "day": dt.date(2026, 1, 2)}
        assert session.popitem() == ("day", dt.date(2026, 1, 2))
        assert session.modified
        assert session.new
        assert repr(session) == "<Session>"
        own = session._get_current_object()
        own |= {"b": 3}
        assert own.copy() == {"a": 1, "b": 3}


def test_keeps_in_flasks_form_what_it_does_not_keep_as_it_is(browser: FlaskClient, site: Site) -> None:
    site.meanwhile = lambda: session.update(day=dt.date(2026, 1, 2), price=Decimal("1.5"))
    write(browser, a=1)
    site.meanwhile = lambda: None
    assert data_of(browser) == {"a": 1, "day": "Fri, 02 Jan 2026 00:00:00 GMT", "price": "1.5"}


def test_plain_values_are_plain_json_for_others(browser: FlaskClient, client: Client) -> None:
    data = {"n": 2**70, "f": 0.1, "s": "딸기", "l": [1, {"a": None}], "b": True, "__proto__": {}, "none": None}
    write(browser, **data)
    session = client.get(token_of(browser))
    assert session is not None
    assert {**session.data, "none": None} == {**data, "_user_agent": "Firefox on Linux"}
    assert data_of(browser) == data


def test_a_change_inside_a_value_is_seen(browser: FlaskClient) -> None:
    write(browser, list=[])
    browser.get("/append")
    browser.get("/append")
    assert data_of(browser) == {"list": [0, 1]}


def test_a_polling_view_does_not_use_the_session(browser: FlaskClient, client: Client) -> None:
    write(browser, a=1)
    before = client.get(token_of(browser), peek=True).r
    assert browser.get("/polled").json["data"] == {"a": 1}
    assert client.get(token_of(browser), peek=True).r == before


@pytest.mark.parametrize(("idle", "is_alive"), [(4, True), (5, True), (6, False)])
def test_a_lifetime_below_ten_seconds_is_kept(
    site: Site, browser: FlaskClient, client: Client, idle: int, is_alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.app.permanent_session_lifetime = dt.timedelta(seconds=5)
    write(browser, a=1)
    parse = Session.parse.__func__
    monkeypatch.setattr(Session, "parse", classmethod(lambda cls, answer: parse(cls, {**answer, "idle": idle})))
    assert (data_of(browser) == {"a": 1}) is is_alive
    assert (client.get(token_of(browser)) is not None) is is_alive


def test_a_remembered_user_stays_beside_a_short_lifetime(
    site: Site, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.app.permanent_session_lifetime = dt.timedelta(seconds=5)
    browser.get("/log_in/peter?ttl=2592000")
    parse = Session.parse.__func__
    monkeypatch.setattr(Session, "parse", classmethod(lambda cls, answer: parse(cls, {**answer, "idle": 6})))
    assert browser.get("/read").json["user"] == "peter"


def test_threads_of_one_request_load_it_once(browser: FlaskClient, site: Site, sent: Recorder) -> None:
    write(browser, a=1)
    token = token_of(browser)
    sent.take()
    with site.app.test_request_context(headers={"Cookie": f"session={token}"}):
        own = session._get_current_object()
        threads = [threading.Thread(target=own.get, args=("a",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert own["a"] == 1
    assert sent.take() == ["get"]


def test_session_transaction_of_flasks_test_client(browser: FlaskClient) -> None:
    with browser.session_transaction() as transaction:
        transaction["a"] = 1
    assert data_of(browser) == {"a": 1}


class TestServiceAway:
    @pytest.fixture
    def nobody(self) -> Client:
        return Client("http://127.0.0.1:1", "webapp")

    @staticmethod
    def browser_of(site: Site) -> FlaskClient:
        browser = site.browser()
        browser.set_cookie("session", "x" * 64)
        return browser

    def test_a_page_without_the_session_works(self, nobody: Client) -> None:
        assert self.browser_of(Site(nobody)).get("/untouched").text == "no session"

    def test_a_page_with_the_session_raises(self, nobody: Client) -> None:
        with pytest.raises(NoAnswer, match="cannot be reached"):
            self.browser_of(Site(nobody)).get("/read")

    def test_the_session_may_be_empty_instead(self, nobody: Client, sent: Recorder) -> None:
        browser = self.browser_of(Site(nobody, on_unavailable="anonymous"))
        assert data_of(browser) == {}
        for answer in (write(browser, a=1), browser.get("/clear")):
            assert answer.status_code == 200
            assert "Set-Cookie" not in answer.headers
        assert set(sent.take()) == {"get"}
        assert write(Site(nobody, on_unavailable="anonymous").browser(), a=1).status_code == 200

    def test_an_error_page_does_not_wait_again(self, nobody: Client, sent: Recorder) -> None:
        site = Site(nobody)
        site.app.testing = False

        def sorry(_: Exception) -> tuple[str, int]:
            with contextlib.suppress(NoAnswer):
                session.get("name")
            return "Sorry", 500

        site.app.register_error_handler(500, sorry)
        assert self.browser_of(site).get("/read").text == "Sorry"
        assert write(site.browser(), a=1).status_code == 500
        assert sent.take() == ["get", "create"]

    def test_a_logout_is_not_pretended(self, nobody: Client) -> None:
        with pytest.raises(NoAnswer):
            self.browser_of(Site(nobody, on_unavailable="anonymous")).get("/log_out")
