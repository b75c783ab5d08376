"""Where the key registry is stored: in a Secrets Manager secret, or in the environment for local work."""

from collections.abc import Callable, Mapping

from rest_sessions.errors import ConfigurationError, RegistryUnavailable
from rest_sessions.telemetry import count, logger

from .registry import KeyRegistry


class KeySource:
    """The registry in the JSON text that `fetch` returns.

    Each call of `registry` calls `fetch`, and parses the text only if it has changed. Caching is up to `fetch`.
    """

    def __init__(self, fetch: Callable[[], str]) -> None:
        self._fetch = fetch
        self._text: str | None = None
        self._registry: KeyRegistry | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "KeySource":
        """The source that the environment names.

        That is the secret `API_KEYS_SECRET`, or the document itself in `API_KEYS`.
        Raises ConfigurationError unless exactly one of them is set.
        """
        match environment.get("API_KEYS_SECRET", ""), environment.get("API_KEYS", ""):
            case ("", ""):
                raise ConfigurationError("API_KEYS_SECRET, or for local work API_KEYS, must be set")
            case ("", document):
                return cls(lambda: document)
            case (secret, ""):
                # boto3 is slow to import, and SAM's containers, where the registry is in the environment, may lack it.
                from .secrets_manager import secret_reader  # noqa: PLC0415

                return cls(secret_reader(secret))
        raise ConfigurationError("API_KEYS_SECRET and API_KEYS must not both be set")

    def registry(self) -> KeyRegistry:
        """Returns the current registry. While the document cannot be read, the last one that was read counts.

        Raises RegistryUnavailable when that one is broken, or when none has been read yet.
        """
        try:
            text = self._fetch()
        except RegistryUnavailable as error:
            logger.error("The key registry cannot be read", extra={"reason": error.reason})
            count("KeyRegistryUnreadable")
            if self._text is None:
                raise
        else:
            if text != self._text:
                self._text = text
                self._registry = self._parse(text)
        if self._registry is None:
            # Counted for each call of the authorizer, so that the alarm stays on until the document is mended.
            count("KeyRegistryBroken")
            raise RegistryUnavailable("it is broken")
        return self._registry

    @staticmethod
    def _parse(text: str) -> KeyRegistry | None:
        try:
            return KeyRegistry.parse(text)
        except ConfigurationError as error:
            logger.error("The key registry is broken, so no key can be checked", extra={"reason": str(error)})
            return None
