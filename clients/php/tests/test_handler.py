"""PHP's sessions in a real site, over a real service."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import COOKIE, Browser, Php, Site, sessions_of
from proxy import Proxy

from rest_sessions_client import Client, Session
from tests.servers import reply, scripted

NOBODY = "new RestSessions\\Client('http://127.0.0.1:9', 'webapp')"
PLANTED = "A" + "0" * 63
UNAVAILABLE = "REST Sessions is unavailable: a request goes on without its session, or does not save it"
ENDED = "A session ended during a request, for example by a logout: its changes are dropped"


def write(browser: Browser, **data: Any) -> str:
    """Writes the data, and returns the token with which the request did."""
    return browser.ask("write", data=json.dumps(data))


def data_of(browser: Browser) -> Any:
    return browser.ask("read") or {}


def session_of(client: Client, browser: Browser) -> Session:
    session = client.get(browser.token, peek=True, details=True)
    assert session is not None
    return session


def user_data(session: Session) -> dict[str, Any]:
    return {key: value for key, value in session.data.items() if key != "_user_agent"}


def cookies(answer: Any) -> list[str]:
    return answer.headers.get_list("set-cookie")


# What a request calls, and what sessions it leaves


@pytest.mark.parametrize("page", ["untouched", "read"])
def test_a_visitor_costs_nothing(browser: Browser, proxy: Proxy, page: str) -> None:
    assert cookies(browser.get(f"/{page}")) == []
    assert proxy.take() == []


def test_a_first_change_is_one_call(browser: Browser, proxy: Proxy, client: Client) -> None:
    token = write(browser, cart=[1])
    assert proxy.take() == ["create"]
    assert browser.token == token
    assert re.fullmatch("P[A-Za-z0-9]{63}", token)
    [session] = sessions_of(client)
    assert (session.id, session.ttl, session.ip) == (None, 1440, "127.0.0.1")
    assert session.data == {"cart": [1], "_user_agent": "Firefox on Linux"}


def test_a_page_view_is_one_call(browser: Browser, proxy: Proxy) -> None:
    write(browser, cart=[1])
    proxy.take()
    answer = browser.get("/read")
    assert answer.json() == {"cart": [1]}
    assert cookies(answer) == []
    assert proxy.take() == ["get"]


@pytest.mark.parametrize("lazy", ["0", "1"])
def test_a_page_that_changes_nothing_writes_nothing(start_site: Any, proxy: Proxy, lazy: str) -> None:
    browser = start_site(**{"session.lazy_write": lazy}).browser()
    write(browser, a=1, b={"c": [1.0, None, "딸기"]}, d=None)
    proxy.take()
    write(browser, a=1)
    browser.ask("read")
    assert proxy.take() == ["get", "get"]


def test_a_change_is_two_calls_on_one_connection(browser: Browser, proxy: Proxy, client: Client) -> None:
    write(browser, a=1, b=2)
    proxy.take()
    connections = proxy.connections
    write(browser, b=3)
    assert proxy.take() == ["get", "set"]
    assert proxy.connections == connections + 1
    assert session_of(client, browser).w == 2


def test_only_what_has_changed_is_sent(site: Site, browser: Browser, client: Client, proxy: Proxy) -> None:
    site.page("change", "session_start(); $_SESSION['a'] = 2; unset($_SESSION['b']); return null;")
    write(browser, a=1, b=1, c=1)
    proxy.before = lambda operation: client.set(browser.token, {"b": 9, "c": 9, "d": 9}) if operation == "set" else None
    browser.ask("change")
    assert user_data(session_of(client, browser)) == {"a": 2, "c": 9, "d": 9}


def test_a_login_is_two_calls(browser: Browser, proxy: Proxy, client: Client) -> None:
    visitor = write(browser, cart=[1])
    proxy.take()
    token = browser.ask("log_in", user="peter")
    assert proxy.take() == ["get", "create"]
    assert (browser.token, token[0]) == (token, "Z")
    assert data_of(browser) == {"cart": [1]}
    [session] = sessions_of(client)
    assert session.id == "peter"
    assert client.get(visitor).closed


def test_a_login_of_a_new_visitor_is_one_call(browser: Browser, proxy: Proxy, client: Client) -> None:
    browser.ask("log_in", user="peter")
    assert proxy.take() == ["create"]
    [session] = sessions_of(client)
    assert (session.id, session.data) == ("peter", {"_user_agent": "Firefox on Linux"})


@pytest.mark.parametrize("page", ["log_out", "destroy"])
def test_a_logout_is_two_calls(browser: Browser, proxy: Proxy, client: Client, page: str) -> None:
    token = browser.ask("log_in", user="peter")
    proxy.take()
    browser.ask(page)
    assert proxy.take() == ["get", "kill"]
    assert client.get(token) is None
    assert sessions_of(client) == []
    # PHP's own function leaves the cookie.
    assert browser.token == (None if page == "log_out" else token)


def test_logout_of_a_session_that_is_closed_is_not_pretended(site: Site, browser: Browser, client: Client) -> None:
    site.page("page", "session_start(); session_write_close(); $sessions->logout(); return null;")
    write(browser, a=1)
    assert browser.get("/page").status_code == 500
    [complaint] = site.complaints()
    assert "ConfigurationError: logout needs a session that has started, and was not closed yet" in complaint
    assert data_of(browser) == {"a": 1}


def test_an_applications_method_may_have_the_name_of_phps_function(
    site: Site, browser: Browser, client: Client
) -> None:
    site.page(
        "page",
        """final class Application { static function session_regenerate_id(): void { session_start(); session_destroy(); } }
        Application::session_regenerate_id();
        return null;""",
    )
    write(browser, a=1)
    browser.ask("page")
    assert sessions_of(client) == []


def test_an_ended_session_is_a_visitor_again(browser: Browser, proxy: Proxy, client: Client) -> None:
    token = write(browser, a=1)
    client.kill(token)
    proxy.take()
    answer = browser.get("/read")
    # A response to another request may just have set a new one.
    assert (answer.json(), cookies(answer)) == ([], [])
    assert proxy.take() == ["get"]
    assert write(browser, b=2) != token
    assert proxy.take() == ["get", "create"]
    assert data_of(browser) == {"b": 2}
    assert len(sessions_of(client)) == 1


def test_after_the_output_the_cookie_is_there_for_what_comes_later(start_site: Any, client: Client) -> None:
    site = start_site(output_buffering="0")
    site.page("late", "session_start(); echo '['; flush(); $_SESSION['a'] = 1; echo '1],'; return null;")
    site.page("empty", "session_start(); echo '[1],'; flush(); return null;")
    browser = site.browser()
    assert len(cookies(browser.get("/empty"))) == 1
    assert sessions_of(client) == []
    browser.get("/late")
    assert data_of(browser) == {"a": 1}


def test_other_cookies_stay(site: Site, browser: Browser) -> None:
    site.page("both", "setcookie('one', '1'); session_start(); setcookie('two', '2'); return null;")
    assert [cookie.split("=")[0] for cookie in cookies(browser.get("/both"))] == ["one", "two"]


# Functions of PHP's sessions


@pytest.mark.parametrize(
    ("code", "calls", "data"),
    [
        ("session_start(); $_SESSION['b'] = 2; session_write_close();", ["get", "set"], {"a": 1, "b": 2}),
        ("session_start(['read_and_close' => true]); $_SESSION['b'] = 2;", ["get"], {"a": 1}),
        ("session_start(); $_SESSION['b'] = 2; session_abort();", ["get"], {"a": 1}),
        ("session_start(); $_SESSION['b'] = 2; session_reset();", ["get", "get"], {"a": 1}),
        (
            "session_start(); $_SESSION['b'] = 2; session_reset(); $_SESSION['c'] = 3;",
            ["get", "get", "set"],
            {"a": 1, "c": 3},
        ),
        ("session_start(); session_unset();", ["get", "set"], {}),
        ("session_start(); unset($_SESSION['a']);", ["get", "set"], {}),
        ("session_start(); session_create_id(); session_create_id('prefix-');", ["get"], {"a": 1}),
        ("session_start(); session_gc();", ["get"], {"a": 1}),
        ("session_start(); session_decode('a:1:{s:1:\"x\";i:1;}');", ["get", "set"], {"x": 1}),
        (
            "session_start(); $_SESSION['b'] = 2; session_write_close(); session_start(); unset($_SESSION['b']);",
            ["get", "set", "get", "set"],
            {"a": 1},
        ),
        ("session_id($_COOKIE['PHPSESSID']); session_start(); $_SESSION['b'] = 2;", ["get", "set"], {"a": 1, "b": 2}),
        ("session_start(); $handler = session_id(); session_encode();", ["get"], {"a": 1}),
    ],
)
def test_functions_with_a_session(
    site: Site, browser: Browser, proxy: Proxy, client: Client, code: str, calls: list[str], data: dict
) -> None:
    write(browser, a=1)
    proxy.take()
    site.page("page", f"{code} return null;")
    token = browser.token
    browser.ask("page")
    assert proxy.take() == calls
    assert browser.token == token
    assert user_data(session_of(client, browser)) == data
    assert len(sessions_of(client)) == 1


@pytest.mark.parametrize(
    ("code", "calls", "data"),
    [
        ("session_start(); session_write_close(); session_start();", [], None),
        ("session_start(); session_write_close(); session_start(); $_SESSION['a'] = 1;", ["get", "create"], {"a": 1}),
        (
            "session_start(); $_SESSION['a'] = 1; session_write_close(); session_start(); $_SESSION['b'] = 2;",
            ["create", "get", "set"],
            {"a": 1, "b": 2},
        ),
        ("session_start(); session_destroy();", [], None),
        ("session_start(); $_SESSION['a'] = 1; session_destroy();", [], None),
        ("session_start(); $sessions->logout(); session_start(); $_SESSION['a'] = 1;", ["create"], {"a": 1}),
        ("session_start(); session_regenerate_id(); session_regenerate_id(true);", [], None),
        (
            "session_start(); session_regenerate_id(true); $_SESSION['a'] = 1; session_regenerate_id();",
            ["create"],
            {"a": 1},
        ),
        ("session_start(); $_SESSION['a'] = 1; session_regenerate_id(true); session_destroy();", [], None),
        ("session_start(); session_create_id();", [], None),
        ("session_start(); session_reset(); $_SESSION['a'] = 1;", ["create"], {"a": 1}),
        (f"session_id('{PLANTED}'); session_start(); $_SESSION['a'] = 1;", ["get", "create"], {"a": 1}),
    ],
)
def test_functions_without_a_session(
    site: Site, browser: Browser, proxy: Proxy, client: Client, code: str, calls: list[str], data: dict | None
) -> None:
    site.page("page", f"{code} return null;")
    browser.ask("page")
    # A token made in this request is not asked for, unless it was made for a session that PHP has closed since.
    assert [call for call in proxy.take() if call != "get" or "get" in calls] == calls
    assert [user_data(session) for session in sessions_of(client)] == ([] if data is None else [data])
    assert data_of(browser) == (data or {})


def test_a_destroyed_session_may_be_followed_by_another(site: Site, browser: Browser, client: Client) -> None:
    write(browser, a=1)
    site.page("page", "session_start(); session_destroy(); session_start(); $_SESSION['b'] = 2; return null;")
    browser.ask("page")
    assert data_of(browser) == {"b": 2}
    assert len(sessions_of(client)) == 1


# session_regenerate_id


def test_a_new_token_keeps_the_data(browser: Browser, proxy: Proxy, client: Client) -> None:
    old = write(browser, a=1, b={"c": []})
    proxy.take()
    assert browser.ask("regenerate") != old
    assert proxy.take() == ["get", "create", "kill"]
    assert client.get(old) is None
    assert data_of(browser) == {"a": 1, "b": {"c": []}}
    assert len(sessions_of(client)) == 1


def test_the_old_session_may_stay(site: Site, browser: Browser, proxy: Proxy, client: Client) -> None:
    site.page("page", "session_start(); $_SESSION['b'] = 2; session_regenerate_id(); $_SESSION['c'] = 3; return null;")
    old = write(browser, a=1)
    proxy.take()
    browser.ask("page")
    # The last one asks whether the old session has ended meanwhile.
    assert proxy.take() == ["get", "set", "create", "get"]
    assert user_data(client.get(old)) == {"a": 1, "b": 2}
    assert data_of(browser) == {"a": 1, "b": 2, "c": 3}


def test_the_old_session_may_stay_after_a_login(site: Site, browser: Browser, client: Client) -> None:
    site.page("page", "session_start(); $sessions->login('peter'); session_regenerate_id(); return null;")
    browser.ask("page")
    assert [session.id for session in sessions_of(client)] == ["peter", "peter"]


def test_a_user_keeps_the_session(browser: Browser, proxy: Proxy, client: Client) -> None:
    browser.ask("log_in", user="peter")
    write(browser, a=1)
    proxy.take()
    old = browser.token
    browser.ask("regenerate")
    assert proxy.take() == ["get", "create"]
    assert client.get(old) is None
    [session] = sessions_of(client)
    assert (session.id, user_data(session)) == ("peter", {"a": 1})


@pytest.mark.parametrize("twice", ["", "session_regenerate_id(true);", "session_regenerate_id();"])
def test_several_new_tokens_leave_one_session(
    site: Site, browser: Browser, client: Client, proxy: Proxy, twice: str
) -> None:
    site.page("page", f"session_start(); session_regenerate_id(true); {twice} $_SESSION['b'] = 2; return null;")
    write(browser, a=1)
    proxy.take()
    browser.ask("page")
    assert proxy.take() == ["get", "create", "kill"]
    assert data_of(browser) == {"a": 1, "b": 2}
    assert len(sessions_of(client)) == 1


@pytest.mark.parametrize(
    "code", ["session_regenerate_id(true); $_SESSION = [];", "$_SESSION = []; session_regenerate_id(true);"]
)
def test_an_emptied_session_ends(site: Site, browser: Browser, client: Client, proxy: Proxy, code: str) -> None:
    site.page("invalidate", f"session_start(); {code} return null;")
    write(browser, a=1)
    proxy.take()
    browser.ask("invalidate")
    assert proxy.take() == ["get", "kill"]
    assert sessions_of(client) == []
    assert browser.token is None


def test_an_emptied_session_that_stays_is_not_the_browsers(site: Site, browser: Browser, client: Client) -> None:
    site.page("page", "session_start(); session_regenerate_id(); $_SESSION = []; return null;")
    write(browser, a=1)
    browser.ask("page")
    assert browser.token is None
    assert len(sessions_of(client)) == 1


def test_a_session_destroyed_after_a_new_token(site: Site, browser: Browser, client: Client) -> None:
    for delete in ("true", "false"):
        site.page("page", f"session_start(); session_regenerate_id({delete}); session_destroy(); return null;")
        write(browser, a=1)
        browser.ask("page")
        assert sessions_of(client) == []


def test_if_the_new_session_is_refused_the_browser_keeps_the_old_one(site: Site, browser: Browser) -> None:
    site.page(
        "page", "session_start(); session_regenerate_id(true); $_SESSION['b'] = str_repeat('x', 300_000); return null;"
    )
    old = write(browser, a=1)
    assert cookies(browser.get("/page")) == []
    [complaint] = site.complaints()
    assert "TooLarge" in complaint
    assert browser.token == old
    assert data_of(browser) == {"a": 1}


@pytest.mark.parametrize("user", [None, "peter"])
@pytest.mark.parametrize("page", ["regenerate", "regenerate?delete="])
def test_a_new_token_revives_nothing(
    site: Site, browser: Browser, client: Client, proxy: Proxy, page: str, user: str | None
) -> None:
    if user:
        browser.ask("log_in", user=user)
    write(browser, a=1)
    old = browser.token
    proxy.before = lambda operation: client.kill(old) if operation == "create" else None
    answer = browser.get(f"/{page}")
    assert (answer.status_code, cookies(answer)) == (200, [])
    assert sessions_of(client) == []
    assert site.log.read_text().count(ENDED) == 1


@pytest.mark.parametrize("page", ["regenerate", "regenerate?delete="])
def test_a_new_token_of_a_session_that_a_login_closes(
    browser: Browser, client: Client, proxy: Proxy, page: str
) -> None:
    old = write(browser, a=1)
    proxy.before = lambda operation: client.create("peter", ip="::1", from_=old) if operation == "create" else None
    assert cookies(browser.get(f"/{page}")) == []
    assert [session.id for session in sessions_of(client)] == ["peter"]


# Login


def test_login_takes_what_others_wrote_meanwhile(browser: Browser, client: Client, proxy: Proxy) -> None:
    write(browser, a=1)
    visitor = browser.token
    proxy.before = lambda operation: client.set(visitor, {"b": 2}) if operation == "create" else None
    browser.ask("log_in", user="peter")
    assert data_of(browser) == {"a": 1, "b": 2}


@pytest.mark.parametrize("delete", ["true", "false"])
def test_login_after_a_new_token(site: Site, browser: Browser, client: Client, delete: str) -> None:
    site.page("page", f"session_start(); session_regenerate_id({delete}); $sessions->login('peter'); return null;")
    visitor = write(browser, a=1)
    browser.ask("page")
    assert client.get(visitor).closed
    [session] = sessions_of(client)
    assert (session.id, user_data(session)) == ("peter", {"a": 1})


def test_login_goes_on_with_the_request(site: Site, browser: Browser, proxy: Proxy, client: Client) -> None:
    site.page(
        "page",
        """session_start(); $_SESSION['b'] = 2; unset($_SESSION['a']); $sessions->login(7); $_SESSION['c'] = 3;
        return [$sessions->user(), $sessions->handle(), session_id()];""",
    )
    write(browser, a=1)
    proxy.take()
    user, handle, token = browser.ask("page")
    assert proxy.take() == ["get", "create", "set"]
    session = session_of(client, browser)
    assert (user, handle, token) == ("7", session.handle, browser.token)
    assert (session.id, user_data(session)) == ("7", {"b": 2, "c": 3})


def test_login_again_makes_the_old_token_worthless(browser: Browser, client: Client) -> None:
    old = browser.ask("log_in", user="peter")
    write(browser, a=1)
    browser.ask("log_in", user="peter")
    assert client.get(old) is None
    assert data_of(browser) == {"a": 1}
    assert len(sessions_of(client)) == 1


def test_login_as_another_user_takes_nothing(site: Site, browser: Browser, client: Client, proxy: Proxy) -> None:
    site.page("page", "session_start(); $_SESSION['c'] = 3; $sessions->login('anna', ttl: 9999); return $_SESSION;")
    old = browser.ask("log_in", user="peter")
    write(browser, a=1)
    proxy.before = lambda operation: client.set(old, {"b": 2}) if operation == "create" else None
    assert browser.ask("page") == {"_permanent": True}
    assert client.get(old) is None
    [session] = sessions_of(client)
    assert (session.id, user_data(session)) == ("anna", {"_permanent": True})


def test_login_of_a_session_that_ended_meanwhile_keeps_the_data(browser: Browser, client: Client, proxy: Proxy) -> None:
    visitor = write(browser, a=1)
    proxy.before = lambda operation: client.kill(visitor) if operation == "create" else None
    browser.ask("log_in", user="peter")
    [session] = sessions_of(client)
    assert (session.id, user_data(session)) == ("peter", {"a": 1})


def test_login_has_timeouts_and_a_limit(site: Site, client: Client) -> None:
    site.page(
        "page",
        """session_start();
        try {
            $sessions->login('peter', ttl: 600, lifetime: 6000, max: 2, over: $_GET['over'] ?? null);
        } catch (RestSessions\\Errors\\TooManySessions) {
            return 'too many';
        }
        return session_id();""",
    )
    first, second, third = site.browser(), site.browser(), site.browser()
    for browser in (first, second):
        browser.ask("page")
        session = session_of(client, browser)
        assert (session.ttl, session.lifetime) == (600, 6000)
    visitor = write(third, a=1)
    assert third.ask("page", over="refuse") == "too many"
    # Nothing has changed.
    assert (third.token, data_of(third)) == (visitor, {"a": 1})
    third.ask("page")
    assert [session.id for session in sessions_of(client)] == ["peter", "peter"]
    assert data_of(third) == {"a": 1}


def test_remember_me(site: Site, browser: Browser, client: Client) -> None:
    site.page(
        "page", "session_start(); $sessions->login('peter', ttl: (int) $_GET['ttl'] ?: null); return session_id();"
    )

    def ages(answer: Any) -> list[str | None]:
        return [(re.findall(r"Max-Age=(\d+)", cookie) or [None])[0] for cookie in cookies(answer)]

    assert ages(browser.get("/page?ttl=2592000")) == ["34560000"]
    assert data_of(browser) == {"_permanent": True}
    # A new token of the same session, from here or from elsewhere, is kept as long.
    write(browser, a=1)
    assert ages(browser.get("/regenerate")) == ["34560000"]
    assert (session_of(client, browser).ttl, session_of(client, browser).id) == (2592000, "peter")
    client.rotate(browser.token)
    assert ages(browser.get("/read")) == ["34560000"]
    site.page("both", "session_start(); $sessions->login('peter', ttl: 9999, lifetime: 86400); return null;")
    assert ages(browser.get("/both")) == ["86400"]
    # The next login may be another one.
    for ttl in (0, 600):
        assert ages(browser.get(f"/page?ttl={ttl}")) == [None]
        assert data_of(browser) == {"a": 1}


def test_a_new_token_does_not_prolong_the_session(site: Site, browser: Browser, proxy: Proxy, client: Client) -> None:
    site.options("['secure' => false, 'lifetime' => 86400]")
    site.page("page", "session_start(); $sessions->login('peter', ttl: 3000, lifetime: 5000); return null;")
    browser.ask("page")
    session = session_of(client, browser)
    assert (session.ttl, session.lifetime) == (3000, 5000)
    proxy.rewrite = lambda session: session | {"age": 4000}
    browser.ask("regenerate")
    session = session_of(client, browser)
    assert (session.ttl, session.lifetime) == (3000, 1000)
    proxy.rewrite = lambda session: session | {"age": 4999}
    browser.ask("regenerate")
    assert session_of(client, browser).lifetime == 10


def test_login_comes_after_session_start_and_before_output(start_site: Any, client: Client) -> None:
    site = start_site(output_buffering="0")
    site.page("early", "$sessions->login('peter');")
    site.page("late", "session_start(); echo ' '; flush(); $sessions->login('peter');")
    for page in ("early", "late"):
        site.browser().get(f"/{page}")
        [complaint] = site.complaints()
        assert "ConfigurationError: login needs a session that has started, and no output yet" in complaint
    assert sessions_of(client) == []


class TestUserOption:
    """Applications that log in with PHP's own functions."""

    OPTIONS = "['secure' => false, 'user' => fn (array $session) => $session['user'] ?? null]"
    BEFORE = "session_start(); session_regenerate_id({delete}); $_SESSION['user'] = {user};"
    AFTER = "session_start(); $_SESSION['user'] = {user}; session_regenerate_id({delete});"

    @pytest.fixture
    def site(self, site: Site) -> Site:
        site.options(self.OPTIONS)
        return site

    @staticmethod
    def run(site: Site, browser: Browser, code: str, user: str = "7", delete: str = "true") -> None:
        site.page("page", code.format(user=user, delete=delete) + " return null;")
        browser.ask("page")

    @pytest.mark.parametrize("delete", ["true", "false"])
    @pytest.mark.parametrize("code", [BEFORE, AFTER])
    def test_login(self, site: Site, browser: Browser, client: Client, proxy: Proxy, code: str, delete: str) -> None:
        visitor = write(browser, a=1)
        proxy.take()
        proxy.before = lambda operation: client.set(visitor, {"b": 2}) if operation == "create" else None
        self.run(site, browser, code, delete=delete)
        assert proxy.take() == ["get", "create"]
        # Who planted the visitor's token learns nothing of the user.
        closed = client.get(visitor)
        assert (closed.id, closed.closed, user_data(closed)) == (None, True, {"a": 1, "b": 2})
        [session] = sessions_of(client)
        assert (session.id, user_data(session)) == ("7", {"a": 1, "b": 2, "user": 7})
        assert data_of(browser) == {"a": 1, "b": 2, "user": 7}

    def test_login_of_a_session_that_ended_meanwhile(
        self, site: Site, browser: Browser, client: Client, proxy: Proxy
    ) -> None:
        visitor = write(browser, a=1)
        proxy.before = lambda operation: client.kill(visitor) if operation == "create" else None
        self.run(site, browser, self.AFTER)
        [session] = sessions_of(client)
        assert (session.id, user_data(session)) == ("7", {"a": 1, "user": 7})

    @pytest.mark.parametrize("delete", ["true", "false"])
    def test_a_new_token_after_a_logout_logs_nobody_in(
        self, site: Site, browser: Browser, client: Client, proxy: Proxy, delete: str
    ) -> None:
        self.run(site, browser, self.AFTER)
        token = browser.token
        proxy.before = lambda operation: client.kill(token) if operation == "create" else None
        self.run(site, browser, self.AFTER, delete=delete)
        assert sessions_of(client) == []
        assert browser.token == token

    def test_login_of_a_new_visitor(self, site: Site, browser: Browser, client: Client, proxy: Proxy) -> None:
        self.run(site, browser, self.BEFORE)
        assert proxy.take() == ["create"]
        assert [session.id for session in sessions_of(client)] == ["7"]

    @pytest.mark.parametrize("delete", ["true", "false"])
    @pytest.mark.parametrize("code", [BEFORE, AFTER])
    def test_logout_with_a_new_token(
        self, site: Site, browser: Browser, client: Client, code: str, delete: str
    ) -> None:
        self.run(site, browser, self.AFTER)
        old = browser.token
        write(browser, a=1)
        client.touch(old, ttl=9999)
        self.run(site, browser, code, user="null", delete=delete)
        assert client.get(old) is None
        [session] = sessions_of(client)
        assert (session.id, session.ttl, user_data(session)) == (None, 1440, {"a": 1, "user": {"$null": True}})
        assert data_of(browser) == {"a": 1, "user": None}

    def test_another_user(self, site: Site, browser: Browser, client: Client, proxy: Proxy) -> None:
        self.run(site, browser, self.AFTER)
        write(browser, a=1)
        old = browser.token
        proxy.take()
        self.run(site, browser, self.AFTER, user="'anna'")
        assert proxy.take() == ["get", "create"]
        assert client.get(old) is None
        # What PHP's own sessions keep is for the application to say.
        [session] = sessions_of(client)
        assert (session.id, user_data(session)) == ("anna", {"a": 1, "user": "anna"})

    @pytest.mark.parametrize("user", ["8", "null"])
    def test_without_a_new_token_there_is_a_warning(
        self, site: Site, browser: Browser, client: Client, user: str
    ) -> None:
        self.run(site, browser, self.AFTER)
        site.page("page", f"session_start(); $_SESSION['user'] = {user}; return null;")
        browser.get("/page")
        [complaint] = site.complaints()
        assert "Call session_regenerate_id when the user changes" in complaint

    def test_a_user_who_does_not_change(self, site: Site, browser: Browser, client: Client, proxy: Proxy) -> None:
        self.run(site, browser, self.AFTER)
        write(browser, a=1)
        proxy.take()
        self.run(site, browser, self.AFTER)
        assert proxy.take() == ["get", "create"]
        [session] = sessions_of(client)
        assert (session.id, user_data(session)) == ("7", {"a": 1, "user": 7})


# Planted and malformed tokens


@pytest.mark.parametrize("token", [PLANTED, "Z" * 64, "P" * 64])
def test_a_planted_token_is_never_used(site: Site, client: Client, token: str) -> None:
    browser = site.browser(token)
    assert data_of(browser) == {}
    write(browser, a=1)
    assert browser.token != token
    assert client.get(token) is None
    browser.token = token
    browser.ask("log_in", user="peter")
    assert browser.token != token
    assert client.get(token) is None


def test_nothing_is_saved_under_a_token_that_was_not_made_here(php: Php, client: Client) -> None:
    assert php(f"return (new SessionHandler())->write('{PLANTED}', serialize(['a' => 1]));") is False
    assert sessions_of(client) == []


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        "a" * 63,
        "a" * 65,
        "a" * 300,
        "-" * 64,
        "a" * 63 + "%0A",
        "%00" * 64,
        "..%2Fkill",
        "a" * 63 + "%C3%A9",
        "[]",
        "%22",
        "%3Cscript%3E",
    ],
)
def test_a_malformed_cookie_is_none(site: Site, browser: Browser, proxy: Proxy, cookie: str) -> None:
    for header in (f"{COOKIE}={cookie}", f"{COOKIE}[]={cookie}", f"{COOKIE}[a][b]={cookie}"):
        answer = browser.get("/read", headers={"Cookie": header})
        assert (answer.status_code, answer.json()) == (200, [])
    assert proxy.take() == []
    browser.get("/write", params={"data": '{"a": 1}'}, headers={"Cookie": f"{COOKIE}={cookie}"})
    assert proxy.take() == ["create"]
    assert data_of(browser) == {"a": 1}


@pytest.mark.parametrize(("setting", "value"), [("use_strict_mode", "0"), ("serialize_handler", "php")])
def test_the_settings_that_it_needs(site: Site, browser: Browser, proxy: Proxy, setting: str, value: str) -> None:
    site.page("page", f"ini_set('session.{setting}', '{value}'); session_start(); return null;")
    assert browser.get("/page").status_code == 500
    [complaint] = site.complaints()
    assert "ConfigurationError: REST Sessions needs session.use_strict_mode = 1" in complaint
    assert proxy.take() == []


def test_register_comes_before_session_start(site: Site, browser: Browser) -> None:
    site.page("page", "session_start(); RestSessions\\SessionHandler::register(); return null;")
    browser.get("/page")
    [complaint] = site.complaints()
    assert "ConfigurationError: Register the session handler before session_start" in complaint


# The cookie


@pytest.mark.parametrize(
    ("options", "code", "attributes"),
    [
        ("[]", "", {"path=/", "HttpOnly", "SameSite=Lax", "secure"}),
        ("['secure' => false]", "", {"path=/", "HttpOnly", "SameSite=Lax"}),
        ("[]", "session_set_cookie_params(['path' => '/shop']);", {"path=/shop", "HttpOnly", "SameSite=Lax", "secure"}),
        (
            "[]",
            "session_set_cookie_params(['samesite' => 'Strict']);",
            {"path=/", "HttpOnly", "SameSite=Strict", "secure"},
        ),
    ],
)
def test_the_cookies_attributes(
    site: Site, browser: Browser, client: Client, options: str, code: str, attributes: set[str]
) -> None:
    site.options(options)
    site.page("page", f"{code} session_start(); $_SESSION['a'] = 1; $sessions->login('peter'); return null;")
    site.page("rotated", f"{code} session_start(); return $_SESSION;")
    site.page("out", f"{code} session_start(); $sessions->logout(); return null;")
    [cookie] = cookies(browser.get("/page"))
    [pair, *others] = cookie.split("; ")
    token = pair.split("=")[1]
    assert set(others) == attributes
    client.rotate(token)
    header = {"Cookie": pair}
    for page in ("rotated", "out"):
        [cookie] = [
            cookie for cookie in cookies(browser.get(f"/{page}", headers=header)) if page == "out" or "Z" in cookie
        ]
        assert {part for part in cookie.split("; ")[1:] if not part.startswith(("expires", "Max-Age"))} == attributes


def test_a_samesite_of_the_settings_stays(start_site: Any) -> None:
    site = start_site(
        **{"session.cookie_samesite": "Strict", "session.name": "session", "session.cookie_lifetime": "600"}
    )
    browser = site.browser()
    [cookie] = cookies(browser.get("/write", params={"data": '{"a": 1}'}))
    assert cookie.startswith("session=P")
    assert "SameSite=Strict" in cookie
    assert "Max-Age=600" in cookie


# Parallel requests


def test_parallel_requests_lose_nothing(start_site: Any, client: Client) -> None:
    site = start_site(workers=8)
    site.page("slow", "session_start(); usleep(100_000); $_SESSION[$_GET['key']] = 1; return null;")
    browser = site.browser()
    token = write(browser, a=1)

    def request(number: int) -> None:
        site.browser(token).ask("slow", key=f"key{number}")

    with ThreadPoolExecutor(25) as threads:
        list(threads.map(request, range(25)))
    assert data_of(browser) == {"a": 1, **{f"key{number}": 1 for number in range(25)}}
    assert len(sessions_of(client)) == 1


def test_parallel_requests_of_a_counter(start_site: Any) -> None:
    site = start_site(workers=8)
    site.page(
        "count",
        """session_start();
        $add = fn (array $data) => ['n' => ($data['n'] ?? 0) + 1];
        return $sessions->client->update(session_id(), $add)->data['n'];""",
    )
    browser = site.browser()
    token = write(browser, a=1)
    with ThreadPoolExecutor(25) as threads:
        counts = list(threads.map(lambda _: site.browser(token).ask("count"), range(25)))
    assert sorted(counts) == list(range(1, 26))
    assert data_of(browser) == {"a": 1, "n": 25}


def test_parallel_logins_keep_the_data(start_site: Any, client: Client) -> None:
    site = start_site(workers=8)
    token = write(site.browser(), a=1)

    def log_in(_: int) -> dict:
        browser = site.browser(token)
        browser.ask("log_in", user="peter")
        return data_of(browser)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(log_in, range(8))) == [{"a": 1}] * 8
    assert {session.id for session in sessions_of(client)} == {"peter"}


@pytest.mark.parametrize("end", ["logout", "expiry"])
def test_a_slow_request_revives_nothing(site: Site, browser: Browser, client: Client, proxy: Proxy, end: str) -> None:
    token = write(browser, a=1)
    proxy.before = lambda operation: client.kill(token) if operation == "set" else None
    answer = browser.get("/write", params={"data": '{"b": 2}'})
    assert (answer.status_code, cookies(answer)) == (200, [])
    assert sessions_of(client) == []
    assert site.log.read_text().count(ENDED) == 1


def test_a_slow_first_change_revives_nothing(site: Site, browser: Browser, client: Client, proxy: Proxy) -> None:
    site.page(
        "page",
        """session_start(); $_SESSION['a'] = 1; session_write_close();
        $sessions->client->kill(session_id()); session_start(); $_SESSION['b'] = 2; return session_id();""",
    )
    browser.ask("page")
    assert data_of(browser) == {"b": 2}
    assert len(sessions_of(client)) == 1


def test_a_late_request_sees_the_session_that_a_login_closed(
    site: Site, browser: Browser, client: Client, proxy: Proxy
) -> None:
    late = site.browser(write(browser, a=1))
    browser.ask("log_in", user="peter")
    proxy.take()
    site.page("twice", "session_start(); session_write_close(); session_start(); $_SESSION['b'] = 2; return null;")
    for page in ("read", "write?data=%7B%22b%22%3A2%7D", "regenerate", "regenerate?delete=", "twice"):
        answer = late.get(f"/{page}")
        assert (answer.status_code, cookies(answer)) == (200, [])
        assert set(proxy.take()) == {"get"}
    assert data_of(late) == data_of(browser) == {"a": 1}
    assert len(sessions_of(client)) == 1


def test_a_late_login_takes_the_data_again(site: Site, browser: Browser, client: Client) -> None:
    late = site.browser(write(browser, a=1))
    browser.ask("log_in", user="peter")
    late.ask("log_in", user="peter")
    assert data_of(late) == {"a": 1}
    assert [session.id for session in sessions_of(client)] == ["peter", "peter"]


# Rotation


def test_a_rotated_token_is_replaced(browser: Browser, client: Client, proxy: Proxy) -> None:
    old = write(browser, a=1)
    new = client.rotate(old)
    proxy.take()
    # The request goes on with the old token.
    assert write(browser, b=2) == old
    assert proxy.take() == ["get", "rotate", "set"]
    assert browser.token == new
    assert data_of(browser) == {"a": 1, "b": 2}
    assert proxy.take() == ["get"]


def test_a_session_that_is_rotated_meanwhile_is_saved(browser: Browser, client: Client, proxy: Proxy) -> None:
    old = write(browser, a=1)
    proxy.before = lambda operation: client.rotate(old) if operation == "set" else None
    write(browser, b=2)
    assert data_of(browser) == {"a": 1, "b": 2}
    assert browser.token != old


def test_a_rotation_that_fails_is_tried_again(browser: Browser, client: Client, proxy: Proxy) -> None:
    old = write(browser, a=1)
    client.rotate(old)

    def refuse(operation: str) -> None:
        if operation == "rotate":
            raise ConnectionError

    proxy.before = refuse
    assert data_of(browser) == {"a": 1}
    assert browser.token == old
    proxy.before = lambda _: None
    assert data_of(browser) == {"a": 1}
    assert browser.token != old


# Timeouts


@pytest.mark.parametrize(("setting", "ttl"), [("3600", 3600), ("5", 10), ("99999999", 34_560_000)])
def test_gc_maxlifetime_is_the_idle_timeout(start_site: Any, client: Client, setting: str, ttl: int) -> None:
    site = start_site(**{"session.gc_maxlifetime": setting})
    site.options("['secure' => false, 'lifetime' => 86400]")
    browser = site.browser()
    write(browser, a=1)
    session = session_of(client, browser)
    assert (session.ttl, session.lifetime) == (ttl, 86400)
    browser.ask("log_in", user="peter")
    session = session_of(client, browser)
    assert (session.ttl, session.lifetime) == (ttl, 86400)


@pytest.mark.parametrize(
    ("maxlifetime", "idle", "ttl", "data"),
    [("5", 5, 10, {"a": 1}), ("5", 6, 10, []), ("10", 11, 10, {"a": 1}), ("5", 6, 600, {"a": 1})],
)
def test_a_timeout_below_ten_seconds_is_kept(php: Php, maxlifetime: str, idle: int, ttl: int, data: Any) -> None:
    session = {"r": 1, "w": 1, "ttl": ttl, "idle": idle, "ip": "192.0.2.7", "d": {"a": 1}}
    with scripted(reply(session), reply({"kill": 1})) as server:
        returned = php(
            f"SessionHandler::register(); session_id('{PLANTED}'); session_start(); return $_SESSION;",
            {"session.use_cookies": "0", "session.cache_limiter": "", "session.gc_maxlifetime": maxlifetime},
            REST_SESSIONS_URL=server.url,
        )
    assert returned == data
    assert [request.path.split("/")[2] for request in server.received] == ["get"] + (["kill"] if not data else [])


def test_a_polling_page_does_not_use_the_session(site: Site, browser: Browser, client: Client) -> None:
    site.page("poll", "$sessions->peek = true; session_start(); return $_SESSION;")
    write(browser, a=1)
    before = session_of(client, browser)
    assert browser.ask("poll") == {"a": 1}
    assert session_of(client, browser).r == before.r


# The service is away


class TestServiceAway:
    def test_a_page_without_the_session_works(self, site: Site, browser: Browser) -> None:
        site.options(f"['secure' => false, 'client' => {NOBODY}]")
        browser.token = PLANTED
        assert browser.ask("untouched") == "no session"

    def test_session_start_throws(self, site: Site) -> None:
        site.options(f"['secure' => false, 'client' => {NOBODY}]")
        site.page(
            "page",
            """try { session_start(); } catch (RestSessions\\Errors\\Unavailable $error) {
                return [$error::class, session_status() === PHP_SESSION_ACTIVE];
            }""",
        )
        answer = site.browser(PLANTED).get("/page")
        assert (answer.json(), cookies(answer)) == (["RestSessions\\Errors\\NoAnswer", False], [])
        assert site.browser(PLANTED).get("/read").status_code == 500
        [complaint] = site.complaints()
        assert "NoAnswer: REST Sessions cannot be reached" in complaint

    def test_the_session_may_be_empty_instead(self, site: Site) -> None:
        site.options(f"['secure' => false, 'client' => {NOBODY}, 'on_unavailable' => 'anonymous']")
        for page in ("read", "write?data=%7B%22b%22%3A2%7D", "regenerate"):
            answer = site.browser(PLANTED).get(f"/{page}")
            assert (answer.status_code, cookies(answer)) == (200, [])
        assert site.log.read_text().count(UNAVAILABLE) == 3

    def test_what_cannot_be_saved_may_be_dropped_instead(self, site: Site, browser: Browser, proxy: Proxy) -> None:
        site.options("['secure' => false, 'on_unavailable' => 'anonymous']")
        token = write(browser, a=1)

        def refuse(operation: str) -> None:
            if operation != "get":
                raise ConnectionError

        proxy.before = refuse
        for one, page in (
            (browser, "write?data=%7B%22b%22%3A2%7D"),
            (site.browser(), "write?data=%7B%22b%22%3A2%7D"),
            (browser, "regenerate"),
        ):
            answer = one.get(f"/{page}")
            assert (answer.status_code, cookies(answer)) == (200, [])
        assert site.log.read_text().count(UNAVAILABLE) == 3
        assert (browser.token, data_of(browser)) == (token, {"a": 1})

    @pytest.mark.parametrize("page", ["log_in?user=peter", "log_out"])
    def test_a_login_or_logout_is_not_pretended(self, site: Site, page: str) -> None:
        site.options(f"['secure' => false, 'client' => {NOBODY}, 'on_unavailable' => 'anonymous']")
        answer = site.browser(PLANTED).get(f"/{page}")
        assert (answer.status_code, cookies(answer)) == (500, [])
        [complaint] = site.complaints()
        assert "NoAnswer" in complaint

    def test_a_first_change_that_cannot_be_saved(self, site: Site, browser: Browser) -> None:
        site.options(f"['secure' => false, 'client' => {NOBODY}]")
        answer = browser.get("/write", params={"data": '{"a": 1}'})
        assert (answer.status_code, cookies(answer)) == (500, [])
        [complaint] = site.complaints()
        assert "NoAnswer" in complaint

    def test_a_change_that_cannot_be_saved(self, site: Site, browser: Browser, proxy: Proxy) -> None:
        site.page(
            "page",
            """session_start(); $_SESSION['b'] = 2;
            try { session_write_close(); } catch (RestSessions\\Errors\\Unavailable $error) { return $error::class; }""",
        )
        write(browser, a=1)

        def refuse(operation: str) -> None:
            if operation == "set":
                raise ConnectionError

        proxy.before = refuse
        assert browser.ask("page") == "RestSessions\\Errors\\ConnectionLost"

    def test_what_on_unavailable_may_be(self, php: Php) -> None:
        code = """try { SessionHandler::register(on_unavailable: 'ignore'); } catch (RestSessions\\Errors\\ConfigurationError $error) {
            return $error->getMessage(); }"""
        assert php(code) == "on_unavailable must be 'raise' or 'anonymous'"


# The command line


CLI = {"session.use_cookies": "0", "session.cache_limiter": ""}


def test_on_the_command_line(php: Php, client: Client) -> None:
    token = client.create("peter", ip="192.0.2.7", data={"a": 1}).token
    code = f"SessionHandler::register(); session_id('{token}'); session_start(); $_SESSION['b'] = 2; return $_SESSION;"
    assert php(code, CLI) == {"a": 1, "b": 2}
    assert client.get(token).data == {"a": 1, "b": 2}


def test_a_login_on_the_command_line(php: Php, client: Client) -> None:
    code = "$sessions = SessionHandler::register(); session_start(); $_SESSION['b'] = 2; $sessions->login('peter'); return session_id();"
    session = client.get(php(code, CLI))
    assert (session.id, session.ip, session.data) == ("peter", "unknown", {"b": 2})


@pytest.mark.parametrize(("address", "ip"), [("", "unknown"), ("2001:db8::7", "2001:db8::7"), ("x" * 60, "x" * 45)])
def test_the_address(php: Php, client: Client, address: str, ip: str) -> None:
    code = f"$_SERVER['REMOTE_ADDR'] = '{address}'; SessionHandler::register(); session_start(); $_SESSION['a'] = 1; return session_id();"
    assert client.get(php(code, CLI)).ip == ip


def test_a_user_agent_that_is_long_and_no_text(site: Site, client: Client) -> None:
    site.browser().get("/write", params={"data": '{"a": 1}'}, headers={"User-Agent": b"\xff" + b"x" * 300})
    [session] = sessions_of(client)
    assert session.data["_user_agent"] == "?" + "x" * 255


def test_a_handler_that_serves_many_requests(php: Php, client: Client) -> None:
    code = """$sessions = SessionHandler::register();
        foreach (['a', 'b', 'c'] as $user) {
            session_id('');
            session_start();
            $_SESSION = ['for' => $user];
            $sessions->login($user);
            $tokens[] = session_id();
            session_write_close();
        }
        return $tokens;"""
    tokens = php(code, CLI)
    assert [(client.get(token).id, client.get(token).data) for token in tokens] == [
        (user, {"for": user}) for user in "abc"
    ]
    assert len(sessions_of(client)) == 3
