"""Where the key registry comes from: a Secrets Manager secret, or for local work the environment."""

from collections.abc import Callable, Mapping

from .access import KeyRegistry
from .errors import ConfigurationError, RegistryUnreadable
from .telemetry import count, logger


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
                # Where the registry is in the environment, as in SAM's containers, there need be no boto3.
                from .secret import secret_reader  # noqa: PLC0415

                return cls(secret_reader(secret))
        raise ConfigurationError("API_KEYS_SECRET and API_KEYS must not both be set")

    def registry(self) -> KeyRegistry | None:
        """The registry as it is now; None when it is broken, which lets nobody in.

        While it cannot be read, it is what it was when it last could be. Raises RegistryUnreadable when it never could:
        API Gateway would keep a refusal, but not an error, beyond the fault.
        """
        try:
            text = self._fetch()
        except RegistryUnreadable as error:
            logger.error("The key registry cannot be read", extra={"reason": error.reason})
            count("KeyRegistryUnreadable")
            if self._text is None:
                raise
            return self._registry
        if text != self._text:
            self._text = text
            self._registry = self._parse(text)
        if self._registry is None:
            # Each time, as the alarm goes by it.
            count("KeyRegistryBroken")
        return self._registry

    @staticmethod
    def _parse(text: str) -> KeyRegistry | None:
        try:
            return KeyRegistry.parse(text)
        except ConfigurationError as error:
            logger.error("The key registry is broken and lets nobody in", extra={"reason": str(error)})
            return None
