"""Reading a secret of Secrets Manager, by Powertools and boto3, which Lambda brings."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config

from .errors import RegistryUnreadable

KEPT_SECONDS = 60

# API Gateway waits 10 seconds for an authorizer.
_CONNECT_TIMEOUT_SECONDS = 1
_READ_TIMEOUT_SECONDS = 2


def secret_reader(name: str) -> Callable[[], str]:
    """Gives the text of the secret `name`, kept for KEPT_SECONDS; "" for one that is not a text.

    What it gives raises RegistryUnreadable.
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
            value: Any = provider.get(name, max_age=KEPT_SECONDS)
        except GetParameterError as error:
            cause = error.__cause__ or error.__context__ or error
            # AWS's code, such as AccessDeniedException, where AWS has answered at all.
            raise RegistryUnreadable(
                getattr(cause, "response", {}).get("Error", {}).get("Code", type(cause).__name__)
            ) from error
        return value if isinstance(value, str) else ""

    return read
