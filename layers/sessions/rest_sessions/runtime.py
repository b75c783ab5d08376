"""Opens the store of this process while a function initialises, and reports when Redis or the sweep fails."""

import os
from collections.abc import Mapping
from functools import cache

from .connection.client import Client
from .deadline import deadline
from .errors import StoreUnavailable
from .settings import Settings
from .store.sessions import SessionStore
from .telemetry import count, error_fields, logger

# The first request may wait for Redis this long in addition to its REQUEST_SECONDS.
FIRST_CONNECT_SECONDS = 1.0


def load_settings() -> Settings:
    """The settings in this process's environment. Raises ConfigurationError."""
    return Settings.from_environment(os.environ)


@cache
def open_store() -> SessionStore:
    """The store that this process's environment describes.

    It connects now, so that the first request need not. While Redis is unavailable it connects later.
    Raises ConfigurationError.
    """
    settings = load_settings()
    client = Client(settings)
    store = SessionStore(client, settings.namespace)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        _reconnect_after_restore(client, store)
    _connect(store)
    return store


def _connect(store: SessionStore) -> None:
    try:
        with deadline(FIRST_CONNECT_SECONDS):
            store.ping()
    except StoreUnavailable as error:
        report_unavailable(error)


def _reconnect_after_restore(client: Client, store: SessionStore) -> None:
    """A function that Lambda restores from a snapshot would have connections whose peers are gone.

    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
    """
    # Only Lambda's runtime has this module.
    from snapshot_restore_py import register_after_restore, register_before_snapshot  # noqa: PLC0415

    register_before_snapshot(client.disconnect)
    register_after_restore(_connect, store)


def report_failed_apps(errors: Mapping[str, Exception], **log_fields: str) -> None:
    """Logs each app for which the sweep failed, with its error; `log_fields` identify the run."""
    for app, error in errors.items():
        logger.error("The sweep failed for an app", extra={**log_fields, "app": app, **error_fields(error)})


def report_unavailable(error: StoreUnavailable, **log_fields: str) -> None:
    """Logs and counts that Redis did not serve a request; `log_fields` identify the request."""
    logger.error("The store is unavailable", extra={**log_fields, "reason": error.reason})
    count("StoreUnavailable")
