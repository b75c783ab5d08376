"""How a connection signs in to Redis: with a password, by IAM, or as the URL says."""

import os
from typing import Any

from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError

from rest_sessions.settings import Settings

from .sigv4 import TokenSigner


def sign_in_options(settings: Settings) -> dict[str, Any]:
    """redis-py's options for the user in `settings`."""
    if settings.redis_iam_cache:
        return {"credential_provider": IamCredentials(settings.redis_user, settings.redis_iam_cache)}
    parts = {"username": settings.redis_user, "password": settings.redis_password}
    return {name: value for name, value in parts.items() if value}


class IamCredentials(CredentialProvider):
    """Credentials of an IAM user of ElastiCache. redis-py asks for them at each new connection: no token is renewed."""

    def __init__(self, user: str, cache: str) -> None:
        self._user = user
        self._signer = TokenSigner(cache, user, os.environ)

    def get_credentials(self) -> tuple[str, str]:
        """The user and a new token. Raises ConnectionError when the AWS credentials cannot be fetched."""
        try:
            return self._user, self._signer.sign()
        except OSError as error:
            raise ConnectionError(f"No AWS credentials: {error}") from error
