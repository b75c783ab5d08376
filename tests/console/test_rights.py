"""The key: who is asked for one, where it stays, and what it lets the page show."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect
from tab import EVERYTHING, KEYS, Console, secret_of

from rest_sessions_client import Client

IP = "192.0.2.7"
# What the page of an app has, the operation that each needs, and where it stands.
PARTS = {
    "activity": ".activity",
    "soapp": "table",
    "soid": "form[role=search]",
    "killall": "h1 + button",
    "killsoid": "td button",
}


@pytest.fixture
def shop(service) -> Client:
    """An app that each key may use."""
    with Client(service.url, "shop", secret_of(EVERYTHING)) as client:
        client.killall()
        client.create("peter", ip=IP, data={"a": 1})
        client.create(ip=IP)
        yield client


class TestKey:
    def test_is_asked_for_and_forgotten(self, console: Console) -> None:
        page = console.open(key=None)
        field = page.get_by_label("Access key")
        expect(field).to_be_focused()
        for name, value in {"type": "password", "autocomplete": "off", "aria-describedby": "key-hint"}.items():
            expect(field).to_have_attribute(name, value)
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_role("button", name="Forget key")).to_be_hidden()
        console.enter("support")
        expect(page.locator("#who")).to_have_text("Key support")
        page.get_by_role("button", name="Forget key").click()
        expect(page.get_by_label("Access key")).to_be_visible()
        expect(page.locator("#who")).to_be_empty()
        assert page.evaluate("sessionStorage.length") == 0

    def test_that_is_wrong_is_told(self, console: Console) -> None:
        page = console.open(key=None)
        page.get_by_label("Access key").fill("w" * 40)
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert")).to_contain_text("The API does not know this key.")
        expect(page.get_by_label("Access key")).to_be_focused()
        expect(page.get_by_label("Access key")).to_be_empty()
        console.enter(EVERYTHING)
        expect(page.get_by_role("heading", level=1)).to_have_text("Apps")

    @pytest.mark.parametrize("text", ["", "short", "two words " * 5, "ä" * 40])
    def test_that_cannot_be_one_is_not_sent(self, console: Console, text: str) -> None:
        page = console.open(key=None)
        before = len(console.requests)
        page.get_by_label("Access key").fill(text)
        page.get_by_role("button", name="Open").click()
        assert not page.get_by_label("Access key").evaluate("field => field.checkValidity()")
        assert len(console.requests) == before

    def test_may_be_pasted_with_spaces_around_it(self, console: Console) -> None:
        page = console.open(key=None)
        page.get_by_label("Access key").fill(f"  {secret_of(EVERYTHING)}\t")
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#who")).to_have_text("Key everything")

    def test_stays_in_its_tab(self, console: Console, browser: Browser) -> None:
        page = console.open()
        page.reload()
        expect(page.locator("#who")).to_have_text("Key everything")
        other = page.context.new_page()
        other.goto(console.url)
        expect(other.get_by_label("Access key")).to_be_visible()
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        assert page.context.cookies() == []

    def test_is_sent_as_a_header_and_in_no_address(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        console.page.context.add_cookies([{"name": "a", "value": "b", "url": console.url}])
        console.open(app, "user", "peter")
        calls = [request for request in console.requests if request.resource_type == "fetch"]
        assert calls
        assert all(request.header_value("Cookie") is None for request in calls)
        assert all(secret_of(EVERYTHING) not in request.url for request in console.requests)
        assert all(request.header_value("Authorization") == f"Bearer {secret_of(EVERYTHING)}" for request in calls[1:])

    def test_that_is_taken_back_meanwhile_is_asked_for_again(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        console.page.clock.install()
        page = console.open(app)
        page.route(f"**/{app}/**", lambda route: route.fulfill(status=403, json={"message": "Forbidden"}))
        console.renew()
        expect(page.get_by_role("alert")).to_contain_text("The API does not know this key.")
        expect(page.locator("#who")).to_be_empty()
        expect(page.get_by_role("button", name="Forget key")).to_be_hidden()
        assert page.evaluate("sessionStorage.length") == 0

    def test_that_is_taken_back_before_an_ending_is_told(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        page = console.open(app)
        page.route("**/killsoid/**", lambda route: route.fulfill(status=403, json={"message": "Forbidden"}))
        page.get_by_role("button", name="End the session of peter").click()
        page.get_by_role("dialog").get_by_role("button", name="End it").click()
        expect(page.get_by_role("alert")).to_contain_text("The API does not know this key any more.")
        assert len(list(client.soid("peter"))) == 1


class TestRights:
    @pytest.mark.parametrize("name", KEYS)
    def test_decide_what_an_app_shows(self, console: Console, shop: Client, name: str) -> None:
        page = console.open("shop", key=name)
        _, allow = KEYS[name]
        for operation, selector in PARTS.items():
            needed = {operation, "soapp"} if operation == "killsoid" else {operation}
            expect(page.locator(selector)).to_have_count(int("*" in allow or needed <= set(allow)))
        expect(page.locator("p.empty")).to_have_count(int(name == "server"))
        refused = [request.url for request in console.requests if self._status(request) == 403]
        assert refused == []

    @staticmethod
    def _status(request) -> int:
        response = request.response()
        return response.status if response else 0

    @pytest.mark.parametrize("name", [name for name, (_, allow) in KEYS.items() if {"*", "soapp"} & set(allow)])
    def test_decide_what_the_table_leads_to(self, console: Console, shop: Client, name: str) -> None:
        page = console.open("shop", key=name)
        may_look = bool({"*", "soid"} & set(KEYS[name][1]))
        expect(page.get_by_role("link", name="peter", exact=True)).to_have_count(int(may_look))
        expect(page.get_by_role("link", name="Open the session of peter")).to_have_count(int(may_look))
        expect(page.get_by_role("link", name="Open the session of nobody")).to_have_count(1)

    def test_decide_which_apps_are_there(self, consoles: Callable[..., Console], shop: Client) -> None:
        page = consoles().open(key="support")
        expect(page.locator("tbody td[data-name=App]")).to_have_text(["shop"])
        page = consoles().open(key="helpdesk")
        expect(page.locator(".apps a")).to_have_text(["shop", "webapp"])
        console = consoles()
        page = console.open(key="reader")
        page.get_by_label("Name of the app").fill("no app!")
        page.get_by_role("button", name="Show").click()
        assert not page.get_by_label("Name of the app").evaluate("field => field.checkValidity()")
        page.get_by_label("Name of the app").fill("shop")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("shop")

    def test_decide_what_a_user_shows(self, consoles: Callable[..., Console], shop: Client) -> None:
        [session] = shop.soid("peter", details=True)
        for name, buttons in (("reader", 0), ("helpdesk", 1)):
            page = consoles().open("shop", "user", "peter", key=name)
            expect(page.locator("tbody tr")).to_have_count(1)
            expect(page.locator("td button")).to_have_count(buttons)
            expect(page.locator("h1 + button")).to_have_count(buttons)
            page = consoles().open("shop", "user", "peter", session.handle, key=name)
            expect(page.locator(".data")).to_contain_text("a")
            expect(page.locator(".actions button")).to_have_count(2 * buttons)

    @pytest.mark.parametrize("path", [("shop", "user", "peter"), ("shop", "user", "peter", "h" * 22)])
    def test_that_are_missing_are_named_and_nothing_is_asked(self, console: Console, path: tuple[str, ...]) -> None:
        page = console.open(*path, key="watcher")
        expect(page.locator(".error")).to_contain_text("This key does not allow soid here.")
        assert not any("/soid/" in request.url for request in console.requests)

    @pytest.mark.parametrize("path", [("another",), ("another", "user", "peter")])
    def test_do_not_reach_another_app(self, console: Console, path: tuple[str, ...]) -> None:
        page = console.open(*path, key="support")
        expect(page.locator(".error")).to_have_text("This key may not use the app another. It may use:")
        expect(page.locator(".apps a")).to_have_text(["shop", "webapp"])
        assert not any("/another/" in request.url for request in console.requests)

    def test_that_show_nothing_are_told_at_once(self, console: Console) -> None:
        page = console.open(key="server")
        expect(page.locator(".empty")).to_contain_text("it allows none of activity, soapp, soid, killall.")

    def test_that_are_taken_back_meanwhile_are_named(self, console: Console, shop: Client) -> None:
        page = console.open("shop")
        forbidden = {"name": "forbidden", "message": "The key may not do this in this app"}
        page.route("**/killsoid/**", lambda route: route.fulfill(status=403, json=forbidden))
        page.get_by_role("button", name="End the session of peter").click()
        page.get_by_role("dialog").get_by_role("button", name="End it").click()
        expect(page.get_by_role("alert")).to_contain_text("This key does not allow killsoid here.")
        assert len(list(shop.soid("peter"))) == 1
