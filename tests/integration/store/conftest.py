from typing import Any

import pytest

from rest_sessions.connection.commands import Command
from rest_sessions.store.sessions import SessionStore


@pytest.fixture
def batches(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Command, ...]]:
    """The commands that `store` sends, one batch for each round trip."""
    run = store._client.run
    sent: list[tuple[Command, ...]] = []

    def watched(*commands: Command, **options: Any) -> list[Any]:
        sent.append(commands)
        return run(*commands, **options)

    monkeypatch.setattr(store._client, "run", watched)
    return sent
