"""What $_SESSION keeps, and what other platforms see of it."""

import base64
import json
import subprocess
from typing import Any

import pytest
from conftest import TESTS, Browser, Php, Site, command
from flask import Flask, session
from proxy import Proxy

from rest_sessions_client import Client
from rest_sessions_client.flask import RestSessions

# What JSON holds, and PHP's arrays hold exactly.
JSON_VALUES = [
    True, False, 0, 1, -1, 2**63 - 1, -(2**63), 0.1, -0.0, 1.0, 1e300, 5e-324, "", "a", "0", "딸기 👩‍👩‍👧‍👦", "\x00\x1f", "R:2;",
    's:1:"a";', "a|b", [], [1, "1", 1.0, None, [[]]], {"a": {"b": [{"c": None}]}}, {"0": "a", "2": "b"}, {"1": "b", "0": "a"},
    {"": 1}, {"-1": 1, "01": 2, "1.5": 3}, {"__proto__": {"a": 1}}, {"$php": 1}, {"$null": 1}, {"$php": "x", "y": 1},
    {" t": [1]}, json.loads("[" * 32 + "]" * 32),
]  # fmt: skip
# What only PHP holds.
PHP_VALUES = [
    "NAN", "INF", "-INF", r'"\xff\xfe"', "random_bytes(32)", r'["\xff" => 1]', r'["a\nb" => 1]', r'["\x00a" => [1]]',
    "[[NAN]]", "new stdClass", "(object) ['a' => [1, null]]", "new DateTimeImmutable('2026-01-02 03:04:05.678', new DateTimeZone('Europe/Vienna'))",
    "new DateInterval('P1D')", "new Cart([1, 'x' => new Cart()])", "Suit::Hearts", "['a' => Suit::Spades, 'b' => Suit::Spades]",
    "['$php' => 'x']", "['$php' => base64_encode('i:1;')]", "['$null' => true]", "[['$null' => true]]", "['a' => ['$php' => 'x']]",
    "(function () { $cart = new Cart(); $cart->other = $cart; return $cart; })()",
    "(function () { $cart = new Cart(); return [1, $cart, [$cart]]; })()",
    "(function () { $a = [1]; $a[1] = &$a[0]; return $a; })()",
    "array_reduce(range(1, 40), fn ($inner) => [$inner], [])",
    "[PHP_INT_MAX, PHP_INT_MIN, 1.0, -0.0, 1e22, 123456789012345678.0]",
    "[2 => 'b', 1 => 'a', 'x' => [5 => 1]]",
    "[true, false, null]",
]  # fmt: skip


def mark(text: str) -> dict[str, str]:
    return {"$php": base64.b64encode(text.encode()).decode()}


@pytest.fixture
def site(site: Site) -> Site:
    site.options("['secure' => false, 'classes' => [Cart::class, Suit::class]]")
    site.page("kept", "session_start(); return array_map(fn ($value) => bin2hex(serialize($value)), $_SESSION);")
    return site


def browser_with(site: Site, client: Client, data: dict) -> Browser:
    return site.browser(client.create("peter", ip="192.0.2.7", data=data).token)


def data_in(client: Client, browser: Browser) -> dict:
    return client.get(browser.token, peek=True).data


def run(site: Site, browser: Browser, code: str) -> Any:
    site.page("page", f"session_start(); {code}")
    return browser.ask("page")


# What others wrote


def test_what_others_wrote_is_read_and_not_sent_again(site: Site, client: Client, proxy: Proxy) -> None:
    data = {f"key{place}": value for place, value in enumerate(JSON_VALUES)} | {
        "": 1,
        "0": 2,
        "-5": 3,
        "a|b": 4,
        "!c": 5,
    }
    browser = browser_with(site, client, data)
    read = run(site, browser, "$_SESSION['new'] = 1; return $_SESSION;")
    # An empty object, and one with the keys of a list, are lists for PHP. Here is none.
    assert {key: value for key, value in read.items() if key != "new"} == data
    assert proxy.take() == ["get", "set"]
    session = client.get(browser.token)
    assert (session.data, session.w) == ({**data, "new": 1}, 2)


def test_what_is_marked_for_php_and_is_no_object_does_no_harm(site: Site, client: Client) -> None:
    planted = {"$php": base64.b64encode(b'O:8:"DateTime":0:{}').decode()}
    browser = browser_with(site, client, {"planted": planted, "a": 1})
    assert browser.ask("read") == {"planted": planted, "a": 1}


def test_types_are_those_of_json(site: Site, client: Client) -> None:
    browser = browser_with(site, client, {"i": 1, "f": 1.0, "z": -0.0, "e": [], "o": {}, "n": {"$null": True}})
    kept = {key: bytes.fromhex(value).decode() for key, value in browser.ask("kept").items()}
    assert kept == {"i": "i:1;", "f": "d:1;", "z": "d:-0;", "e": "a:0:{}", "o": "a:0:{}", "n": "N;"}


@pytest.mark.parametrize("value", JSON_VALUES, ids=str)
def test_json_values_round_trip(site: Site, browser: Browser, client: Client, value: Any) -> None:
    browser.ask("write", data=json.dumps({"value": value}))
    stored = data_in(client, browser)["value"]
    assert (stored, type(stored), repr(stored)) == (value, type(value), repr(value))
    assert browser.ask("read") == {"value": value}


def test_null_stays_and_unset_goes(site: Site, browser: Browser, client: Client) -> None:
    run(site, browser, "$_SESSION = ['null' => null, 'gone' => 1, 5 => 'five']; return null;")
    assert data_in(client, browser) == {
        "null": {"$null": True},
        "gone": 1,
        "5": "five",
        "_user_agent": "Firefox on Linux",
    }
    read = run(site, browser, "unset($_SESSION['gone']); return [array_key_exists('null', $_SESSION), $_SESSION];")
    assert read == [True, {"null": None, "5": "five"}]
    assert browser.ask("read") == {"null": None, "5": "five"}


def test_what_was_an_object_stays_one(site: Site, client: Client) -> None:
    shop = {"items": {}, "list": [], "sizes": {"0": "S", "1": "M"}, "deep": [{"x": {}}, {}], "n": 1}
    browser = browser_with(site, client, {"shop": shop, "empty": {}, "other": {}})
    run(
        site,
        browser,
        "$_SESSION['shop']['n'] = 2; $_SESSION['shop']['new'] = []; $_SESSION['empty'][] = 1; return null;",
    )
    assert data_in(client, browser) == {"shop": {**shop, "n": 2, "new": []}, "empty": {"0": 1}, "other": {}}


def test_the_order_of_keys_stays(site: Site, browser: Browser) -> None:
    run(site, browser, "$_SESSION['a'] = [9 => 1, 'x' => 2, 3 => 3, 'b' => 4]; return null;")
    assert list(browser.ask("read")["a"]) == ["9", "x", "3", "b"]


# What only PHP has


@pytest.mark.parametrize("value", PHP_VALUES)
def test_php_values_round_trip(site: Site, browser: Browser, proxy: Proxy, value: str) -> None:
    written = run(site, browser, f"$_SESSION['value'] = {value}; return bin2hex(serialize($_SESSION['value']));")
    assert browser.ask("kept") == {"value": written}
    proxy.take()
    # It is not sent again, nor does another change touch it.
    browser.ask("write", data='{"b": 1}')
    assert proxy.take() == ["get", "set"]
    assert browser.ask("kept")["value"] == written


def test_several_values_with_references(site: Site, browser: Browser) -> None:
    code = """
        $shared = new Cart(['shared']);
        $number = 1;
        $_SESSION['plain'] = ['x' => [1, 2]];
        $_SESSION['one'] = [$shared, $shared];
        $_SESSION['text'] = 'R:3;';
        $_SESSION['two'] = [[$shared, $shared], 'a' => &$number, 'b' => &$number, 'suit' => Suit::Hearts];
        $_SESSION['three'] = [Suit::Hearts, Suit::Hearts];
    """
    run(site, browser, f"{code} return null;")
    check = """
        ['one' => $one, 'two' => $two, 'three' => $three, 'plain' => $plain, 'text' => $text] = $_SESSION;
        $_SESSION['two']['a'] = 2;
        return [$one[0] === $one[1], $two[0][0] === $two[0][1], $one[0]->items(), $_SESSION['two']['b'], $two['suit'] === $three[1], $plain, $text,
            $one[0] === $two[0][0]];
    """
    # Each key is a value of its own: an object that two keys had is two objects.
    assert run(site, browser, check) == [True, True, ["shared"], 2, True, {"x": [1, 2]}, "R:3;", False]
    assert run(site, browser, "return [$_SESSION['two']['a'], $_SESSION['two']['b']];") == [2, 2]


@pytest.mark.parametrize("seed", range(4))
def test_serialized_texts_are_taken_apart_as_php_does(seed: int) -> None:
    arguments = [*command(), str(TESTS / "serialized.php"), str(seed)]
    finished = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_an_object_is_made_once(site: Site, browser: Browser) -> None:
    run(site, browser, "$_SESSION['cart'] = new Cart([1]); return null;")
    site.page(
        "count",
        "register_shutdown_function(fn () => error_log('made ' . Cart::$wakeups)); session_start(); $_SESSION['n'] = 1; return null;",
    )
    browser.ask("count")
    assert "made 1\n" in site.log.read_text()


def test_a_class_that_is_missing_keeps_its_object(site: Site, browser: Browser) -> None:
    site.options("['secure' => false, 'classes' => ['Later']]")
    run(site, browser, "eval('class Later { public $x = 1; }'); $_SESSION['later'] = new Later(); return null;")
    run(site, browser, "$_SESSION['b'] = 1; return null;")
    site.page("page", "eval('class Later { public $x = 2; }'); session_start(); return $_SESSION['later']->x;")
    assert browser.ask("page") == 1


def test_values_that_only_php_has_are_marked(site: Site, browser: Browser, client: Client) -> None:
    run(site, browser, "$_SESSION = ['nan' => NAN, 'cart' => Suit::Hearts, 'plain' => [1]]; return null;")
    data = data_in(client, browser)
    assert (data["nan"], data["cart"], data["plain"]) == (mark("d:NAN;"), mark('E:11:"Suit:Hearts";'), [1])


# Objects that others ask for

GADGET = 'O:6:"Gadget":1:{s:4:"file";s:%d:"%s";}'


@pytest.fixture
def gadget(tmp_path: Any) -> tuple[str, Any]:
    """A text that makes PHP write a file if it makes an object of it, and the file."""
    file = tmp_path / "written"
    return GADGET % (len(str(file)), file), file


@pytest.mark.parametrize(
    "form",
    [
        "%s",
        "a:1:{i:0;%s}",
        'O:8:"stdClass":1:{s:1:"a";%s}',
        'O:4:"Cart":3:{s:11:"\0Cart\0items";a:1:{i:0;%s}s:7:"\0*\0name";s:1:"a";s:5:"other";N;}',
    ],
)
def test_no_object_of_a_class_that_is_not_allowed(
    site: Site, client: Client, gadget: tuple[str, Any], form: str
) -> None:
    text, file = gadget
    for attack in (text, text.replace("Gadget", "gadget"), text.replace("Gadget", "GADGET")):
        attacked = mark(form % attack)
        browser = browser_with(site, client, {"x": attacked, "y": 1})
        assert browser.ask("read") == {"x": attacked, "y": 1}
        # It stays what it is, under any key.
        run(site, browser, "$_SESSION['z'] = $_SESSION['x']; $_SESSION['y'] = 2; return null;")
        assert browser.ask("read") == {"x": attacked, "y": 2, "z": attacked}
    assert not file.exists()
    # With consent it is an object.
    site.options("['secure' => false, 'classes' => true]")
    browser_with(site, client, {"x": attacked}).ask("read")
    assert file.exists()


def test_what_a_user_sends_as_a_value_stays_a_value(site: Site, browser: Browser, gadget: tuple[str, Any]) -> None:
    text, file = gadget
    site.options("['secure' => false, 'classes' => true]")
    for value in (mark(text), {"$null": True}, [mark(text)], {"a": mark(text)}):
        browser.ask("write", data=json.dumps({"x": value}))
        assert browser.ask("read") == {"x": value}
    assert not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "i:1", "i:1;i:2;", "i:1.5;", "b:2;", "d:x;", 's:5:"a";', 's:1:"ab";', 's:999999999:"a";', "a:1:{i:0;}", "a:2:{i:0;i:1;}",
        "a:-1:{}", "a:1:{i:0;i:1;", "a:1:{b:1;i:1;}", "R:1;", "r:1;", "a:1:{i:0;R:9;}", "a:1:{i:0;R:0;}", 'O:9:"stdClass":0:{}',
        'O:8:"stdClass":0:{', 'C:11:"ArrayObject":21:{x:i:0;a:0:{};m:a:0:{}}', 'E:4:"Suit";', 'E:5:"Suit:Hearts";', "N", 'S:1:"a";',
        "a:2:{i:0;i:1;i:1;r:2;}", "a:1:{i:0;" * 5000 + "N;" + "}" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_text_of_php_is_a_value(site: Site, client: Client, text: str) -> None:
    data = {"x": mark(text), "y": {"$php": "not base64!"}, "w": {"$php": "aTox!Ow=="}, "z": {"$php": None}}
    assert browser_with(site, client, data).ask("read") == data


def test_an_object_of_a_class_that_is_not_allowed_is_not_saved(site: Site, browser: Browser, client: Client) -> None:
    browser.ask("write", data='{"a": 1}')
    site.page("page", "session_start(); $_SESSION['a'] = 2; $_SESSION['x'] = [new Gadget()]; return null;")
    browser.get("/page")
    [complaint] = site.complaints()
    assert (
        "ConfigurationError: $_SESSION['x'] has an object of Gadget: pass the class in classes, or store an array"
        in complaint
    )
    assert browser.ask("read") == {"a": 1}


def test_an_object_with_the_old_interface_is_not_saved(php: Php, client: Client) -> None:
    code = """
        eval('class Old implements Serializable { function serialize() { return "x"; } function unserialize($x) {} }');
        SessionHandler::register(classes: true);
        session_start();
        $_SESSION['old'] = new Old();
        session_write_close();
    """
    finished = php.run(code, {"session.use_cookies": "0", "session.cache_limiter": ""})
    assert "ConfigurationError: An object in $_SESSION needs __serialize and __unserialize" in finished.stderr
    assert list(client.soapp(60)) == []


def test_a_key_that_the_service_refuses_is_told(site: Site, browser: Browser) -> None:
    site.page("page", r'session_start(); $_SESSION["a\nb"] = 1; return null;')
    browser.get("/page")
    [complaint] = site.complaints()
    assert "InvalidValue" in complaint


# Together with another platform


def test_flask_and_php_share_a_session(site: Site, browser: Browser, client: Client) -> None:
    flask = Flask(__name__)
    flask.config["SESSION_COOKIE_NAME"] = "PHPSESSID"
    RestSessions(flask, client)

    @flask.get("/cart")
    def cart() -> dict:
        session["cart"].append("flask")
        session["flask"] = {"empty": {}, "none": None}
        session["nothing"] = None
        return dict(session)

    @flask.get("/log_in")
    def log_in() -> str:
        session.login("peter")
        return "peter"

    browser.ask("write", data='{"cart": ["php"], "null": null}')
    other = flask.test_client()
    other.set_cookie("PHPSESSID", browser.token)
    assert other.get("/cart").json["null"] is None
    assert browser.ask("read") == {
        "cart": ["php", "flask"], "flask": {"empty": [], "none": None}, "nothing": None, "null": None
    }  # fmt: skip
    run(site, browser, "$_SESSION['cart'][] = 'php'; $_SESSION['flask']['more'] = 1; return null;")
    assert data_in(client, browser)["flask"] == {"empty": {}, "none": None, "more": 1}
    # Each of them may log in, and the other goes on with it.
    other.get("/log_in")
    browser.token = other.get_cookie("PHPSESSID").value
    assert run(site, browser, "return [$sessions->user(), $_SESSION['cart']];") == ["peter", ["php", "flask", "php"]]
    browser.ask("log_in", user="peter")
    other.set_cookie("PHPSESSID", browser.token)
    assert other.get("/cart").json["cart"] == ["php", "flask", "php", "flask"]
