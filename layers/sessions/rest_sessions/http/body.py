"""JSON bodies: the data of a session."""

import json
import math
from typing import Any, NoReturn

from rest_sessions.errors import InvalidJson, InvalidValue, MissingParameter, TooLarge, UnsupportedMediaType
from rest_sessions.limits import MAX_BODY_BYTES, MAX_INTEGER_DIGITS, MAX_KEY_CHARACTERS, check_data_size
from rest_sessions.model import Data, json_string

from .request import Request


def parse_first_data(request: Request) -> Data:
    """The optional body of `create`."""
    return parse_data(_json_body(request)) if request.has_body else {}


def parse_changes(request: Request) -> Data:
    """The body of `set`, which has at least one key."""
    if not request.has_body:
        raise MissingParameter("d")
    changes = parse_data(_json_body(request))
    if not changes:
        raise InvalidValue("d must contain at least one key.")
    return changes


def _json_body(request: Request) -> bytes:
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if media_type not in ("application/json", ""):
        raise UnsupportedMediaType
    return request.body()


class _Number(str):
    """The digits of a number as the client sent them: a double would round some of them."""

    __slots__ = ()


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)


def parse_data(body: bytes) -> Data:
    """The members of a JSON object. Numbers keep the digits that the client sent.

    Raises TooLarge, InvalidJson or InvalidValue.
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
    check_data_size(sum(value is not None for value in data.values()), 0)
    return data


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
