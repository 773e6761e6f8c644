"""Classification of an engine's responses and of transport errors, one at a time."""

import httpx
import pytest

from cqox.contract.messages import Message
from cqox.errors import CqoxError, EngineUnavailable
from services.gateway.engine_client import Reply
from services.gateway.failures import (
    FAIR_SHARE_SECONDS,
    AnswerUnusable,
    EngineBusy,
    EngineFailed,
    EngineLost,
    EngineMisdirected,
    EngineOutOfTime,
    EngineSilent,
    EngineStalled,
    EngineUnasked,
    EngineUnreached,
    ResponseHead,
    checked,
    is_retryable,
    translate,
)
from services.gateway.foreign_answers import ForeignAnswer
from tests.services.gateway.scripted import problem, reply

LONG = 10 * FAIR_SHARE_SECONDS


@pytest.mark.parametrize(
    "given",
    [
        reply(200),
        reply(204),
        reply(404),
        problem("bad-option", 400),
        problem("too-many-listeners", 429),
        problem("store-unavailable"),
        problem("circuit-open"),
        problem("insufficient-storage", 507),
    ],
)
def test_a_response_for_the_client_is_returned_itself(given: Reply) -> None:
    assert checked(given, seconds=LONG) is given


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (problem("rate-limited", 429), EngineBusy),
        (reply(429), EngineBusy),
        (problem("draining"), EngineBusy),
        (problem("workers-unavailable"), EngineBusy),
        (problem("foreign-host", 421), EngineMisdirected),
        (problem("content-digest-mismatch", 400), AnswerUnusable),
        (problem("bad-request", 400), AnswerUnusable),
        (reply(302), AnswerUnusable),
        (reply(600), AnswerUnusable),
        (reply(503), EngineFailed),
        (problem("insufficient-storage", 503), EngineFailed),
        (problem("store-unavailable", 500), EngineFailed),
        (reply(507), EngineFailed),
        (reply(504), EngineFailed),
    ],
)
def test_any_other_response_raises_its_failure(given: Reply, error: type[CqoxError]) -> None:
    with pytest.raises(CqoxError) as caught:
        checked(given, seconds=LONG, host="engine.test")
    assert type(caught.value) is error


@pytest.mark.parametrize(("seconds", "others"), [(FAIR_SHARE_SECONDS / 2, False), (LONG, True)])
def test_a_504_is_no_evidence_after_a_short_time_or_while_others_are_answered(seconds: float, others: bool) -> None:
    given = reply(504)
    with pytest.raises(EngineOutOfTime) as caught:
        checked(given, seconds=seconds, answers_others=others)
    assert caught.value.reply is given
    with pytest.raises(EngineFailed):
        checked(given, seconds=FAIR_SHARE_SECONDS)


def test_a_success_has_to_keep_the_contract_and_an_error_need_not() -> None:
    contract = {200: ("application/json",)}
    page = reply(content_type="text/html", body=b"<html>")
    with pytest.raises(AnswerUnusable):
        checked(page, seconds=LONG, contract=contract)
    missing = reply(404, content_type="text/html")
    assert checked(missing, seconds=LONG, contract=contract) is missing


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectTimeout(""), EngineUnreached),
        (httpx.ConnectError("refused"), EngineUnreached),
        (httpx.ReadError(""), EngineLost),
        (httpx.RemoteProtocolError("cut"), EngineLost),
        (ForeignAnswer(Message("problems.answer-unlike-digest")), AnswerUnusable),
    ],
)
def test_a_transport_error_says_whether_the_request_was_sent(error: httpx.TransportError, kind: type) -> None:
    assert type(translate(error)) is kind


def test_a_transport_error_without_a_text_is_described_by_its_type() -> None:
    assert "ReadError" in str(translate(httpx.ReadError("")))
    assert "refused" in str(translate(httpx.ConnectError("refused")))


def test_only_what_another_engine_or_a_later_attempt_may_answer_is_retried() -> None:
    why = Message("problems.answer-unlike-digest")
    retryable = (
        EngineFailed(reply(500)),
        AnswerUnusable(why),
        EngineBusy(reply(429)),
        EngineLost(why),
        EngineUnreached(why),
        EngineStalled(why),
        EngineUnasked(EngineLost(why)),
    )
    final = (
        EngineFailed(reply(504)),
        EngineOutOfTime(),
        EngineSilent(why),
        EngineMisdirected("engine.test"),
        EngineUnavailable("down"),
        ValueError(),
    )
    assert all(map(is_retryable, retryable))
    assert not any(map(is_retryable, final))


def test_failures_carry_what_the_retry_policy_and_the_client_need() -> None:
    failed = EngineFailed(reply(500, retry_after="7", x_request_id="abc"))
    assert failed.retry_after == 7
    assert "abc" in str(failed)
    assert EngineFailed(reply(500)).retry_after == 0
    assert EngineBusy(problem("draining")).draining
    assert not EngineBusy(problem("workers-unavailable")).draining
    assert "engine.test" in str(EngineMisdirected("engine.test"))


def test_of_a_repeated_header_the_first_value_counts() -> None:
    twice = Reply(status=429, headers=((b"retry-after", b"1"), (b"retry-after", b"9")), body=b"")
    assert ResponseHead(twice).headers == {"retry-after": "1"}
