"""What goes wrong on the way: what the page says, what it keeps, and how it goes on."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect
from tab import Console

from rest_sessions_client import Client

IP = "192.0.2.7"
UNAVAILABLE = {"name": "storeUnavailable", "message": "The session store is unavailable; try again"}

Answer = Callable[[Route], None]

ANSWERS: dict[str, tuple[Answer, str]] = {
    "store away": (
        lambda route: route.fulfill(status=503, json=UNAVAILABLE),
        "The API answered 503: The session store is unavailable; try again.",
    ),
    "too many": (
        lambda route: route.fulfill(status=429, json={"message": "Too Many Requests"}),
        "The API gets too many requests. Wait a moment.",
    ),
    "fault": (
        lambda route: route.fulfill(status=500, json={"message": "Internal Server Error"}),
        "The API answered 500: Internal Server Error.",
    ),
    "unseen characters": (
        lambda route: route.fulfill(status=500, json={"name": "internalError", "message": "a\u202eb"}),
        "The API answered 500: a\\u{202e}b.",
    ),
    "no reason": (lambda route: route.fulfill(status=500, json={}), "The API answered 500: it gave no reason."),
    "proxy": (
        lambda route: route.fulfill(status=502, body="<html>Bad gateway</html>"),
        "The API answered 502: it gave no reason.",
    ),
    "page of a proxy": (
        lambda route: route.fulfill(status=403, body="<html>Blocked</html>"),
        "The API answered 403: it gave no reason.",
    ),
    "page of a network": (
        lambda route: route.fulfill(status=200, body="<html>Log in to the wifi</html>"),
        "The API does not answer. Check the network.",
    ),
    "network": (lambda route: route.abort(), "The API does not answer. Check the network."),
    "redirect": (
        lambda route: route.fulfill(status=302, headers={"Location": "https://elsewhere.example/"}),
        "The API does not answer. Check the network.",
    ),
}


@pytest.fixture(params=ANSWERS)
def failure(request: pytest.FixtureRequest) -> tuple[Answer, str]:
    return ANSWERS[request.param]


def test_a_view_says_it_and_tries_again(
    console: Console, client: Client, app: str, failure: tuple[Answer, str]
) -> None:
    answer, text = failure
    client.create("peter", ip=IP)
    console.page.route(f"**/{app}/soapp**", answer)
    page = console.open(app)
    expect(page.get_by_role("heading", level=1)).to_have_text("This cannot be shown")
    expect(page.locator(".error")).to_have_text(text)
    page.unroute(f"**/{app}/soapp**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("row").filter(has_text="peter")).to_have_count(1)


def test_a_renewal_says_it_and_keeps_what_is_there(
    console: Console, client: Client, app: str, failure: tuple[Answer, str]
) -> None:
    answer, text = failure
    client.create("peter", ip=IP)
    console.page.clock.install()
    page = console.open(app)
    places = [line.bounding_box() for line in page.locator("tbody tr").all()]
    page.route(f"**/{app}/**", answer)
    page.clock.run_for(10_000)
    expect(page.locator("#freshness")).to_have_text(
        re.compile(rf"Not up to date since \d\d:\d\d:\d\d\. {re.escape(text)}")
    )
    assert [line.bounding_box() for line in page.locator("tbody tr").all()] == places
    # Times go on meanwhile.
    page.clock.fast_forward("01:00:00")
    expect(page.locator("td[data-name='Last used']")).to_have_text(re.compile(r"1 h( \d+ s)? ago"))
    page.unroute(f"**/{app}/**")
    page.clock.run_for(10_000)
    expect(page.locator("#freshness")).to_be_empty()


def test_a_banner_is_of_its_view(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip=IP)
    console.page.clock.install()
    page = console.open(app)
    page.route(f"**/{app}/soapp**", lambda route: route.abort())
    page.clock.run_for(10_000)
    expect(page.locator("#freshness")).not_to_be_empty()
    console.follow("peter")
    expect(page.locator("#freshness")).to_be_empty()


def test_an_ending_says_it_where_one_can_try_again(
    console: Console, client: Client, app: str, failure: tuple[Answer, str]
) -> None:
    answer, text = failure
    client.create("peter", ip=IP)
    page = console.open(app)
    page.route("**/killsoid/**", answer)
    page.get_by_role("button", name="End the session of peter").click()
    end = page.get_by_role("dialog").get_by_role("button", name="End it")
    end.click()
    expect(page.get_by_role("alert")).to_have_text(text)
    assert len(list(client.soid("peter"))) == 1
    page.unroute("**/killsoid/**")
    end.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#notice p")).to_have_text("1 session of peter ended.")


def test_showing_more_says_it_and_keeps_what_is_there(
    console: Console, client: Client, app: str, failure: tuple[Answer, str]
) -> None:
    answer, text = failure
    for number in range(60):
        client.create(f"user{number}", ip=IP)
    page = console.open(app)
    page.route(f"**/{app}/soapp**cursor**", answer)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#notice p")).to_have_text(text)
    expect(page.locator("tbody tr")).to_have_count(50)
    page.unroute(f"**/{app}/soapp**cursor**")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("tbody tr")).to_have_count(60)


def test_the_start_says_it_and_tries_again(console: Console, failure: tuple[Answer, str]) -> None:
    answer, text = failure
    page = console.page
    page.route("**/console/key", answer)
    page.goto(console.url)
    expect(page.locator(".error")).to_have_text(text)
    page.unroute("**/console/key")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_label("Access key")).to_be_visible()


def test_part_of_an_app_that_was_ended_is_told(console: Console, client: Client, app: str) -> None:
    message = "The session store is unavailable after 1200 sessions were ended; call again for the rest"
    page = console.open(app)
    page.route("**/killall", lambda route: route.fulfill(status=503, json={**UNAVAILABLE, "message": message}))
    page.get_by_role("button", name="End all sessions").click()
    page.get_by_label("Type").fill(app)
    page.get_by_role("dialog").get_by_role("button", name="End all").click()
    expect(page.get_by_role("alert")).to_contain_text("1200 sessions were ended; call again for the rest")


def test_no_answer_is_waited_for_longer_than_half_a_minute(console: Console, client: Client, app: str) -> None:
    console.page.add_init_script(
        "const { timeout } = AbortSignal; window.limits = [];"
        "AbortSignal.timeout = (limit) => { limits.push(limit); return timeout.call(AbortSignal, limit) }"
    )
    page = console.open(app)
    assert set(page.evaluate("limits")) == {30_000}


def test_a_slow_start_says_that_it_loads_and_stays_whatever_the_address(
    console: Console, client: Client, app: str
) -> None:
    client.create("peter", ip=IP)
    page = console.open()
    waiting = console.hold("**/console/key")
    page.reload()
    expect(page.locator("main")).to_have_text("Loading…")
    expect(page.get_by_role("button", name="Forget key")).to_be_visible()
    page.evaluate("hash => { location.hash = hash }", f"/{app}")
    expect(page.locator("main")).to_have_text("Loading…")
    waiting[0].continue_()
    expect(page.get_by_role("row").filter(has_text="peter")).to_have_count(1)
    assert len(waiting) == 1


def test_a_slow_view_says_that_it_loads(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip=IP)
    waiting = console.hold(f"**/{app}/soapp**")
    page = console.page
    page.goto(f"{console.url}#/{app}")
    console.enter("everything")
    expect(page.locator("main")).to_have_text("Loading…")
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    waiting[0].continue_()
    console.wait()
    expect(page.get_by_role("row").filter(has_text="peter")).to_have_count(1)


def test_an_answer_that_comes_late_does_not_take_the_place_of_the_next_view(
    console: Console, client: Client, app: str
) -> None:
    client.create("peter", ip=IP)
    page = console.open()
    waiting = console.hold(f"**/{app}/soapp**")
    page.get_by_role("link", name=app).click()
    expect(page.locator("main")).to_have_text("Loading…")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Apps")
    for route in waiting:
        route.fulfill(status=503, json=UNAVAILABLE)
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(page.get_by_role("heading", level=1)).to_have_text("Apps")
