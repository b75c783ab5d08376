"""What `make` says where something is missing, in a copy of this folder in which nothing is installed yet."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What the Makefile itself calls.
TOOLS = ("sh", "make", "mkdir", "rm", "touch", "grep", "cat", "env")
AN_ADDRESS_WITHOUT_SERVER = "http://127.0.0.1:1/simple"


class Folder:
    """The Makefile and the pins in a new folder, a PATH with few programs, and an empty home folder."""

    def __init__(self, path: Path) -> None:
        self.path = path / "folder"
        self.programs = path / "programs"
        self.home = path / "home"
        for folder in (self.path / "layers" / "sessions", self.programs, self.home):
            folder.mkdir(parents=True)
        for name in ("Makefile", "samconfig.toml", "layers/sessions/requirements.txt"):
            shutil.copy(ROOT / name, self.path / name)
        for file in ROOT.glob("requirements-*.txt"):
            shutil.copy(file, self.path)
        for name in TOOLS:
            (self.programs / name).symlink_to(shutil.which(name) or pytest.skip(f"{name} is missing"))

    def add(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def add_python(self, name: str = "python3") -> None:
        # Not the one of a virtual environment, which would make its venv from itself.
        python = Path(sys.base_prefix) / "bin" / f"python{sysconfig.get_python_version()}"
        self.add(name, f'exec "{python}" "$@"')

    def make(self, *arguments: str, **environment: str) -> list[str]:
        """The lines that make printed, without its own; it must fail, fast, and install and build nothing."""
        start = time.monotonic()
        made = subprocess.run(
            ["make", "--no-print-directory", *arguments],
            cwd=self.path,
            # No settings of pip that this machine has.
            env={"PATH": str(self.programs), "HOME": str(self.home), "PIP_CONFIG_FILE": os.devnull, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert made.returncode
        assert time.monotonic() - start < 15
        assert not (self.path / ".aws-sam").exists()
        assert not (self.path / ".venv" / "ready").exists()
        assert list(self.home.iterdir()) == []
        return [line for line in made.stdout.splitlines() if not line.startswith("make")]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("task", ["dev", "test", "key", "lint"])
def test_without_python(folder: Folder, task: str) -> None:
    [line] = folder.make(task)
    assert line.startswith("python3 was not found. Python 3.11 or newer is needed")
    assert "install it" in line
    assert "PYTHON=" not in line


def test_without_the_python_that_was_named(folder: Folder) -> None:
    folder.add_python("python3.12")
    [line] = folder.make("dev", "PYTHON=python3.13")
    assert line.startswith("python3.13 was not found.")
    assert line.endswith("name it: PYTHON=python3.12")


def test_with_a_python_that_is_too_old(folder: Folder) -> None:
    folder.add_python("python3.12")
    folder.add("python3", 'exec python3.12 -c "import sys; sys.version_info = (3, 10); exec(sys.argv[1])" "$2"')
    [line] = folder.make("dev")
    assert line.startswith("python3 is too old.")
    assert line.endswith("name it: PYTHON=python3.12")


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_without_the_venv_module(folder: Folder, module: str) -> None:
    """As on Debian without python3-venv."""
    (folder.path / f"{module}.py").write_text("raise ImportError")
    folder.add_python()
    [line] = folder.make("dev")
    assert line.startswith("python3 has no venv module.")
    assert "apt install python3-venv" in line


def test_without_a_network(folder: Folder) -> None:
    folder.add_python()
    first, *more = folder.make("dev", PIP_INDEX_URL=AN_ADDRESS_WITHOUT_SERVER)
    assert first.startswith("Installing the tools in .venv, once: ")
    [line] = [line for line in more if not line.startswith("Looking in indexes")]
    assert line.startswith("No package index can be reached: connect to the network, or name a proxy")


def test_without_a_network_where_other_pins_were_installed(folder: Folder) -> None:
    folder.add_python()
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder.path / ".venv"], check=True)
    (folder.path / ".venv" / "bin" / "uv").symlink_to(uv)
    *_, last = folder.make("dev", UV_DEFAULT_INDEX=AN_ADDRESS_WITHOUT_SERVER)
    assert last.startswith("The packages were not installed. If no package index can be reached, connect")


@pytest.mark.parametrize("task", ["local", "e2e"])
@pytest.mark.parametrize("docker", ["is not installed", "does not run"])
def test_without_docker(folder: Folder, task: str, docker: str) -> None:
    folder.add_python()
    if docker == "does not run":
        folder.add("docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    assert folder.make(task) == ["This needs a running Docker engine. make dev works without one."]


@pytest.mark.parametrize("task", ["bench", "bench-quick"])
def test_without_a_redis_server(folder: Folder, task: str) -> None:
    folder.add_python()
    [line] = folder.make(task)
    assert line.startswith("This needs redis-server or valkey-server.")


def test_without_node(folder: Folder) -> None:
    folder.add_python()
    folder.add("redis-server", "")
    folder.add("docker", "")
    [line] = folder.make("bench")
    assert line.startswith("This needs Node and npm")


@pytest.mark.parametrize("task", [("deploy", "ENV=dev"), ("build", "RELEASE=1")])
def test_without_the_python_of_lambda(folder: Folder, task: tuple[str, str]) -> None:
    folder.add("python3", 'case "$2" in *13*) exit 1; esac')
    [line] = folder.make(*task)
    assert line.startswith("This needs python3.13")


def test_smoke_without_an_address(folder: Folder) -> None:
    folder.add_python()
    [line] = folder.make("smoke")
    assert line.startswith("URL and KEY are required")
