"""What a function does once, while it initialises."""

import os
from functools import cache

from .client import Client
from .errors import StoreUnavailable
from .settings import Settings
from .store import SessionStore
from .telemetry import logger


def load_settings() -> Settings:
    """The settings of this process's environment. Raises ConfigurationError."""
    return Settings.from_environment(os.environ)


@cache
def open_store() -> SessionStore:
    """The store of this process's environment, connected when Redis is there, so that the first request need not."""
    settings = load_settings()
    store = SessionStore(Client(settings), settings.namespace)
    try:
        store.ping()
    except StoreUnavailable as error:
        logger.warning("The store is unavailable at start", extra={"reason": error.reason})
    return store
