"""Cold starts in Lambda's container image, from a process's start to its first answer: the layer and the others."""

import contextlib
import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.contenders import LIBRARY, NODE, ROOT
from dev.containers import VALKEY_HOST, docker, network, valkey

IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
LAYER = ROOT / ".aws-sam" / "build" / "SessionsLayer"
BENCHMARKS = ROOT / "benchmarks"

WITH_LAYER = "layer"
WITHOUT_BYTECODE = "layer without bytecode"
REDIS_ONLY = "redis-py only"
FUNCTIONS = {"create_session": "create", "get_session": "get"}

# The modification time that SAM gives the files in a zip: 1980.
ZIP_TIME = 315_532_800


def measure(rounds: int, *, with_library: bool) -> dict[str, Any]:
    """The time of each start in ms, by function and contender, and the import times of create_session in µs.

    Exits with a message when the built layer has no bytecode.
    """
    if not (LAYER / "python" / "rest_sessions" / "__pycache__").is_dir():
        raise SystemExit("The built layer has no bytecode. Build it with: make build RELEASE=1")
    results: dict[str, Any] = {}
    name = f"rest-sessions-bench-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(network(name))
        stack.enter_context(valkey(name))
        bare = folder / "bare"
        shutil.copytree(LAYER, bare, ignore=shutil.ignore_patterns("__pycache__"))
        for file in bare.rglob("*"):
            os.utime(file, (ZIP_TIME, ZIP_TIME))
        for function, operation in FUNCTIONS.items():
            orders: dict[str, Any] = {"rounds": rounds, "contenders": contenders(function, operation, with_library)}
            if function == "create_session":
                orders["imports"] = {
                    "command": ["python3.13", "-X", "importtime", "/start.py", function],
                    "environment": environment("/opt/python", function),
                }
            answer = json.loads(run_in_image(name, bare, orders))
            results[function] = answer["times"]
            if answer["imports"]:
                results["imports"] = imports(answer["imports"])
    return results


def contenders(function: str, operation: str, with_library: bool) -> list[dict[str, Any]]:
    """What cold_driver.py starts: for each contender its name, command and environment.

    A contender that reads a session also has `token_from`, a command that creates the session and prints its token.
    """
    command = ["python3.13", "/start.py", function]
    create = ["python3.13", "/start.py", "create_session"]
    found = []
    for name, layer in ((WITH_LAYER, "/opt/python"), (WITHOUT_BYTECODE, "/bare/python")):
        contender: dict[str, Any] = {"name": name, "command": command, "environment": environment(layer, function)}
        if operation == "get":
            contender["environment"]["TOKEN"] = ""
            contender["token_from"] = ["sh", "-c", f"PYTHONPATH=/functions/create_session:{layer} {' '.join(create)}"]
        found.append(contender)
    redis_only = environment("/opt/python", function)
    redis_only["PYTHONPATH"] = "/redis_only:/opt/python"
    redis_only["TOKEN"] = ""
    found.append({"name": REDIS_ONLY, "command": command, "environment": redis_only})
    if with_library:
        node = {
            "name": LIBRARY,
            "command": ["/node", "/node_app/cold.cjs", operation],
            "environment": {"REDIS_URL": f"redis://{VALKEY_HOST}:6379"},
        }
        if operation == "get":
            node["token_from"] = ["/node", "/node_app/cold.cjs", "create"]
        found.append(node)
    return found


def environment(layer: str, function: str) -> dict[str, str]:
    """The environment of a Python contender, with the layer at the path `layer`."""
    return {
        "PYTHONPATH": f"/functions/{function}:{layer}",
        "REDIS_URL": f"redis://{VALKEY_HOST}:6379",
        "AUTH_MODE": "none",
        "POWERTOOLS_SERVICE_NAME": "bench",
    }


def run_in_image(name: str, bare: Path, orders: dict[str, Any]) -> str:
    """Runs cold_driver.py in a container in the network `name`. Returns what it prints."""
    mounts = {
        LAYER: "/opt",
        bare: "/bare",
        ROOT / "functions": "/functions",
        ROOT / "events": "/events",
        BENCHMARKS / "redis_only": "/redis_only",
        BENCHMARKS / "cold_start.py": "/start.py",
        BENCHMARKS / "cold_driver.py": "/driver.py",
    }
    if node := shutil.which("node"):
        mounts |= {Path(node).resolve(): "/node", NODE: "/node_app"}
    volumes = [part for host, inside in mounts.items() for part in ("--volume", f"{host}:{inside}:ro")]
    options = ["--rm", "--network", name, "--entrypoint", "python3.13", *volumes]
    return docker("run", *options, IMAGE, "/driver.py", json.dumps(orders)).stdout


def imports(report: str) -> dict[str, int]:
    """The import time of each package's own modules in µs, from the output of `-X importtime`. The 12 longest."""
    taken: Counter[str] = Counter()
    for line in report.splitlines():
        own, _, module = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and own.strip().isdecimal():
            taken[module.rpartition("|")[2].strip().partition(".")[0]] += int(own)
    return dict(taken.most_common(12))
