"""Makes the pictures of docs/console.md: the console over 600 sessions of 8 apps."""

import random
from pathlib import Path

from playwright.sync_api import Browser, expect
from tab import EVERYTHING, REGISTRY, Console, secret_of

from clients.python.tests.conftest import Service, running_service
from demo.browser import chromium
from rest_sessions_client import Client

DOCS = Path(__file__).resolve().parents[2] / "docs"
APP = "shop"
RENEWALS = 40


def show_app(console: Console, client: Client) -> None:
    """An app after some minutes, in which visitors came and went."""
    chance = random.Random(3)
    console.page.clock.install()
    page = console.open(APP)
    visitors: list[str] = []
    for renewal in range(RENEWALS):
        for _ in range(chance.randrange(4) if renewal < RENEWALS * 0.6 else 0):
            visitors.append(client.create(f"visitor{len(visitors)}", ip="192.0.2.7").token)
        leaving = visitors[: chance.randrange(3 if renewal < RENEWALS * 0.6 else 6)]
        for token in leaving:
            client.kill(token)
        visitors = visitors[len(leaving) :]
        console.renew()
    for token in visitors:
        client.kill(token)
    console.renew()
    if page.get_by_role("button", name="Show", exact=True).count():
        page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".changes [role=status]")).to_be_empty()


def show_question(console: Console, client: Client) -> None:
    """The question before one session is ended."""
    page = console.open(APP)
    page.locator("tbody button").nth(2).click()


def show_session(console: Console, client: Client) -> None:
    """A session with its data."""
    token = client.create("anna.kim@example.com", ip="198.51.100.24", lifetime=2_592_000).token
    client.set(
        token,
        {
            "agent": "Firefox on Linux",
            "cart": [{"article": 48215, "count": 2}, {"article": 10377, "count": 1}],
            "locale": "ko",
        },
    )
    session = next(iter(client.soid("anna.kim@example.com", details=True)))
    console.open(APP, "user", "anna.kim@example.com", session.handle)


def take(browser: Browser, service: Service, name: str, show, size: tuple[int, int], scheme: str = "light") -> None:
    """Makes docs/NAME.png of what `show` brings onto the page."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=1.5, color_scheme=scheme
    )
    page = context.new_page()
    with Client(service.url, APP, secret_of(EVERYTHING)) as client:
        show(Console(page, service.url), client)
    page.mouse.move(0, 0)
    page.screenshot(path=DOCS / f"{name}.png")
    context.close()


def main() -> None:
    """Makes them all."""
    service = running_service("tests.console.filled", AUTH="1", API_KEYS=REGISTRY, APPS="8", SESSIONS="600")
    with service as service, chromium() as browser:
        take(browser, service, "console-end", show_question, (1040, 620))
        take(browser, service, "console-session", show_session, (1040, 620), "dark")
        take(browser, service, "console", show_app, (1040, 760))
        take(browser, service, "console-phone", show_app, (390, 760), "dark")


if __name__ == "__main__":
    main()
