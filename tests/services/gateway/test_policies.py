"""The policies around one call of an engine: deadlines, attempts and results; in virtual time."""

import logging
import re

import httpx
import pytest
import trio

from cqox.errors import DeadlineExceeded, EngineUnavailable, Rejected
from cqox.resilience import deadline, registry
from cqox.resilience.propagation.http import serving_attempt
from services.gateway.engine_client import Call
from services.gateway.failures import EngineFailed, EngineUnasked
from services.http.request.propagation import serving
from tests.services.gateway.scripted import (
    CALL,
    DRAINING,
    REFUSED,
    Engine,
    analyze,
    disable_circuits,
    policies,
    reply,
    taking,
)


@pytest.mark.trio
@pytest.mark.parametrize("method", ["analyze", "read", "find", "upload", "ingest"])
async def test_a_call_that_takes_longer_than_its_deadline_is_cancelled(autojump_clock, method):
    engine, began = Engine(taking(10_000)), trio.current_time()
    with pytest.raises(DeadlineExceeded) as caught:
        await getattr(policies(engine), method)(CALL, seconds=20)
    assert trio.current_time() - began == pytest.approx(20, abs=0.002)
    assert caught.value.seconds == 20
    assert engine.cancelled == 1


@pytest.mark.trio
async def test_no_attempt_is_cut_for_being_long(autojump_clock):
    made = policies(engine := Engine(taking(119)))
    assert (await analyze(made)).status == 200
    assert len(engine.calls) == 1


@pytest.mark.trio
async def test_the_time_of_an_upload_counts_from_its_last_byte(autojump_clock):
    async def slowly():
        for _ in range(10):
            await trio.sleep(100)
            yield b"x"

    engine = Engine(taking(110))
    answer = await policies(engine).upload(Call(method="POST", target=b"/x", content=slowly()), seconds=120)
    assert (answer.status, engine.received) == (200, 10)


@pytest.mark.trio
async def test_a_file_that_an_engine_holds_is_read_there_once_and_in_the_slot_of_an_upload(autojump_clock):
    engines = Engine(reply(404)), Engine(taking(100))
    made = policies(*engines)
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(lambda: made.ingest(CALL, seconds=120))
        await trio.sleep(1)
        with trio.move_on_after(10) as impatient:
            await made.ingest(CALL, seconds=120)
        assert impatient.cancelled_caught
        assert len(engines[1].calls) == 8
    assert (await policies(Engine(reply(404)), Engine(reply(201))).ingest(CALL, seconds=120)).status == 201
    assert (await policies(Engine(reply(404)), Engine(reply(404))).ingest(CALL, seconds=120)).status == 404


@pytest.mark.trio
async def test_a_piece_is_sent_once_to_the_engine_that_holds_its_upload(autojump_clock):
    async def piece():
        yield b"abc"

    def append(made):
        call = Call(method="PATCH", target=b"/x", content=piece())
        return made.append(call, CALL, seconds=20, place=made.upload_place())

    holder = Engine(reply(200, body=b"held"))
    for others in ([], [Engine(reply(404)), Engine(reply(404))], [Engine(reply(404)), Engine(REFUSED)]):
        made = policies(*others, holder)
        for _ in range(3):
            holder.received = 0
            assert (await append(made)).body == b"held"
            assert (holder.received, [engine.received for engine in others]) == (3, [0] * len(others))
    assert (await append(policies(Engine(reply(404)), Engine(reply(404))))).status == 404
    for engines in ((Engine(reply(404)), Engine(REFUSED)), (Engine(REFUSED), Engine(REFUSED))):
        with pytest.raises(EngineUnasked):
            await append(policies(*engines))
    assert (await append(policies(Engine(reply(409))))).status == 409


@pytest.mark.trio
async def test_an_upload_that_stalls_is_ended(autojump_clock):
    async def stalled():
        yield b"x"
        await trio.sleep_forever()

    with pytest.raises(DeadlineExceeded):
        await policies(Engine()).upload(Call(method="POST", target=b"/x", content=stalled()), seconds=120)


@pytest.mark.trio
@pytest.mark.parametrize("failure", [httpx.ReadError("reset"), reply(500), reply(503), DRAINING])
async def test_an_upload_is_never_sent_twice(autojump_clock, failure):
    async def content():
        yield b"x"

    engines = Engine(failure), Engine(failure)
    call = Call(method="POST", target=b"/x", content=content())
    if failure is DRAINING:
        assert (await policies(*engines).upload(call, seconds=120)).status == 503
    else:
        with pytest.raises(EngineUnavailable):
            await policies(*engines).upload(call, seconds=120)
    assert sum(len(engine.calls) for engine in engines) == 1


@pytest.mark.trio
async def test_an_upload_that_found_no_connection_goes_to_another_engine(autojump_clock):
    async def content():
        yield b"xyz"

    engines = Engine(REFUSED), Engine(REFUSED), Engine()
    call = Call(method="POST", target=b"/x", content=content())
    assert (await policies(*engines).upload(call, seconds=120)).status == 200
    assert engines[2].received == 3


@pytest.mark.trio
async def test_an_error_of_the_clients_body_is_no_error_of_the_engine():
    async def broken():
        yield b"x"
        raise ZeroDivisionError

    made = policies(Engine())
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            await made.upload(Call(method="POST", target=b"/x", content=broken()), seconds=120)
    assert (await made.upload(CALL, seconds=120)).status == 200


@pytest.mark.trio
@pytest.mark.parametrize("failure", [REFUSED, httpx.ReadError("cut"), reply(500), reply(502), reply(503)])
async def test_a_failure_is_tried_three_times_with_growing_pauses(autojump_clock, failure):
    engine = Engine(failure, failure, reply())
    assert (await analyze(policies(engine))).status == 200
    times = [at for at, *_ in engine.calls]
    assert 0.5 <= times[1] - times[0] <= 1.5
    assert 1.0 <= times[2] - times[1] <= 3.0
    assert [attempt for *_, attempt in engine.calls] == [0, 1, 2]
    # With the headers of the call, the idempotency key among them.
    assert all(call is CALL for _, call, _ in engine.calls)


@pytest.mark.trio
async def test_after_the_third_attempt_the_failure_is_raised(autojump_clock, caplog):
    engine = Engine(reply(503, x_request_id="abc", retry_after="2"))
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(EngineFailed, match=r"failed with status 503.*id abc") as caught,
    ):
        await analyze(policies(engine))
    assert len(engine.calls) == 3
    assert caught.value.retry_after == 2.0
    lines = [line for line in caplog.messages if line.startswith("[Retry]")]
    words = r"\[Retry\] Attempt %d/3 failed: The engine failed with status 503\. Its log has the request id abc\. %s"
    ends = (r"Retrying in 2\.\d\ds\.\.\.", r"Retrying in 2\.\d\ds\.\.\.", r"Giving up: 3 attempts were made\.")
    for number, (line, end) in enumerate(zip(lines, ends, strict=True), start=1):
        assert re.fullmatch(words % (number, end), line)


@pytest.mark.trio
async def test_what_an_engine_asks_to_wait_is_waited(autojump_clock):
    engine = Engine(reply(503, retry_after="20"), reply())
    assert (await analyze(policies(engine))).status == 200
    assert engine.calls[1][0] - engine.calls[0][0] == pytest.approx(20)


@pytest.mark.trio
async def test_a_wait_beyond_the_deadline_is_not_begun(autojump_clock):
    engine, began = Engine(reply(503, retry_after="20")), trio.current_time()
    with pytest.raises(EngineFailed):
        await analyze(policies(engine), seconds=10)
    assert (len(engine.calls), trio.current_time() - began) == (1, pytest.approx(0, abs=0.01))


@pytest.mark.trio
async def test_an_engine_that_restarts_within_the_attempts_costs_the_client_nothing(autojump_clock):
    engine = Engine(DRAINING, REFUSED, reply())
    assert (await analyze(policies(engine))).status == 200


@pytest.mark.trio
async def test_a_request_that_is_itself_a_retry_gets_one_attempt(autojump_clock):
    engine = Engine(reply(503))
    with serving([("X-Retry-Attempt", "1")]), pytest.raises(EngineFailed):
        await analyze(policies(engine))
    assert [attempt for *_, attempt in engine.calls] == [1]


@pytest.mark.trio
async def test_retries_keep_to_a_budget(autojump_clock):
    engine = Engine(reply(503))
    made = policies(engine)
    disable_circuits(made)
    asked = 200

    async def ask() -> None:
        with pytest.raises((EngineUnavailable, Rejected)):
            await made.read(CALL)

    for _ in range(asked):
        await ask()
    retries = len(engine.calls) - asked
    elapsed = engine.calls[-1][0] - engine.calls[0][0]
    assert 0 < retries <= 30 + 0.2 * asked + 3 * elapsed + 1


@pytest.mark.trio
async def test_an_operator_finds_policies_circuits_and_the_budget(autojump_clock):
    made = policies(Engine())
    listed = set(registry.keys())
    for kind in ("analyze", "read", "upload", "stream"):
        assert {f"_call_engine_{kind}", f"_call_engine_{kind} breaker"} <= listed
    assert {"engine retry budget", "engine http://engine-0"} <= listed
    assert any(registry[key] is made._budget for key in listed)


@pytest.mark.trio
async def test_a_slow_route_cannot_starve_another(autojump_clock):
    made = policies(Engine(*[taking(60)] * 400, reply()))
    async with trio.open_nursery() as nursery:
        refused = 0

        async def ask() -> None:
            nonlocal refused
            try:
                await analyze(made, seconds=300)
            except Rejected:
                refused += 1

        for _ in range(250):
            nursery.start_soon(ask)
        await trio.sleep(1)
        assert refused == 250 - 64 - 128
        with trio.fail_after(70):
            await made.read(CALL, seconds=70)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_the_less_critical_are_refused_first(autojump_clock):
    made = policies(Engine(taking(100)))
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(analyze, made)
        await trio.sleep(1)
        with serving([("X-Criticality", "sheddable")]), pytest.raises(Rejected):
            await analyze(made)
        nursery.start_soon(analyze, made)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_an_outer_deadline_that_has_passed_sends_nothing(autojump_clock):
    made = policies(engine := Engine())

    async def late() -> None:
        with serving_attempt(0), deadline(0.5):
            await trio.sleep(0.5)
            await analyze(made)

    with pytest.raises(DeadlineExceeded):
        await late()
    assert engine.calls == []
