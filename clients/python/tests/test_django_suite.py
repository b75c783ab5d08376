"""Django's own tests of session backends, from the source distribution of the Django that is installed.

The wheel does not hold them. They are downloaded, with the hash that is pinned, and nothing of them is kept here.
"""

import re
import subprocess
import sys
import tarfile
import unittest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import django
import pytest

from tests import django_site
from tests.conftest import ROOT, Service

from django.test import SimpleTestCase, override_settings  # isort: skip

from rest_sessions_client.django import SessionStore  # isort: skip

PINS = ROOT / "requirements-clients.txt"


def download_sources(folder: Path) -> Path:
    """Downloads and unpacks Django's source distribution, unless that was done. Returns the folder of its tests."""
    version = django.get_version()
    source = folder / f"django-{version}"
    if not source.exists():
        folder.mkdir(exist_ok=True)
        pins = folder / "requirements.txt"
        [pin] = re.findall(rf"^django=={re.escape(version)} (?:.*\\\n)+.*\n", PINS.read_text(), re.MULTILINE)
        pins.write_text(pin)
        subprocess.run(
            [ROOT / ".venv/bin/python", "-m", "pip", "--python", sys.executable, "download",
             "--quiet", "--disable-pip-version-check", "--no-deps",
             "--no-binary=Django", "--require-hashes", "--dest", folder, "--requirement", pins],
            check=True,
        )  # fmt: skip
        with tarfile.open(folder / f"django-{version}.tar.gz") as files:
            files.extractall(folder, filter="data")
    return source / "tests"


@pytest.fixture(scope="module")
def suite() -> Iterator[unittest.TestSuite]:
    sys.path.insert(0, str(download_sources(Path(sys.prefix) / "sources")))
    apps = [*django_site.settings.INSTALLED_APPS, "django.contrib.sessions", "sessions_tests"]
    with override_settings(INSTALLED_APPS=apps):
        mixin = import_module("sessions_tests.tests").SessionTestsMixin
        yield unittest.defaultTestLoader.loadTestsFromTestCase(
            type("RestSessionsTests", (mixin, SimpleTestCase), {"backend": SessionStore})
        )
    sys.path.pop(0)


def test_passes_djangos_tests_of_session_backends(suite: unittest.TestSuite, service: Service, app: str) -> None:
    with override_settings(REST_SESSIONS={"URL": service.url, "APP": app, "KEY": service.key}):
        result = unittest.TestResult()
        suite.run(result)
    assert [text for _, text in result.errors + result.failures] == []
    assert result.skipped == []
    assert result.testsRun >= 65
