import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from proxy import LOOPBACK, Proxy, proxy_of

from rest_sessions_client import Client

TESTS = Path(__file__).parent
PHP = TESTS.parent
# There `tests` is the package that starts the service, for the tests of all clients.
sys.path.insert(0, str(PHP.parent / "python"))
from tests.conftest import Service, app, client, free_port, no_proxies, service  # noqa: E402, F401 - fixtures

AUTOLOAD = PHP / "src" / "autoload.php"
COOKIE = "PHPSESSID"
COMPLAINT = re.compile(r"PHP (?:Warning|Notice|Deprecated|Fatal error|Parse error).*")
# As in production, but a trace shows arguments, so that a test sees whether one of them is a secret.
SETTINGS = {
    "error_reporting": "-1",
    "display_errors": "0",
    "log_errors": "1",
    "html_errors": "0",
    "zend.exception_ignore_args": "0",
    "zend.exception_string_param_max_len": "1000",
    "output_buffering": "4096",
    "session.gc_probability": "0",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    found = shutil.which("php")
    needed = "exit((int) (PHP_VERSION_ID < 80200 || !extension_loaded('curl') || !function_exists('session_start')));"
    if found and subprocess.run([found, "-r", needed], check=False).returncode == 0:
        return
    for item in items:
        item.add_marker(
            pytest.mark.skip(reason="needs PHP 8.2 with curl (Debian, Ubuntu: apt install php-cli php-curl)")
        )


def command(settings: dict[str, str] | None = None) -> list[str]:
    return [
        "php",
        *(word for name, value in {**SETTINGS, **(settings or {})}.items() for word in ("-d", f"{name}={value}")),
    ]


def environment(**variables: str) -> dict[str, str]:
    """Without the proxies of this machine, which do not serve loopback."""
    return {"PATH": os.environ["PATH"], **variables}


class Php:
    """Runs PHP code on the command line."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables

    def __call__(self, code: str, settings: dict[str, str] | None = None, **variables: str) -> Any:
        """What the code returns. Whatever PHP complains of is a failure."""
        finished = self.run(code, settings, **variables)
        assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr + finished.stdout
        return json.loads(finished.stdout)

    def run(
        self, code: str, settings: dict[str, str] | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        script = f"""<?php
            declare(strict_types=1);
            use RestSessions\\Client;
            use RestSessions\\SessionHandler;
            require '{AUTOLOAD}';
            require '{TESTS}/classes.php';
            $result = (static function () {{ {code} }})();
            echo json_encode($result, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
        """
        return subprocess.run(
            command({"output_buffering": "0", **(settings or {})}),
            input=script,
            env=environment(**{**self.variables, **variables}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def php(service: Service, app: str) -> Php:  # noqa: F811
    """PHP with the settings of a client of the service, on its command line."""
    return Php(REST_SESSIONS_URL=service.url, REST_SESSIONS_APP=app, REST_SESSIONS_KEY=service.key)


class Browser(httpx2.Client):
    """It keeps the session's cookie. `ask` gets a page, and returns what the page returned."""

    def __init__(self, url: str, token: str | None = None) -> None:
        super().__init__(base_url=url, trust_env=False, timeout=60, headers={"User-Agent": "Firefox on Linux"})
        if token is not None:
            self.token = token

    def ask(self, page: str, **query: str) -> Any:
        answer = self.get(f"/{page}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def token(self) -> str | None:
        return self.cookies.get(COOKIE)

    @token.setter
    def token(self, token: str) -> None:
        self.cookies.clear()
        self.cookies.set(COOKIE, token, domain=LOOPBACK, path="/")


class Site:
    """`php -S`, with pages that a test writes."""

    def __init__(self, folder: Path, proxy: Proxy, app: str, key: str, workers: int = 1, **settings: str) -> None:  # noqa: F811
        self.folder = folder
        self.proxy = proxy
        self.options("['secure' => false]")
        for name, code in PAGES.items():
            self.page(name, code)
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.log = folder / "log"
        variables = environment(
            REST_SESSIONS_URL=proxy.url, REST_SESSIONS_APP=app, REST_SESSIONS_KEY=key, PAGES=str(folder)
        )
        if workers > 1:
            variables["PHP_CLI_SERVER_WORKERS"] = str(workers)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command(settings), "-S", f"{LOOPBACK}:{port}", str(TESTS / "site.php")],
                env=variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port)):
                return
            time.sleep(0.05)
        raise RuntimeError(self.log.read_text())

    def options(self, code: str) -> None:
        """The arguments of SessionHandler::register, a PHP array."""
        (self.folder / "options.php").write_text(f"<?php\ndeclare(strict_types=1);\nreturn {code};\n")

    def page(self, name: str, code: str) -> None:
        (self.folder / f"{name}.php").write_text(f"<?php\ndeclare(strict_types=1);\n{code}\n")

    def browser(self, token: str | None = None) -> Browser:
        return Browser(self.url, token)

    def complaints(self) -> list[str]:
        """What PHP has complained of since the last call of this method."""
        complaints = COMPLAINT.findall(self.log.read_text())
        self.log.write_text("")
        return complaints

    def stop(self) -> None:
        # Its workers are processes of the same group.
        os.killpg(self.process.pid, 15)
        self.process.wait()


# Pages that many tests use.
PAGES = {
    "untouched": "return 'no session';",
    "read": "session_start(); return $_SESSION;",
    "write": "session_start(); $_SESSION = json_decode($_GET['data'], true) + $_SESSION; return session_id();",
    "log_in": "session_start(); $sessions->login($_GET['user']); return session_id();",
    "log_out": "session_start(); $sessions->logout(); return null;",
    "destroy": "session_start(); session_destroy(); return null;",
    "regenerate": "session_start(); session_regenerate_id((bool) ($_GET['delete'] ?? true)); return session_id();",
}


@pytest.fixture
def proxy(service: Service) -> Iterator[Proxy]:  # noqa: F811
    with proxy_of(service.url) as proxy:
        yield proxy


@pytest.fixture
def start_site(tmp_path: Path, proxy: Proxy, service: Service, app: str) -> Iterator[Any]:  # noqa: F811
    sites: list[Site] = []

    def start(**options: Any) -> Site:
        folder = tmp_path / f"site{len(sites)}"
        folder.mkdir()
        sites.append(Site(folder, proxy, app, service.key, **options))
        return sites[-1]

    yield start
    for site in sites:
        site.stop()
    # A test that expects a complaint has taken it.
    assert [complaint for site in sites for complaint in site.complaints()] == []


@pytest.fixture
def site(start_site: Any) -> Site:
    return start_site()


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.browser()


def sessions_of(client: Client) -> list[Any]:  # noqa: F811
    return list(client.soapp(60))
