"""`make dev`: the API on loopback, over the store of REDIS_URL or an embedded one."""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

from samcli.local.docker.exceptions import ProcessSigTermException

from dev.api_page import api_page
from dev.embedded_store import LOOPBACK, embedded_store
from dev.gateway import Gateway, load_handlers, read_template
from dev.key import new_entry
from rest_sessions.access.principal import EVERYTHING
from rest_sessions.errors import ConfigurationError, StoreUnavailable

DEFAULT_PORT = "3000"
MAX_PORT = 65_535
SWEEP_SECONDS = 300


def chosen_port() -> int:
    """PORT, when it is one and free; else the process ends."""
    text = os.environ.get("PORT") or DEFAULT_PORT
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PORT:
        sys.exit(f"PORT must be a number from 1 to {MAX_PORT}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, int(text)))
        except OSError as error:
            sys.exit(f"Port {text} is not free ({error.strerror}). Choose another: PORT=3001")
    return int(text)


@contextlib.contextmanager
def chosen_store() -> Iterator[str]:
    """What the store is; sets REDIS_URL when the environment does not."""
    if url := os.environ.get("REDIS_URL"):
        # Without the parts of a URL that may hold a password.
        address = url.partition("?")[0].rpartition("@")[2].removeprefix("redis://")
        yield address + (", a cluster" if os.environ.get("REDIS_CLUSTER") == "1" else "")
        return
    with embedded_store() as (url, name):
        os.environ["REDIS_URL"] = url
        os.environ["REDIS_CLUSTER"] = "0"
        yield f"{name}; it keeps nothing when this ends"


def chosen_keys() -> str:
    """What callers need, and the environment for it: nothing, or with AUTH=1 a key of API_KEYS or of our own."""
    auth = os.environ.get("AUTH", "")
    if auth not in ("", "0", "1"):
        sys.exit("AUTH must be 1, for keys, or 0")
    if auth != "1":
        # The authorizer initialises like every function, but is not asked.
        os.environ |= {"AUTH_MODE": "none", "API_KEYS": '{"keys": []}'}
        return ""
    os.environ["AUTH_MODE"] = "token"
    if os.environ.get("API_KEYS"):
        return "-H 'Authorization: Bearer …' "
    entry = new_entry("dev", [EVERYTHING], [EVERYTHING])
    os.environ["API_KEYS"] = json.dumps({"keys": [entry]})
    return f"-H 'Authorization: Bearer {entry['key']}' "


def answers(port: int) -> bool:
    """Whether something listens there."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def announce(port: int, store: str, header: str) -> None:
    """Prints where the API is, once it is there."""
    while not answers(port):
        time.sleep(0.05)
    address = f"http://{LOOPBACK}:{port}"
    access = "for callers with a key" if header else "open to all on this machine"
    print(
        f"REST Sessions listens on {address}, {access}\n"
        f"Store: {store}\n"
        f"Try:   curl {header}-X PUT '{address}/webapp/create/user123?ip=192.168.99.22'\n"
        f"Docs:  {address}/api.html, of {address}/openapi.yaml\n"
        "Ctrl-C ends it.",
        flush=True,
    )


def sweep_regularly(gateway: Gateway) -> None:
    """Stands in for the template's schedule."""
    while True:
        time.sleep(SWEEP_SECONDS)
        # The function has logged it; the next run may find the store back.
        with contextlib.suppress(StoreUnavailable):
            gateway.local_lambda_runner.call("SweepExpired", {})


def end(_signal: int, _frame: object) -> None:
    """Ends the process by way of its clean-up, at any moment: a server that it started must not outlive it."""
    raise KeyboardInterrupt


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "rest-sessions")
    port = chosen_port()
    with contextlib.suppress(KeyboardInterrupt, ProcessSigTermException), chosen_store() as store:
        header = chosen_keys()
        stacks = read_template()
        try:
            gateway = Gateway(stacks, load_handlers(stacks), with_authorizer=bool(header))
        except ConfigurationError as error:
            sys.exit(str(error))
        threading.Thread(target=announce, args=(port, store, header), daemon=True).start()
        threading.Thread(target=sweep_regularly, args=(gateway,), daemon=True).start()
        with api_page() as static:
            gateway.serve(LOOPBACK, port, static)


if __name__ == "__main__":
    main()
