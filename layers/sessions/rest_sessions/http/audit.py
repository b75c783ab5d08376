"""The audit log: who did what, or was refused, in which app."""

from rest_sessions.limits import APP
from rest_sessions.telemetry import logger


def write_audit_log(outcome: str, *, key_name: str, operation: str, app: str, **log_fields: str) -> None:
    """Writes one line. `log_fields` identify the request.

    `outcome` is `done`, the name of an error, or `unknownKey` if the authorizer does not know the key.
    """
    # A text that is not the name of an app could be anything, and stays out of the log.
    details = {
        "key_name": key_name,
        "operation": operation,
        "app": app if APP.fullmatch(app) else "",
        "outcome": outcome,
    }
    logger.info("Access", extra={**details, **log_fields})
