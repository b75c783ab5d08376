"""The settings, read from the environment while a function initialises."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from .errors import ConfigurationError

_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_IAM_CACHE = re.compile(r"(serverlesscache|replicationgroup):[a-z][a-z0-9-]{0,39}")

_URL_FORM = "redis://HOST:PORT or, with TLS, rediss://HOST:PORT; USER:PASSWORD@, percent-encoded, may come before HOST"
_HOST = re.compile(r"(?!.*\.\.)[A-Za-z0-9._:%-]{1,253}")
_DATABASE = re.compile(r"(/([0-9]|1[0-5])?)?")
_TLS_OPTIONS = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}


@dataclass(frozen=True)
class Settings:
    """The settings of one deployment.

    `namespace` is the first part of every Redis key.
    `missing_session_is_error` decides whether a missing session is a 404 instead of `{}`.
    `auth_mode` is `token` (the Lambda authorizer identifies the principal), `iam` (API Gateway does), or `none` (nobody
    does, and every route is open).
    `redis_user` and `redis_password` take precedence over those in the URL, unless they are empty.
    `redis_iam_cache` is set if `redis_user` signs in by IAM: `serverlesscache:NAME` or `replicationgroup:NAME`, as in
    the cache's ARN.
    """

    # It may hold a password.
    redis_url: str = field(repr=False)
    redis_cluster: bool
    namespace: str
    missing_session_is_error: bool
    auth_mode: str = "token"
    redis_user: str = ""
    redis_password: str = field(default="", repr=False)
    redis_iam_cache: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads each setting from the variable of the same name in capitals.

        `missing_session_is_error` comes from `MISSING_SESSION`, which is `empty` or `404`.
        Raises ConfigurationError for a setting that is missing or wrong.
        """
        redis_url = environment.get("REDIS_URL", "")
        redis_cluster = _choice(environment, "REDIS_CLUSTER", "0", "1") == "1"
        _check_redis_url(redis_url, is_cluster=redis_cluster)
        namespace = environment.get("NAMESPACE", "") or "rs"
        if not _NAMESPACE.fullmatch(namespace):
            raise ConfigurationError("NAMESPACE must be 1 to 64 of A-Z a-z 0-9 _ . : -")
        redis_user = environment.get("REDIS_USER", "")
        redis_password = environment.get("REDIS_PASSWORD", "")
        redis_iam_cache = environment.get("REDIS_IAM_CACHE", "")
        if redis_iam_cache:
            if not _IAM_CACHE.fullmatch(redis_iam_cache):
                raise ConfigurationError("REDIS_IAM_CACHE must be serverlesscache:NAME or replicationgroup:NAME")
            if not redis_user or redis_password:
                raise ConfigurationError("With REDIS_IAM_CACHE, REDIS_USER must be set and REDIS_PASSWORD must not")
            if not redis_url.startswith("rediss://"):
                raise ConfigurationError("REDIS_IAM_CACHE needs a REDIS_URL with TLS, rediss://…")
        return cls(
            redis_url=redis_url,
            redis_cluster=redis_cluster,
            namespace=namespace,
            missing_session_is_error=_choice(environment, "MISSING_SESSION", "empty", "404") == "404",
            auth_mode=_choice(environment, "AUTH_MODE", "token", "iam", "none"),
            redis_user=redis_user,
            redis_password=redis_password,
            redis_iam_cache=redis_iam_cache,
        )


def _check_redis_url(url: str, *, is_cluster: bool) -> None:
    if not url:
        raise ConfigurationError(f"REDIS_URL must be set, to {_URL_FORM}")
    try:
        parts = urlsplit(url)
        # urlsplit checks the port only when it is read.
        has_address = bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        has_address = False
    if not url.startswith(("redis://", "rediss://")) or not has_address or parts.fragment:
        raise ConfigurationError(f"REDIS_URL must have the form {_URL_FORM}")
    if not _DATABASE.fullmatch(parts.path):
        raise ConfigurationError("REDIS_URL may end with a database from /0 to /15, and with no other path")
    if is_cluster and parts.path not in ("", "/", "/0"):
        raise ConfigurationError("REDIS_URL must not name a database with REDIS_CLUSTER=1: a cluster has only one")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options and (parts.scheme != "rediss" or not options.keys() <= _TLS_OPTIONS):
        raise ConfigurationError(
            f"REDIS_URL may have only these options, and only with rediss://: {', '.join(sorted(_TLS_OPTIONS))}"
        )
    if options.get("ssl_cert_reqs", "required") not in ("none", "optional", "required"):
        raise ConfigurationError("REDIS_URL's option ssl_cert_reqs must be none, optional or required")


def _choice(environment: Mapping[str, str], name: str, *choices: str) -> str:
    value = environment.get(name, "") or choices[0]
    if value not in choices:
        raise ConfigurationError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}")
    return value
