"""Renders docs/openapi.yaml as an HTML page."""

import contextlib
import html
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
code { font-size: .95em } h2 { margin-top: 2.5rem } table { border-collapse: collapse }
td, th { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8884 }
"""


@contextlib.contextmanager
def api_page() -> Iterator[Path]:
    """A temporary folder with `openapi.yaml` and the page `api.html`, deleted when the context ends."""
    text = DOCUMENT.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "openapi.yaml").write_text(text, encoding="utf-8")
        (Path(folder) / "api.html").write_text(_page(yaml.safe_load(text)), encoding="utf-8")
        yield Path(folder)


def _page(document: dict[str, Any]) -> str:
    operations = [
        _operation(document, method, path, [*item.get("parameters", []), *operation.get("parameters", [])], operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]
    info = document["info"]
    return (
        f"<!doctype html><meta charset=utf-8><title>{_text(info['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{_text(info['title'])}</h1><p>{_text(info['description'])}"
        f"<p><a href=openapi.yaml>openapi.yaml</a>{''.join(operations)}"
    )


def _operation(
    document: dict[str, Any], method: str, path: str, parameters: list[Any], operation: dict[str, Any]
) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(p['name'])}</code><td>{_text(p['in'])}{'' if p.get('required') else ', optional'}"
        f"<td>{_meaning(p, resolved(document, p['schema']))}"
        for p in (resolved(document, parameter) for parameter in parameters)
    )
    if body := operation.get("requestBody"):
        media = body["content"]["application/json"]
        rows += (
            f"<tr><td>body<td>JSON{'' if body['required'] else ', optional'}<td>{_text(body.get('description', ''))} "
            f"For example <code>{_text(json.dumps(media['example']))}</code>"
        )
    answers = "".join(
        f"<tr><td>{_text(status)}<td>{_text(resolved(document, answer)['description'])}"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<h2><code>{method.upper()} {_text(path)}</code></h2><p>{_text(operation['summary'])}. "
        f"{_text(operation.get('description', ''))}<table>{rows}</table><table>{answers}</table>"
    )


def _meaning(parameter: dict[str, Any], schema: dict[str, Any]) -> str:
    return ". ".join(filter(None, [_text(parameter.get("description", "").rstrip(".")), _rule(schema)]))


def _rule(schema: dict[str, Any]) -> str:
    known = ("pattern", "minimum", "maximum", "enum", "default")
    return ", ".join(f"{name} <code>{_value(schema[name])}</code>" for name in known if name in schema)


def _value(value: Any) -> str:
    return _text(" ".join(map(str, value)) if isinstance(value, list) else value)


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """`part` of the document, or the part that its `$ref` points to."""
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def _text(value: Any) -> str:
    """The value as HTML text. Backticks become code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(str(value)))
