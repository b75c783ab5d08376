"""Sessions are ended: which ones, how many it says, and what the page shows then."""

import re

import pytest
from playwright.sync_api import Page, Route, expect
from tab import Console

from rest_sessions_client import Client

IP = "192.0.2.7"


def tokens_of(client: Client, **counts: int) -> dict[str, list[str]]:
    """Makes so many sessions of each user. Their tokens, the session used last at the end."""
    return {id: [client.create(id, ip=IP).token for _ in range(count)] for id, count in counts.items()}


def is_alive(client: Client, token: str) -> bool:
    return client.get(token, peek=True) is not None


def confirm(page: Page, text: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=text, exact=True).click()


def test_one_in_the_list(console: Console, client: Client, app: str) -> None:
    tokens = tokens_of(client, peter=1, paul=1)
    page = console.open(app)
    page.get_by_role("button", name=f"End the session of peter from {IP}").click()
    expect(page.get_by_role("dialog")).to_contain_text(
        f"peter will be logged out on the device at {IP}, last used just now."
    )
    confirm(page, "End it")
    expect(page.locator("#notice p")).to_have_text("1 session of peter ended.")
    expect(page.locator("tr.ended")).to_contain_text("peter")
    expect(page.locator("tr.ended").get_by_role("cell").last).to_have_text("ended")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert not is_alive(client, tokens["peter"][0])
    assert is_alive(client, tokens["paul"][0])


def test_the_one_that_is_shown(console: Console, client: Client, app: str) -> None:
    tokens = tokens_of(client, peter=2)
    [shown, other] = client.soid("peter", details=True)
    page = console.open(app, "user", "peter", shown.handle)
    page.get_by_role("button", name="End this session").click()
    confirm(page, "End it")
    expect(page.locator("#notice p")).to_have_text("1 session of peter ended.")
    expect(page.locator(".bar")).to_contain_text("Ended")
    expect(page.get_by_role("button", name="End this session")).to_have_count(0)
    assert [session.handle for session in client.soid("peter", details=True)] == [other.handle]
    assert sum(is_alive(client, token) for token in tokens["peter"]) == 1


def test_all_others(console: Console, client: Client, app: str) -> None:
    tokens_of(client, peter=4, paul=1)
    kept = next(iter(client.soid("peter", details=True)))
    page = console.open(app, "user", "peter", kept.handle)
    page.get_by_role("button", name="End all others").click()
    confirm(page, "End the others")
    expect(page.locator("#notice p")).to_have_text("3 sessions of peter ended.")
    assert [session.handle for session in client.soid("peter", details=True)] == [kept.handle]
    assert len(list(client.soid("paul"))) == 1
    page.get_by_role("button", name="End all others").click()
    confirm(page, "End the others")
    expect(page.locator("#notice p")).to_have_text("No session was ended: there was none any more.")


def test_all_of_a_user(console: Console, client: Client, app: str) -> None:
    tokens_of(client, peter=3, paul=1)
    page = console.open(app, "user", "peter")
    page.get_by_role("button", name="End all sessions").click()
    confirm(page, "End all")
    expect(page.locator("#notice p")).to_have_text("3 sessions of peter ended.")
    expect(page.locator(".empty")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(0)
    assert len(list(client.soapp(3600))) == 1


def test_all_of_an_app_after_its_name_was_typed(console: Console, client: Client, app: str) -> None:
    tokens_of(client, peter=2, paul=1)
    client.create(ip=IP)
    page = console.open(app)
    page.get_by_role("button", name="End all sessions").click()
    end = page.get_by_role("dialog").get_by_role("button", name="End all")
    expect(page.get_by_role("dialog")).to_contain_text("anonymous ones too. All of its users will be logged out.")
    field = page.get_by_label(f"Type {app} to confirm")
    expect(field).to_be_focused()
    for wrong in ("", app[:-1], app.upper(), f"{app} "):
        field.fill(wrong)
        expect(end).to_be_disabled()
        field.press("Enter")
    assert len(list(client.soapp(3600))) == 4
    field.fill(app)
    end.click()
    expect(page.locator("#notice p")).to_have_text(f"4 sessions of {app} ended.")
    expect(page.locator(".empty")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(0)
    assert list(client.soapp(3600)) == []


def test_one_that_has_ended_already(console: Console, client: Client, app: str) -> None:
    tokens_of(client, peter=1)
    page = console.open(app)
    client.killall()
    page.get_by_role("button", name="End the session of peter").click()
    confirm(page, "End it")
    expect(page.locator("#notice p")).to_have_text("No session was ended: there was none any more.")
    expect(page.locator("tr.ended")).to_have_count(1)


def test_all_others_of_one_that_has_ended(console: Console, client: Client, app: str) -> None:
    """The API refuses that, and so does not end what should be spared."""
    [token, _] = tokens_of(client, peter=2)["peter"]
    shown = client.get(token, details=True)
    page = console.open(app, "user", "peter", shown.handle)
    client.kill(token)
    page.get_by_role("button", name="End all others").click()
    confirm(page, "End the others")
    expect(page.get_by_role("alert")).to_contain_text("This session itself has ended, so no other was ended.")
    assert len(list(client.soid("peter"))) == 1


@pytest.mark.parametrize("way", ["button", "key"])
def test_nothing_when_one_thinks_again(console: Console, client: Client, app: str, way: str) -> None:
    tokens_of(client, peter=1)
    page = console.open(app)
    button = page.get_by_role("button", name="End the session of peter")
    button.click()
    if way == "button":
        confirm(page, "Cancel")
    else:
        page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert len(list(client.soid("peter"))) == 1
    assert [request.method for request in console.requests if request.method != "GET"] == []


def test_only_once_when_one_clicks_twice(console: Console, client: Client, app: str) -> None:
    tokens_of(client, peter=1)
    page = console.open(app)
    page.get_by_role("button", name="End the session of peter").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").dblclick(no_wait_after=True)
    expect(page.locator("#notice p")).to_have_text("1 session of peter ended.")
    assert [request.method for request in console.requests if request.method != "GET"] == ["DELETE"]


@pytest.fixture
def held(console: Console) -> list[Route]:
    """The endings that the page asks for. They wait until the test goes on with them."""
    return console.hold(re.compile("/kill(soid/|all)"))


def test_one_that_answers_late_disturbs_no_other_question(
    console: Console, client: Client, app: str, held: list[Route]
) -> None:
    tokens_of(client, peter=1, paul=1)
    page = console.open(app)
    page.get_by_role("button", name="End the session of peter").click()
    confirm(page, "End it")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="End the session of paul").click()
    held[0].continue_()
    expect(page.locator("#notice p")).to_have_text("1 session of peter ended.")
    expect(page.get_by_role("dialog")).to_contain_text("paul will be logged out")
    assert len(list(client.soid("paul"))) == 1


def test_one_goes_on_when_its_view_is_left(console: Console, client: Client, app: str, held: list[Route]) -> None:
    tokens_of(client, peter=1)
    page = console.open()
    console.follow(app)
    page.get_by_role("button", name="End the session of peter").click()
    confirm(page, "End it")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Apps")
    held[0].continue_()
    expect(page.locator("#notice p")).to_have_text("1 session of peter ended.")
    assert list(client.soid("peter")) == []


def test_one_that_fails_after_its_question_was_closed_is_told(
    console: Console, client: Client, app: str, held: list[Route]
) -> None:
    tokens_of(client, peter=1)
    page = console.open(app)
    page.get_by_role("button", name="End the session of peter").click()
    confirm(page, "End it")
    page.keyboard.press("Escape")
    held[0].fulfill(status=503, json={"name": "storeUnavailable", "message": "The session store is unavailable"})
    expect(page.locator("#notice p")).to_have_text("The API answered 503: The session store is unavailable.")


def test_an_app_only_once_whatever_one_types_meanwhile(
    console: Console, client: Client, app: str, held: list[Route]
) -> None:
    tokens_of(client, peter=1)
    page = console.open(app)
    page.get_by_role("button", name="End all sessions").click()
    field = page.get_by_label("Type")
    field.fill(app)
    field.press("Enter")
    field.fill(f"{app}x")
    field.fill(app)
    expect(page.get_by_role("dialog").get_by_role("button", name="End all")).to_be_disabled()
    field.press("Enter")
    held[0].continue_()
    expect(page.locator("#notice p")).to_have_text(f"1 session of {app} ended.")
    assert len(held) == 1


def test_the_count_is_told_even_if_the_list_cannot_be_read_then(console: Console, client: Client, app: str) -> None:
    tokens_of(client, peter=2)
    page = console.open(app, "user", "peter")
    page.route("**/soid/**", lambda route: route.abort())
    page.get_by_role("button", name="End all sessions").click()
    confirm(page, "End all")
    expect(page.locator("#notice p")).to_have_text("2 sessions of peter ended.")
    expect(page.locator("#freshness")).to_contain_text("The API does not answer.")


def test_the_question_says_what_the_row_says(console: Console, client: Client, app: str) -> None:
    [token] = tokens_of(client, peter=1)["peter"]
    console.page.clock.install()
    page = console.open(app)
    page.clock.fast_forward("01:00:00")
    client.get(token)
    console.renew()
    expect(page.locator("td[data-name='Last used']")).to_have_text("just now")
    page.get_by_role("button", name="End the session of peter").click()
    expect(page.get_by_role("dialog")).to_contain_text("last used just now.")


def test_one_far_below_moves_nothing(console: Console, client: Client, app: str) -> None:
    tokens_of(client, **{f"user{number}": 1 for number in range(40)})
    page = console.open(app)
    button = page.locator("td button").nth(35)
    button.scroll_into_view_if_needed()
    top = page.evaluate("scrollY")
    assert top > 500
    button.click()
    confirm(page, "End it")
    expect(page.locator("tr.ended")).to_have_count(1)
    expect(page.get_by_text("ended", exact=True)).to_be_focused()
    assert page.evaluate("scrollY") == top
    page.get_by_role("button", name="Close this message").click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert page.evaluate("scrollY") == top


def test_rows_that_were_asked_for_before_do_not_come_back(console: Console, client: Client, app: str) -> None:
    tokens_of(client, **{f"user{number}": 1 for number in range(60)})
    page = console.open(app)
    waiting = console.hold(f"**/{app}/soapp**cursor**")
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("button", name="Show more")).to_be_disabled()
    answer = waiting[0].fetch()
    page.get_by_role("button", name="End all sessions").click()
    page.get_by_label("Type").fill(app)
    confirm(page, "End all")
    expect(page.locator(".empty")).to_be_visible()
    waiting[0].fulfill(response=answer)
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(page.locator(".empty")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(0)


def test_a_message_goes_when_it_is_closed_or_one_goes_on(console: Console, client: Client, app: str) -> None:
    tokens_of(client, peter=1, paul=1)
    page = console.open(app)
    for user in ("peter", "paul"):
        page.get_by_role("button", name=f"End the session of {user}").click()
        confirm(page, "End it")
        expect(page.locator("#notice p")).to_contain_text(user)
        if user == "peter":
            page.get_by_role("button", name="Close this message").click()
        else:
            console.follow("Apps")
        expect(page.locator("#notice")).to_be_empty()
