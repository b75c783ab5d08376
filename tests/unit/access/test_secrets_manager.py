"""Reading a secret from Secrets Manager, simulated by moto."""

import boto3
import pytest

from rest_sessions.access.secrets_manager import CACHE_SECONDS, secret_reader
from rest_sessions.errors import RegistryUnavailable

SECRET = "rest-sessions/keys"


def test_reads_the_text(secrets):
    secrets.create_secret(Name=SECRET, SecretString="a text")
    assert secret_reader(SECRET)() == "a text"


def test_reads_a_binary_secret_as_an_empty_text(secrets):
    secrets.create_secret(Name=SECRET, SecretBinary=b"a text")
    assert secret_reader(SECRET)() == ""


def test_caches_the_text_for_a_minute(secrets, time):
    secrets.create_secret(Name=SECRET, SecretString="a text")
    read = secret_reader(SECRET)
    read()
    secrets.put_secret_value(SecretId=SECRET, SecretString="another")
    time.advance(CACHE_SECONDS - 2)
    assert read() == "a text"
    time.advance(4)
    assert read() == "another"


def test_reports_the_error_code_of_aws(secrets):
    with pytest.raises(RegistryUnavailable) as raised:
        secret_reader(SECRET)()
    assert raised.value.reason == "ResourceNotFoundException"


def test_gives_up_before_api_gateway_does(secrets, monkeypatch):
    configs = []
    client = boto3.session.Session.client
    monkeypatch.setattr(
        boto3.session.Session,
        "client",
        lambda self, *args, config, **options: configs.append(config) or client(self, *args, config=config, **options),
    )
    secret_reader(SECRET)
    [config] = configs
    assert (config.connect_timeout + config.read_timeout) * config.retries["total_max_attempts"] < 10
