"""What the client must not do: leave files open, show tokens in a traceback, end more than it was told."""

import asyncio
import gc
import traceback
from pathlib import Path

import pytest

from rest_sessions_client import AsyncClient, Client
from rest_sessions_client.errors import InvalidFormat, NoAnswer
from tests.conftest import Service

FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not FILES.is_dir(), reason="this system does not list a process's open files there")
def test_event_loops_that_ended_leave_no_connection(service: Service, app: str) -> None:
    client = AsyncClient(service.url, app, service.key)
    asyncio.run(client.activity(60))
    gc.collect()
    before = len(list(FILES.iterdir()))
    for _ in range(20):
        asyncio.run(client.activity(60))
    gc.collect()
    assert len(list(FILES.iterdir())) <= before + 1


def test_a_traceback_does_not_go_into_the_steps_where_the_path_is() -> None:
    with pytest.raises(NoAnswer) as caught:
        Client("http://127.0.0.1:1", "webapp").get("x" * 64)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.name for frame in frames if "rest_sessions_client" in frame.filename] == ["call", "run"]


def test_a_missing_handle_ends_nothing(client: Client) -> None:
    client.create("peter", ip="192.0.2.7")
    for devices in ({"handle": None}, {"except_": None}):
        with pytest.raises(InvalidFormat):
            client.killsoid("peter", **devices)
    assert len(list(client.soid("peter"))) == 1
