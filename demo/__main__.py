"""`make demo`: one page over Flask, Express and PHP, which share their sessions."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import httpx2
from flask import Flask, Response, request
from werkzeug.serving import make_server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOOPBACK = "127.0.0.1"
START_SECONDS = 30
# What concerns one connection, and what the next server on the way sets itself.
OWN_HEADERS = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


def commands(port: int) -> dict[str, list[str]]:
    """The command of each platform's server."""
    return {
        "Flask": [sys.executable, str(HERE / "flask_app.py")],
        "Express": ["node", str(HERE / "express_app.js")],
        "PHP": ["php", "-d", "log_errors=0", "-S", f"{LOOPBACK}:{port}", str(HERE / "php_app.php")],
    }


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@contextlib.contextmanager
def server(command: list[str], port: int, environment: Mapping[str, str]) -> Iterator[str]:
    """Runs a server while the context lasts. Returns its URL once it listens; exits with its output if it does not."""
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment, "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for this process, which then ends its servers.
            start_new_session=True,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    sys.exit(f"{command[0]} did not start:\n{output.read().decode(errors='replace')}")
                time.sleep(0.05)
            yield f"http://{LOOPBACK}:{port}"
        finally:
            process.terminate()


def page(platforms: Mapping[str, str]) -> Flask:
    """The page, and behind it the platforms' servers, under one address and so with one cookie."""
    app = Flask(__name__)
    # Without a cookie jar, which would mix up the browsers.
    http = httpx2.HTTPTransport()

    @app.get("/")
    def show() -> Response:
        return Response((HERE / "page.html").read_text(encoding="utf-8"), content_type="text/html; charset=utf-8")

    @app.route("/<platform>/<path:path>", methods=["GET", "POST"])
    def forward(platform: str, path: str) -> Response:
        if platform not in platforms:
            return Response(f"{platform} is not running", 503)
        answer = http.handle_request(
            httpx2.Request(
                request.method,
                f"{platforms[platform]}/{path}",
                headers=dict(request.headers),
                content=request.get_data(),
            )
        )
        answer.read()
        # Each Set-Cookie is a header of its own.
        headers = [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in OWN_HEADERS]
        return Response(answer.content, answer.status_code, headers)

    return app


def end(_signal: int, _frame: object) -> NoReturn:
    """Ends the process through its clean-up, so that no server is left running."""
    raise KeyboardInterrupt


def link_node_modules() -> None:
    """Lets the Express app find what the Node client's tests have installed: Node looks beside the program."""
    link = HERE / "node_modules"
    if not link.is_symlink():
        link.symlink_to(ROOT / "clients" / "node" / "node_modules")


def main() -> None:
    """Serves the demo until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, end)
    link_node_modules()
    port = int(os.environ.get("PORT") or 8000)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        service = stack.enter_context(
            server(
                [str(ROOT / ".venv" / "bin" / "python"), "-m", "dev"],
                free_port(),
                {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'sessions'}", "AUTH": "0"},
            )
        )
        environment = {"REST_SESSIONS_URL": service, "REST_SESSIONS_APP": "demo", "PHP_CLI_SERVER_WORKERS": "4"}
        platforms = {}
        for name in commands(0):
            own_port = free_port()
            command = commands(own_port)[name]
            if shutil.which(command[0]) is None:
                print(f"{name} is left out: {command[0]} is not installed.")
                continue
            platforms[name.lower()] = stack.enter_context(server(command, own_port, environment))
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        front = make_server(LOOPBACK, port, page(platforms), threaded=True)
        print(f"The demo is on http://{LOOPBACK}:{port}\nCtrl-C stops it.", flush=True)
        front.serve_forever()


if __name__ == "__main__":
    main()
