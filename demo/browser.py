"""The demo in a process of its own, and Chromium to look at it."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

from demo.__main__ import HERE, LOOPBACK, free_port

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def running_demo(path: str | None = None) -> Iterator[str]:
    """Runs the demo while the context lasts. Returns its URL. `path` is the PATH on which it finds the platforms."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, HERE],
        env={**os.environ, "PORT": str(port), **({"PATH": path} if path else {})},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            for line in process.stdout or ():
                if line.startswith("Ctrl-C"):
                    break
            else:
                raise RuntimeError("The demo did not start")
            yield f"http://{LOOPBACK}:{port}"
        finally:
            process.terminate()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The installed Chromium, without a window."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        raise RuntimeError("Chromium is not installed (Debian, Ubuntu: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        try:
            yield browser
        finally:
            browser.close()
