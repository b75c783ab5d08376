"""The check of histories finds violations of the contract, and none in correct histories."""

from dataclasses import replace

from rest_sessions.model import Session
from rest_sessions.store.tokens import place_of, rotated_token
from tests.histories import Call, violations

TOKEN, OTHER = "t" * 64, "u" * 64


def session(r, w, **data):
    return Session("peter", r, w, 7200, 0, "192.0.2.7", data=data)


def create(begin, end, token=TOKEN, **data):
    return Call("create", begin, end, "peter", token, data, token)


def get(begin, end, answer, token=TOKEN):
    return Call("get", begin, end, "peter", token, answer=answer)


def write(begin, end, changes, answer):
    return Call("set", begin, end, "peter", TOKEN, changes, answer)


def kill(begin, end, answer, operation="kill", token=TOKEN):
    return Call(operation, begin, end, "peter", token, answer=answer)


def failed(operation, begin, end, **parts):
    return Call(operation, begin, end, "peter", **{"token": TOKEN, **parts}, failed=True)


def test_a_correct_history_of_calls_in_order():
    history = [
        create(0, 1, k="1"),
        get(1, 2, session(1, 1, k="1")),
        write(2, 3, {"k": None, "l": "2"}, session(2, 2, l="2")),
        get(3, 4, session(2, 2, l="2")),
        kill(4, 5, 1),
        get(5, 6, None),
        kill(6, 7, 0),
    ]
    assert violations(history) == []


def test_a_correct_history_of_concurrent_calls():
    history = [
        create(0, 1),
        write(1, 9, {"k": "1"}, session(2, 3, k="1", l="2")),
        write(1, 9, {"l": "2"}, session(2, 2, l="2")),
        get(1, 9, session(1, 1)),
        kill(3, 9, 1),
        get(4, 5, None),
    ]
    assert violations(history) == []


def test_a_read_that_was_not_counted():
    history = [create(0, 1), get(2, 3, session(1, 1)), get(4, 5, session(1, 1))]
    assert "peter's tttttt: get gave (1, 1, {}), not (2, 1, {})" in violations(history)


def test_a_lost_update():
    history = [
        create(0, 1),
        write(1, 5, {"k": "1"}, session(1, 2, k="1")),
        write(1, 5, {"l": "2"}, session(1, 3, l="2")),
    ]
    assert "set gave (1, 3, {'l': '2'}), not (1, 3, {'k': '1', 'l': '2'})" in violations(history)[0]
    assert "k=None, which no write can have left there" in violations(history, exact=False)[0]


def test_two_writes_with_one_number():
    history = [
        create(0, 1),
        write(1, 5, {"k": "1"}, session(1, 2, k="1")),
        write(1, 5, {"k": "2"}, session(1, 2, k="2")),
    ]
    assert "two calls have the number 0" in violations(history, exact=False)[0]


def test_a_stale_read():
    history = [
        create(0, 1, k="1"),
        write(2, 3, {"k": "2"}, session(1, 2, k="2")),
        get(4, 5, session(2, 2, k="1")),
    ]
    assert "k=1, which no write can have left there" in violations(history, exact=False)[0]
    history[1:] = [write(2, 3, {"k": "2"}, session(2, 2, k="2")), get(4, 5, session(1, 1, k="1"))]
    assert "ended before a call began, but saw its effect" in violations(history, exact=False)[0]


def test_a_set_that_does_not_return_what_it_set():
    history = [create(0, 1, k="1"), write(2, 3, {"k": "2"}, session(1, 2, k="1"))]
    assert "which is not what it set" in violations(history, exact=False)[0]


def test_a_read_after_the_answer_of_a_kill():
    for operation in ("kill", "kill_of_id", "kill_of_app"):
        history = [create(0, 1), kill(2, 3, 1, operation), get(4, 5, session(1, 1))]
        assert violations(history, exact=False) == [f"peter's tttttt: used after the answer of {operation}"]


def test_a_kill_during_the_create_may_miss_it():
    history = [create(0, 3), kill(1, 2, 0, "kill_of_app"), get(4, 5, session(1, 1))]
    assert violations(history) == []


def test_a_session_that_is_gone_without_a_kill():
    assert violations([create(0, 1), get(2, 3, None)]) == ["peter's tttttt: missing, and no kill can have ended it"]
    late = [create(0, 1), get(2, 3, None), kill(4, 5, 1)]
    assert "peter's tttttt: missing, and no kill can have ended it" in violations(late)
    revived = [create(0, 1), kill(2, 9, 1), get(3, 4, None), get(5, 6, session(1, 1))]
    assert violations(revived, exact=False)


def test_counts_of_kills():
    assert violations([create(0, 1), kill(2, 3, 2)]) == ["kill answered 2"]
    assert len(violations([create(0, 1), kill(2, 3, 1), kill(4, 5, 1)])) == 1
    assert len(violations([create(0, 1), kill(2, 3, 0)])) == 1
    assert len(violations([create(0, 1), kill(2, 3, 2, "kill_of_id")])) == 1
    both = [create(0, 1), create(0, 1, OTHER), kill(2, 9, 1), kill(2, 9, 1, "kill_of_id"), get(9, 10, None, OTHER)]
    assert violations(both) == []
    assert len(violations([*both[:3], kill(2, 9, 0, "kill_of_id"), get(9, 10, None, OTHER)])) == 1


NEW = rotated_token(TOKEN, b"n" * 16, place_of(TOKEN))


def look(begin, end, answer, operation="peek", token=TOKEN):
    return Call(operation, begin, end, "peter", token, answer=answer)


def rotate(begin, end, answer, token=TOKEN):
    return Call("rotate", begin, end, "peter", token, answer=answer)


def login(begin, end, *, taken_over, token=OTHER, taken_from=TOKEN, **data):
    return Call("login", begin, end, "peter", token, data, token, taken_from=taken_from, taken_over=taken_over)


class TestLooks:
    def test_show_the_uses_before_them(self):
        uses = [create(0, 1), get(1, 2, session(1, 1)), get(4, 5, session(2, 1))]
        assert violations([*uses, look(2.5, 3, session(2, 1))]) == []
        assert violations([*uses, look(2.5, 3, session(1, 1))]) == ["peter's tttttt: peek does not show an earlier use"]
        assert violations([*uses, look(2.5, 3, session(3, 1), "touch")]) == ["peter's tttttt: touch shows a later use"]


class TestRotations:
    def test_agree_on_one_token(self):
        history = [create(0, 1), rotate(1, 5, NEW), rotate(1, 5, NEW), rotate(6, 7, NEW, NEW)]
        assert violations(history) == []
        other = rotated_token(TOKEN, b"o" * 16, place_of(TOKEN))
        assert violations([*history, rotate(6, 7, other)]) == ["peter's tttttt: two rotations gave two tokens"]

    def test_are_told_to_those_who_come_with_the_old_token(self):
        old, new = session(1, 1), session(1, 1)
        rotated = replace(old, rotated=True)
        history = [create(0, 1), rotate(2, 3, NEW)]
        assert violations([*history, get(4, 5, rotated)]) == []
        assert violations([*history, get(4, 5, new, NEW)]) == []
        assert violations([*history, get(4, 5, old)]) == ["peter's tttttt: get does not say rotated"]
        assert violations([*history, get(4, 5, rotated, NEW)]) == ["peter's tttttt: get says rotated"]
        assert violations([create(0, 1), get(4, 5, rotated)]) == ["peter's tttttt: get says rotated"]


class TestLogins:
    def test_end_the_session_whose_data_they_take_over(self):
        history = [
            create(0, 1, k="1"),
            login(2, 3, taken_over=True, l="2"),
            get(4, 5, session(1, 1, k="1", l="2"), OTHER),
        ]
        assert violations([*history, get(4, 5, None)]) == []
        closed = replace(session(1, 1, k="1"), closed=True)
        assert violations([*history, get(4, 5, closed)]) == []
        assert violations([*history, get(4, 5, session(1, 1, k="1"))]) == [
            "peter's tttttt: used after the answer of login"
        ]
        assert violations([*history, get(4, 5, replace(closed, data={}))]) == [
            "peter's tttttt: the closed session is not as it was"
        ]

    def test_lose_no_data(self):
        history = [create(0, 1, k="1"), login(2, 3, taken_over=True), get(4, 5, session(1, 1), OTHER)]
        assert violations(history)
        assert violations(history, exact=False)

    def test_are_not_counted(self):
        ended = [create(0, 1), login(2, 3, taken_over=True), get(4, 5, None)]
        assert violations(ended) == []
        assert violations([*ended, kill(4, 5, 2, "kill_of_id")])


def test_an_own_token_is_given_once():
    def own(begin, end, **parts):
        return Call("create_own", begin, end, "peter", TOKEN, {}, **parts)

    refused = own(2, 3, conflict=True)
    assert violations([own(0, 1, answer=TOKEN), refused]) == []
    assert "two sessions got the token tttttt" in violations([own(0, 1, answer=TOKEN), own(2, 3, answer=TOKEN)])
    nobody = "the token tttttt was refused, and nobody has it"
    assert violations([refused]) == [nobody]
    # One that has claimed the token refuses another, and is refused itself when a third gets the token.
    claimed = own(1, 6, conflict=True)
    assert violations([claimed, refused, own(4, 5, answer=TOKEN)]) == []
    assert violations([claimed, refused]) == [nobody, nobody]
    assert violations([refused, own(4, 5, answer=TOKEN)]) == [nobody]


def test_a_cap_counts_what_it_ends():
    def capped(killed):
        return Call("create_capped", 2, 3, "peter", OTHER, {}, OTHER, killed=killed)

    assert violations([create(0, 1), capped(1), get(4, 5, None)]) == []
    assert violations([create(0, 1), capped(0), get(4, 5, None)])
    assert violations([create(0, 1), capped(1), get(4, 5, session(1, 1))])


def test_kills_of_devices_concern_the_right_sessions():
    def both(operation):
        return violations(
            [create(0, 1), create(0, 1, OTHER), kill(2, 3, 1, operation), get(4, 5, session(1, 1), OTHER)]
        )

    assert both("kill_of_device") == []
    assert both("kill_of_others")


class TestAfterFailures:
    def test_a_write_that_failed_may_be_seen_or_not(self):
        for seen in ({"k": "1"}, {"k": "2"}):
            history = [
                create(0, 1, k="1"),
                failed("set", 2, 3, changes={"k": "2"}),
                get(4, 5, session(1, 1 if seen["k"] == "1" else 2, **seen)),
            ]
            assert violations(history, exact=False) == []

    def test_a_write_that_was_answered_is_not_lost(self):
        history = [
            create(0, 1, k="1"),
            write(2, 3, {"k": "2"}, session(1, 2, k="2")),
            failed("set", 4, 5, changes={"l": "3"}),
            get(6, 7, session(1, 3, k="1", l="3")),
        ]
        assert "k=1, which no write can have left there" in violations(history, exact=False)[0]

    def test_a_kill_that_failed_may_have_ended_it_or_not(self):
        for answer in (session(1, 1), None):
            assert violations([create(0, 1), failed("kill", 2, 3), get(4, 5, answer)], exact=False) == []

    def test_a_create_that_was_resent_may_be_counted_twice(self):
        history = [create(0, 3), kill(1, 2, 1, "kill_of_id"), get(4, 5, session(1, 1)), kill(6, 7, 1)]
        assert violations(history, exact=False) == []
        assert violations(history) == ["2 kills were counted, of which 1 fit no session that ended"]
        later = [create(0, 1), kill(2, 3, 1, "kill_of_id"), kill(6, 7, 1)]
        assert violations(later, exact=False) == ["2 kills were counted, of which 1 fit no session that ended"]

    def test_a_create_that_failed_may_be_counted_once(self):
        history = [failed("create", 0, 1, token=""), kill(2, 3, 1, "kill_of_id")]
        assert violations(history, exact=False) == []
        assert violations([*history, kill(4, 5, 1, "kill_of_app")], exact=False)
