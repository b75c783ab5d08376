"""`make dev`: serves the API on 127.0.0.1, with the Redis at REDIS_URL or an embedded store."""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

from dev.embedded_store import LOOPBACK, embedded_store
from dev.gateway import DOCUMENT_PATH, VIEWER_PATH, Gateway, load_handlers, read_template
from dev.key import new_entry
from rest_sessions.access.principal import EVERYTHING
from rest_sessions.errors import ConfigurationError, StoreUnavailable, SweepIncomplete

DEFAULT_PORT = "3000"
MAX_PORT = 65_535
SWEEP_SECONDS = 300


def chosen_port() -> int:
    """The number in PORT, or 3000. Exits with a message when it is not a port number or the port is not free."""
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
    """A description of the store at REDIS_URL. Without REDIS_URL it starts an embedded store and sets the variable."""
    if url := os.environ.get("REDIS_URL"):
        # Do not show the user, password and query: they may contain secrets.
        address = url.partition("?")[0].rpartition("@")[2].removeprefix("redis://")
        yield address + (", a cluster" if os.environ.get("REDIS_CLUSTER") == "1" else "")
        return
    with embedded_store() as (url, name):
        os.environ["REDIS_URL"] = url
        os.environ["REDIS_CLUSTER"] = "0"
        yield f"{name}; sessions are lost when it stops"


def configure_keys() -> tuple[str, str]:
    """The curl option that sends a key, or "" if no key is needed, and a sentence about who may call.

    Sets AUTH_MODE and API_KEYS in the environment. With AUTH=1 it uses the keys in API_KEYS, or generates one.
    Exits with a message when AUTH is wrong.
    """
    auth = os.environ.get("AUTH", "")
    if auth not in ("", "0", "1"):
        sys.exit("AUTH must be 1 (a key is required) or 0")
    if auth != "1":
        # The authorizer is loaded like every function, so it needs a registry, but it is never called.
        os.environ |= {"AUTH_MODE": "none", "API_KEYS": '{"keys": []}'}
        return "", "not required: open to everyone on this machine. AUTH=1 requires one"
    os.environ["AUTH_MODE"] = "token"
    if os.environ.get("API_KEYS"):
        return "-H 'Authorization: Bearer …' ", "required, one of those in API_KEYS"
    entry = new_entry("dev", [EVERYTHING], [EVERYTHING])
    os.environ["API_KEYS"] = json.dumps({"keys": [entry]})
    return (
        f"-H 'Authorization: Bearer {entry['key']}' ",
        "required; this run has the one below. For your own: API_KEYS='{\"keys\": […]}', with entries from make key",
    )


def reachability() -> str:
    """Why the store does not answer; empty when it does."""
    # When it is imported, its logger reads the environment that main() sets.
    from rest_sessions.runtime import open_store  # noqa: PLC0415

    try:
        open_store().ping()
    except StoreUnavailable as error:
        return f", UNREACHABLE: requests get 503 until it answers ({error.reason})"
    return ""


def announce(port: int, store: str, header: str, keys: str) -> None:
    """Prints the API's address and how to use it."""
    address = f"http://{LOOPBACK}:{port}"
    print(
        f"REST Sessions listens on {address}\n"
        f"Store:   {store}{reachability()}\n"
        f"Key:     {keys}\n"
        f"Try:     curl {header}-X PUT '{address}/webapp/create/user123?ip=192.168.99.22'\n"
        f"Console: {address}/console\n"
        f"Docs:    {address}{VIEWER_PATH}, where you can try each route; as a file: {address}{DOCUMENT_PATH}\n"
        "Ctrl-C stops it.",
        flush=True,
    )


def sweep_regularly(gateway: Gateway) -> None:
    """Sweeps every SWEEP_SECONDS, in place of the schedule in the template."""
    while True:
        time.sleep(SWEEP_SECONDS)
        # The function has logged the error; the next sweep retries.
        with contextlib.suppress(StoreUnavailable, SweepIncomplete):
            gateway.runner.call("SweepExpired", {})


def end(_signal: int, _frame: object) -> None:
    """A signal handler that ends the process through its clean-up, so that no server it started is left running."""
    raise KeyboardInterrupt


def main() -> None:
    """Serves the API until Ctrl-C, SIGTERM or SIGHUP."""
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "rest-sessions")
    port = chosen_port()
    with contextlib.suppress(KeyboardInterrupt), chosen_store() as store:
        header, keys = configure_keys()
        stacks = read_template()
        try:
            gateway = Gateway(stacks, load_handlers(stacks), with_authorizer=bool(header))
        except ConfigurationError as error:
            sys.exit(str(error))
        threading.Thread(target=sweep_regularly, args=(gateway,), daemon=True).start()
        server = gateway.listen(LOOPBACK, port)
        announce(port, store, header, keys)
        server.serve_forever()


if __name__ == "__main__":
    main()
