"""The console for everybody: what axe-core finds, the keyboard, and a phone."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from tab import EVERYTHING, Console, secret_of

from rest_sessions_client import Client

IP = "192.0.2.7"

# Each brings a console into a state that people meet. The app has a session of peter and an anonymous one.
STATES: dict[str, Callable[[Console, Client, str], Page]] = {}


def state(reach: Callable[[Console, Client, str], Page]) -> Callable[[Console, Client, str], Page]:
    STATES[reach.__name__.replace("_", " ")] = reach
    return reach


@state
def apps(console: Console, client: Client, app: str) -> Page:
    return console.open()


@state
def app_with_sessions(console: Console, client: Client, app: str) -> Page:
    return console.open(app)


@state
def app_with_many_sessions(console: Console, client: Client, app: str) -> Page:
    for number in range(60):
        client.create(f"user{number}", ip=IP)
    return console.open(app)


@state
def user(console: Console, client: Client, app: str) -> Page:
    return console.open(app, "user", "peter")


@state
def session(console: Console, client: Client, app: str) -> Page:
    [session] = client.soid("peter", details=True)
    return console.open(app, "user", "peter", session.handle)


@state
def question(console: Console, client: Client, app: str) -> Page:
    page = console.open(app)
    page.get_by_role("button", name="End the session of peter").click()
    return page


@state
def question_for_a_name(console: Console, client: Client, app: str) -> Page:
    page = console.open(app)
    page.get_by_role("button", name="End all sessions").click()
    return page


@state
def ended(console: Console, client: Client, app: str) -> Page:
    page = question(console, client, app)
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(page.locator("tr.ended")).to_have_count(1)
    return page


@state
def no_key(console: Console, client: Client, app: str) -> Page:
    return console.open(key=None)


@state
def wrong_key(console: Console, client: Client, app: str) -> Page:
    page = console.open(key=None)
    page.get_by_label("Access key").fill("w" * 40)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_be_visible()
    return page


@state
def refusal(console: Console, client: Client, app: str) -> Page:
    return console.open(app, key="support")


@state
def stale(console: Console, client: Client, app: str) -> Page:
    console.page.clock.install()
    page = console.open(app)
    page.route(f"**/{app}/**", lambda route: route.abort())
    page.clock.run_for(10_000)
    expect(page.locator("#freshness")).not_to_be_empty()
    return page


@state
def new_session(console: Console, client: Client, app: str) -> Page:
    console.page.clock.install()
    page = console.open(app)
    client.create("paul", ip=IP)
    console.renew()
    expect(page.locator(".changes")).not_to_be_empty()
    return page


@state
def choice_of_an_app(console: Console, client: Client, app: str) -> Page:
    return console.open(key="reader")


@state
def names_of_apps(console: Console, client: Client, app: str) -> Page:
    return console.open(key="helpdesk")


@state
def unknown_user(console: Console, client: Client, app: str) -> Page:
    return console.open(app, "user", "nobody")


@pytest.mark.parametrize("reach", STATES.values(), ids=STATES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_axe_finds_nothing(
    consoles: Callable[..., Console], client: Client, app: str, reach, scheme: str, width: int
) -> None:
    client.create("peter", ip=IP, data={"name": "Peter", "cart": [{"article": 7}]})
    client.create(ip=IP)
    # axe-core builds its rules from texts, which the page's policy forbids.
    console = consoles(color_scheme=scheme, viewport={"width": width, "height": 740}, bypass_csp=True)
    page = reach(console, client, app)
    found = Axe().run(page, options={"resultTypes": ["violations", "incomplete"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_the_keyboard_alone_ends_a_session(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip=IP)
    page = console.page
    page.goto(console.url)
    expect(page.get_by_label("Access key")).to_be_focused()
    page.keyboard.insert_text(secret_of(EVERYTHING))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Apps")).to_be_focused()
    press_until(page, "Tab", app)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=app)).to_be_focused()
    press_until(page, "Tab", "End")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    # The safe answer first.
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#notice p")).to_have_text("1 session of peter ended.")
    # In place of the button with which it began.
    expect(page.get_by_text("ended", exact=True)).to_be_focused()
    assert list(client.soid("peter")) == []


def press_until(page: Page, key: str, text: str) -> None:
    """Presses the key until what has the focus says just this text."""
    for _ in range(300):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.textContent") == text:
            return
    pytest.fail(f"{text} was not reached")


def test_long_values_scroll_and_the_keyboard_reaches_them(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip=IP, data={"long": list(range(100)), "short": 1})
    [session] = client.soid("peter", details=True)
    page = console.open(app, "user", "peter", session.handle)
    long, short = page.locator(".data pre").all()
    assert long.evaluate("value => value.scrollHeight > value.clientHeight")
    assert long.get_attribute("tabindex") == "0"
    assert short.get_attribute("tabindex") is None


def test_larger_text_of_the_browser_is_respected(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip=IP)
    page = console.open(app)
    before = page.locator("td").first.evaluate("cell => parseFloat(getComputedStyle(cell).fontSize)")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.locator("td").first.evaluate("cell => parseFloat(getComputedStyle(cell).fontSize)") == 2 * before


def test_everything_that_has_the_focus_shows_it(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip=IP)
    page = console.open(app)
    # The heading has it first. Then come the buttons, the field and the links of one row.
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_screen_reader_hears_what_was_done_and_what_is_new(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip=IP)
    console.page.clock.install()
    page = console.open(app)
    live = page.get_by_role("status")
    assert [region.inner_text() for region in live.all()] == ["", "", ""]
    client.create("paul", ip=IP)
    console.renew()
    expect(live.filter(has_text="1 new session")).to_have_count(1)
    page.get_by_role("button", name="End the session of peter").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(live.filter(has_text="1 session of peter ended.")).to_have_count(1)


def test_the_table_is_one_on_a_phone_too(consoles: Callable[..., Console], client: Client, app: str) -> None:
    """Its rows look like cards there, and a browser no longer sees a table in them by itself."""
    client.create("peter", ip=IP)
    page = consoles(viewport={"width": 360, "height": 740}).open(app)
    table = page.get_by_role("table", name="Sessions, last used first")
    expect(table.get_by_role("columnheader")).to_have_text(
        ["User", "Last used", "IP address", "Started", "Time left", "Data", "Actions"]
    )
    expect(table.get_by_role("row").nth(1).get_by_role("cell")).to_have_count(7)
    # Not every browser keeps the roles of elements that are shown in another way.
    for name, role in {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}.items():
        assert page.locator(name).first.get_attribute("role") == role
    assert page.locator("td").nth(1).evaluate("cell => getComputedStyle(cell, '::before').content") == '"Last used"'
