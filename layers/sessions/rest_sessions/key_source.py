"""Where the key registry comes from: a Secrets Manager secret, or for local work the environment."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config

from .access import KeyRegistry
from .errors import ConfigurationError
from .telemetry import count, logger

KEPT_SECONDS = 60

# API Gateway waits 10 seconds for an authorizer.
_CONNECT_TIMEOUT_SECONDS = 1
_READ_TIMEOUT_SECONDS = 2


class KeySource:
    """The registry that `fetch` gives as JSON text, read again at each use; `fetch` does the keeping."""

    def __init__(self, fetch: Callable[[], str]) -> None:
        self._fetch = fetch
        self._text: str | None = None
        self._registry: KeyRegistry | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "KeySource":
        """From the secret that `API_KEYS_SECRET` names, or from `API_KEYS`, the document itself.

        Raises ConfigurationError unless just one of them is set.
        """
        match environment.get("API_KEYS_SECRET", ""), environment.get("API_KEYS", ""):
            case ("", ""):
                raise ConfigurationError("API_KEYS_SECRET, or for local work API_KEYS, must be set")
            case ("", document):
                return cls(lambda: document)
            case (secret, ""):
                return cls(_secret_reader(secret))
        raise ConfigurationError("API_KEYS_SECRET and API_KEYS must not both be set")

    def registry(self) -> KeyRegistry | None:
        """The registry as it is now; None when it is broken, which lets nobody in.

        While it cannot be read, it is what it was when it last could be.
        """
        try:
            text = self._fetch()
        except GetParameterError as error:
            cause = error.__cause__ or error.__context__ or error
            # AWS's code, such as AccessDeniedException, where AWS has answered at all.
            code = getattr(cause, "response", {}).get("Error", {}).get("Code", type(cause).__name__)
            logger.error("The key registry cannot be read", extra={"reason": code})
            count("KeyRegistryUnreadable")
            return self._registry
        if text != self._text:
            self._text = text
            self._registry = self._parse(text)
        return self._registry

    @staticmethod
    def _parse(text: str) -> KeyRegistry | None:
        try:
            return KeyRegistry.parse(text)
        except ConfigurationError as error:
            logger.error("The key registry is broken and lets nobody in", extra={"reason": str(error)})
            count("KeyRegistryBroken")
            return None


def _secret_reader(name: str) -> Callable[[], str]:
    provider = SecretsProvider(
        boto_config=Config(
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=_READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 2},
        )
    )

    def read() -> str:
        value: Any = provider.get(name, max_age=KEPT_SECONDS)
        return value if isinstance(value, str) else ""

    return read
