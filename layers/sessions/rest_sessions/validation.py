"""The rules for what a client sends. Each function takes the raw text and gives the value, or raises a BadRequest."""

import json
import math
import re
from typing import Any, NoReturn

from .errors import InvalidFormat, InvalidJson, InvalidValue, MissingParameter, TooLarge
from .model import Position, json_string

DEFAULT_TTL = 7200
MIN_SECONDS = 10
MAX_TTL = 2_592_000
MAX_LIMIT = 1000
MAX_BODY_BYTES = 60_000
MAX_KEY_CHARACTERS = 128
MAX_KEYS = 512
MAX_DATA_BYTES = 1_000_000
MAX_INTEGER_DIGITS = 64

# U+FFFD stands where a gateway met bytes that are not UTF-8: two different broken ids would become one.
_NOT_IN_TEXT = "\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd"
_APP = re.compile(r"[A-Za-z0-9_-]{3,20}")
_ID = re.compile(f"[^{_NOT_IN_TEXT}]{{1,128}}")
_IP = re.compile(f"[^{_NOT_IN_TEXT}]{{1,45}}")
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
_CURSOR = re.compile(r"([0-9]{1,12})-([0-9a-f]{32})")
_WHOLE_NUMBER = re.compile(r"0*([0-9]{1,15})")
_DIGITS = re.compile(r"[0-9]+")


def _matched(pattern: re.Pattern[str], item: str, text: str | None) -> str:
    if not text:
        raise MissingParameter(item)
    if not pattern.fullmatch(text):
        raise InvalidFormat(item)
    return text


def parse_app(text: str | None) -> str:
    return _matched(_APP, "app", text)


def is_app(text: str) -> bool:
    return _APP.fullmatch(text) is not None


def parse_id(text: str | None) -> str:
    return _matched(_ID, "id", text)


def parse_token(text: str | None) -> str:
    return _matched(_TOKEN, "token", text)


def parse_ip(text: str | None) -> str:
    return _matched(_IP, "ip", text)


def _seconds(item: str, text: str) -> int:
    number = _WHOLE_NUMBER.fullmatch(text)
    # More digits than any clock has are still a whole number: the largest one will do.
    seconds = int(number[1]) if number else 10**15 if _DIGITS.fullmatch(text) else 0
    if seconds < MIN_SECONDS:
        raise InvalidValue(f"{item} must be a positive integer >= {MIN_SECONDS}")
    return seconds


def parse_ttl(text: str | None) -> int:
    if not text:
        return DEFAULT_TTL
    ttl = _seconds("ttl", text)
    if ttl > MAX_TTL:
        raise InvalidValue(f"ttl must be a positive integer <= {MAX_TTL}")
    return ttl


def parse_dt(text: str | None) -> int:
    if not text:
        raise MissingParameter("dt")
    return _seconds("dt", text)


def parse_limit(text: str | None) -> int | None:
    if not text:
        return None
    number = _WHOLE_NUMBER.fullmatch(text)
    if not number or not 1 <= int(number[1]) <= MAX_LIMIT:
        raise InvalidValue(f"limit must be an integer from 1 to {MAX_LIMIT}")
    return int(number[1])


def parse_cursor(text: str | None) -> Position | None:
    if not text:
        return None
    parts = _CURSOR.fullmatch(text)
    if not parts:
        raise InvalidValue("cursor must be the `next` of an earlier answer")
    return Position(int(parts[1]), parts[2])


def parse_no_resave(text: str | None) -> bool:
    match text:
        case "1" | "true":
            return True
        case None | "" | "0" | "false":
            return False
    raise InvalidValue("no_resave must be 1, true, 0 or false")


class _Number(str):
    """A number's own digits: what a double would round comes back as it was sent."""

    __slots__ = ()


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)


def parse_data(body: bytes) -> dict[str, str | None]:
    """The members of a JSON object: each key with its value's JSON text, or None where the value is null.

    Numbers keep the digits they were sent with, so that none is changed on its way through.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"The body must be at most {MAX_BODY_BYTES} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJson(f"it is not UTF-8 at byte {error.start}") from None
    try:
        members = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise InvalidJson("it is nested too deeply") from None
    if not isinstance(members, dict):
        raise InvalidValue("d must be an object")
    data = {key: _parse_datum(key, value) for key, value in members.items()}
    check_size(sum(value is not None for value in data.values()), 0)
    return data


def check_size(keys: int, size: int) -> None:
    """Refuse more `keys`, or more bytes of keys and values, than one session may hold."""
    if keys > MAX_KEYS:
        raise TooLarge(f"A session's data must have at most {MAX_KEYS} keys")
    if size > MAX_DATA_BYTES:
        raise TooLarge(f"A session's data must be at most {MAX_DATA_BYTES} bytes")


def _parse_datum(key: str, value: Any) -> str | None:
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidValue(f"The keys of d must have 1 to {MAX_KEY_CHARACTERS} characters")
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case _Number():
            return _parse_number(key, value)
        case str():
            return json_string(value)
    raise InvalidValue(f"d.{key} has a forbidden type. Only strings, numbers, boolean and null are allowed.")


def _parse_number(key: str, digits: _Number) -> str:
    if digits.lstrip("-").isdigit():
        if len(digits.lstrip("-")) > MAX_INTEGER_DIGITS:
            raise InvalidValue(f"d.{key} is an integer of more than {MAX_INTEGER_DIGITS} digits")
    elif math.isinf(float(digits)):
        raise InvalidValue(f"d.{key} is a number that no double can hold")
    return str(digits)
