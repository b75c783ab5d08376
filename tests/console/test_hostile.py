"""Ids, addresses and data come from people whom nobody trusts. The page shows them as the texts that they are."""

import json

import pytest
from playwright.sync_api import expect
from tab import Console

from rest_sessions_client import Client

MARKUP = "<img src=x onerror=alert(1)>"
# Ids as the API takes them: without / ? %. Each with what the page shows.
IDS = {
    "markup": (MARKUP, MARKUP),
    "script": ("<script>alert(1)<script>", "<script>alert(1)<script>"),
    "quotes": ("\"'`><b>&amp;", "\"'`><b>&amp;"),
    "hash": ("a #b&c=d+e", "a #b&c=d+e"),
    "odd spaces": (" a  b\u00a0c ", "\\u{20}a \\u{20}b\\u{a0}c\\u{20}"),
    "Hebrew": ("שלום עולם", "שלום עולם"),
    "right to left override": ("admin\u202etxt.exe", "admin\\u{202e}txt.exe"),
    "isolate": ("a\u2066b", "a\\u{2066}b"),
    "zero width": ("pe\u200bter", "pe\\u{200b}ter"),
    "joiner": ("pe\u200dter", "pe\\u{200d}ter"),
    "family": ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    "written already": ("a\\u{202e}b", "a\\u{5c}u{202e}b"),
    "backslash": ("DOMAIN\\user", "DOMAIN\\user"),
    "joined digits": ("1\u200d2", "1\\u{200d}2"),
    "skin": ("👩🏽\u200d🚀", "👩🏽\u200d🚀"),
    "keycap": ("1\ufe0f\u20e3", "1\ufe0f\u20e3"),
    "variation": ("a\ufe0fb", "a\\u{fe0f}b"),
    "filler": ("a\u3164b", "a\\u{3164}b"),
    "heart": ("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"),
    "tag": ("a\U000e0041", "a\\u{e0041}"),
    "paragraph separator": ("a\u2029b", "a\\u{2029}b"),
    "joiner after an emoji": ("👩\u200db", "👩\\u{200d}b"),
    "line separator": ("a\u2028b", "a\\u{2028}b"),
    "emoji": ("😀" * 128, "😀" * 128),
    "long": ("w" * 128, "w" * 128),
    "name of a view": ("user", "user"),
    "prototype": ("__proto__", "__proto__"),
}


@pytest.mark.parametrize(("id", "shown"), IDS.values(), ids=IDS)
def test_an_id_is_shown_found_and_ended(console: Console, client: Client, app: str, id: str, shown: str) -> None:
    client.create(id, ip="1\u202e2", data={MARKUP: MARKUP})
    page = console.open(app)
    link = page.locator("td[data-name=User] a")
    assert link.text_content() == shown
    expect(page.locator("td[data-name='IP address']")).to_have_text("1\\u{202e}2")
    expect(page.locator("td button")).to_have_attribute("aria-label", f"End the session of {shown} from 1\\u{{202e}}2")
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(shown)
    assert page.get_by_role("heading", level=1).text_content() == shown
    page.get_by_role("link", name="Open the session of").click()
    expect(page.locator(".facts")).to_contain_text("1\\u{202e}2")
    expect(page).to_have_title(f"Session of {shown} in {app} · REST Sessions")
    expect(page.locator(".data th")).to_have_text(MARKUP)
    expect(page.locator(".data pre")).to_have_text(f'"{MARKUP}"')
    page.get_by_role("button", name="End this session").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{shown} will be logged out on the device at 1\\u{{202e}}2")
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(page.locator("#notice p")).to_contain_text("1 session of")
    assert list(client.soid(id)) == []
    page.go_back()
    page.go_back()
    page.get_by_label("Find a user").fill(id)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(shown)
    assert page.locator("img, main script").count() == 0


@pytest.mark.parametrize("id", [IDS[name][0] for name in ("emoji", "long", "Hebrew")], ids=("emoji", "long", "Hebrew"))
@pytest.mark.parametrize("width", [1440, 1100, 980, 768, 360])
def test_an_id_widens_no_page(consoles, client: Client, app: str, id: str, width: int) -> None:
    client.create(id, ip="2001:db8:1234:5678:9abc:def0:1234:5678"[:45], data={"k" * 128: "w" * 1000})
    [session] = client.soid(id, details=True)
    console = consoles(viewport={"width": width, "height": 700})
    page = console.open(app)
    for path in ((app,), (app, "user", id), (app, "user", id, session.handle)):
        page.goto("about:blank")
        page.goto(console.address(*path))
        console.wait()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        if path == (app,):
            # Two lines of an id, and in a card the rest.
            assert page.locator("tbody tr").bounding_box()["height"] < (80 if width > 960 else 260)
    page.get_by_role("button", name="End this session").click()
    assert page.get_by_role("dialog").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    page.keyboard.press("Escape")


def test_unseen_characters_in_data_are_written_out(console: Console, client: Client, app: str) -> None:
    client.create("peter", ip="192.0.2.7", data={"a\u202eb": "c\u200bd", "e": ["\u0000\u001b[31m", "</script>"]})
    [session] = client.soid("peter", details=True)
    page = console.open(app, "user", "peter", session.handle)
    expect(page.locator(".data th")).to_have_text(["a\\u{202e}b", "e"])
    assert page.locator(".data pre").all_inner_texts() == [
        '"c\\u{200b}d"',
        '[\n  "\\u0000\\u001b[31m",\n  "</script>"\n]',
    ]


def test_large_data_is_shown_whole(console: Console, client: Client, app: str) -> None:
    token = client.create("peter", ip="192.0.2.7", data={f"key{n}": "x" * 400 for n in range(510)}).token
    client.set(token, {"large": "y" * 200_000})
    client.set(token, {"larger": "z" * 250_000})
    [session] = client.soid("peter", details=True)
    page = console.open(app, "user", "peter", session.handle)
    expect(page.locator(".data tr")).to_have_count(512)
    expect(page.get_by_role("heading", name="Data")).to_contain_text("512 keys, 658 KB")
    shown = page.locator(".data pre").all_text_contents()
    assert [json.loads(shown[-2]), json.loads(shown[-1])] == ["y" * 200_000, "z" * 250_000]
    assert page.locator(".data pre").last.bounding_box()["height"] < 500


def test_a_planted_address_starts_nothing(console: Console) -> None:
    page = console.open()
    for path in (
        "%E0%A4%A",
        "javascript:alert(1)",
        f"webapp/user/{MARKUP}",
        "/elsewhere.example/",
        "a/b/c/d/e",
        "../..",
    ):
        page.goto("about:blank")
        page.goto(f"{console.url}#/{path}")
        console.wait()
        assert page.locator("img, main script").count() == 0
        assert page.url.startswith(console.url)
    assert all(request.method == "GET" for request in console.requests)


ADDED = "document.body.append(Object.assign(document.createElement('{}'), {}))"
ELSEWHERE = "https://elsewhere.example/"


class TestPolicy:
    """Whatever got into the page all the same could do nothing there."""

    @pytest.mark.parametrize(
        "attempt",
        [
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hit=1>')",
            "document.body.innerHTML = '<b>x</b>'",
            "document.body.setAttribute('onclick', 'window.hit = 1')",
            "setTimeout('window.hit = 1')",
            f"fetch('{ELSEWHERE}').catch(() => 0)",
            f"navigator.sendBeacon('{ELSEWHERE}')",
            "new WebSocket('wss://elsewhere.example/')",
            ADDED.format("script", "{ textContent: 'window.hit = 1' }"),
            ADDED.format("script", f"{{ src: '{ELSEWHERE}' }}"),
            ADDED.format("style", "{ textContent: 'main { display: none }' }"),
            ADDED.format("base", f"{{ href: '{ELSEWHERE}' }}"),
            ADDED.format("img", f"{{ src: '{ELSEWHERE}' }}"),
            ADDED.format("iframe", f"{{ src: '{ELSEWHERE}' }}"),
            ADDED.format("iframe", "{ srcdoc: '<script>top.hit = 1</script>' }"),
        ],
    )
    def test_refuses(self, console: Console, attempt: str) -> None:
        page = console.open()
        page.evaluate("window.refused = 0; addEventListener('securitypolicyviolation', () => { refused += 1 })")
        page.evaluate(f"() => {{ try {{ {attempt} }} catch (error) {{ window.thrown = error }} }}")
        page.evaluate("document.body.click()")
        assert page.evaluate("new Promise((done) => setTimeout(() => done(refused)))") >= 1
        assert page.evaluate("window.hit") is None
        assert page.evaluate("document.baseURI").startswith(console.url)
        expect(page.locator("main")).to_be_visible()
        # The browser complains, as it should. What it did not send has failed.
        console.complaints.clear()
        console.requests = [request for request in console.requests if request.failure is None]

    def test_lets_nobody_frame_the_page(self, console: Console) -> None:
        page = console.page
        page.goto(console.url.replace("/console", "/ping"))
        page.evaluate(ADDED.format("iframe", f"{{ src: '{console.url}' }}"))
        frame = page.frames[-1]
        frame.wait_for_load_state()
        assert frame.url != console.url
        console.complaints.clear()
