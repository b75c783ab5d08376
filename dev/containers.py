"""`make local`: runs the built stack in Lambda's containers with `sam local start-api`, and Valkey in its own."""

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dev.__main__ import chosen_port, end
from dev.embedded_store import LOOPBACK
from dev.key import new_entry
from rest_sessions.access.principal import EVERYTHING

ROOT = Path(__file__).resolve().parent.parent
SAM = Path(sys.executable).parent / "sam"
# The same as in compose.yaml and samconfig.toml.
VALKEY_IMAGE = "valkey/valkey:8"
VALKEY_HOST = "valkey"

_START_SECONDS = 300


@dataclass(frozen=True)
class Stack:
    """What `sam local` needs in addition to the built template, and a key that allows everything."""

    network: str
    env_vars: Path
    key: str

    def options(self) -> list[str]:
        """The command-line options for `sam local`."""
        config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
        overrides = config["default"]["local_start_api"]["parameters"]["parameter_overrides"]
        # Containers for this machine's own processor are faster. The last override of a parameter wins.
        processor = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
        return [
            *("--docker-network", self.network),
            *("--env-vars", str(self.env_vars)),
            *("--parameter-overrides", *overrides, f"Architecture={processor}"),
        ]


@contextlib.contextmanager
def stack(name: str) -> Iterator[Stack]:
    """Starts Valkey in a Docker network of this name and generates a key. Both are removed when the context ends."""
    require_docker()
    entry = new_entry("local", [EVERYTHING], [EVERYTHING])
    with tempfile.TemporaryDirectory() as folder, network(name), valkey(name):
        env_vars = Path(folder) / "env-vars.json"
        registry = json.dumps({"keys": [entry]})
        env_vars.write_text(json.dumps({"Authorize": {"API_KEYS": registry, "API_KEYS_SECRET": ""}}), encoding="utf-8")
        yield Stack(name, env_vars, entry["key"])


@contextlib.contextmanager
def start_api(stack: Stack, port: int, output: IO[str] | None = None) -> Iterator[str]:
    """Runs `sam local start-api` while the context lasts, and returns its address once it listens.

    Exits with a message when it does not start in time. Its log goes to `output`, or else to the terminal.
    """
    # In its own process group it does not receive Ctrl-C: the `finally` below ends it.
    process = subprocess.Popen(
        [SAM, "local", "start-api", "--port", str(port), *stack.options()],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not is_listening(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("sam local start-api did not start")
            time.sleep(0.2)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.terminate()
        process.wait()


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this local port."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def require_docker() -> None:
    """Exits with a message unless a Docker engine is running."""
    if shutil.which("docker") is None or docker("info", check=False).returncode:
        sys.exit("This needs a running Docker engine. `make dev` works without one.")


@contextlib.contextmanager
def network(name: str) -> Iterator[None]:
    """A Docker network, removed when the context ends."""
    docker("network", "create", name)
    try:
        yield
    finally:
        docker("network", "rm", name)


@contextlib.contextmanager
def valkey(network_name: str) -> Iterator[None]:
    """A Valkey container, removed when the context ends. Other containers in the network reach it as VALKEY_HOST."""
    options = ("--detach", "--rm", "--network", network_name, "--network-alias", VALKEY_HOST)
    container = docker("run", *options, VALKEY_IMAGE).stdout.strip()
    try:
        yield
    finally:
        docker("stop", "--time", "1", container)


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a docker command. With `check` it exits with a message when the command fails."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    if check and result.returncode:
        sys.exit(f"docker {arguments[0]} failed: {result.stderr.strip()}")
    return result


def main() -> None:
    """Serves the built stack until Ctrl-C, SIGTERM or SIGHUP."""
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    port = chosen_port()
    # In its own network, no other container has the name of this Valkey.
    name = f"rest-sessions-local-{os.getpid()}"
    with contextlib.suppress(KeyboardInterrupt), stack(name) as local, start_api(local, port) as address:
        print(
            f"\nREST Sessions runs in Lambda's containers on {address}, with Valkey\n"
            f"Try:     curl -H 'Authorization: Bearer {local.key}' "
            f"-X PUT '{address}/webapp/create/user123?ip=192.168.99.22'\n"
            f"Console: {address}/console\n"
            "The first request to each function takes some seconds.\n"
            "Ctrl-C stops it.",
            flush=True,
        )
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
