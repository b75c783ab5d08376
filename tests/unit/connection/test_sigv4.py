"""Tokens for ElastiCache's IAM users, compared with botocore's signature."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from rest_sessions.connection.sigv4 import TOKEN_SECONDS, AwsCredentials, TokenSigner, connect_token
from rest_sessions.errors import ConfigurationError

NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC).timestamp()
KEYS = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "token/with+signs==",
}
CACHE = "serverlesscache:sessions"


def token_by_botocore(credentials, cache, user, region, now):
    kind, _, name = cache.partition(":")
    parameters = {"Action": "connect", "User": user}
    if kind == "serverlesscache":
        parameters["ResourceType"] = "ServerlessCache"
    request = AWSRequest("GET", f"http://{name}/", params=parameters)
    keys = Credentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(now, UTC)):
        SigV4QueryAuth(keys, "elasticache", region, expires=TOKEN_SECONDS).add_auth(request)
    return request.url.removeprefix("http://")


def parts(token):
    """The address and the parameters of a token. They are sorted, because the signature ignores their order."""
    address, _, query = token.partition("?")
    return address, sorted(query.split("&"))


keys = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+=", min_size=1)
names = st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True)


@given(
    credentials=st.builds(AwsCredentials, keys, keys, st.just("") | keys),
    kind=st.sampled_from(["serverlesscache", "replicationgroup"]),
    cache=names,
    user=names,
    region=st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
    now=st.integers(0, 4_000_000_000),
)
def test_a_token_has_botocores_signature(credentials, kind, cache, user, region, now):
    name = f"{kind}:{cache}"
    token = connect_token(credentials, cache=name, user=user, region=region, now=now)
    assert parts(token) == parts(token_by_botocore(credentials, name, user, region, now))


def test_a_token_uses_the_key_variables_of_lambda():
    token = TokenSigner(CACHE, "app", KEYS, lambda: NOW).sign()
    credentials = AwsCredentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], KEYS["AWS_SESSION_TOKEN"])
    assert parts(token) == parts(token_by_botocore(credentials, CACHE, "app", KEYS["AWS_REGION"], NOW))
    assert token.startswith("sessions/?")


def test_each_token_is_new():
    times = iter([NOW, NOW + 60])
    signer = TokenSigner(CACHE, "app", KEYS, lambda: next(times))
    assert "X-Amz-Date=20260115T093000Z" in signer.sign()
    assert "X-Amz-Date=20260115T093100Z" in signer.sign()


class Endpoint:
    """The endpoint for container credentials, which SnapStart uses instead of variables."""

    authorization = "an-authorization-token"

    def __init__(self):
        self.requests = 0
        self.status = 200
        self.body = None
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                assert self.headers["Authorization"] == endpoint.authorization
                endpoint.requests += 1
                expires = datetime.fromtimestamp(NOW + 3600 * endpoint.requests, UTC)
                body = {
                    "AccessKeyId": f"AKID{endpoint.requests}",
                    "SecretAccessKey": "secret",
                    "Token": "session",
                    "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
                self.send_response(endpoint.status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode() if endpoint.body is None else endpoint.body)

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.environment = {
            "AWS_REGION": "us-east-1",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.server.server_port}/v2/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.authorization,
        }


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever)
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    thread.join()
    endpoint.server.server_close()


def test_tokens_use_container_credentials_which_are_renewed_in_time(endpoint):
    now = [NOW]
    signer = TokenSigner(CACHE, "app", endpoint.environment, lambda: now[0])
    assert "X-Amz-Credential=AKID1%2F" in signer.sign()
    now[0] = NOW + 3600 - 301
    assert "X-Amz-Credential=AKID1%2F" in signer.sign()
    now[0] = NOW + 3600 - 299
    assert "X-Amz-Credential=AKID2%2F" in signer.sign()
    assert endpoint.requests == 2


def test_there_is_no_token_while_the_endpoint_fails(endpoint):
    endpoint.status = 500
    signer = TokenSigner(CACHE, "app", endpoint.environment, lambda: NOW)
    with pytest.raises(OSError, match="answered 500"):
        signer.sign()
    endpoint.status = 200
    assert signer.sign()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hunter2",
        b"[]",
        b"null",
        b"{}",
        b'{"AccessKeyId": "hunter2", "SecretAccessKey": "hunter2", "Expiration": "2026-01-01T00:00:00Z"}',
        b'{"AccessKeyId": "A", "SecretAccessKey": "hunter2", "Token": "T", "Expiration": "hunter2"}',
        b'{"AccessKeyId": "A", "SecretAccessKey": "hunter2", "Token": "T", "Expiration": 5}',
        b"\xff",
        b"[" * 100_000,
        b'{"AccessKeyId": null, "SecretAccessKey": null, "Token": null, "Expiration": "2030-01-01T00:00:00Z"}',
        b'{"AccessKeyId": "", "SecretAccessKey": "hunter2", "Token": "T", "Expiration": "2030-01-01T00:00:00Z"}',
    ],
    ids=ascii,
)
def test_no_token_is_signed_if_the_endpoint_sends_no_credentials(endpoint, body):
    endpoint.body = body
    signer = TokenSigner(CACHE, "app", endpoint.environment, lambda: NOW)
    with pytest.raises(OSError, match="sent none") as raised:
        signer.sign()
    assert "hunter2" not in str(raised.value)
    endpoint.body = None
    assert signer.sign()


def test_there_is_no_token_while_the_endpoint_is_unreachable(endpoint):
    environment = {**endpoint.environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/v2/credentials"}
    with pytest.raises(OSError, match="refused"):
        TokenSigner(CACHE, "app", environment, lambda: NOW).sign()


@pytest.mark.parametrize(
    ("environment", "message"),
    [({}, "There are no AWS credentials"), ({**KEYS, "AWS_REGION": ""}, "AWS_REGION must be set")],
    ids=["no-credentials", "no-region"],
)
def test_a_token_needs_credentials_and_a_region(environment, message):
    with pytest.raises(ConfigurationError, match=message):
        TokenSigner(CACHE, "app", environment, lambda: NOW).sign()


def test_credentials_do_not_show_their_secrets():
    shown = repr(AwsCredentials("AKID", "secret-key", "session-token"))
    assert "secret-key" not in shown
    assert "session-token" not in shown
