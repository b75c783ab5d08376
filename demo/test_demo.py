"""The demo in Chromium, as a visitor uses it."""

import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.browser import chromium, running_demo

PLATFORMS = ("Flask", "Express", "PHP")
MISSING = [name for name in ("chromium", "node", "php") if shutil.which(name) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_demo() as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    expect(page.locator("#PHP")).to_contain_text("Sees a visitor")
    yield page
    assert errors == []
    context.close()


def test_all_see_what_each_puts_into_the_cart(page: Page) -> None:
    for count, platform in enumerate(PLATFORMS, start=1):
        page.click(f"#{platform} >> text=Add to cart")
        for other in PLATFORMS:
            expect(page.locator(f"#{other} .count")).to_have_text(f"{count} in the cart")
            expect(page.locator(f"#{other} .items")).to_contain_text(f"1 from {platform}")
    page.click("#Express >> text=Empty it")
    for other in PLATFORMS:
        expect(page.locator(f"#{other} .count")).to_have_text("0 in the cart")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("other", PLATFORMS)
def test_a_login_on_one_is_known_to_all_and_a_logout_as_well(page: Page, platform: str, other: str) -> None:
    page.click(f"#{other} >> text=Add to cart")
    expect(page.locator("#PHP .count")).to_have_text("1 in the cart")
    page.click(f"#{platform} >> text=Log in as Anna")
    for one in PLATFORMS:
        expect(page.locator(f"#{one}")).to_contain_text("Knows you as anna")
        expect(page.locator(f"#{one} .count")).to_have_text("1 in the cart")
    page.click(f"#{other} >> text=Log out")
    for one in PLATFORMS:
        expect(page.locator(f"#{one}")).to_contain_text("Sees a visitor")
        expect(page.locator(f"#{one} .count")).to_have_text("0 in the cart")


def test_devices_are_listed_and_logged_out(page: Page, browser: Browser, url: str) -> None:
    page.click("#Flask >> text=Log in as Anna")
    expect(page.locator("#PHP")).to_contain_text("Knows you as anna")
    others = []
    for platform in PLATFORMS:
        other = browser.new_context().new_page()
        other.goto(url)
        other.click(f"#{platform} >> text=Log in as Anna")
        expect(other.locator("#devices")).to_contain_text("This browser")
        others.append(other)
    page.reload()
    expect(page.locator("#devices li")).to_have_count(4)
    page.locator("#devices button").first.click()
    expect(page.locator("#devices li")).to_have_count(3)
    page.click("text=Log out all others")
    expect(page.locator("#devices li")).to_have_count(1)
    for other in others:
        other.reload()
        expect(other.locator("#PHP")).to_contain_text("Sees a visitor")
    expect(page.locator("#PHP")).to_contain_text("Knows you as anna")


def test_of_25_writes_at_once_none_is_lost(page: Page) -> None:
    page.click("text=Send 25 writes at once")
    expect(page.locator("#result")).to_have_text("25 of 25 are in the cart.")
    for platform in PLATFORMS:
        expect(page.locator(f"#{platform} .count")).to_have_text("25 in the cart")


VALUES = [
    *(None, True, False, 0, -7, 2**53, 0.1, 1e300, -2.5e-8),
    *("", "딸기 👩‍👩‍👧 \u0000 \u2028 </script>", "1", "null"),
    *([], [[]], [None, [1, "a"]]),
    {"none": None, "list": [], "deep": {"a": {"b": [{"c": 1}]}}},
    {"__proto__": 1, "constructor": 2, "": 3, "key": 4},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("order", list(itertools.permutations(PLATFORMS)), ids=" ".join)
def test_every_json_value_goes_through_all_languages(url: str, order: tuple[str, ...], value: Any) -> None:
    """One platform writes it, the next reads that and writes it under another key, and so on."""
    cookie: dict[str, str] = {}
    for n, platform in enumerate([*order, order[0]]):
        address = f"{url}/{platform.lower()}"
        read = httpx2.get(f"{address}/state", headers=cookie).json()["cart"][f"item-{n}"] if n else value
        assert json.dumps(read, sort_keys=True) == json.dumps(value, sort_keys=True)
        answer = httpx2.post(f"{address}/add", headers=cookie, json={f"item-{n + 1}": read})
        assert answer.status_code == 204
        # By hand: only browsers send a Secure cookie to 127.0.0.1 without HTTPS.
        cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0]} if n == 0 else cookie


def test_works_with_the_platforms_that_are_there(browser: Browser, tmp_path: Path) -> None:
    """Without Node and PHP on the PATH."""
    (tmp_path / "python").symlink_to(sys.executable)
    with running_demo(path=str(tmp_path)) as url:
        page = browser.new_context().new_page()
        page.goto(url)
        expect(page.locator("body")).to_contain_text("Not running: PHP is not installed here.")
        page.click("#Flask >> text=Add to cart")
        page.click("text=Send 25 writes at once")
        expect(page.locator("#result")).to_have_text("25 of 25 are in the cart.")
