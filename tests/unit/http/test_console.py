"""The console's page as a browser gets it, and what the page is told of a key."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from rest_sessions.http.console import respond_page
from rest_sessions.http.response import HEADERS
from tests.events import EVENTS, request
from tests.routes import load

PAGE = """<!doctype html>
<title>Console</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<p>src="api.js"</p>
<script src="api.js"></script>
<script src="main.js"></script>
"""
FILES = {
    "page.html": PAGE,
    "style.css": "p { content: '\\1F511 ü'; }\n",
    "api.js": 'const KEY = "\\u{1F511} ü \\\\1 {0}";\n',
    "main.js": "console.log(1 < 2);\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def policy_of(page):
    """The sources that the page's policy allows, by directive."""
    directives = page["headers"]["Content-Security-Policy"].split("; ")
    return {name: sources for name, *sources in map(str.split, directives)}


def hashes_of(page, element):
    """The hash sources of the page's elements, as a browser computes them."""
    texts = re.findall(f"<{element}>(.*?)</{element}>", page["body"], re.DOTALL)
    digests = [hashlib.sha256(text.encode("utf-8")).digest() for text in texts]
    return [f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests]


@pytest.fixture
def console(monkeypatch):
    """Calls the function as it is with a setting of AUTH_MODE."""

    def call(mode, **parts):
        monkeypatch.setenv("AUTH_MODE", mode)
        return load("console").handler(request("console", **parts), None)

    return call


@pytest.fixture(params=["example", "real"])
def page(request, folder, console):
    return respond_page(folder) if request.param == "example" else console("token", routeKey="GET /console")


class TestPage:
    def test_holds_its_files(self, folder):
        assert respond_page(folder)["body"] == PAGE.replace(
            '<link rel="stylesheet" href="style.css">', f"<style>{FILES['style.css']}</style>"
        ).replace('<script src="api.js"></script>', f"<script>{FILES['api.js']}</script>").replace(
            '<script src="main.js"></script>', f"<script>{FILES['main.js']}</script>"
        )

    def test_refers_to_no_file(self, page):
        markup = re.sub("<(script|style)>.*?</", "", page["body"], flags=re.DOTALL)
        assert re.findall(r"<[^>]*\s(?:src|href)=\"(?!data:|#)", markup) == []
        assert not re.search(r"<[^>]*\s(?:style|on\w+)=", markup)

    def test_allows_its_scripts_and_styles_and_nothing_else(self, page):
        scripts, styles = hashes_of(page, "script"), hashes_of(page, "style")
        assert scripts
        assert styles
        assert policy_of(page) == {
            "default-src": ["'none'"],
            "script-src": scripts,
            "style-src": styles,
            "img-src": ["data:"],
            "connect-src": ["'self'"],
            "base-uri": ["'none'"],
            "form-action": ["'none'"],
            "frame-ancestors": ["'none'"],
            "require-trusted-types-for": ["'script'"],
            "trusted-types": ["'none'"],
        }

    def test_has_the_headers_of_a_page(self, page):
        headers = {name: value for name, value in page["headers"].items() if name != "Content-Security-Policy"}
        assert headers == {
            **HEADERS,
            "Content-Type": "text/html; charset=utf-8",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        assert page["statusCode"] == 200

    def test_has_line_ends_as_a_browser_reads_them(self, folder):
        """A browser hashes what its parser reads, and that has no carriage return."""
        for name, text in FILES.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\r\n")
        assert "\r" not in respond_page(folder)["body"]

    @pytest.mark.parametrize("name", ["style.css", "api.js"])
    @pytest.mark.parametrize("text", ["</script>", "</SCRIPT ", "</style", "<!--"])
    def test_refuses_a_file_that_no_element_can_hold(self, folder, name, text):
        (folder / name).write_text(f"a = '{text}'", encoding="utf-8")
        with pytest.raises(ValueError, match=f"{re.escape(name)} has {re.escape(text.strip(' >'))}, which no "):
            respond_page(folder)

    def test_refuses_a_file_that_is_missing(self, folder):
        (folder / "api.js").unlink()
        with pytest.raises(FileNotFoundError, match=r"api\.js"):
            respond_page(folder)


def json_answer(status, body):
    return {"statusCode": status, "headers": HEADERS, "body": body}


FORBIDDEN = json_answer(403, '{"name":"forbidden","message":"The key may not do this in this app"}')


def identity(**parts):
    return {"requestContext": {**EVENTS["console"]["requestContext"], **parts}}


class TestKey:
    def test_is_answered_with_its_name_apps_and_operations(self, console):
        expected = '{"name":"support","apps":["web-shop"],"allow":["apps","killsoid","soapp","soid"]}'
        assert console("token") == json_answer(200, expected)

    @pytest.mark.parametrize(
        ("apps", "allow", "expected"),
        [
            ("*", "*", '"apps":["*"],"allow":["*"]'),
            (
                "i,h,g,f,e,d,c,b,a",
                "touch,soid,get",
                '"apps":["a","b","c","d","e","f","g","h","i"],"allow":["get","soid","touch"]',
            ),
        ],
    )
    def test_has_sorted_lists_and_stars(self, console, apps, allow, expected):
        key = identity(authorizer={"lambda": {"name": 'Ü "1"', "apps": apps, "allow": allow}})
        assert console("token", **key) == json_answer(200, f'{{"name":"\\u00dc \\"1\\"",{expected}}}')

    @pytest.mark.parametrize("authorizer", [None, {}, {"lambda": {}}, {"iam": {"userArn": "arn"}}], ids=repr)
    def test_is_refused_without_an_authorizer(self, console, authorizer):
        assert console("token", **identity(authorizer=authorizer)) == FORBIDDEN

    def test_may_do_everything_where_none_is_needed(self, console):
        answer = console("none", **identity(authorizer=None))
        assert answer == json_answer(200, '{"name":"","apps":["*"],"allow":["*"]}')


def test_starts_only_if_it_is_told_how_keys_are_checked(monkeypatch):
    monkeypatch.delenv("AUTH_MODE", raising=False)
    with pytest.raises(KeyError, match="AUTH_MODE"):
        load("console")
