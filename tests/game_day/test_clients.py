"""Counting how requests of a game day ended."""

from tests.game_day.clients import Answered, tally, well_again


def answered(began: float, said: str, *, took: float = 0.5) -> Answered:
    return Answered(kind="list", began=began, ended=began + took, said=said)


ALL = [
    answered(1.0, "200"),
    answered(2.0, "503"),
    answered(3.0, "certificate"),
    answered(4.0, "503", took=3.0),
    answered(8.0, "202"),
]


def test_requests_are_counted_by_when_they_were_sent_and_their_failures_by_what_was_said() -> None:
    found = tally(ALL, 2.0, 8.0)
    assert (found.sent, found.good) == (3, 0)
    assert list(found.failures.items()) == [("503", 2), ("certificate", 1)]


def test_it_is_well_once_the_last_request_that_fails_has_ended() -> None:
    assert well_again(ALL, 5.0) == 2.0
    assert well_again(ALL, 7.5) == 0.0
