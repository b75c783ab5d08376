"""What `make dev` answers where API Gateway answers by itself, and the viewer of docs/openapi.yaml."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import yaml

from tests.conftest import Dev
from tests.events import EVENTS

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
ROUTES = [event["routeKey"].split(" ") for event in EVENTS.values() if "routeKey" in event]
PATHS = {re.sub(r"{\w+}", "webapp", path) for _, path in ROUTES}
# An HTTP API has a route for each method that it names, and no other.
WITHOUT_ROUTE = [
    *[(method, path) for path in sorted(PATHS) for method in METHODS if [method, path] not in
      [[m, re.sub(r"{\w+}", "webapp", p)] for m, p in ROUTES]],
    *[(method, path) for path in ("/", "/nothing", "/webapp/nothing/here", "/webapp//soapp") for method in METHODS],
    *[(method, path) for path in ("/openapi.yaml", "/api.html") for method in ("OPTIONS", "POST")],
    ("GET", "/api.html/nothing"),
    ("GET", "/api.html/../flask_swagger_ui.py"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["0", "1"], ids=["open", "with a key"])
def dev(request: pytest.FixtureRequest) -> Iterator[Dev]:
    dev = Dev({"AUTH": request.param})
    yield dev
    assert dev.stop() == ""


@pytest.fixture
def http(dev: Dev) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dev.url) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), WITHOUT_ROUTE)
def test_a_path_or_method_without_a_route_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.content == (b"" if method == "HEAD" else b'{"message":"Not Found"}')


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "localhost:80", "[::1]:65535"])
def test_answers_under_its_own_names(http: httpx.Client, host: str) -> None:
    assert http.get("/ping", headers={"Host": host}).content == b"PONG"


@pytest.mark.parametrize("path", ["/ping", "/webapp/activity?dt=10", "/nothing", "/openapi.yaml", "/api.html"])
@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            "evil.example",
            "evil.example:3000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.localhost",
        ),
        *(
            "evil.localhost",
            "127.0.0.2",
            "0.0.0.0",
            "127.0.0.1@evil.example",
            "127.0.0.1:3000:1",
            "localhost:x",
            "[::2]",
            "127.0.0.1, a",
        ),
    ],
)
def test_refuses_another_name(http: httpx.Client, host: str, path: str) -> None:
    answer = http.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json() == {"message": "The Host must be 127.0.0.1, localhost or [::1]"}


def test_serves_the_document_with_itself_as_the_only_server(http: httpx.Client) -> None:
    served = yaml.safe_load(http.get("/openapi.yaml").text)
    assert served == {**DOCUMENT, "servers": [{"url": "/"}]}


def test_shows_the_document_with_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/api.html")
    assert page.status_code == 200
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert any(file.endswith(".js") for file in files)
    for file in [*files, *re.findall(r'"url": "([^"]+)"', page.text)]:
        address = urljoin(str(page.url), file)
        assert urlsplit(address).netloc == urlsplit(str(page.url)).netloc
        assert http.get(address).status_code == 200
    # Whatever else the page would load.
    assert re.match(r"default-src 'self'( 'unsafe-inline')?;", page.headers["content-security-policy"])
    assert '"validatorUrl": null' in page.text


def test_no_app_loses_a_route_to_the_viewer(http: httpx.Client) -> None:
    # An app's name has no dot.
    for app in ("api", "docs", "openapi", "static"):
        assert http.get(f"/{app}/activity", params={"dt": 10}).status_code in (200, 401)
