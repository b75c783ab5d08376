"""Secrets Manager, simulated by moto."""

import datetime as dt

import boto3
import pytest
from moto import mock_aws


class Time:
    """The clock of Powertools' cache."""

    def __init__(self):
        self.passed = dt.timedelta()

    def advance(self, seconds):
        self.passed += dt.timedelta(seconds=seconds)

    def now(self, tz=None):
        return dt.datetime.now(tz) + self.passed


@pytest.fixture
def time(monkeypatch):
    time = Time()
    monkeypatch.setattr("aws_lambda_powertools.utilities.parameters.base.datetime", time)
    return time


@pytest.fixture
def secrets(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield boto3.client("secretsmanager")
