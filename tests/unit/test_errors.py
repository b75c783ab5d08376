import re

import pytest

from rest_sessions import errors
from rest_sessions.errors import ApiError, RestSessionsError

# The names and statuses that the contract gives to errors.
CONTRACT = {
    "missingParameter": 400,
    "unknownParameter": 400,
    "invalidFormat": 400,
    "invalidValue": 400,
    "invalidJson": 400,
    "forbidden": 403,
    "notFound": 404,
    "conflict": 409,
    "tooManySessions": 409,
    "tokenInUse": 409,
    "tooLarge": 413,
    "unsupportedMediaType": 415,
    "internalError": 500,
    "storeUnavailable": 503,
}


def subclasses(base):
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


ANSWERS = [error for error in subclasses(ApiError) if not error.__subclasses__()]


def test_answers_are_those_of_the_contract():
    assert {error.name: error.status for error in ANSWERS} == CONTRACT


def test_no_two_answers_share_a_name():
    assert len({error.name for error in ANSWERS}) == len(ANSWERS)


@pytest.mark.parametrize("error", ANSWERS, ids=lambda error: error.__name__)
def test_name_of_an_answer_is_in_camel_case(error):
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", error.name)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.MissingParameter("ip"), "No ip supplied"),
        (errors.InvalidFormat("app"), "Invalid app format"),
        (errors.InvalidValue("as it is"), "as it is"),
        (errors.InvalidJson("why at line 1"), "The body is not valid JSON: why at line 1"),
        (errors.SessionNotFound(), "No such session: it expired, was killed, or never was"),
        (errors.Conflict("as it is"), "as it is"),
        (
            errors.TooManySessions(5),
            "The user has as many live sessions as max allows, 5; end one, or send over=oldest",
        ),
        (errors.TokenInUse(), "A session has or had this token; choose another"),
        (errors.TooLarge("as it is"), "as it is"),
        (errors.UnsupportedMediaType("as it is"), "as it is"),
        (
            errors.UnknownParameter("exept", ["handle", "except"]),
            "Unknown parameter exept; this route takes handle, except",
        ),
        (errors.UnknownParameter("x", []), "Unknown parameter x; this route takes none"),
        (errors.InternalError("id-1"), "Internal error; the log has it under the request id id-1"),
        (errors.StoreUnavailable("of the log only"), "The session store is unavailable; try again"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_message_is_what_the_client_reads(error, message):
    assert error.message == message
    assert str(error) == message


def test_reason_of_an_unavailable_store_is_kept_for_the_log():
    assert errors.StoreUnavailable("refused").reason == "refused"


def tree():
    """The classes in the tree of the module's docstring: name, parent's name, status, and the text after the status."""
    branch = {}
    for line in errors.__doc__.splitlines():
        drawn = re.fullmatch(r"(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: +(?P<status>\d{3}))?(?: +(?P<rest>.+))?", line)
        if drawn and (drawn["indent"] or drawn["name"] == RestSessionsError.__name__):
            depth = len(drawn["indent"]) // 4
            branch[depth] = drawn["name"]
            yield drawn["name"], branch.get(depth - 1), drawn["status"], drawn["rest"]


class TestTree:
    def test_names_each_class_under_its_parent(self):
        drawn = [(name, parent) for name, parent, *_ in tree()]
        defined = [(error.__name__, error.__base__.__name__) for error in subclasses(RestSessionsError)]
        assert sorted(drawn[1:]) == sorted(defined)
        assert drawn[0] == ("RestSessionsError", None)

    def test_tells_the_status_and_name_of_each_answer(self):
        documented = {}
        for name, parent, status, rest in tree():
            documented[name] = (status or documented.get(parent, (None,))[0], rest)
        for error in ANSWERS:
            assert documented[error.__name__] == (str(error.status), error.name)
