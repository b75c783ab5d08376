"""Sends each sample event with `sam local invoke`, as the README shows."""

import json
import subprocess
from pathlib import Path

import pytest

from dev.containers import SAM, Stack
from tests.cases import CASES
from tests.events import EVENTS, logical_id
from tests.leaks import SCANNER

ROOT = Path(__file__).parents[2]


def invoke(local: Stack, name: str) -> dict:
    command = [SAM, "local", "invoke", logical_id(name), "--event", f"events/{name}.json", *local.options()]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    # stderr has the function's output, and stdout its answer.
    SCANNER.add_event(EVENTS[name])
    SCANNER.add_output(result.stderr, "process")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def empty(local: Stack) -> Stack:
    """The stack without sessions in the app of the sample events."""
    invoke(local, "kill_sessions_of_app")
    return local


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.on_empty is not None])
def test_event_of_a_route(empty, name) -> None:
    answer = invoke(empty, name)
    assert (answer["statusCode"], answer["body"]) == (200, CASES[name].on_empty)


def test_event_of_create(local) -> None:
    assert len(json.loads(invoke(local, "create_session")["body"])["token"]) == 64


def test_event_of_the_sweep(local) -> None:
    assert invoke(local, "sweep_expired") == {"expired": 0}


def test_event_of_the_authorizer(local) -> None:
    # The sample's key is not in the registry.
    assert invoke(local, "authorize") == {"isAuthorized": False}


def test_event_of_the_console(local) -> None:
    rights = EVENTS["console"]["requestContext"]["authorizer"]["lambda"]
    answer = json.loads(invoke(local, "console")["body"])
    assert answer == {**rights, "apps": [rights["apps"]], "allow": rights["allow"].split(",")}


def test_every_event_has_a_test() -> None:
    assert set(EVENTS) == {*CASES, "sweep_expired", "authorize", "console"}
