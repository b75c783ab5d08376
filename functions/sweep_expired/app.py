"""On a schedule: removes the sessions that expired, of all apps."""

from typing import Any

from rest_sessions.runtime import open_store
from rest_sessions.telemetry import count

# What one batch and the end of the run may take at most.
_RESERVE_MILLISECONDS = 10_000

_store = open_store()


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    expired = _store.sweep_expired(lambda: context.get_remaining_time_in_millis() > _RESERVE_MILLISECONDS)
    count("SessionsExpired", expired)
    return {"expired": expired}
