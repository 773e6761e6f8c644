"""Liveness probes of engines with requests in flight, and streamed responses."""

import contextlib
import math

import pytest
import trio

from cqox.errors import EngineUnavailable
from cqox.resilience import deadline
from services.gateway.engine_client import Call, Reply, Streamed
from services.gateway.failures import EngineBusy, EngineOutOfTime, EngineSilent, EngineStalled
from services.gateway.replica import Replica
from tests.services.gateway.scripted import CALL, REFUSED, Engine, analyze, policies, reply, taking, watched


@pytest.mark.trio
async def test_two_missed_probes_fail_an_attempt_and_another_follows(autojump_clock):
    engine = Engine(taking(math.inf), alive=False)
    made = policies(engine)
    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        began = trio.current_time()
        with pytest.raises(EngineStalled):
            await analyze(made)
        attempts = [at - began for at, *_ in engine.calls]
        assert attempts[0] == 0
        assert 11 + 0.5 <= attempts[1] <= 11 + 1.5
        assert len(attempts) == 3
        assert engine.cancelled == 3
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_one_missed_probe_fails_nothing(autojump_clock):
    engine = Engine(taking(60), alive=False)
    made = policies(engine)

    async def hiccup() -> None:
        await trio.sleep(7)
        engine.alive = True

    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        nursery.start_soon(hiccup)
        assert (await analyze(made)).status == 200
        nursery.cancel_scope.cancel()
    assert len(engine.calls) == 1
    assert len(engine.probes) >= 10


@pytest.mark.trio
@pytest.mark.parametrize("status", [None, 502, 503])
async def test_an_engine_that_drains_behind_a_closed_door_finishes_what_it_has(autojump_clock, status):
    engine, other = Engine(taking(60)), Engine()
    # Behind a sidecar a refused connection is a failure that names no request.
    engine.refusal = REFUSED if status is None else Reply(status=status, headers=(), body=b"", attributed=False)
    made = policies(engine, other)
    answers: list[Reply] = []

    async def ask() -> None:
        answers.append(await analyze(made))

    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        engine.closed = True
        async with trio.open_nursery() as clients:
            clients.start_soon(ask)
            clients.start_soon(ask)
            await trio.sleep(6)
            # By now it is the last choice.
            for _ in range(4):
                await analyze(made)
        nursery.cancel_scope.cancel()
    assert len(engine.calls) == 1
    assert len(other.calls) == 5


@pytest.mark.trio
async def test_an_engine_that_says_itself_that_it_is_not_well_is_silent(autojump_clock):
    engine = Engine(taking(60))
    engine.closed, engine.refusal = True, reply(503)
    made = policies(engine)
    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        with pytest.raises(EngineStalled):
            await analyze(made)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_an_engine_with_nothing_to_answer_is_not_asked(autojump_clock):
    made = policies(engine := Engine())
    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        await analyze(made)
        await trio.sleep(1000)
        nursery.cancel_scope.cancel()
    assert len(engine.probes) <= 1


@pytest.mark.trio
async def test_a_stream_whose_engine_stalls_ends(autojump_clock):
    async def stalling():
        yield b"first"
        await trio.sleep_forever()

    class Streams(Engine):
        async def begin(self, call: Call) -> Streamed:
            whole = Streamed.of(reply())
            return Streamed(status=200, headers=(), chunks=stalling(), close=whole.close)

    made = policies(Streams(alive=False))
    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        async with made.follow(CALL) as streamed:
            assert await anext(streamed.chunks) == b"first"
            with pytest.raises(EngineStalled):
                await anext(streamed.chunks)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_stream_counts_once_from_its_head_until_it_is_closed(autojump_clock):
    async def slowly():
        yield b"first"
        await trio.sleep(10)
        yield b"last"

    class Streams(Engine):
        async def begin(self, call: Call) -> Streamed:
            chunks = slowly()
            return Streamed(status=200, headers=(), chunks=chunks, close=chunks.aclose)

    replica = Replica("http://engine", Streams())
    idle = trio.Event()

    async def wait_idle() -> None:
        await replica.wait_idle()
        idle.set()

    streamed = await replica.begin(CALL)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_idle)
        assert replica.in_flight == 1
        assert await anext(streamed.chunks) == b"first"
        await trio.sleep(100)
        assert replica.in_flight == 1
        nursery.start_soon(anext, streamed.chunks)
        await trio.sleep(1)
        assert replica.in_flight == 1
        await trio.sleep(100)
        assert not idle.is_set()
        await streamed.close()
        await streamed.close()
        await trio.testing.wait_all_tasks_blocked()
        assert replica.in_flight == 0
        assert idle.is_set()


@pytest.mark.trio
@pytest.mark.parametrize("answer", [reply(500), reply(404), REFUSED, taking(math.inf)])
async def test_a_stream_that_never_begins_does_not_count(autojump_clock, answer):
    replica = Replica("http://engine", Engine(answer))
    with trio.move_on_after(10), contextlib.suppress(EngineUnavailable):
        await (await replica.begin(CALL)).close()
    assert replica.in_flight == 0


@pytest.mark.trio
async def test_an_engine_is_asked_whether_it_lives_while_a_stream_of_it_is_open(autojump_clock):
    made = policies(engine := Engine(reply(body=b"events")))
    async with trio.open_nursery() as nursery:
        await watched(made, nursery)
        async with made.follow(CALL):
            await trio.sleep(52)
            assert len(engine.probes) == 10
        await trio.sleep(100)
        assert len(engine.probes) == 10
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_stream_begins_under_the_same_rules_and_keeps_none_of_its_deadline(autojump_clock):
    made = policies(engine := Engine(REFUSED, reply(body=b"events")))
    async with made.analyze_stream(CALL, seconds=10) as streamed:
        await trio.sleep(100)
        assert [data async for data in streamed.chunks] == [b"events"]
    assert len(engine.calls) == 2
    engine.acts = [reply(429, body=b"later")]
    async with made.analyze_stream(CALL, seconds=10) as streamed:
        assert (streamed.status, [data async for data in streamed.chunks]) == (429, [b"later"])


@pytest.mark.trio
async def test_an_engine_that_does_not_say_alive_is_not_well(autojump_clock):
    with pytest.raises(EngineUnavailable):
        await policies(Engine(alive=False)).ping()
    with pytest.raises(EngineUnavailable, match="2 engines"):
        await policies(Engine(alive=False), Engine(alive=False)).ping()
    await policies(Engine(alive=False), Engine()).ping()


@pytest.mark.trio
async def test_an_engine_is_alive_where_its_probe_is_answered_within_a_second(autojump_clock):
    silent, closed = Engine(alive=False), Engine()
    closed.closed = True
    assert await Replica("http://engine", Engine()).ask_live()
    assert not await Replica("http://engine", silent).ask_live()
    assert not await Replica("http://engine", closed).ask_live()
    assert trio.current_time() == pytest.approx(1)


@pytest.mark.trio
async def test_an_attempt_returns_the_response_or_raises_its_failure_and_ends_either_way(autojump_clock):
    replica = Replica("http://engine", Engine(given := reply(404), reply(429)))
    assert await replica.send(CALL) is given
    with pytest.raises(EngineBusy):
        await replica.send(CALL)
    assert replica.in_flight == 0
    await replica.wait_idle()


@pytest.mark.trio
@pytest.mark.parametrize(("seconds", "error"), [(0.5, EngineOutOfTime), (30, EngineSilent)])
async def test_silence_until_the_deadline_counts_only_after_a_fair_time(autojump_clock, seconds, error):
    replica = Replica("http://engine", Engine(taking(math.inf)))
    with pytest.raises(error), deadline(seconds):
        await replica.send(CALL)
    assert trio.current_time() == pytest.approx(seconds, abs=0.01)


@pytest.mark.trio
async def test_an_event_loop_that_comes_back_late_is_no_silence_of_an_engine_that_answers_others(autojump_clock):
    replica = Replica("http://engine", Engine(taking(math.inf), reply()))
    endings: list[type[BaseException]] = []

    async def attempt() -> None:
        try:
            with deadline(2.0):
                await replica.send(CALL)
        except Exception as error:
            endings.append(type(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempt)
        await trio.sleep(1.0)
        await replica.send(CALL)
        # Both deadlines are over before anything runs again.
        autojump_clock.jump(5.0)
    assert endings == [EngineOutOfTime]
