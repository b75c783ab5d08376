"""The package itself: its files, and what its README says."""

import json
import re
import subprocess

import pytest
from conftest import PHP, Php, command

from rest_sessions_client import Client

FILES = sorted(PHP.glob("**/*.php"))
README = (PHP / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PHP)))
def test_php_takes_each_file(file: str) -> None:
    checked = subprocess.run([*command(), "-l", str(file)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "\ndeclare(strict_types=1);\n" in file.read_text()


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if PHP / "src" in file.parents and file.stem != "autoload"],
    ids=lambda file: file.stem,
)
def test_a_file_is_a_class(file: str) -> None:
    text = file.read_text()
    folder = "\\".join(["RestSessions", *file.relative_to(PHP / "src").parts[:-1]])
    assert re.findall(r"^namespace (.*);$", text, re.MULTILINE) == [folder]
    assert re.findall(r"^(?:final |readonly )*class (\w+)", text, re.MULTILINE) == [file.stem]


def test_composers_file_names_what_is_there() -> None:
    package = json.loads((PHP / "composer.json").read_text())
    assert package["name"] == "rest-sessions/client"
    assert package["autoload"]["psr-4"] == {"RestSessions\\": "src/"}
    assert package["require"] == {"php": ">=8.2", "ext-curl": "*", "ext-json": "*"}
    assert (PHP / "LICENSE").read_text() == (PHP.parents[1] / "LICENSE").read_text()


def test_the_program_of_the_readme(php: Php, client: Client) -> None:
    [code] = [block for block in re.findall(r"```php\n(.*?)```", README, re.DOTALL) if "new Client(" in block]
    code = re.sub(r"^use .*\n", "", re.sub(r"new Client\(.*\)", "new Client()", code), flags=re.MULTILINE)
    assert php(f"ob_start(); {code} return ob_get_clean();") == "12"
    [session] = client.soid("user123")
    assert session.data == {"name": "Peter", "unread": 12}
