"""JSON bodies: the data of a session.

What one platform writes, every other must be able to read: one value that PHP or Java cannot decode would make a whole
listing unreadable for it.
"""

import codecs
import json
import math
import re
from typing import Any, NoReturn

from rest_sessions.errors import InvalidJson, InvalidValue, MissingParameter, TooLarge, UnsupportedMediaType
from rest_sessions.limits import (
    CONTROLS_AND_SURROGATES,
    MAX_BODY_BYTES,
    MAX_BODY_KEYS,
    MAX_KEY_CHARACTERS,
    MAX_NESTING,
    MAX_NUMBER_CHARACTERS,
    MAX_QUOTED_CHARACTERS,
)
from rest_sessions.model import Data, json_string

from .request import Request

_GZIP = b"\x1f\x8b"
_UTF_8_NAMES = ("utf-8", "utf8", "us-ascii")
_CHARSET = re.compile(r'(?:^|;)\s*charset\s*=\s*"?([^";\s]+)')
_LONG_EXPONENT = re.compile(r"[eE][+-]?0*[1-9][0-9]{4}")
# Half of a surrogate pair can only come from an escape.
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_IN_KEY = re.compile(f"[{CONTROLS_AND_SURROGATES}]")


def parse_first_data(request: Request) -> Data:
    """The optional body of `create`."""
    return parse_data(_json_body(request)) if request.has_body else {}


def parse_required_data(request: Request) -> Data:
    """The body of `set`."""
    if not request.has_body:
        raise MissingParameter("d")
    return parse_data(_json_body(request))


def _json_body(request: Request) -> bytes:
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    if media_type.strip() not in ("application/json", ""):
        raise UnsupportedMediaType("The body must be JSON: send Content-Type: application/json")
    charset = _CHARSET.search(parameters)
    body = request.body()
    # JSON in UTF-16 or UTF-32 has a NUL byte among its first two, or begins with a byte order mark.
    is_wide = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in body[:2]
    if is_wide or (charset and charset[1] not in _UTF_8_NAMES):
        raise UnsupportedMediaType("The body must be in UTF-8")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("identity", "") or body.startswith(_GZIP):
        raise UnsupportedMediaType("The body must not be compressed: send it without Content-Encoding")
    return body


class _Number(str):
    """The digits of a number as the client sent them: a double would round some of them."""

    __slots__ = ()


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)


def parse_data(body: bytes) -> Data:
    """The members of a JSON object, each with the JSON text of its value. `[]` counts as `{}`, as PHP writes it.

    Numbers keep the digits that the client sent, at every depth. Raises TooLarge, InvalidJson or InvalidValue.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"The body must be at most {MAX_BODY_BYTES} bytes")
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise InvalidJson(f"it is not UTF-8 at byte {error.start}") from None
    try:
        members = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise InvalidJson("it is nested too deeply") from None
    if members == []:
        return {}
    if not isinstance(members, dict):
        raise InvalidValue("d must be an object")
    if len(members) > MAX_BODY_KEYS:
        raise TooLarge(f"The body must have at most {MAX_BODY_KEYS} keys")
    return {key: _encode_datum(key, value) for key, value in members.items()}


def _encode_datum(key: str, value: Any) -> str | None:
    if len(key) > MAX_KEY_CHARACTERS:
        raise InvalidValue(f"The keys of d must have at most {MAX_KEY_CHARACTERS} characters")
    # The key first, because a message about the value quotes it.
    _check_key(key)
    return None if value is None else _encode(key, value, MAX_NESTING)


def _encode(key: str, value: Any, levels: int) -> str:
    """`value` as JSON text, nested at most `levels` deep. It belongs to the datum `key`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _Number():
            return _check_number(key, value)
        case str():
            return json_string(_check_text(key, value))
    if not levels:
        raise InvalidValue(f"{_quoted(key)} is nested more than {MAX_NESTING} deep")
    if isinstance(value, list):
        return f"[{','.join([_encode(key, item, levels - 1) for item in value])}]"
    members = [f"{json_string(_check_key(name))}:{_encode(key, item, levels - 1)}" for name, item in value.items()]
    return f"{{{','.join(members)}}}"


def _check_key(key: str) -> str:
    if _NOT_IN_KEY.search(key):
        raise InvalidValue("A key of d has a control character or half of a surrogate pair")
    return key


def _check_text(key: str, text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        raise InvalidValue(f"{_quoted(key)} has half of a surrogate pair")
    return text


def _check_number(key: str, digits: _Number) -> str:
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise InvalidValue(f"{_quoted(key)} has a number of more than {MAX_NUMBER_CHARACTERS} characters")
    # An integer of so few digits fits into a double. Some platforms cannot read a long exponent, even of zero.
    if not digits.lstrip("-").isdigit() and (math.isinf(float(digits)) or _LONG_EXPONENT.search(digits)):
        raise InvalidValue(f"{_quoted(key)} has a number that no double can hold")
    return str(digits)


def _quoted(key: str) -> str:
    return f"d.{key[:MAX_QUOTED_CHARACTERS]}"
