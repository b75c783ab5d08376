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

_TOKEN_IN_PATH = re.compile(r"/(?:get|set|kill)/([^/]+)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Watch:
    """The secrets that were used, and the output in which none may appear.

    A part of a secret counts too, if it contains the first or the last WINDOW characters, or one of the pieces of
    WINDOW characters into which the secret is cut.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._texts: list[tuple[str, str, str]] = []
        self.secrets: Counter[str] = Counter()
        self.characters: Counter[str] = Counter()

    def keep(self, kind: str, secret: str) -> None:
        """Adds a secret. It may not appear in any output, earlier or later."""
        last = min(len(secret), _LOOKED_FOR) - WINDOW
        starts = [*range(0, last, WINDOW), last] if last >= 0 else []
        parts = [secret[start : start + WINDOW] for start in starts]
        parts = [part for part in parts if len(set(part)) >= _FEWEST_CHARACTERS and part != _EXAMPLE_ACCOUNT]
        self.secrets[kind] += bool(parts) and parts[0] not in self._kinds
        self._kinds.update(dict.fromkeys(parts, kind))

    def keep_datum(self, value: Any) -> None:
        """Adds everything in a JSON value except its keys."""
        match value:
            case str():
                self.keep("datum", value)
                self.keep("datum", json.dumps(value)[1:-1])
            case list():
                for member in value:
                    self.keep_datum(member)
            case dict():
                for member in value.values():
                    self.keep_datum(member)

    def keep_body(self, body: bytes) -> None:
        """Adds the data in a request's body, which need not be valid JSON."""
        text = body.decode(errors="replace")
        try:
            # Numbers as the digits that were sent.
            self.keep_datum(json.loads(text, parse_int=str, parse_float=str))
        except (ValueError, RecursionError):
            for string in _STRING.findall(text):
                self.keep("datum", string)

    def keep_authorization(self, header: str) -> None:
        self.keep("key", header.partition(" ")[2] or header)

    def keep_registry(self, document: str) -> None:
        """Adds the keys of a registry, even of a broken one."""
        for key in re.findall(r'"key": *"([^"]*)"', document):
            self.keep("key", key)

    def keep_event(self, event: Mapping[str, Any]) -> None:
        """Adds the secrets in an event of API Gateway."""
        self.keep("token", (event.get("pathParameters") or {}).get("token") or "")
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        for header in (headers.get("authorization", ""), *(event.get("identitySource") or [])):
            self.keep_authorization(header)
        body = event.get("body") or ""
        if event.get("isBase64Encoded"):
            self.keep("datum", body)
            with contextlib.suppress(ValueError):
                self.keep_body(base64.b64decode(body))
        else:
            self.keep_body(body.encode(errors="surrogatepass"))

    def read(self, text: str, place: str, test: str = "") -> None:
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


WATCH = Watch()


class Plugin:
    """Passes secrets and output to WATCH, and fails the run if it finds a leak."""

    def __init__(self) -> None:
        self._faults: list[str] = []

    def pytest_configure(self) -> None:
        _around(
            "rest_sessions.store.sessions:SessionStore.create_session",
            _keep_data,
            lambda token: WATCH.keep("token", token),
        )
        _around("rest_sessions.store.sessions:SessionStore.set_session", _keep_data)
        _around("rest_sessions.access.registry:KeyRegistry.parse", WATCH.keep_registry)
        _around("rest_sessions.http.authorizer:authorize", lambda event, _: WATCH.keep_event(event))
        _around("rest_sessions.http.route:Route.__call__", lambda _, event, __: WATCH.keep_event(event), _read_response)
        _around("httpx:Client.send", _keep_request, _read_answer)
        _around("_pytest.capture:CaptureFixture.readouterr", None, lambda read: WATCH.read("".join(read), "log"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A test has three reports. The last one has the output of all three.
        if report.when == "teardown":
            WATCH.read("".join(text for _, text in report.sections), "log", report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._faults = WATCH.leaks()
        if exitstatus == pytest.ExitCode.OK and _is_of_all_tests(session):
            self._faults += [f"no {kind} was seen, so the watch is broken" for kind in KINDS if not WATCH.secrets[kind]]
            self._faults += [
                f"no {place} was seen, so the watch is broken" for place in PLACES if not WATCH.characters[place]
            ]
        if self._faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        places = ", ".join(f"{WATCH.characters[place]:,} of {place}" for place in PLACES)
        kinds = ", ".join(f"{WATCH.secrets[kind]:,} of {kind}" for kind in KINDS)
        terminalreporter.section("secrets in what was written", red=bool(self._faults), green=not self._faults)
        terminalreporter.line(f"searched {places} (characters) for {kinds}: {'FAILED' if self._faults else 'none'}")
        for fault in self._faults:
            terminalreporter.line(fault, red=True)


def _is_of_all_tests(session: pytest.Session) -> bool:
    folders = [session.config.rootpath / folder for folder in session.config.getini("testpaths")]
    modules = {module for folder in folders for module in folder.glob("test_*.py")}
    return not session.config.option.collectonly and modules <= {Path(item.path) for item in session.items}


def _around(name: str, before: Callable[..., object] | None, after: Callable[..., object] = lambda _: None) -> None:
    """Wraps the function of that name: `before` gets its arguments, and `after` its result."""
    owner_name, _, attribute = name.replace(":", ".").rpartition(".")
    owner = pkgutil.resolve_name(owner_name)
    function = getattr(owner, attribute)

    @functools.wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        if before:
            before(*args, **kwargs)
        result = function(*args, **kwargs)
        after(result)
        return result

    setattr(owner, attribute, staticmethod(around) if hasattr(function, "__self__") else around)


def _read_response(response: Mapping[str, Any]) -> None:
    if response["statusCode"] >= 400:
        WATCH.read(response["body"], "error body")


def _keep_data(*args: Any, data: Mapping[str, str | None] | None = None, **_: Any) -> None:
    for text in (data or (isinstance(args[-1], Mapping) and args[-1]) or {}).values():
        # JSON texts, but a test may pass any text.
        WATCH.keep("datum", (text or "").strip('"'))


def _keep_request(_: Any, request: Any, **__: Any) -> None:
    WATCH.keep_authorization(request.headers.get("authorization", ""))
    WATCH.keep_body(request.read())
    for token in _TOKEN_IN_PATH.findall(request.url.path):
        WATCH.keep("token", unquote(token))


def _read_answer(answer: Any) -> None:
    if answer.status_code >= 400:
        WATCH.read(answer.text, "error body")
    elif "/create/" in answer.request.url.path:
        WATCH.keep("token", answer.json().get("token", ""))
