"""Silence of a server, on a clock that the tests set."""

from collections.abc import Iterator
from typing import cast

import psycopg
import pytest
from psycopg.rows import TupleRow

from cqox import clock
from cqox.storage.postgres.silence import ObservedCall, Silence

CONNECTION = cast("psycopg.Connection[TupleRow]", object())


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def times() -> Iterator[Clock]:
    source = Clock()
    with clock.installed(source):
        yield source


def lost(connection: object) -> None:
    raise psycopg.OperationalError("the connection is lost")


def canceled(connection: object) -> None:
    raise psycopg.errors.QueryCanceled("canceling statement due to user request")


def missed(silence: Silence, times: Clock, *, seconds: float = 1.0, asked_after: float | None = 0.0) -> None:
    """Let a call time out, whose server was asked after some seconds, or never."""
    call = ObservedCall(seconds)
    if asked_after is not None:
        times.seconds += asked_after
        with pytest.raises(psycopg.OperationalError):
            call.observed(lost)(CONNECTION)
    times.seconds = call.ends_at
    silence.missed(call, exhausted=False)


def test_one_missed_probe_is_no_silence_and_two_in_a_row_are(times: Clock) -> None:
    silence = Silence()
    missed(silence, times)
    assert not silence
    missed(silence, times)
    assert silence


def test_an_answer_between_two_misses_keeps_a_server_from_counting_as_silent(times: Clock) -> None:
    silence = Silence()
    for _ in range(3):
        missed(silence, times)
        silence.answered()
        times.seconds += 5.0
    assert not silence


def test_an_answer_ends_the_silence(times: Clock) -> None:
    silence = Silence()
    for _ in range(2):
        missed(silence, times)
    silence.answered()
    assert not silence
    missed(silence, times)
    assert not silence


def test_probes_that_are_missed_at_one_time_count_once(times: Clock) -> None:
    silence = Silence()
    calls = [ObservedCall(1.0) for _ in range(4)]
    times.seconds += 1.0
    for call in calls:
        silence.missed(call, exhausted=False)
        times.seconds += 0.2
    assert not silence
    missed(silence, times)
    assert silence


def test_one_call_without_an_answer_for_two_seconds_is_silence(times: Clock) -> None:
    for seconds, asked_after, is_silent in ((10.0, 0.0, True), (2.5, 0.5, True), (2.5, 0.6, False), (1.9, 0.0, False)):
        silence = Silence()
        missed(silence, times, seconds=seconds, asked_after=asked_after)
        assert bool(silence) is is_silent


@pytest.mark.parametrize("seconds", [1.0, 10.0])
def test_an_answer_that_came_too_late_to_be_taken_is_one(times: Clock, seconds: float) -> None:
    silence = Silence()
    missed(silence, times)
    call = ObservedCall(seconds)
    assert call.observed(lambda _: "answer")(CONNECTION) == "answer"
    times.seconds = call.ends_at + 3.0
    silence.missed(call, exhausted=False)
    missed(silence, times)
    assert not silence


def test_an_error_of_the_server_is_an_answer(times: Clock) -> None:
    silence, call = Silence(), ObservedCall(10.0)
    with pytest.raises(psycopg.errors.QueryCanceled):
        call.observed(canceled)(CONNECTION)
    times.seconds += 11.0
    silence.missed(call, exhausted=False)
    assert not silence


def test_the_last_attempt_of_a_call_decides(times: Clock) -> None:
    silence, call = Silence(), ObservedCall(10.0)
    with pytest.raises(psycopg.errors.QueryCanceled):
        call.observed(canceled)(CONNECTION)
    with pytest.raises(psycopg.OperationalError):
        call.observed(lost)(CONNECTION)
    times.seconds += 10.0
    silence.missed(call, exhausted=False)
    assert silence


def test_a_call_that_got_no_connection_or_got_it_late_is_no_evidence(times: Clock) -> None:
    silence = Silence()
    for _ in range(3):
        waiting = ObservedCall(10.0)
        times.seconds += 10.0
        silence.missed(waiting, exhausted=True)
        missed(silence, times, asked_after=0.6)
    assert not silence


def test_a_call_that_could_not_connect_although_connections_were_free_is_a_miss(times: Clock) -> None:
    silence = Silence()
    missed(silence, times, asked_after=None)
    assert not silence
    missed(silence, times, asked_after=None)
    assert silence
