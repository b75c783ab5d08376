"""Reads a secret of Secrets Manager with Powertools and with boto3, which Lambda provides."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config

from rest_sessions.errors import RegistryUnavailable

CACHE_SECONDS = 60

# API Gateway waits 10 seconds for an authorizer.
_CONNECT_TIMEOUT_SECONDS = 1
_READ_TIMEOUT_SECONDS = 2


def secret_reader(name: str) -> Callable[[], str]:
    """A function that returns the text of the secret `name`, or "" for a secret that is not text.

    It caches the text for CACHE_SECONDS and raises RegistryUnavailable when the secret cannot be read.
    """
    provider = SecretsProvider(
        boto_config=Config(
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=_READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 2},
        )
    )

    def read() -> str:
        try:
            value: Any = provider.get(name, max_age=CACHE_SECONDS)
        except GetParameterError as error:
            cause = error.__cause__ or error.__context__ or error
            # AWS's error code, such as AccessDeniedException, if AWS answered at all.
            raise RegistryUnavailable(
                getattr(cause, "response", {}).get("Error", {}).get("Code", type(cause).__name__)
            ) from error
        return value if isinstance(value, str) else ""

    return read
