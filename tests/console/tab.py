"""A tab of Chromium with the console in it, and the keys that one may enter."""

import json
import re
from urllib.parse import quote

from playwright.sync_api import ConsoleMessage, Page, Request, Route, expect

EVERYTHING = "everything"
# Each kind of key: the apps that it may use, and what it allows there.
KEYS: dict[str, tuple[list[str], list[str]]] = {
    EVERYTHING: (["*"], ["*"]),
    "support": (["shop", "webapp"], ["apps", "activity", "soapp", "soid", "killsoid"]),
    "reader": (["*"], ["soapp", "soid"]),
    "helpdesk": (["shop", "webapp"], ["soid", "killsoid"]),
    "watcher": (["*"], ["apps", "activity", "soapp"]),
    "server": (["shop"], ["create", "get", "set", "kill"]),
}


def secret_of(name: str) -> str:
    """The key of this name."""
    return f"{name}-".ljust(40, "k")


REGISTRY = json.dumps(
    {
        "keys": [
            {"name": name, "key": secret_of(name), "apps": apps, "allow": allow} for name, (apps, allow) in KEYS.items()
        ]
    }
)


class Console:
    """A tab of its own with the console in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = f"{url}/console"
        # What the page asked for, and what the browser complained about.
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108 - Playwright marks its handlers
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def _hear(self, message: ConsoleMessage) -> None:
        # The browser itself reports each answer that is no 200.
        if not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def address(self, *path: str) -> str:
        """The address of the view of this path."""
        return f"{self.url}#/{'/'.join(quote(part, safe='') for part in path)}"

    def open(self, *path: str, key: str | None = EVERYTHING) -> Page:
        """Opens the view of this path, with the key of this name."""
        self.page.goto(self.address(*path))
        if key is not None:
            self.enter(key)
        self.wait()
        return self.page

    def enter(self, key: str) -> None:
        self.page.get_by_label("Access key").fill(secret_of(key))
        self.page.get_by_role("button", name="Open").click()
        expect(self.page.locator("#who")).to_contain_text(key)

    def follow(self, link: str) -> None:
        """Goes to the view to which this link leads, and waits until it is there."""
        self.page.get_by_role("link", name=link, exact=True).click()
        self.wait()

    def hold(self, path: str | re.Pattern[str]) -> list[Route]:
        """Holds the requests to this path. They come into the list, and wait until the test goes on with them."""
        waiting: list[Route] = []
        # Playwright marks its handlers, and a method of a list takes no mark.
        self.page.route(path, lambda route: waiting.append(route))  # noqa: PLW0108
        return waiting

    def wait(self) -> None:
        """Waits until a view is there."""
        expect(self.page.locator("main:not([aria-busy]) h1")).to_be_visible()

    def renew(self) -> None:
        """Lets the time pass after which the view renews itself. Needs the page's clock."""
        with self.page.expect_response(lambda response: response.request.method == "GET"):
            self.page.clock.run_for(10_000)

    def check(self) -> None:
        """No complaint, and no request to anywhere else."""
        assert self.complaints == []
        own = self.url.removesuffix("console")
        assert [request.url for request in self.requests if not request.url.startswith(own)] == []
