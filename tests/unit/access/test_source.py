"""Loading the registry from Secrets Manager, simulated by moto, and from the environment."""

import json

import pytest

from rest_sessions.access.secrets_manager import CACHE_SECONDS
from rest_sessions.access.source import KeySource
from rest_sessions.errors import ConfigurationError, RegistryUnavailable

KEY = "0123456789abcdef" * 2
OTHER_KEY = KEY[::-1]
SECRET = "rest-sessions/keys"


def document(key):
    return json.dumps({"keys": [{"name": "web", "key": key, "apps": "*", "allow": "*"}]})


@pytest.fixture
def source(secrets, time):
    secrets.create_secret(Name=SECRET, SecretString=document(KEY))
    return KeySource.from_environment({"API_KEYS_SECRET": SECRET})


def is_broken(source):
    with pytest.raises(RegistryUnavailable) as raised:
        source.registry()
    return raised.value.reason == "it is broken"


def test_reads_the_secret(source):
    assert source.registry().find(KEY).name == "web"


def test_sees_a_change_after_a_minute(source, secrets, time):
    source.registry()
    secrets.put_secret_value(SecretId=SECRET, SecretString=document(OTHER_KEY))
    time.advance(CACHE_SECONDS - 2)
    assert source.registry().find(KEY)
    time.advance(4)
    assert source.registry().find(KEY) is None
    assert source.registry().find(OTHER_KEY)


def test_raises_until_the_secret_was_read_once(secrets, caplog):
    source = KeySource.from_environment({"API_KEYS_SECRET": SECRET})
    with pytest.raises(RegistryUnavailable):
        source.registry()
    [record] = caplog.records
    assert record.getMessage() == "The key registry cannot be read"
    assert record.reason == "ResourceNotFoundException"
    secrets.create_secret(Name=SECRET, SecretString=document(KEY))
    assert source.registry().find(KEY)


def test_uses_the_last_registry_while_the_secret_cannot_be_read(source, secrets, time, caplog):
    source.registry()
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    for _ in range(3):
        time.advance(CACHE_SECONDS + 1)
        assert source.registry().find(KEY)
    assert {record.getMessage() for record in caplog.records} == {"The key registry cannot be read"}


@pytest.mark.parametrize("text", ["", "not JSON", '{"keys": [{"name": "web"}]}', document("short")])
def test_a_broken_registry_lets_nobody_in_until_it_is_repaired(source, secrets, time, caplog, text):
    source.registry()
    if text:
        secrets.put_secret_value(SecretId=SECRET, SecretString=text)
    else:
        secrets.put_secret_value(SecretId=SECRET, SecretBinary=document(KEY).encode())
    time.advance(CACHE_SECONDS + 1)
    assert all(is_broken(source) for _ in range(3))
    [record] = caplog.records
    assert record.getMessage() == "The key registry is broken, so no key can be checked"
    assert record.reason
    secrets.put_secret_value(SecretId=SECRET, SecretString=document(KEY))
    time.advance(CACHE_SECONDS + 1)
    assert source.registry().find(KEY)


def test_a_failed_read_after_a_broken_registry_does_not_bring_back_the_one_before(source, secrets, time):
    source.registry()
    secrets.put_secret_value(SecretId=SECRET, SecretString="not JSON")
    time.advance(CACHE_SECONDS + 1)
    assert is_broken(source)
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    time.advance(CACHE_SECONDS + 1)
    assert is_broken(source)


def metrics(output):
    return [
        metric["Name"]
        for line in output.splitlines()
        if '"_aws"' in line
        for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    ]


def test_counts_broken_registries_and_failed_reads(source, secrets, time, capsys):
    secrets.put_secret_value(SecretId=SECRET, SecretString="not JSON")
    assert is_broken(source)
    assert metrics(capsys.readouterr().out) == ["KeyRegistryBroken"]
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    time.advance(CACHE_SECONDS + 1)
    assert is_broken(source)
    assert metrics(capsys.readouterr().out) == ["KeyRegistryUnreadable", "KeyRegistryBroken"]


def test_logs_contain_nothing_of_the_registry(source, secrets, time, caplog, capfd):
    broken = document(KEY).replace("web", "a-name").replace('"*"', '"fly"')
    secrets.put_secret_value(SecretId=SECRET, SecretString=broken)
    assert is_broken(source)
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    time.advance(CACHE_SECONDS + 1)
    assert is_broken(source)
    output = "".join(str(vars(record)) for record in caplog.records) + "".join(capfd.readouterr())
    assert len(caplog.records) == 2
    assert not any(part in output for part in (KEY, "a-name", "fly"))


def test_the_environment_may_hold_the_document_itself():
    assert KeySource.from_environment({"API_KEYS": document(KEY)}).registry().find(KEY)


@pytest.mark.parametrize("environment", [{}, {"API_KEYS": "", "API_KEYS_SECRET": ""}])
def test_the_environment_must_name_a_source(environment):
    with pytest.raises(ConfigurationError, match="API_KEYS_SECRET, or for local work API_KEYS, must be set"):
        KeySource.from_environment(environment)


def test_the_environment_must_not_name_two_sources():
    with pytest.raises(ConfigurationError, match="must not both be set"):
        KeySource.from_environment({"API_KEYS": document(KEY), "API_KEYS_SECRET": SECRET})
