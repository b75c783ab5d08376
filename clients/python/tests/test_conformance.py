"""The cases in clients/conformance, which all clients pass."""

import contextlib
import functools
import inspect
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from rest_sessions_client import AsyncClient, Client, RestSessionsError
from rest_sessions_client.calls import Calls
from tests.conftest import ROOT, running_service

CONFORMANCE = json.loads((ROOT / "clients/conformance/cases.json").read_text(encoding="utf-8"))
OPENAPI = (ROOT / "docs/openapi.yaml").read_text(encoding="utf-8")
KEYS = {entry["name"]: entry["key"] for entry in CONFORMANCE["registry"]["keys"]}
NOTHING_LISTENS = "http://127.0.0.1:9"
# Names that Python reserves.
ARGUMENTS = {"from": "from_", "except": "except_"}
MEMBERS = {"from_": "from"}
FORMS = {"token": r"Z[A-Za-z0-9]{63}", "handle": r"[A-Za-z0-9]{22}"}
SECONDS = [0, 60]
# The service is set up otherwise, or fails, or the client sends what it must not.
ERRORS_WITHOUT_CASES = {"notFound", "storeUnavailable", "internalError", "unsupportedMediaType", "invalidJson"}


def all_cases() -> Iterator[Any]:
    for case in CONFORMANCE["cases"]:
        for place, item in enumerate(case.get("each", [None])):
            yield pytest.param(case, item, id=case["name"] + (f" {place}" if "each" in case else ""))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_service(AUTH="1", API_KEYS=json.dumps(CONFORMANCE["registry"])) as service:
        yield service.url


@pytest.mark.parametrize(("kind", "backend"), [(Client, "asyncio"), (AsyncClient, "asyncio"), (AsyncClient, "trio")])
@pytest.mark.parametrize(("case", "item"), list(all_cases()))
def test_case(case: dict, item: Any, kind: type[Client | AsyncClient], backend: str, url: str) -> None:
    anyio.run(run_case, case, item, kind, NOTHING_LISTENS if case.get("offline") else url, backend=backend)


async def run_case(case: dict, item: Any, kind: type[Client | AsyncClient], url: str) -> None:
    name = f"case-{uuid.uuid4().hex[:12]}"
    names = {"app": name, "other": f"{name}-2"}
    names["each"] = resolved(item, names)
    async with contextlib.AsyncExitStack() as stack:

        @functools.cache
        def client_of(app: str, key: str | None) -> Client | AsyncClient:
            client = kind(url, names[app], KEYS.get(key, key), timeout=20)
            if isinstance(client, AsyncClient):
                stack.push_async_callback(client.aclose)
            else:
                stack.callback(client.close)
            return client

        for step in case["steps"]:
            client = client_of(step.get("in", "app"), step.get("key", "all"))
            await run_step(step, client, names)


async def run_step(step: dict, client: Client | AsyncClient, names: dict) -> None:
    arguments = resolved(step["with"], names)
    arguments |= arguments.pop("+", {})
    answer = error = None
    try:
        answer = plain(await called(client, step["do"], arguments))
    except RestSessionsError as raised:
        error = raised
    if "raises" in step:
        assert error is not None, f"{step}\nreturned {answer}"
        assert (error.name, error.status) == (step["raises"].get("name", error.name), step["raises"]["status"]), step
        return
    assert error is None, f"{step}\nraised {error!r}"
    if "as" in step:
        names[step["as"]] = answer
    if "returns" in step:
        expected = resolved(step["returns"], names)
        if step["do"] == "apps":
            answer = [app for app in answer if app["app"] in (names["app"], names["other"])]
        assert is_match(expected, answer), f"{step}\nexpected {expected}\nreturned {answer}"


async def called(client: Client | AsyncClient, operation: str, arguments: dict) -> Any:
    """The result of a call, for a listing all of it."""
    arguments = {ARGUMENTS.get(name, name): value for name, value in arguments.items()}
    if operation == "update":
        changes = arguments.pop("data")
        arguments["change"] = lambda _: changes
    result = getattr(client, operation)(**arguments)
    if hasattr(result, "__aiter__"):
        return [item async for item in result]
    if hasattr(result, "__await__"):
        return await result
    return list(result) if isinstance(result, Iterator) else result


def plain(result: Any) -> Any:
    """A result in the form of the cases."""
    if isinstance(result, list):
        return sorted(map(plain, result), key=lambda item: item.get("ip") or item["app"])
    if not hasattr(result, "__dataclass_fields__"):
        return result
    members = {MEMBERS.get(name, name): value for name, value in vars(result).items()}
    if members.get("data") == {}:
        del members["data"]
    return {name: value for name, value in members.items() if value is not None and value is not False}


def resolved(given: Any, names: dict) -> Any:
    """What is given, with values in place of names and repetitions."""
    match given:
        case {"$": str(path), **others} if not others:
            name, *members = path.split(".")
            value = names[name]
            for member in members:
                value = value[int(member) if isinstance(value, list) else member]
            return value
        case {"$repeat": [text, times], **others} if not others:
            return text * times
        case dict():
            return {key: resolved(value, names) for key, value in given.items()}
        case list():
            return [resolved(value, names) for value in given]
    return given


def is_match(expected: Any, answer: Any) -> bool:
    """Whether an answer is the expected one, in which there may be placeholders."""
    match expected:
        case {"$any": ("token" | "handle") as form, **others} if not others:
            return isinstance(answer, str) and re.fullmatch(FORMS[form], answer) is not None
        case {"$any": limits, **others} if not others:
            least, most = SECONDS if limits == "seconds" else limits
            return type(answer) is int and least <= answer <= most
        case dict():
            return (
                isinstance(answer, dict)
                and expected.keys() == answer.keys()
                and all(is_match(value, answer[key]) for key, value in expected.items())
            )
        case list():
            return isinstance(answer, list) and len(expected) == len(answer) and all(map(is_match, expected, answer))
    return type(expected) is type(answer) and expected == answer


def all_steps() -> Iterator[dict]:
    """The steps of all cases, each with all its arguments."""
    for case in CONFORMANCE["cases"]:
        for item in case.get("each", [None]):
            for step in case["steps"]:
                arguments = item if step["with"] == {"$": "each"} else dict(step["with"])
                yield step | {"with": arguments | (item if arguments.pop("+", None) else {})}


def test_the_cases_use_all_operations_and_parameters() -> None:
    taken = {
        (operation, name.rstrip("_"))
        for operation, method in vars(Calls).items()
        if not operation.startswith("_")
        for name in inspect.signature(method).parameters
        # A listing passes the cursor itself, and a case has what the function of `update` returns.
        if name not in ("self", "cursor", "change")
    }
    assert {(step["do"], name) for step in all_steps() for name in step["with"]} == taken | {("update", "data")}
    assert {step["do"] for step in all_steps()} == {name for name in vars(Calls) if not name.startswith("_")}


def test_the_cases_cause_all_errors() -> None:
    declared = set(re.findall(r"\w+", " ".join(re.findall(r"name: \{(?:enum|const): (.*)\}", OPENAPI))))
    caused = {step["raises"].get("name") for step in all_steps() if "raises" in step} - {None}
    assert caused == declared - ERRORS_WITHOUT_CASES


def test_the_cases_have_different_names() -> None:
    names = [case["name"] for case in CONFORMANCE["cases"]]
    assert len(set(names)) == len(names)
