"""What the console shows, and how it keeps that up to date."""

import re
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect
from tab import Console

from clients.python.tests.conftest import running_service
from rest_sessions_client import Client

IP = "192.0.2.7"


def texts(page: Page, column: str) -> list[str]:
    """What a column of the table shows, from top to bottom."""
    return [text.strip() for text in page.locator(f"td[data-name='{column}']").all_text_contents()]


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


class TestApps:
    def test_are_listed_with_their_sessions_and_users(self, console: Console, client: Client, app: str) -> None:
        for id in ("peter", "peter", "paul"):
            client.create(id, ip=IP)
        client.create(ip=IP)
        page = console.open()
        expect(row(page, app).get_by_role("cell")).to_have_text([app, "4", "2"])

    def test_lead_to_the_app(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        page = console.open()
        page.get_by_role("link", name=app).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(app)
        expect(page).to_have_title(f"{app} · REST Sessions")
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Apps")

    def test_are_renewed_where_they_are(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        console.page.clock.install()
        page = console.open()
        client.create("paul", ip=IP)
        console.renew()
        expect(row(page, app).get_by_role("cell")).to_have_text([app, "2", "2"])

    def test_of_a_new_service_are_none_and_its_example_makes_one(self, consoles: Callable[..., Console]) -> None:
        with running_service(AUTH="0") as service:
            console = consoles(service.url)
            console.page.clock.install()
            page = console.open(key=None)
            expect(page.locator("#who")).to_have_text("Open: no key needed")
            example = page.locator(".empty pre").inner_text()
            subprocess.run(example, shell=True, check=True, capture_output=True)
            console.renew()
            expect(page.locator(".changes")).to_contain_text("1 new app")
            page.get_by_role("button", name="Show", exact=True).click()
            expect(row(page, "webapp").get_by_role("cell")).to_have_text(["webapp", "1", "1"])
            expect(page.locator(".empty")).to_be_hidden()

    def test_of_more_than_one_page_are_all_reached(self, consoles: Callable[..., Console]) -> None:
        with running_service(AUTH="0") as service:
            names = [f"app-{number:03}" for number in range(130)]
            for name in names:
                with Client(service.url, name) as client:
                    client.create("peter", ip=IP)
            page = consoles(service.url).open(key=None)
            expect(page.locator("tbody tr")).to_have_count(100)
            page.get_by_role("button", name="Show more").click()
            expect(page.locator("td[data-name=App]")).to_have_text(names)


class TestApp:
    def test_shows_what_a_session_is(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip="2001:db8::1", ttl=7200, data={"name": "Pütr", "n": 12345678901234567890})
        page = console.open(app)
        # 4 + 7 bytes of a name and a text in quotes, 1 + 20 of a number.
        [line] = page.locator("tbody tr").all()
        cells = [text.strip() for text in line.get_by_role("cell").all_inner_texts()]
        assert cells[:4] == ["peter", "just now", "2001:db8::1", "just now"]
        assert cells[4] in ("2 h", "1 h 59 min")
        assert cells[5] == "32 B"

    def test_shows_anonymous_sessions_which_nobody_can_end(self, console: Console, client: Client, app: str) -> None:
        client.create(ip=IP, data={"cart": [1]})
        page = console.open(app)
        line = row(page, "anonymous")
        expect(line.get_by_role("button")).to_have_count(0)
        line.get_by_role("link", name="Open the session of nobody").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Session of anonymous")
        expect(page.locator(".bar .actions button")).to_have_count(0)
        expect(page.locator(".data")).to_contain_text("cart")
        page.reload()
        expect(page.locator(".empty")).to_contain_text("only from the list")

    def test_without_sessions_says_so(self, console: Console, app: str) -> None:
        page = console.open(app)
        expect(page.locator(".empty")).to_have_text(f"{app} has no session.")
        expect(page.get_by_role("table")).to_be_hidden()

    def test_shows_page_after_page_the_last_used_first(self, console: Console, client: Client, app: str) -> None:
        for number in range(260):
            client.create(f"user{number}", ip=IP)
        page = console.open(app)
        for shown in (50, 250, 260):
            expect(page.locator(".more")).to_contain_text(f"{shown} sessions shown")
            expect(page.locator("tbody tr")).to_have_count(shown)
            if shown < 260:
                page.get_by_role("button", name="Show more").click()
        expect(page.get_by_role("button", name="Show more")).to_have_count(0)
        assert sorted(texts(page, "User")) == sorted(f"user{number}" for number in range(260))
        # The keyboard goes on at the first of the rows that came last.
        assert page.evaluate("document.activeElement.closest('tr') === document.querySelectorAll('tbody tr')[250]")

    def test_finds_a_user(self, console: Console, client: Client, app: str) -> None:
        client.create("anna kim+1@example.com", ip=IP)
        page = console.open(app)
        page.get_by_label("Find a user").fill("anna kim+1@example.com")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("anna kim+1@example.com")
        expect(page.locator("tbody tr")).to_have_count(1)
        assert page.get_by_role("columnheader").first.inner_text() == "Last used"
        trail = page.get_by_role("navigation", name="Above this page")
        assert trail.inner_text() == f"Apps / {app}"

    def test_does_not_look_for_what_is_no_id(self, console: Console, client: Client, app: str) -> None:
        page = console.open(app)
        field = page.get_by_label("Find a user")
        for text in ("", "a/b", "100%", "a?b", ".", ".."):
            field.fill(text)
            page.get_by_role("button", name="Find").click()
            assert not field.evaluate("field => field.checkValidity()")
        expect(page.get_by_role("heading", level=1)).to_have_text(app)

    def test_of_an_unknown_user_says_so(self, console: Console, app: str) -> None:
        page = console.open(app, "user", "nobody")
        expect(page.locator(".empty")).to_contain_text(f"nobody has no session in {app}")


class TestActivity:
    def test_is_drawn_while_it_is_open(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        client.create(ip=IP)
        console.page.clock.install()
        page = console.open(app)
        expect(page.locator(".figure")).to_have_text("1")
        client.create("paul", ip=IP)
        console.renew()
        expect(page.locator(".figure")).to_have_text("2")
        chart = page.get_by_role("img")
        expect(chart).to_have_attribute("aria-label", re.compile(r"lowest 1, highest 2, now 2$"))
        drawn = page.locator(".activity path").get_attribute("d")
        [(first, low), (last, high)] = re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn)
        # Ten seconds, of five minutes.
        assert 575 < float(first) < 585
        assert float(last) == 600
        assert float(low) > float(high)
        expect(page.locator(".activity")).to_contain_text("2 in the last 5 min")

    def test_has_a_gap_where_nobody_looked(self, console: Console, client: Client, app: str) -> None:
        console.page.clock.install()
        page = console.open(app)
        console.renew()
        path = page.locator(".activity path")
        expect(path).to_have_attribute("d", re.compile("^M[^M]*L[^M]*$"))
        page.wait_for_load_state("networkidle")
        page.clock.fast_forward("05:00")
        expect(path).to_have_attribute("d", re.compile(r"^M[^M]*L[^M]*M"))
        # What is older than an hour goes.
        page.wait_for_load_state("networkidle")
        page.clock.fast_forward("01:10:00")
        expect(path).to_have_attribute("d", re.compile(r"^M600[^ML]*$"))

    def test_is_that_of_its_app(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        page = console.open(app)
        expect(page.locator(".figure")).to_have_text("1")
        page.evaluate("location.hash = '/another'")
        expect(page.get_by_role("heading", level=1)).to_have_text("another")
        expect(page.get_by_role("img")).to_have_attribute("aria-label", re.compile("lowest 0, highest 0, now 0"))

    def test_goes_on_when_the_app_is_opened_again(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        page = console.open(app)
        client.create("paul", ip=IP)
        console.follow("Apps")
        console.follow(app)
        expect(page.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"lowest 1, highest 2"))


class TestWayBack:
    def test_leads_to_the_same_rows_at_the_same_place(self, console: Console, client: Client, app: str) -> None:
        for number in range(110):
            client.create(f"user{number}", ip=IP)
        page = console.open(app)
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("tbody tr")).to_have_count(110)
        link = page.get_by_role("link", name="Open the session of").nth(70)
        link.scroll_into_view_if_needed()
        top = page.evaluate("scrollY")
        assert top > 1000
        link.click()
        expect(page.locator(".facts")).to_be_visible()
        assert page.evaluate("scrollY") == 0
        page.go_back()
        expect(page.locator("tbody tr")).to_have_count(110)
        assert page.evaluate("scrollY") == top
        expect(link).to_be_focused()

    def test_brings_the_view_up_to_date(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        page = console.open(app)
        console.follow("peter")
        expect(page.get_by_role("heading", level=1)).to_have_text("peter")
        client.killsoid("peter")
        page.go_back()
        expect(page.locator("tr.ended")).to_have_count(1)

    def test_after_another_key_shows_nothing_of_the_first(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        client.create(ip=IP, data={"a": 1})
        page = console.open(app)
        page.get_by_role("link", name="Open the session of nobody").click()
        expect(page.locator(".data")).to_be_visible()
        page.go_back()
        console.follow("peter")
        expect(page.get_by_role("heading", level=1)).to_have_text("peter")
        page.route(f"**/{app}/**", lambda route: route.fulfill(status=403, json={"message": "Forbidden"}))
        page.go_back()
        expect(page.get_by_label("Access key")).to_be_visible()
        page.unroute(f"**/{app}/**")
        console.enter("reader")
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator(".activity")).to_have_count(0)
        page.go_forward()
        expect(page.get_by_role("heading", level=1)).to_have_text("peter")
        expect(page.locator("td button")).to_have_count(0)
        handle = next(session.handle for session in client.soapp(300, details=True) if session.id is None)
        page.evaluate("hash => { location.hash = hash }", f"/{app}/anonymous/{handle}")
        expect(page.locator(".empty")).to_contain_text("only from the list")

    def test_leads_to_the_right_view_after_a_reload(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        page = console.open(app)
        console.follow("peter")
        expect(page.get_by_role("heading", level=1)).to_have_text("peter")
        page.reload()
        console.wait()
        console.follow("Apps")
        expect(page.get_by_role("heading", level=1)).to_have_text("Apps")
        for heading in ("peter", app):
            page.go_back()
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)

    def test_closes_a_question(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP)
        page = console.open()
        console.follow(app)
        page.get_by_role("button", name="End the session of peter").click()
        expect(page.get_by_role("dialog", name="End this session?")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Apps")
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert len(list(client.soid("peter"))) == 1


class TestRenewal:
    @pytest.fixture
    def page(self, console: Console, client: Client, app: str) -> Page:
        console.page.clock.install()
        for id in ("peter", "paul"):
            client.create(id, ip=IP)
        return console.open(app)

    def test_moves_nothing_and_announces_what_is_new(
        self, page: Page, console: Console, client: Client, app: str
    ) -> None:
        places = [line.bounding_box() for line in page.locator("tbody tr").all()]
        page.get_by_role("link", name="peter", exact=True).focus()
        client.create("mary", ip=IP)
        console.renew()
        expect(page.locator(".changes")).to_contain_text("1 new session")
        assert [line.bounding_box() for line in page.locator("tbody tr").all()] == places
        assert page.evaluate("document.activeElement.textContent") == "peter"
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.locator("tbody tr")).to_have_count(3)
        expect(page.locator(".changes [role=status]")).to_be_empty()
        expect(page.get_by_role("button", name="Show", exact=True)).to_have_count(0)

    def test_marks_what_has_ended(self, page: Page, console: Console, client: Client) -> None:
        client.killsoid("peter")
        console.renew()
        expect(row(page, "peter")).to_have_class("ended")
        expect(row(page, "peter").get_by_role("button")).to_have_count(0)
        expect(row(page, "paul").get_by_role("button")).to_have_count(1)

    def test_shows_what_has_changed(self, page: Page, console: Console, client: Client) -> None:
        token = client.create("mary", ip=IP).token
        console.renew()
        page.get_by_role("button", name="Show", exact=True).click()
        expect(row(page, "mary")).to_contain_text("0 B")
        before = texts(page, "User")
        client.set(token, {"key": "x" * 995})
        console.renew()
        expect(row(page, "mary")).to_contain_text("1.0 KB")
        assert texts(page, "User") == before

    def test_reaches_every_row_that_is_shown(self, console: Console, client: Client, app: str) -> None:
        tokens = {f"user{number}": client.create(f"user{number}", ip=IP).token for number in range(70)}
        console.page.clock.install()
        page = console.open(app)
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("tbody tr")).to_have_count(70)
        last = texts(page, "User")[-1]
        client.kill(tokens[last])
        console.renew()
        page.wait_for_load_state("networkidle")
        # While pages are read one after the other, a session that is used moves from one to another.
        expect(page.locator("tr.ended")).to_have_count(0)
        console.renew()
        expect(page.locator("tr.ended")).to_have_count(1)
        expect(page.locator("tr.ended")).to_contain_text(last)

    def test_calls_nothing_ended_that_may_be_on_a_later_page(self, console: Console, client: Client, app: str) -> None:
        for number in range(60):
            client.create(f"old{number}", ip=IP)
        console.page.clock.install()
        page = console.open(app)
        for number in range(55):
            client.create(f"new{number}", ip=IP)
        console.renew()
        expect(page.locator(".changes")).to_contain_text("new sessions")
        expect(page.locator("tr.ended")).to_have_count(0)
        expect(page.locator("tbody tr")).to_have_count(50)

    def test_shows_an_app_without_sessions_until_it_has_some_again(
        self, console: Console, client: Client, app: str
    ) -> None:
        client.create("peter", ip=IP)
        console.page.clock.install()
        page = console.open()
        client.killall()
        console.renew()
        expect(row(page, app).get_by_role("cell")).to_have_text([app, "0", "0"])
        client.create("paul", ip=IP)
        console.renew()
        expect(row(page, app).get_by_role("cell")).to_have_text([app, "1", "1"])
        expect(row(page, app)).not_to_have_class("ended")

    def test_comes_every_ten_seconds_and_once(self, page: Page, console: Console, client: Client, app: str) -> None:
        console.follow("peter")
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text(app)
        page.wait_for_load_state("networkidle")
        before = len(console.requests)
        page.clock.run_for(8_000)
        assert len(console.requests) == before
        console.renew()
        page.wait_for_load_state("networkidle")
        asked = [request.url.partition("?")[0].rpartition("/")[2] for request in console.requests[before:]]
        assert sorted(asked) == ["activity", "soapp"]

    def test_that_comes_late_does_not_undo_what_is_newer(
        self, page: Page, console: Console, client: Client, app: str
    ) -> None:
        waiting = console.hold(f"**/{app}/soapp**")
        with page.expect_request(f"**/{app}/soapp**"):
            page.clock.run_for(10_000)
        late = waiting[0].fetch()
        page.get_by_role("button", name="End the session of peter").click()
        page.get_by_role("dialog").get_by_role("button", name="End it").click()
        expect(row(page, "peter")).to_have_class("ended")
        waiting[0].fulfill(response=late)
        page.evaluate("new Promise(requestAnimationFrame)")
        expect(row(page, "peter")).to_have_class("ended")

    def test_rests_while_nobody_looks(self, page: Page, console: Console, client: Client) -> None:
        page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        before = len(console.requests)
        page.clock.run_for(60_000)
        assert len(console.requests) == before
        client.killsoid("peter")
        page.evaluate("Object.defineProperty(document, 'hidden', { value: false })")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(row(page, "peter")).to_have_class("ended")


DATA = {
    "item10": "last",
    "item2": [1, {"a": None}],
    "big": 12345678901234567890,
    "tiny": 1e-320,
    "": "of the empty key",
    "__proto__": {"constructor": 1},
}


class TestSession:
    def test_shows_its_times_and_its_data(self, console: Console, client: Client, app: str) -> None:
        created = client.create("peter", ip=IP, ttl=3600, lifetime=86_400, data=DATA)
        client.get(created.token)
        [session] = client.soid("peter", details=True)
        page = console.open(app, "user", "peter", session.handle)
        facts = page.locator(".facts")
        for text in (IP, session.handle, "2, 1", "Ends, unless used", "Ends in any case"):
            expect(facts).to_contain_text(text)
        assert page.locator(".data th").all_inner_texts() == [
            "the empty key", "__proto__", "big", "item2", "item10", "tiny",
        ]  # fmt: skip
        values = page.locator(".data pre").all_inner_texts()
        assert values[2] == "12345678901234567890"
        assert values[3] == '[\n  1,\n  {\n    "a": null\n  }\n]'
        expect(page.get_by_role("heading", name="Data")).to_contain_text("6 keys")

    def test_without_resave_has_one_end(self, console: Console, client: Client, app: str) -> None:
        client.create("peter", ip=IP, ttl=600, no_resave=True)
        [session] = client.soid("peter", details=True)
        page = console.open(app, "user", "peter", session.handle)
        expect(page.locator(".facts")).to_contain_text(re.compile(r"Ends in any casein (10 min|9 min 5\d s)"))
        expect(page.locator(".facts")).not_to_contain_text("unless used")
        expect(page.locator(".empty")).to_have_text("It has no data.")

    def test_without_a_user_tells_its_time_as_it_passes(self, console: Console, client: Client, app: str) -> None:
        client.create(ip=IP, ttl=7200)
        console.page.clock.install()
        page = console.open(app)
        page.get_by_role("link", name="Open the session of nobody").click()
        facts = page.locator(".facts")
        expect(facts).to_contain_text(re.compile(r"Last usedjust now.*unless usedin (2 h|1 h 59 min)"))
        page.clock.fast_forward("01:30:00")
        expect(facts).to_contain_text(re.compile(r"Last used1 h 30 min ago.*unless usedin (30|29) min"))
        expect(page.locator("p.soft")).to_contain_text("As the list showed it at")

    def test_is_renewed(self, console: Console, client: Client, app: str) -> None:
        token = client.create("peter", ip=IP, data={"a": 1}).token
        [session] = client.soid("peter", details=True)
        console.page.clock.install()
        page = console.open(app, "user", "peter", session.handle)
        value = page.locator(".data pre").element_handle()
        console.renew()
        assert value.is_visible()
        client.set(token, {"b": 2})
        console.renew()
        expect(page.locator(".data th")).to_have_text(["a", "b"])
        expect(page.locator(".facts")).to_contain_text("1, 2")
        client.kill(token)
        console.renew()
        expect(page.locator(".bar")).to_contain_text("Ended")
        expect(page.locator(".actions button")).to_have_count(0)

    def test_is_not_used_by_a_look(self, console: Console, client: Client, app: str) -> None:
        token = client.create("peter", ip=IP, data={"a": 1}).token
        [session] = client.soid("peter", details=True)
        page = console.open(app)
        page.get_by_role("link", name="Open the session of peter").click()
        expect(page.locator(".data")).to_contain_text("a")
        seen = client.get(token, peek=True)
        assert (seen.r, seen.w) == (1, 1)
        paths = {request.url.partition(app)[2] for request in console.requests if f"{app}/" in request.url}
        assert {path.split("?")[0].split("/")[1] for path in paths} == {"activity", "soapp", "soid"}
        assert not any("/get/" in request.url or "/touch/" in request.url for request in console.requests)
        assert session.handle in page.url

    def test_is_found_among_many(self, console: Console, client: Client, app: str) -> None:
        for _ in range(60):
            client.create("peter", ip=IP)
        first = list(client.soid("peter", details=True))[-1]
        page = console.open(app, "user", "peter", first.handle)
        expect(page.locator(".facts")).to_contain_text(first.handle)

    def test_that_has_ended_is_told(self, console: Console, client: Client, app: str) -> None:
        page = console.open(app, "user", "peter", "h" * 22)
        expect(page.locator(".empty")).to_have_text("peter has no such session: it ended or expired.")


@pytest.mark.parametrize(
    "path",
    [
        ("webapp", "nothing", "here"),
        ("webapp", "user"),
        ("webapp", "user", ".."),
        ("webapp", "anonymous"),
        ("..",),
        ("a b",),
    ],
)
def test_an_unknown_address_says_so(console: Console, path: tuple[str, ...]) -> None:
    page = console.open(*path)
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    calls = [request.url for request in console.requests if request.resource_type == "fetch"]
    assert all(url.endswith("/console/key") for url in calls)
