"""What every function does: opening the store while it initialises, and telling when that is away."""

import os
from functools import cache

from .client import Client
from .errors import StoreUnavailable
from .settings import Settings
from .store import SessionStore
from .telemetry import count, logger
from .time_limit import time_limit

FIRST_CONNECT_SECONDS = 1.0


def load_settings() -> Settings:
    """The settings of this process's environment. Raises ConfigurationError."""
    return Settings.from_environment(os.environ)


@cache
def open_store() -> SessionStore:
    """The store of this process's environment, connected when Redis is there, so that the first request need not."""
    settings = load_settings()
    store = SessionStore(Client(settings), settings.namespace)
    try:
        # Little of the time of a request that waits for this.
        with time_limit(FIRST_CONNECT_SECONDS):
            store.ping()
    except StoreUnavailable as error:
        report_unavailable(error)
    return store


def report_unavailable(error: StoreUnavailable, **ids: str) -> None:
    """Logs and counts that Redis did not serve, with the `ids` of the request."""
    logger.error("The store is unavailable", extra={**ids, "reason": error.reason})
    count("StoreUnavailable")
