"""Load balancing over several engines, and the search for a resource that one of them holds."""

import math
from collections.abc import Callable

import httpx
import pytest
import trio

from services.gateway.failures import EngineLost, EngineUnasked
from tests.services.gateway.scripted import (
    CALL,
    DRAINING,
    REFUSED,
    Engine,
    analyze,
    disable_circuits,
    fail,
    policies,
    problem,
    reply,
    taking,
    watched,
)

BAD: dict[str, Callable[[], Engine]] = {
    "refuses": lambda: Engine(REFUSED, alive=True),
    "is draining": lambda: Engine(DRAINING),
    "is full": lambda: Engine(reply(429)),
    "cuts its answers": lambda: Engine(httpx.ReadError("cut")),
    "answers 500": lambda: Engine(reply(500)),
    "answers 503": lambda: Engine(reply(503)),
    "never answers": lambda: Engine(taking(math.inf), alive=False),
    "is slow": lambda: Engine(taking(20)),
}


@pytest.mark.trio
@pytest.mark.parametrize("how", BAD)
async def test_one_bad_engine_of_three_costs_no_client_an_error(autojump_clock, how):
    engines = BAD[how](), Engine(taking(0.1)), Engine(taking(0.1))
    made = policies(*engines)
    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        for _ in range(4):
            async with trio.open_nursery() as clients:
                for _ in range(10):
                    clients.start_soon(analyze, made)
                    clients.start_soon(made.read, CALL)
        for _ in range(20):
            assert (await analyze(made)).status == 200
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_an_engine_that_keeps_failing_is_left_alone_and_comes_back_by_its_probe(autojump_clock):
    bad, good = Engine(reply(500)), Engine()
    made = policies(bad, good)
    for _ in range(40):
        await analyze(made)
    assert len(bad.calls) == 5
    bad.acts = [reply()]
    await trio.sleep(10)
    for _ in range(10):
        await analyze(made)
    assert len(bad.calls) >= 5 + 4
    assert len(bad.probes) == 1


@pytest.mark.trio
async def test_an_engine_that_has_stalled_is_the_last_choice_until_it_answers(autojump_clock):
    stopped, good = Engine(taking(math.inf), alive=False), Engine()
    made = policies(stopped, good)
    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        for _ in range(2):
            await analyze(made)
        for _ in range(20):
            with trio.fail_after(0.1):
                await analyze(made)
        assert len(stopped.calls) == 1
        stopped.alive, stopped.acts = True, [reply()]
        await trio.sleep(6)
        for _ in range(4):
            await analyze(made)
        assert len(stopped.calls) >= 3
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_where_all_engines_are_left_alone_all_are_tried(autojump_clock):
    engines = Engine(reply(500)), Engine(reply(500))
    made = policies(*engines)
    disable_circuits(made)
    await fail(made, 6)
    for engine in engines:
        engine.acts = [reply()]
    assert (await analyze(made)).status == 200


@pytest.mark.trio
async def test_the_engine_with_the_least_to_do_is_chosen(autojump_clock):
    engines = Engine(taking(100)), Engine(taking(100)), Engine(taking(100))
    made = policies(*engines)
    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(analyze, made)
            await trio.sleep(0.1)
        assert [engine.running for engine in engines] == [3, 3, 3]
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_what_one_engine_holds_is_found_there(autojump_clock):
    made = policies(Engine(reply(404)), Engine(reply(body=b"job")), Engine(reply(404)))
    for _ in range(6):
        assert (await made.find(CALL)).body == b"job"
        async with made.follow(CALL) as streamed:
            assert [data async for data in streamed.chunks] == [b"job"]
    assert (await policies(Engine(reply(404)), Engine(reply(404))).find(CALL)).status == 404


@pytest.mark.trio
async def test_the_engine_that_holds_it_is_preferred_to_one_that_has_a_record_of_it(autojump_clock):
    record, own, elsewhere = reply(body=b"record", x_second_hand="yes"), reply(body=b"own"), reply(409)
    for engines in ([record, own], [elsewhere, own], [reply(404), record], [elsewhere, reply(404), record]):
        made = policies(*map(Engine, engines))
        for _ in range(3):
            assert (await made.find(CALL)).body in (b"own", b"record")
            assert ((await made.find(CALL)).body == b"own") == (own in engines)
            async with made.follow(CALL) as streamed:
                assert [data async for data in streamed.chunks] == [b"own" if own in engines else b"record"]
    assert (await policies(Engine(reply(404)), Engine(elsewhere)).find(CALL)).status == 409


@pytest.mark.trio
async def test_an_engine_that_cannot_be_asked_matters_only_where_no_other_knows_and_opens_no_circuit(autojump_clock):
    made = policies(Engine(reply(404)), Engine(REFUSED))
    for _ in range(6):
        with pytest.raises(EngineUnasked, match="could not be reached"):
            await made.find(CALL)
    assert (await made.read(CALL)).status == 404
    made = policies(Engine(reply(body=b"record", x_second_hand="yes")), Engine(REFUSED))
    assert (await made.find(CALL)).body == b"record"
    with pytest.raises(EngineLost):
        await policies(Engine(REFUSED), Engine(REFUSED)).find(CALL)


@pytest.mark.trio
@pytest.mark.parametrize(("other", "status"), [(404, 503), (409, 503), (200, 200)])
async def test_an_engine_without_its_store_cannot_rule_out_that_a_job_exists(autojump_clock, other, status):
    for engines in ((problem("store-unavailable"), reply(other)), (reply(other), problem("store-unavailable"))):
        made = policies(*map(Engine, engines))
        assert (await made.find(CALL)).status == status
