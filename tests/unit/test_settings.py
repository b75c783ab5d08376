import pytest

from rest_sessions.errors import ConfigurationError
from rest_sessions.settings import Settings

URL = "rediss://user:s3cret@store.example.com:6380/2"


def settings(**environment):
    return Settings.from_environment({"REDIS_URL": URL, **environment})


def refusal(environment):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment(environment)
    return str(caught.value)


def test_url_alone_is_enough():
    assert settings() == Settings(redis_url=URL, redis_cluster=False, namespace="rs", missing_session_is_error=False)


def test_empty_settings_count_as_unset():
    assert settings(REDIS_CLUSTER="", NAMESPACE="", MISSING_SESSION="", AUTH_MODE="") == settings()


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "redis://localhost",
        "redis://localhost/",
        "redis://localhost/15",
        "redis://:s3cret@[::1]:6379",
        "rediss://localhost?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required",
        URL,
    ],
)
def test_url_is_unchanged(url):
    assert settings(REDIS_URL=url).redis_url == url


@pytest.mark.parametrize(("text", "cluster"), [("0", False), ("1", True)])
def test_cluster_is_a_flag(text, cluster):
    assert settings(REDIS_URL="redis://localhost", REDIS_CLUSTER=text).redis_cluster is cluster


@pytest.mark.parametrize("namespace", ["a", "a" * 64, "Az09_.:-"], ids=["1", "64", "each-kind"])
def test_namespace_is_unchanged(namespace):
    assert settings(NAMESPACE=namespace).namespace == namespace


@pytest.mark.parametrize(("text", "is_error"), [("empty", False), ("404", True)])
def test_missing_session_is_a_choice(text, is_error):
    assert settings(MISSING_SESSION=text).missing_session_is_error is is_error


@pytest.mark.parametrize("mode", ["token", "iam", "none"])
def test_auth_mode_is_a_choice(mode):
    assert settings(AUTH_MODE=mode).auth_mode == mode


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="absent"),
        pytest.param({"REDIS_URL": ""}, id="empty"),
        pytest.param({"REDIS_URL": "store.example.com:6379"}, id="no-scheme"),
        pytest.param({"REDIS_URL": "https://user:s3cret@store.example.com"}, id="another-scheme"),
        pytest.param({"REDIS_URL": " redis://user:s3cret@store.example.com"}, id="space-before"),
    ],
)
def test_error_names_a_missing_or_wrong_url_without_its_value(environment):
    message = refusal(environment)
    assert "REDIS_URL" in message
    assert "s3cret" not in message
    assert "example.com" not in message


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must be set, to redis://HOST:PORT"),
        ("127.0.0.1:6379", "must have the form redis://HOST:PORT"),
        ("redis://", "must have the form redis://HOST:PORT"),
        ("redis://localhost:0", "must have the form redis://HOST:PORT"),
        ("redis://localhost:65536", "must have the form redis://HOST:PORT"),
        ("redis://localhost:port", "must have the form redis://HOST:PORT"),
        ("redis://a..b", "must have the form redis://HOST:PORT"),
        ("redis://ho st:6379", "must have the form redis://HOST:PORT"),
        ("rediss://localhost?ssl_cert_reqs=foo", "'s option ssl_cert_reqs must be none, optional or required"),
        ("redis://localhost#0", "must have the form redis://HOST:PORT"),
        ("unix:///tmp/redis.sock", "must have the form redis://HOST:PORT"),
        ("redis://localhost/16", "may end with a database from /0 to /15"),
        ("redis://localhost/99", "may end with a database from /0 to /15"),
        ("redis://localhost/sessions", "may end with a database from /0 to /15"),
        ("redis://localhost/0/1", "may end with a database from /0 to /15"),
        ("redis://localhost?timeout=5", "may have only these options, and only with rediss://: ssl_ca_certs"),
        ("rediss://localhost?timeout=5", "may have only these options, and only with rediss://: ssl_ca_certs"),
        ("redis://localhost?ssl_cert_reqs=none", "may have only these options, and only with rediss://: ssl_ca_certs"),
        ("rediss://localhost?decode_responses=true", "may have only these options, and only with rediss://"),
        ("redis://localhost?db=1", "may have only these options, and only with rediss://: ssl_ca_certs"),
        ("redis://localhost?protocol=3", "may have only these options, and only with rediss://: ssl_ca_certs"),
    ],
)
def test_error_says_how_a_url_must_be(url, message):
    assert refusal({"REDIS_URL": url}).startswith((f"REDIS_URL {message}", f"REDIS_URL{message}"))


@pytest.mark.parametrize(("path", "is_accepted"), [("", True), ("/", True), ("/0", True), ("/1", False)])
def test_a_cluster_has_one_database(path, is_accepted):
    environment = {"REDIS_URL": f"redis://localhost{path}", "REDIS_CLUSTER": "1"}
    if is_accepted:
        assert Settings.from_environment(environment).redis_cluster
    else:
        assert refusal(environment).startswith("REDIS_URL must not name a database with REDIS_CLUSTER=1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("REDIS_CLUSTER", "2", id="cluster-2"),
        pytest.param("REDIS_CLUSTER", "true", id="cluster-true"),
        pytest.param("REDIS_CLUSTER", " 1", id="cluster-space"),
        pytest.param("NAMESPACE", "a" * 65, id="namespace-of-65"),
        pytest.param("NAMESPACE", "a{b}", id="namespace-braces"),
        pytest.param("NAMESPACE", "a b", id="namespace-space"),
        pytest.param("NAMESPACE", "äöü", id="namespace-umlauts"),
        pytest.param("NAMESPACE", "ab\n", id="namespace-newline"),
        pytest.param("MISSING_SESSION", "200", id="missing-session-200"),
        pytest.param("MISSING_SESSION", "Empty", id="missing-session-upper-case"),
        pytest.param("AUTH_MODE", "off", id="auth-mode-off"),
        pytest.param("AUTH_MODE", "None", id="auth-mode-upper-case"),
        pytest.param("AUTH_MODE", "none ", id="auth-mode-space"),
    ],
)
def test_error_names_a_wrong_setting_without_the_url(name, value):
    message = refusal({"REDIS_URL": URL, name: value})
    assert message.startswith(f"{name} must be ")
    assert "s3cret" not in message
    assert "example.com" not in message


def test_sign_in_settings_are_empty_by_default():
    found = settings()
    assert (found.redis_user, found.redis_password, found.redis_iam_cache) == ("", "", "")


def test_sign_in_settings_are_unchanged_and_the_password_is_hidden():
    found = settings(REDIS_USER="app", REDIS_PASSWORD="p@ss/word")
    assert (found.redis_user, found.redis_password) == ("app", "p@ss/word")
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize("cache", ["serverlesscache:a", "replicationgroup:sessions-2"])
def test_iam_cache_is_unchanged(cache):
    assert settings(REDIS_USER="app", REDIS_IAM_CACHE=cache).redis_iam_cache == cache


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"REDIS_IAM_CACHE": "serverlesscache:a"}, id="no-user"),
        pytest.param(
            {"REDIS_IAM_CACHE": "serverlesscache:a", "REDIS_USER": "u", "REDIS_PASSWORD": "s3cret"}, id="both"
        ),
        pytest.param({"REDIS_IAM_CACHE": "sessions", "REDIS_USER": "u"}, id="no-kind"),
        pytest.param({"REDIS_IAM_CACHE": "cluster:sessions", "REDIS_USER": "u"}, id="another-kind"),
        pytest.param({"REDIS_IAM_CACHE": "serverlesscache:Big", "REDIS_USER": "u"}, id="capitals"),
        pytest.param(
            {"REDIS_IAM_CACHE": "serverlesscache:a", "REDIS_USER": "u", "REDIS_URL": "redis://a"}, id="without-tls"
        ),
    ],
)
def test_error_names_an_iam_cache_that_cannot_work(environment):
    message = refusal({"REDIS_URL": URL, **environment})
    assert "REDIS_IAM_CACHE" in message
    assert "s3cret" not in message
