"""On a schedule: removes the expired sessions of all apps, and counts the active users."""

from typing import Any

from rest_sessions.errors import StoreUnavailable, SweepIncomplete
from rest_sessions.runtime import open_store, report_failed_apps, report_unavailable
from rest_sessions.telemetry import count

# No batch starts when less time is left: the last batch and the count of active users must still fit.
_RESERVE_MILLISECONDS = 10_000
_ACTIVE_SECONDS = 300

_store = open_store()


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    try:
        expired = _store.sweep_expired(lambda: context.get_remaining_time_in_millis() > _RESERVE_MILLISECONDS)
        active = _store.count_active_users_of_all_apps(_ACTIVE_SECONDS)
    except StoreUnavailable as error:
        report_unavailable(error, function_request_id=context.aws_request_id)
        raise
    count("SessionsExpired", expired.total)
    count("ActiveUsers", active.total)
    if errors := {**active.errors, **expired.errors}:
        report_failed_apps(errors, function_request_id=context.aws_request_id)
        raise SweepIncomplete
    return {"expired": expired.total}
