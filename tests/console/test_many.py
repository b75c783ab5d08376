"""10,000 sessions of 50 apps, as keys of different kinds see them."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from tab import REGISTRY, Console

from clients.python.tests.conftest import Service, running_service

APPS = 50
SESSIONS = 10_000
OF_EACH = SESSIONS // APPS


@pytest.fixture(scope="module")
def full() -> Iterator[Service]:
    keys = {"AUTH": "1", "API_KEYS": REGISTRY}
    with running_service("tests.console.filled", **keys, APPS=str(APPS), SESSIONS=str(SESSIONS)) as service:
        yield service


@pytest.fixture
def open_full(consoles: Callable[..., Console], full: Service) -> Callable[..., Page]:
    return lambda *path, key: consoles(full.url).open(*path, key=key)


def test_all_apps_are_on_one_page(open_full: Callable[..., Page]) -> None:
    page = open_full(key="watcher")
    assert page.locator("td[data-name=Sessions]").all_inner_texts() == [str(OF_EACH)] * APPS
    names = page.locator("td[data-name=App]").all_inner_texts()
    assert names == sorted(names)
    page = open_full(key="support")
    expect(page.locator("td[data-name=App]")).to_have_text(["shop", "webapp"])


def test_all_sessions_of_an_app_are_reached_the_last_used_first(open_full: Callable[..., Page]) -> None:
    page = open_full("reports", key="reader")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("tbody tr")).to_have_count(OF_EACH)
    used = page.locator("td[data-name='Last used'] time").evaluate_all(
        "times => times.map((one) => Date.parse(one.dateTime))"
    )
    # Each moment is that of an answer less whole seconds.
    assert all(before > after - 2000 for before, after in itertools.pairwise(used))


def test_support_ends_one_among_many(open_full: Callable[..., Page]) -> None:
    page = open_full("webapp", key="support")
    line = page.locator("tbody tr", has=page.get_by_role("button")).first
    user = line.locator("td").first.inner_text()
    line.get_by_role("link", name=user, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(user)
    before = page.locator("tbody tr").count()
    page.locator("tbody button").first.click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(page.locator("#notice p")).to_have_text(f"1 session of {user} ended.")
    page.reload()
    expect(page.locator(".more") if before > 1 else page.locator(".empty")).to_contain_text(
        f"{before - 1} session" if before > 1 else "has no session"
    )
