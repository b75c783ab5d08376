"""All parameters of routes: the name of each, its place in the request, and its rule.

A rule takes the raw text and returns the value, or raises a BadRequest. The rule of a body takes the whole request and
may raise any ApiError. Which parameters a route takes is decided by its handler's arguments.
"""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from rest_sessions.errors import InvalidFormat, InvalidValue, MissingParameter
from rest_sessions.limits import (
    APP,
    CONTROLS_AND_SURROGATES,
    DEFAULT_TTL,
    MAX_ID_CHARACTERS,
    MAX_IP_CHARACTERS,
    MAX_LIMIT,
    MAX_TTL,
    MIN_SECONDS,
)
from rest_sessions.model import Cursor

from .body import parse_changes, parse_first_data
from .request import Request

# A gateway puts U+FFFD in place of bytes that are not UTF-8, so two different ids would become the same.
_NOT_IN_TEXT = rf"{CONTROLS_AND_SURROGATES}\ufffd"
# API Gateway cuts a path at a decoded `?`, answers 400 to some `%`, and turns `%252F` into `/`. Clients resolve `.` and
# `..`. So one user's id could become another's.
_ID = re.compile(rf"(?!\.{{1,2}}\Z)[^/?%{_NOT_IN_TEXT}]{{1,{MAX_ID_CHARACTERS}}}")
_IP = re.compile(f"[^{_NOT_IN_TEXT}]{{1,{MAX_IP_CHARACTERS}}}")
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
_CURSOR = re.compile(r"([0-9]{1,12})-([0-9a-f]{32})")
_WHOLE_NUMBER = re.compile(r"0*([0-9]{1,15})")
_DIGITS = re.compile(r"[0-9]+")


def parse_app(text: str | None) -> str:
    """The name of an app."""
    return _match(APP, "app", text)


def parse_id(text: str | None) -> str:
    """The id of a user."""
    return _match(_ID, "id", text)


def parse_token(text: str | None) -> str:
    """The token of a session."""
    return _match(_TOKEN, "token", text)


def parse_ip(text: str | None) -> str:
    """The address of a user. It may be any short text."""
    return _match(_IP, "ip", text)


def parse_ttl(text: str | None) -> int:
    """Seconds."""
    if not text:
        return DEFAULT_TTL
    ttl = _seconds("ttl", text)
    if ttl > MAX_TTL:
        raise InvalidValue(f"ttl must be a positive integer <= {MAX_TTL}")
    return ttl


def parse_dt(text: str | None) -> int:
    """Seconds."""
    if not text:
        raise MissingParameter("dt")
    return _seconds("dt", text)


def parse_limit(text: str | None) -> int | None:
    """The most sessions in a page. None for as many as fit."""
    if not text:
        return None
    number = _WHOLE_NUMBER.fullmatch(text)
    if not number or not 1 <= int(number[1]) <= MAX_LIMIT:
        raise InvalidValue(f"limit must be an integer from 1 to {MAX_LIMIT}")
    return int(number[1])


def parse_cursor(text: str | None) -> Cursor | None:
    """The place in a listing where a page begins. None for its beginning."""
    if not text:
        return None
    parts = _CURSOR.fullmatch(text)
    if not parts:
        raise InvalidValue("cursor must be the `next` of an earlier answer")
    return Cursor(int(parts[1]), parts[2])


def parse_no_resave(text: str | None) -> bool:
    """Whether the session ends at a fixed time, however often it is used."""
    match text:
        case "1" | "true":
            return True
        case None | "" | "0" | "false":
            return False
    raise InvalidValue("no_resave must be 1, true, 0 or false")


def _match(pattern: re.Pattern[str], item: str, text: str | None) -> str:
    if not text:
        raise MissingParameter(item)
    if not pattern.fullmatch(text):
        raise InvalidFormat(item)
    return text


def _seconds(item: str, text: str) -> int:
    number = _WHOLE_NUMBER.fullmatch(text)
    # A number of more than 15 digits is still a whole number. 10**15, which is later than any time, stands for it.
    seconds = int(number[1]) if number else 10**15 if _DIGITS.fullmatch(text) else 0
    if seconds < MIN_SECONDS:
        raise InvalidValue(f"{item} must be a positive integer >= {MIN_SECONDS}")
    return seconds


class Parameter(NamedTuple):
    """One parameter: its place in the request, and its rule. The rule of a body takes the whole request."""

    place: Literal["path", "query", "body"]
    parse: Callable[[Any], Any]

    def reader(self, name: str) -> Callable[[Request], Any]:
        """A function that returns the parameter's value in a request, or raises an ApiError."""
        parse = self.parse
        match self.place:
            case "path":
                return lambda request: parse(request.path.get(name))
            case "query":
                return lambda request: parse(request.query.get(name))
        return parse


PARAMETERS = {
    "app": Parameter("path", parse_app),
    "id": Parameter("path", parse_id),
    "token": Parameter("path", parse_token),
    "ip": Parameter("query", parse_ip),
    "ttl": Parameter("query", parse_ttl),
    "no_resave": Parameter("query", parse_no_resave),
    "dt": Parameter("query", parse_dt),
    "limit": Parameter("query", parse_limit),
    "cursor": Parameter("query", parse_cursor),
    "data": Parameter("body", parse_first_data),
    "changes": Parameter("body", parse_changes),
}
