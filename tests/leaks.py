"""Searches everything that the service writes during a test run for the tokens, keys and data that the run used.

Secrets and output are collected while the tests run, and searched at the end. The run fails if a secret is found. Tests
need no code for this: `Plugin` and conftest collect both wherever requests, answers and output pass through.

A secret of fewer than WINDOW characters is ignored, because it cannot be told from ordinary words. So is one that only
repeats a few characters. The keys of data are no secrets: a message may name the key that is wrong.
"""

import base64
import contextlib
import functools
import json
import os
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.events import WORDS_BEFORE_TOKEN

WINDOW = 12
# Only this much of a longer secret is searched for. No token is longer.
_LOOKED_FOR = 6 * WINDOW
_FEWEST_CHARACTERS = 4
_SEARCHED_AT_ONCE = 100_000
# The beginning of a well-known long number. SAM prints it as an example of an AWS account.
_EXAMPLE_ACCOUNT = "123456789012"

KINDS = ("token", "key", "datum")
# The output of the tests' own process, the output of `make dev` and other processes, and the bodies of error answers.
PLACES = ("log", "process", "error body")

_TOKEN_IN_PATH = re.compile(rf"/(?:{'|'.join(WORDS_BEFORE_TOKEN)})/([^/]+)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


class SecretScanner:
    """The secrets that were used, and the output in which none may appear.

    A part of a secret counts too, if it contains the first or the last WINDOW characters, or one of the pieces of
    WINDOW characters into which the secret is cut.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._texts: list[tuple[str, str, str]] = []
        self.secrets: Counter[str] = Counter()
        self.characters: Counter[str] = Counter()

    def add_secret(self, kind: str, secret: str) -> None:
        """Adds a secret. It may not appear in any output, earlier or later."""
        last = min(len(secret), _LOOKED_FOR) - WINDOW
        starts = [*range(0, last, WINDOW), last] if last >= 0 else []
        parts = [secret[start : start + WINDOW] for start in starts]
        parts = [part for part in parts if len(set(part)) >= _FEWEST_CHARACTERS and part != _EXAMPLE_ACCOUNT]
        self.secrets[kind] += bool(parts) and parts[0] not in self._kinds
        self._kinds.update(dict.fromkeys(parts, kind))

    def add_data(self, value: Any) -> None:
        """Adds everything in a JSON value except its keys."""
        match value:
            case str():
                self.add_secret("datum", value)
                self.add_secret("datum", json.dumps(value)[1:-1])
            case list():
                for member in value:
                    self.add_data(member)
            case dict():
                for member in value.values():
                    self.add_data(member)

    def add_body(self, body: bytes) -> None:
        """Adds the data in a request's body, which need not be valid JSON."""
        text = body.decode(errors="replace")
        try:
            # Numbers as the digits that were sent.
            self.add_data(json.loads(text, parse_int=str, parse_float=str))
        except (ValueError, RecursionError):
            for string in _STRING.findall(text):
                self.add_secret("datum", string)

    def add_authorization(self, header: str) -> None:
        self.add_secret("key", header.partition(" ")[2] or header)

    def add_registry(self, document: str) -> None:
        """Adds the keys of a registry, even of a broken one."""
        for key in re.findall(r'"key": *"([^"]*)"', document):
            self.add_secret("key", key)

    def add_query(self, query: Mapping[str, str]) -> None:
        """Adds the tokens in a query."""
        for name in ("from", "token"):
            self.add_secret("token", query.get(name, ""))

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Adds the secrets in an event of API Gateway."""
        self.add_secret("token", (event.get("pathParameters") or {}).get("token") or "")
        self.add_query(event.get("queryStringParameters") or {})
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        for header in (headers.get("authorization", ""), *(event.get("identitySource") or [])):
            self.add_authorization(header)
        body = event.get("body") or ""
        if event.get("isBase64Encoded"):
            self.add_secret("datum", body)
            with contextlib.suppress(ValueError):
                self.add_body(base64.b64decode(body))
        else:
            self.add_body(body.encode(errors="surrogatepass"))

    def add_output(self, text: str, place: str, test: str = "") -> None:
        """Adds output of the service, written during `test` or else during the current test."""
        if text:
            self.characters[place] += len(text)
            self._texts.append((text, place, test or os.environ.get("PYTEST_CURRENT_TEST", "no test")))

    def leaks(self) -> list[str]:
        """Which kind of secret was found in which place. It never contains the secret."""
        found = {
            f"a {self._kinds[part]} in the {place} of {test}"
            for text, place, test in self._texts
            for part in _windows(text, self._kinds)
        }
        return sorted(found)


def _windows(text: str, wanted: Mapping[str, str]) -> Iterator[str]:
    for start in range(0, len(text), _SEARCHED_AT_ONCE):
        chunk = text[start : start + _SEARCHED_AT_ONCE + WINDOW - 1]
        yield from wanted.keys() & {chunk[i : i + WINDOW] for i in range(len(chunk) - WINDOW + 1)}


SCANNER = SecretScanner()


class Plugin:
    """Passes secrets and output to SCANNER, and fails the run if it finds a leak."""

    def __init__(self) -> None:
        self._failures: list[str] = []

    def pytest_configure(self) -> None:
        for method in ("create_session", "create_anonymous_session"):
            _wrap(
                f"rest_sessions.store.sessions:SessionStore.{method}",
                _add_data,
                lambda created: SCANNER.add_secret("token", created.token),
            )
        _wrap(
            "rest_sessions.store.sessions:SessionStore.rotate_session",
            None,
            lambda token: SCANNER.add_secret("token", token or ""),
        )
        _wrap("rest_sessions.store.sessions:SessionStore.set_session", _add_data)
        _wrap("rest_sessions.access.registry:KeyRegistry.parse", SCANNER.add_registry)
        _wrap("rest_sessions.http.authorizer:authorize", lambda event, _: SCANNER.add_event(event))
        _wrap("rest_sessions.http.route:Route.__call__", lambda _, event, __: SCANNER.add_event(event), _scan_response)
        _wrap("httpx:Client.send", _add_request, _scan_answer)
        _wrap("_pytest.capture:CaptureFixture.readouterr", None, lambda read: SCANNER.add_output("".join(read), "log"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A test has three reports. The last one has the output of all three.
        if report.when == "teardown":
            SCANNER.add_output("".join(text for _, text in report.sections), "log", report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._failures = SCANNER.leaks()
        if exitstatus == pytest.ExitCode.OK and _is_of_all_tests(session):
            self._failures += [
                f"no {kind} was seen, so the search is broken" for kind in KINDS if not SCANNER.secrets[kind]
            ]
            self._failures += [
                f"no {place} was seen, so the search is broken" for place in PLACES if not SCANNER.characters[place]
            ]
        if self._failures:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        places = ", ".join(f"{SCANNER.characters[place]:,} of {place}" for place in PLACES)
        kinds = ", ".join(f"{SCANNER.secrets[kind]:,} of {kind}" for kind in KINDS)
        terminalreporter.section("secrets in the output", red=bool(self._failures), green=not self._failures)
        terminalreporter.line(f"searched {places} (characters) for {kinds}: {'FAILED' if self._failures else 'none'}")
        for failure in self._failures:
            terminalreporter.line(failure, red=True)


def _is_of_all_tests(session: pytest.Session) -> bool:
    folders = [session.config.rootpath / folder for folder in session.config.getini("testpaths")]
    modules = {module for folder in folders for module in folder.glob("test_*.py")}
    return not session.config.option.collectonly and modules <= {Path(item.path) for item in session.items}


def _wrap(name: str, before: Callable[..., object] | None, after: Callable[..., object] = lambda _: None) -> None:
    """Wraps the function of that name: `before` gets its arguments, and `after` its result."""
    owner_name, _, attribute = name.replace(":", ".").rpartition(".")
    owner = pkgutil.resolve_name(owner_name)
    function = getattr(owner, attribute)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            before(*args, **kwargs)
        result = function(*args, **kwargs)
        after(result)
        return result

    setattr(owner, attribute, staticmethod(wrapped) if hasattr(function, "__self__") else wrapped)


def _scan_response(response: Mapping[str, Any]) -> None:
    if response["statusCode"] >= 400:
        SCANNER.add_output(response["body"], "error body")


def _add_data(*args: Any, data: Mapping[str, str | None] | None = None, **_: Any) -> None:
    for text in (data or (isinstance(args[-1], Mapping) and args[-1]) or {}).values():
        # JSON texts, but a test may pass any text.
        SCANNER.add_secret("datum", (text or "").strip('"'))


def _add_request(_: Any, request: Any, **__: Any) -> None:
    SCANNER.add_authorization(request.headers.get("authorization", ""))
    SCANNER.add_body(request.read())
    SCANNER.add_query(request.url.params)
    for token in _TOKEN_IN_PATH.findall(request.url.path):
        SCANNER.add_secret("token", unquote(token))


def _scan_answer(answer: Any) -> None:
    if answer.status_code >= 400:
        SCANNER.add_output(answer.text, "error body")
    elif re.search("/(create|rotate)", answer.request.url.path):
        SCANNER.add_secret("token", answer.json().get("token", ""))
