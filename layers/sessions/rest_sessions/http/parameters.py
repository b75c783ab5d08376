"""All parameters of routes: the name of each, its place in the request, and its rule.

A rule takes the raw texts of the request and returns the value, or raises a BadRequest. Texts that only make sense
together are one parameter. The rule of a body takes the whole request and may raise any ApiError. Which parameters a
route takes is decided by its handler's arguments.
"""

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from rest_sessions.errors import InvalidFormat, InvalidValue, MissingParameter
from rest_sessions.limits import (
    APP,
    CONTROLS_AND_SURROGATES,
    DEFAULT_LOGIN_GRACE,
    DEFAULT_ROTATION_GRACE,
    DEFAULT_TTL,
    MAX_APPS,
    MAX_CAP,
    MAX_GRACE,
    MAX_ID_CHARACTERS,
    MAX_IP_CHARACTERS,
    MAX_LIMIT,
    MAX_TTL,
    MIN_ROTATION_GRACE,
    MIN_SECONDS,
)
from rest_sessions.model import Cap, Cursor, Data, Devices, Login, Timeouts

from .body import parse_first_data, parse_required_data
from .request import Request

# A gateway puts U+FFFD in place of bytes that are not UTF-8, so two different ids would become the same.
_NOT_IN_TEXT = rf"{CONTROLS_AND_SURROGATES}\ufffd"
# API Gateway cuts a path at a decoded `?`, answers 400 to some `%`, and turns `%252F` into `/`. Clients resolve `.` and
# `..`. So one user's id could become another's.
_ID = re.compile(rf"(?!\.{{1,2}}\Z)[^/?%{_NOT_IN_TEXT}]{{1,{MAX_ID_CHARACTERS}}}")
_IP = re.compile(f"[^{_NOT_IN_TEXT}]{{1,{MAX_IP_CHARACTERS}}}")
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
# No token of ours begins with another character.
_OWN_TOKEN = re.compile(r"[A-Ya-z0-9][A-Za-z0-9]{63}")
_HANDLE = re.compile(r"[A-Za-z0-9]{22}")
_CURSOR = re.compile(r"([0-9]{1,12})-([A-Za-z0-9]{22})")
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


def parse_timeouts(ttl: str | None, lifetime: str | None, no_resave: str | None) -> Timeouts:
    """When the session ends."""
    timeouts = Timeouts(parse_ttl(ttl) or DEFAULT_TTL, _lifetime(lifetime), _flag("no_resave", no_resave))
    if timeouts.no_resave and timeouts.lifetime is not None:
        raise InvalidValue("lifetime and no_resave must not both be given")
    return timeouts


def parse_ttl(text: str | None) -> int | None:
    """Seconds. None if it is left out."""
    return _timeout("ttl", text) if text else None


def _lifetime(text: str | None) -> int | None:
    return None if text is None else _timeout("lifetime", text)


def _timeout(item: str, text: str) -> int:
    seconds = _seconds(item, text)
    if seconds > MAX_TTL:
        raise InvalidValue(f"{item} must be a positive integer <= {MAX_TTL}")
    return seconds


def parse_login(token: str | None, grace: str | None) -> Login | None:
    """The session that a login takes over. Without one, a grace has no effect."""
    source = _match_given(_TOKEN, "from", token)
    seconds = _integer("grace", grace, 0, MAX_GRACE, DEFAULT_LOGIN_GRACE)
    return None if source is None else Login(source, seconds)


def parse_cap(most: str | None, over: str | None) -> Cap | None:
    """The most live sessions that the user may have."""
    if most is None:
        if over is not None:
            raise InvalidValue("over needs max")
        return None
    if over not in (None, "oldest", "refuse"):
        raise InvalidValue("over must be oldest or refuse")
    return Cap(_integer("max", most, 1, MAX_CAP), over == "refuse")


def parse_own_token(text: str | None) -> str | None:
    """The token that the caller has chosen."""
    return _match_given(_OWN_TOKEN, "token", text)


def parse_devices(only: str | None, spared: str | None) -> Devices:
    """Which sessions of a user to end."""
    if only is not None and spared is not None:
        raise InvalidValue("handle and except must not both be given")
    return Devices(_match_given(_HANDLE, "handle", only), _match_given(_HANDLE, "except", spared))


def parse_rotation_grace(text: str | None) -> int:
    """Seconds for which the old token works on."""
    return _integer("grace", text, MIN_ROTATION_GRACE, MAX_GRACE, DEFAULT_ROTATION_GRACE)


def parse_expected_w(text: str | None) -> int | None:
    """The number of writes that the session must have. None for any."""
    return None if text is None else _integer("w", text, 1, 10**15 - 1)


def parse_dt(text: str | None) -> int:
    """Seconds."""
    if not text:
        raise MissingParameter("dt")
    return _seconds("dt", text)


def parse_limit(text: str | None) -> int | None:
    """The most sessions in a page. None for as many as fit."""
    return _integer("limit", text, 1, MAX_LIMIT) if text else None


def parse_apps_limit(text: str | None) -> int:
    """The most apps in a page."""
    return _integer("limit", text, 1, MAX_APPS) if text else MAX_APPS


def parse_apps_cursor(text: str | None) -> str:
    """The name of an app after which a page begins. Empty for the first page."""
    if text and not APP.fullmatch(text):
        raise InvalidValue("cursor must be the `next` of an earlier answer")
    return text or ""


def parse_cursor(text: str | None) -> Cursor | None:
    """The place in a listing where a page begins. None for its beginning."""
    if not text:
        return None
    parts = _CURSOR.fullmatch(text)
    if not parts:
        raise InvalidValue("cursor must be the `next` of an earlier answer")
    return Cursor(int(parts[1]), parts[2])


def parse_peek(text: str | None) -> bool:
    """Whether to look at the session without using it."""
    return _flag("peek", text)


def parse_replace(text: str | None) -> bool:
    """Whether to remove all data that are not written."""
    return _flag("replace", text)


def parse_changes(request: Request) -> Data:
    """The body of `set`, which has at least one key unless it replaces all data."""
    changes = parse_required_data(request)
    if not changes and not parse_replace(request.query.get("replace")):
        raise InvalidValue("d must contain at least one key.")
    return changes


def parse_details(text: str | None) -> bool:
    """Whether the answer shows handle, age and lifetime."""
    return _flag("details", text)


def _flag(item: str, text: str | None) -> bool:
    match text:
        case "1" | "true":
            return True
        case None | "" | "0" | "false":
            return False
    raise InvalidValue(f"{item} must be 1, true, 0 or false")


def _match(pattern: re.Pattern[str], item: str, text: str | None) -> str:
    if not text:
        raise MissingParameter(item)
    if not pattern.fullmatch(text):
        raise InvalidFormat(item)
    return text


def _match_given(pattern: re.Pattern[str], item: str, text: str | None) -> str | None:
    # That it is empty may be a mistake of the client. To leave it out would then be something else than is meant.
    if text is not None and not pattern.fullmatch(text):
        raise InvalidFormat(item)
    return text


def _integer(item: str, text: str | None, least: int, most: int, default: int | None = None) -> int:
    if text is None and default is not None:
        return default
    number = _WHOLE_NUMBER.fullmatch(text or "")
    if not number or not least <= int(number[1]) <= most:
        raise InvalidValue(f"{item} must be an integer from {least} to {most}")
    return int(number[1])


def _seconds(item: str, text: str) -> int:
    number = _WHOLE_NUMBER.fullmatch(text)
    # A number of more than 15 digits is still a whole number. 10**15, which is later than any time, stands for it.
    seconds = int(number[1]) if number else 10**15 if _DIGITS.fullmatch(text) else 0
    if seconds < MIN_SECONDS:
        raise InvalidValue(f"{item} must be a positive integer >= {MIN_SECONDS}")
    return seconds


class Parameter(NamedTuple):
    """One parameter: its place in the request, its rule, and the names that its texts have in the request.

    The rule takes a text for each name, None for one that is absent. The rule of a body takes the whole request.
    """

    place: Literal["path", "query", "body"]
    parse: Callable[..., Any]
    names: tuple[str, ...] = ()

    def reader(self) -> Callable[[Request], Any]:
        """A function that returns the parameter's value in a request, or raises an ApiError."""
        place, parse, names = self
        match place, names:
            case "path", (name,):
                return lambda request: parse(request.path.get(name))
            case "query", (name,):
                return lambda request: parse(request.query.get(name))
            case "query", _:
                return lambda request: parse(*map(request.query.get, names))
        return parse


PARAMETERS = {
    "app": Parameter("path", parse_app, ("app",)),
    "id": Parameter("path", parse_id, ("id",)),
    "token": Parameter("path", parse_token, ("token",)),
    "ip": Parameter("query", parse_ip, ("ip",)),
    "timeouts": Parameter("query", parse_timeouts, ("ttl", "lifetime", "no_resave")),
    "login": Parameter("query", parse_login, ("from", "grace")),
    "cap": Parameter("query", parse_cap, ("max", "over")),
    "own_token": Parameter("query", parse_own_token, ("token",)),
    "new_ttl": Parameter("query", parse_ttl, ("ttl",)),
    "peek": Parameter("query", parse_peek, ("peek",)),
    "replace": Parameter("query", parse_replace, ("replace",)),
    "expected_w": Parameter("query", parse_expected_w, ("w",)),
    "rotation_grace": Parameter("query", parse_rotation_grace, ("grace",)),
    "devices": Parameter("query", parse_devices, ("handle", "except")),
    "dt": Parameter("query", parse_dt, ("dt",)),
    "limit": Parameter("query", parse_limit, ("limit",)),
    "cursor": Parameter("query", parse_cursor, ("cursor",)),
    "apps_limit": Parameter("query", parse_apps_limit, ("limit",)),
    "apps_cursor": Parameter("query", parse_apps_cursor, ("cursor",)),
    "details": Parameter("query", parse_details, ("details",)),
    "data": Parameter("body", parse_first_data),
    "changes": Parameter("body", parse_changes),
}
