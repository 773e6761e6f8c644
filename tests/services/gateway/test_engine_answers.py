"""Classification of an engine's responses: passed on unchanged, or failures of the engine."""

import httpx
import pytest
import trio

from cqox.errors import CircuitOpen, EngineUnavailable
from services.gateway.engine_client import AnswerTooLarge, Call
from services.gateway.failures import AnswerUnusable
from tests.services.gateway.scripted import CALL, REFUSED, Engine, analyze, fail, policies, problem, reply


@pytest.mark.trio
@pytest.mark.parametrize(
    "error",
    [REFUSED, httpx.ConnectTimeout(""), httpx.ReadError("x"), httpx.RemoteProtocolError("x"), httpx.WriteError("x")],
)
async def test_what_the_transport_raises_becomes_an_error_of_ours_with_its_cause(autojump_clock, error):
    with pytest.raises(EngineUnavailable) as caught:
        await analyze(policies(Engine(error)))
    assert caught.value.__cause__ is error


@pytest.mark.trio
@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 422, 429, 504])
async def test_other_answers_are_returned_as_they_are_after_one_attempt(autojump_clock, status):
    given = reply(status, body=b"as it is", retry_after="3")
    made = policies(engine := Engine(given))
    assert await analyze(made) is given
    assert len(engine.calls) == 1


@pytest.mark.trio
@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (method, kind)
        for method in ("analyze", "read", "find", "upload")
        for kind in ("store-unavailable", "worker-lost", "workers-unavailable", "circuit-open")
        # Nothing is computed to find a job.
        if (method, kind) != ("find", "workers-unavailable")
    ],
)
async def test_an_engine_that_says_what_behind_it_is_away_is_answered_by_its_words_and_opens_nothing(
    autojump_clock, method, kind
):
    given = problem(kind)
    made = policies(engine := Engine(given))
    for asked in range(1, 9):
        assert await getattr(made, method)(CALL, seconds=30) is given
        assert len(engine.calls) == asked
    engine.acts = [reply()]
    assert (await getattr(made, method)(CALL, seconds=30)).status == 200


@pytest.mark.trio
@pytest.mark.parametrize("method", ["analyze", "read", "find", "upload"])
async def test_an_engine_whose_disk_is_full_is_answered_by_its_words_and_opens_nothing(autojump_clock, method):
    given = reply(507, body=b'{"type": "insufficient-storage"}')
    made = policies(engine := Engine(given))
    for asked in range(1, 9):
        assert await getattr(made, method)(CALL, seconds=30) is given
        assert len(engine.calls) == asked


@pytest.mark.trio
async def test_an_engine_without_workers_took_nothing_so_that_another_is_asked_at_once(autojump_clock):
    engines = Engine(problem("workers-unavailable")), Engine()
    made = policies(*engines)
    for _ in range(4):
        assert (await analyze(made)).status == 200
    assert trio.current_time() - engines[1].calls[0][0] < 0.5


@pytest.mark.trio
@pytest.mark.parametrize(
    "answer", [problem("scripted"), problem("engine-unavailable"), reply(501), reply(507), reply(599), reply(999)]
)
async def test_any_other_5xx_is_a_failure(autojump_clock, answer):
    made = policies(engine := Engine(answer))
    await fail(made, 5)
    assert len(engine.calls) == 15
    with pytest.raises(CircuitOpen):
        await analyze(made)


@pytest.mark.trio
@pytest.mark.parametrize("status", [302, 304, 999])
async def test_a_status_outside_of_the_contract_is_a_failure(autojump_clock, status):
    with pytest.raises(AnswerUnusable, match=f"cannot be used: it has the status {status}"):
        await analyze(policies(Engine(reply(status))))


@pytest.mark.trio
@pytest.mark.parametrize("how", ["analyze", "stream"])
async def test_an_answer_that_is_not_what_was_promised_is_a_failure(autojump_clock, how):
    contract = {200: ("application/json", "text/event-stream")}
    portal = reply(body=b"<html>", content_type="text/html")
    call = Call(method="POST", target=b"/x", contract=contract)
    made = policies(engine := Engine(portal))

    async def ask() -> None:
        if how == "analyze":
            await made.analyze(call, seconds=120)
        else:
            async with made.analyze_stream(call, seconds=120):
                pass

    for _ in range(5):
        with pytest.raises(AnswerUnusable, match="its Content-Type is text/html, but must be application/json"):
            await ask()
    with pytest.raises(CircuitOpen):
        await ask()
    assert len(engine.calls) == 15


@pytest.mark.trio
async def test_an_answer_that_is_too_large_is_a_failure_and_not_asked_for_again(autojump_clock):
    made = policies(engine := Engine(AnswerTooLarge(1000)))
    await fail(made, 5)
    assert len(engine.calls) == 5
    with pytest.raises(CircuitOpen):
        await analyze(made)
