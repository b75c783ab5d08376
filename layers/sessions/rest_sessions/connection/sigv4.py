"""Tokens that sign an IAM user in to ElastiCache, made by Signature Version 4 (query string).

https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

botocore can sign too, but takes longer to import than everything else in a function.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from rest_sessions.errors import ConfigurationError

# How long ElastiCache accepts a token. Each new connection signs a new one.
TOKEN_SECONDS = 900

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "elasticache"
_HASH_OF_NO_BODY = hashlib.sha256(b"").hexdigest()
_SERVERLESS = "serverlesscache"

_CREDENTIALS_TIMEOUT_SECONDS = 1.0
# The container's credentials are renewed this long before they expire.
_RENEW_SECONDS = 300.0


@dataclass(frozen=True)
class AwsCredentials:
    """Credentials of a role. `expires_at` is in seconds since the epoch, None if they outlive the process."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float | None = None


class TokenSigner:
    """Signs tokens for `user` of `cache`, which is `serverlesscache:NAME` or `replicationgroup:NAME`.

    The credentials come from Lambda's environment variables, or with SnapStart from its container endpoint.
    """

    def __init__(
        self, cache: str, user: str, environment: Mapping[str, str], clock: Callable[[], float] = time.time
    ) -> None:
        self._cache = cache
        self._user = user
        self._environment = environment
        self._clock = clock
        self._credentials: AwsCredentials | None = None

    def sign(self) -> str:
        """A token that is valid for TOKEN_SECONDS.

        Raises OSError when the container endpoint sends no credentials. Raises ConfigurationError when the environment
        has no region, or neither credentials nor that endpoint.
        """
        now = self._clock()
        known = self._credentials
        if known is None or (known.expires_at is not None and now > known.expires_at - _RENEW_SECONDS):
            self._credentials = known = load_credentials(self._environment)
        region = self._environment.get("AWS_REGION", "")
        if not region:
            raise ConfigurationError("AWS_REGION must be set")
        return connect_token(known, cache=self._cache, user=self._user, region=region, now=now)


def load_credentials(environment: Mapping[str, str]) -> AwsCredentials:
    """The credentials of a Lambda function.

    Raises ConfigurationError when the environment has neither credentials nor the container endpoint, and OSError when
    that endpoint sends none.
    """
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        return AwsCredentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    url = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not url:
        raise ConfigurationError("There are no AWS credentials in the environment")
    return _fetch_credentials(url, environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""))


def _fetch_credentials(url: str, authorization: str) -> AwsCredentials:
    # Only functions with SnapStart need it.
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415

    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_CREDENTIALS_TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path, headers={"Authorization": authorization})
        answer = connection.getresponse()
        if answer.status != 200:  # noqa: PLR2004
            raise OSError(f"The endpoint of the container's credentials answered {answer.status}")
        document = json.loads(answer.read())
        return AwsCredentials(
            _text(document["AccessKeyId"]),
            _text(document["SecretAccessKey"]),
            _text(document["Token"]),
            datetime.fromisoformat(document["Expiration"]).timestamp(),
        )
    except (HTTPException, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        # The error's text may quote what the endpoint has sent.
        raise OSError(f"The endpoint of the container's credentials sent none ({type(error).__name__})") from None
    finally:
        connection.close()


def _text(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("not a text")


def connect_token(credentials: AwsCredentials, *, cache: str, user: str, region: str, now: float) -> str:
    """The password for ElastiCache: a presigned `GET` of the action `connect`, without the scheme. `now` in seconds."""
    kind, _, name = cache.partition(":")
    time_stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time_stamp[:8]}/{region}/{_SERVICE}/aws4_request"
    parameters = {
        "Action": "connect",
        "User": user,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": time_stamp,
        "X-Amz-Expires": str(TOKEN_SECONDS),
        "X-Amz-SignedHeaders": "host",
    }
    if kind == _SERVERLESS:
        parameters["ResourceType"] = "ServerlessCache"
    if credentials.session_token:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    query = urlencode(sorted(parameters.items()), quote_via=quote, safe="-_.~")
    request = "\n".join(["GET", "/", query, f"host:{name}", "", "host", _HASH_OF_NO_BODY])
    to_sign = "\n".join([_ALGORITHM, time_stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return f"{name}/?{query}&X-Amz-Signature={_hmac(key, to_sign).hex()}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
