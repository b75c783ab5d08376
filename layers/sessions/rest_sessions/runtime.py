"""The store of this process: opened while a function initialises, and reported when Redis is unavailable."""

import os
from functools import cache

from .connection.client import Client
from .deadline import deadline
from .errors import StoreUnavailable
from .settings import Settings
from .store.sessions import SessionStore
from .telemetry import count, logger

# A small part of the time that the first request has.
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
    store = SessionStore(Client(settings), settings.namespace)
    try:
        with deadline(FIRST_CONNECT_SECONDS):
            store.ping()
    except StoreUnavailable as error:
        report_unavailable(error)
    return store


def report_unavailable(error: StoreUnavailable, **log_fields: str) -> None:
    """Logs and counts that Redis did not serve a request; `log_fields` identify the request."""
    logger.error("The store is unavailable", extra={**log_fields, "reason": error.reason})
    count("StoreUnavailable")
