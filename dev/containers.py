"""`make local`: the built stack in Lambda's containers by `sam local start-api`, beside Valkey in another."""

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dev.__main__ import answers, chosen_port, end
from dev.embedded_store import LOOPBACK
from dev.key import new_entry
from rest_sessions.access.principal import EVERYTHING

ROOT = Path(__file__).resolve().parent.parent
SAM = Path(sys.executable).parent / "sam"
# As compose.yaml and samconfig.toml name them.
VALKEY_IMAGE = "valkey/valkey:8"
VALKEY_HOST = "valkey"

_START_SECONDS = 300


@dataclass(frozen=True)
class Stack:
    """What `sam local` needs beside the built template, and the key that the authorizer then knows."""

    network: str
    env_vars: Path
    key: str

    def options(self) -> list[str]:
        config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
        overrides = config["default"]["local_start_api"]["parameters"]["parameter_overrides"]
        # Containers of this machine's own processor are faster; given last, it wins.
        processor = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
        return [
            *("--docker-network", self.network),
            *("--env-vars", str(self.env_vars)),
            *("--parameter-overrides", *overrides, f"Architecture={processor}"),
        ]


@contextlib.contextmanager
def stack(name: str) -> Iterator[Stack]:
    """A Docker network with Valkey in it, and a key; both end with this."""
    require_docker()
    entry = new_entry("local", [EVERYTHING], [EVERYTHING])
    with tempfile.TemporaryDirectory() as folder, network(name), valkey(name):
        env_vars = Path(folder) / "env-vars.json"
        registry = json.dumps({"keys": [entry]})
        env_vars.write_text(json.dumps({"Authorize": {"API_KEYS": registry, "API_KEYS_SECRET": ""}}), encoding="utf-8")
        yield Stack(name, env_vars, entry["key"])


@contextlib.contextmanager
def start_api(stack: Stack, port: int, output: IO[str] | None = None) -> Iterator[str]:
    """The address of `sam local start-api`, once it is there; it ends with this."""
    # A group of its own, so that Ctrl-C reaches it when we have it end and not before.
    process = subprocess.Popen(
        [SAM, "local", "start-api", "--port", str(port), *stack.options()],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )
    try:
        give_up = time.monotonic() + _START_SECONDS
        while not answers(port):
            if process.poll() is not None or time.monotonic() > give_up:
                sys.exit("sam local start-api did not start")
            time.sleep(0.2)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.terminate()
        process.wait()


def require_docker() -> None:
    if shutil.which("docker") is None or docker("info", check=False).returncode:
        sys.exit("A running Docker engine is needed. Without one: make dev")


@contextlib.contextmanager
def network(name: str) -> Iterator[None]:
    """A Docker network for as long as this lasts."""
    docker("network", "create", name)
    try:
        yield
    finally:
        docker("network", "rm", name)


@contextlib.contextmanager
def valkey(network_name: str) -> Iterator[None]:
    """Valkey, at VALKEY_HOST for the containers of the network."""
    options = ("--detach", "--rm", "--network", network_name, "--network-alias", VALKEY_HOST)
    container = docker("run", *options, VALKEY_IMAGE).stdout.strip()
    try:
        yield
    finally:
        docker("stop", "--time", "1", container)


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    if check and result.returncode:
        sys.exit(f"docker {arguments[0]} failed: {result.stderr.strip()}")
    return result


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    port = chosen_port()
    # A network of its own, where no other Valkey answers to the same name.
    name = f"rest-sessions-local-{os.getpid()}"
    with contextlib.suppress(KeyboardInterrupt), stack(name) as local, start_api(local, port) as address:
        print(
            f"\nREST Sessions runs in Lambda's containers on {address}, beside Valkey\n"
            f"Try:   curl -H 'Authorization: Bearer {local.key}' "
            f"-X PUT '{address}/webapp/create/user123?ip=192.168.99.22'\n"
            "A function's first request takes some seconds. Ctrl-C ends it.",
            flush=True,
        )
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
