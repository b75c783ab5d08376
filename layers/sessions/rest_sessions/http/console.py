"""The console: a page where people see and end sessions, and what a key lets it show.

The page holds no data. It asks for a key and calls the routes of the API with it.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

from rest_sessions.errors import Forbidden

from .request import Event, Request
from .response import HEADERS, Response, respond_error

# The groups have the names of the elements that replace these tags.
_FILE = re.compile(r'<link rel="stylesheet" href="(?P<style>[^"]+)">|<script src="(?P<script>[^"]+)"></script>')
# What ends an element early, or hides its end.
_NOT_IN_ELEMENT = re.compile(r"</(?:script|style)|<!--", re.IGNORECASE)

_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def respond_page(folder: Path) -> Response:
    """The answer with `page.html` of this folder. The files to which it refers become part of it.

    The browser runs them by their hashes in the header, and nothing else that gets into the page.
    Raises ValueError if a file has a text that no element can hold.
    """
    hashes: dict[str, list[str]] = {"script": [], "style": []}

    def element(tag: re.Match[str]) -> str:
        name = str(tag.lastgroup)
        text = (folder / tag[name]).read_text(encoding="utf-8")
        if found := _NOT_IN_ELEMENT.search(text):
            raise ValueError(f"{tag[name]} has {found[0]}, which no <{name}> can hold")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[name].append(f"'sha256-{digest}'")
        return f"<{name}>{text}</{name}>"

    body = _FILE.sub(element, (folder / "page.html").read_text(encoding="utf-8"))
    headers = {
        **HEADERS,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _POLICY.format_map({name: " ".join(texts) for name, texts in hashes.items()}),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return {"statusCode": 200, "headers": headers, "body": body}


def respond_key(event: Event, auth_mode: str) -> Response:
    """The answer with the name of the request's key, its apps and its operations. `*` stands for all."""
    principal = Request(event).principal(auth_mode)
    if principal is None:
        return respond_error(Forbidden())
    rights = {"name": principal.name, "apps": sorted(principal.apps), "allow": sorted(principal.allow)}
    return {"statusCode": 200, "headers": HEADERS, "body": json.dumps(rights, separators=(",", ":"))}
