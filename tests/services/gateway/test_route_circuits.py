"""The circuit of each route: opening, closing, and results that are not counted."""

import contextlib

import pytest
import trio

from cqox.errors import CircuitOpen, DeadlineExceeded, EngineUnavailable
from cqox.resilience import CircuitBreaker
from services.gateway.engine_client import Reply
from services.gateway.failures import EngineFailed
from tests.services.gateway.scripted import CALL, DRAINING, REFUSED, Engine, analyze, fail, policies, reply, taking


@pytest.mark.trio
async def test_five_failed_requests_open_the_circuit_and_the_sixth_is_refused_at_once(autojump_clock):
    made = policies(engine := Engine(REFUSED))
    await fail(made, 5)
    assert len(engine.calls) == 15
    began = trio.current_time()
    with pytest.raises(CircuitOpen, match=r"^Circuit breaker OPEN for _call_engine_analyze") as caught:
        await analyze(made)
    assert trio.current_time() == began
    assert caught.value.retry_after == pytest.approx(60)
    assert len(engine.calls) == 15


@pytest.mark.trio
async def test_four_failed_requests_and_a_good_one_do_not_open_it(autojump_clock):
    engine = Engine(*[REFUSED] * 12, reply(), REFUSED)
    made = policies(engine)
    await fail(made, 4)
    assert (await analyze(made)).status == 200
    await fail(made, 4)
    with pytest.raises(EngineUnavailable):
        await analyze(made)


@pytest.mark.trio
async def test_after_a_minute_the_liveness_probe_and_no_request_of_a_user_tests_it(autojump_clock):
    made = policies(engine := Engine(REFUSED, alive=False))
    await fail(made, 5)
    await trio.sleep(61)
    seen = len(engine.calls)
    with pytest.raises(CircuitOpen):
        await analyze(made)
    assert (len(engine.calls), len(engine.probes) > 0) == (seen, True)
    engine.acts, engine.alive = [reply()], True
    await trio.sleep(61)
    assert (await analyze(made)).status == 200
    assert len(engine.calls) == seen + 1


@pytest.mark.trio
@pytest.mark.parametrize("answer", [reply(400), reply(404), reply(422), reply(429), DRAINING])
async def test_what_is_no_failure_of_the_engine_never_opens_it(autojump_clock, answer):
    made = policies(Engine(answer))
    for _ in range(8):
        assert (await analyze(made)) is answer


@pytest.mark.trio
async def test_deadlines_that_a_client_makes_too_short_never_open_it(autojump_clock):
    made = policies(engine := Engine(taking(5)))
    for _ in range(10):
        with pytest.raises(DeadlineExceeded):
            await analyze(made, seconds=0.5)
    engine.acts = [reply(504)]
    for _ in range(10):
        assert (await analyze(made, seconds=0.5)).status == 504
    engine.acts = [reply()]
    assert (await analyze(made)).status == 200


@pytest.mark.trio
@pytest.mark.parametrize("act", [taking(5), reply(504)])
async def test_deadlines_that_gave_it_a_fair_share_do(autojump_clock, act):
    made = policies(Engine(act))
    for _ in range(5):
        with contextlib.suppress(DeadlineExceeded):
            assert (await analyze(made, seconds=3)).status == 504
    with pytest.raises(CircuitOpen):
        await analyze(made, seconds=3)


@pytest.mark.trio
async def test_an_engine_that_refuses_for_load_now_and_then_is_well(autojump_clock):
    """Under overload some requests time out; rejections in between show that the engine is healthy."""
    made = policies(Engine(*[reply(504), reply(504), reply(504), reply(429)] * 5, reply()))
    for _ in range(20):
        assert (await analyze(made, seconds=3)).status in (429, 504)
    assert (await analyze(made)).status == 200


@pytest.mark.trio
async def test_deadlines_that_pass_while_the_engine_answers_others_never_open_it(autojump_clock):
    engine = Engine(*[taking(10)] * 8, reply())
    made = policies(engine)

    async def late() -> None:
        with pytest.raises(DeadlineExceeded):
            await analyze(made, seconds=3)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(late)
        await trio.sleep(1)
        assert (await made.read(CALL)).status == 200
    assert (await analyze(made)).status == 200
    assert made._policies[0].part(CircuitBreaker).snapshot().failure == 0


@pytest.mark.trio
@pytest.mark.parametrize(("answers_others", "counted"), [(True, 0), (False, 5)])
async def test_an_engine_that_says_that_the_time_is_up_while_it_answers_others_is_well(
    autojump_clock, answers_others, counted
):
    """Under overload the engine reports the deadline before the gateway does."""

    async def late() -> Reply:
        await trio.sleep(2.9)
        return reply(504)

    engine = Engine(*[late] * 5, reply() if answers_others else reply(500))
    made = policies(engine)

    async def ask() -> None:
        assert (await analyze(made, seconds=3)).status == 504

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        await trio.sleep(1)
        with contextlib.suppress(EngineFailed):
            await made.upload(CALL, seconds=10)
    assert made._policies[0].part(CircuitBreaker).snapshot().failure == counted


@pytest.mark.trio
async def test_clients_that_go_away_never_open_it(autojump_clock):
    made = policies(engine := Engine(taking(50)))
    for _ in range(10):
        with trio.move_on_after(5):
            await analyze(made)
    assert engine.cancelled == 10
    engine.acts = [reply()]
    assert (await analyze(made)).status == 200


@pytest.mark.trio
async def test_a_dead_route_leaves_the_others_alone(autojump_clock):
    made = policies(engine := Engine(REFUSED))
    await fail(made, 5)
    engine.acts = [reply()]
    assert (await made.read(CALL)).status == 200
    assert (await made.upload(CALL, seconds=120)).status == 200
    with pytest.raises(CircuitOpen):
        await analyze(made)
