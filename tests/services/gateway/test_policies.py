"""The rules between a route and an engine, one by one, in virtual time."""

import contextlib
import logging
import math
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
import trio

from cqox.errors import CircuitOpen, DeadlineExceeded, EngineUnavailable, Rejected
from cqox.resilience import CircuitBreaker, deadline, registry
from cqox.resilience.http import propagate, serving_attempt
from services.gateway.engine_client import AnswerTooLarge, Call, Reply, Streamed
from services.gateway.failures import AnswerUnusable, EngineFailed, EngineLost, EngineStalled, EngineUnasked
from services.gateway.policies import EnginePolicies
from services.gateway.replica import Replica
from services.gateway.replicas import Replicas
from services.http.hop import serving

CALL = Call(method="POST", target=b"/x", content=b"{}")
REFUSED = httpx.ConnectError("refused")


def reply(status: int = 200, *, body: bytes = b"", **headers: str) -> Reply:
    fields = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Reply(status=status, headers=fields, body=body)


DRAINING = reply(503, body=b'{"type": "draining"}')

type Act = Reply | Exception | Callable[[], Awaitable[Reply]]


class Engine:
    """Stands where the engine client does, and plays a script: the last act again and again."""

    def __init__(self, *acts: Act, alive: bool = True) -> None:
        self.acts = list(acts) or [reply()]
        self.alive = alive
        self.closed = False
        self.calls: list[tuple[float, Call, int]] = []
        self.probes: list[float] = []
        self.received = 0
        self.cancelled = 0
        self.running = 0

    async def send(self, call: Call) -> Reply:
        if call.target == b"/health/live":
            self.probes.append(trio.current_time())
            if self.closed:
                raise REFUSED
            if not self.alive:
                await trio.sleep_forever()
            return reply()
        request = httpx.Request("POST", "http://engine/")
        await propagate(request)
        self.calls.append((trio.current_time(), call, int(request.headers.get("X-Retry-Attempt", "0"))))
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, httpx.ConnectError):
            raise act
        self.running += 1
        try:
            if not isinstance(call.content, bytes):
                async for data in call.content:
                    self.received += len(data)
            await trio.lowlevel.checkpoint()
            if isinstance(act, Exception):
                raise act
            return act if isinstance(act, Reply) else await act()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def begin(self, call: Call) -> Streamed:
        return Streamed.of(await self.send(call))


def policies(*engines: Engine) -> EnginePolicies:
    return EnginePolicies(
        Replicas([Replica(f"http://engine-{number}", engine) for number, engine in enumerate(engines)])
    )


def taking(seconds: float) -> Callable[[], Awaitable[Reply]]:
    async def take() -> Reply:
        await trio.sleep(seconds)
        return reply()

    return take


async def analyze(made: EnginePolicies, seconds: float = 120.0) -> Reply:
    return await made.analyze(CALL, seconds=seconds)


def disable_circuits(made: EnginePolicies) -> None:
    for policy in made._policies:
        policy.disable()


async def fail(made: EnginePolicies, times: int = 1, seconds: float = 120.0) -> None:
    for _ in range(times):
        with pytest.raises((EngineUnavailable, DeadlineExceeded)):
            await analyze(made, seconds)


@pytest.mark.trio
@pytest.mark.parametrize("method", ["analyze", "read", "find", "upload"])
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
@pytest.mark.parametrize(
    "error",
    [REFUSED, httpx.ConnectTimeout(""), httpx.ReadError("x"), httpx.RemoteProtocolError("x"), httpx.WriteError("x")],
)
async def test_what_the_transport_raises_becomes_an_error_of_ours_with_its_cause(autojump_clock, error):
    with pytest.raises(EngineUnavailable) as caught:
        await analyze(policies(Engine(error)))
    assert caught.value.__cause__ is error


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
@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 422, 429, 504])
async def test_other_answers_are_returned_as_they_are_after_one_attempt(autojump_clock, status):
    given = reply(status, body=b"as it is", retry_after="3")
    made = policies(engine := Engine(given))
    assert await analyze(made) is given
    assert len(engine.calls) == 1


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
async def test_after_the_third_attempt_the_failure_is_told(autojump_clock, caplog):
    engine = Engine(reply(503, x_request_id="abc", retry_after="2"))
    with caplog.at_level(logging.WARNING), pytest.raises(EngineFailed, match=r"failed with 503.*id abc") as caught:
        await analyze(policies(engine))
    assert len(engine.calls) == 3
    assert caught.value.retry_after == 2.0
    lines = [line for line in caplog.messages if line.startswith("[Retry]")]
    words = r"\[Retry\] Attempt %d/3 failed: The engine failed with 503; its log has the request id abc\. %s"
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
    """Under overload some requests run out of time; between them, refusals show that the engine is there."""
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
    """Under overload the engine is faster to say so than the gateway."""

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


async def watched(made: EnginePolicies, nursery: trio.Nursery) -> None:
    for replica in made._replicas.all():
        nursery.start_soon(replica.watch)


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
async def test_an_engine_that_drains_behind_a_closed_door_finishes_what_it_has(autojump_clock):
    engine, other = Engine(taking(60)), Engine()
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
    async with made.analyze_bit_by_bit(CALL, seconds=10) as streamed:
        await trio.sleep(100)
        assert [data async for data in streamed.chunks] == [b"events"]
    assert len(engine.calls) == 2
    engine.acts = [reply(429, body=b"later")]
    async with made.analyze_bit_by_bit(CALL, seconds=10) as streamed:
        assert (streamed.status, [data async for data in streamed.chunks]) == (429, [b"later"])


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
        with pytest.raises(EngineUnasked, match="could not be asked"):
            await made.find(CALL)
    assert (await made.read(CALL)).status == 404
    made = policies(Engine(reply(body=b"record", x_second_hand="yes")), Engine(REFUSED))
    assert (await made.find(CALL)).body == b"record"
    with pytest.raises(EngineLost):
        await policies(Engine(REFUSED), Engine(REFUSED)).find(CALL)


@pytest.mark.trio
async def test_an_engine_that_does_not_say_alive_is_not_well(autojump_clock):
    with pytest.raises(EngineUnavailable):
        await policies(Engine(alive=False)).ping()
    with pytest.raises(EngineUnavailable, match="None of 2"):
        await policies(Engine(alive=False), Engine(alive=False)).ping()
    await policies(Engine(alive=False), Engine()).ping()


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


def problem(kind: str, status: int = 503) -> Reply:
    return reply(status, body=b'{"type": "%s"}' % kind.encode(), retry_after="2")


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
async def test_an_engine_without_workers_took_nothing_so_that_another_is_asked_at_once(autojump_clock):
    engines = Engine(problem("workers-unavailable")), Engine()
    made = policies(*engines)
    for _ in range(4):
        assert (await analyze(made)).status == 200
    assert trio.current_time() - engines[1].calls[0][0] < 0.5


@pytest.mark.trio
@pytest.mark.parametrize("answer", [problem("told"), problem("engine-unavailable"), reply(501), reply(599), reply(999)])
async def test_any_other_5xx_is_a_failure(autojump_clock, answer):
    made = policies(engine := Engine(answer))
    await fail(made, 5)
    assert len(engine.calls) == 15
    with pytest.raises(CircuitOpen):
        await analyze(made)


@pytest.mark.trio
@pytest.mark.parametrize("status", [302, 304, 999])
async def test_a_status_that_nobody_promised_is_a_failure(autojump_clock, status):
    with pytest.raises(AnswerUnusable, match=f"cannot be used: it has the status {status}"):
        await analyze(policies(Engine(reply(status))))


@pytest.mark.trio
@pytest.mark.parametrize("how", ["analyze", "stream"])
async def test_an_answer_that_is_not_what_was_promised_is_a_failure(autojump_clock, how):
    promise = {200: ("application/json", "text/event-stream")}
    portal = reply(body=b"<html>", content_type="text/html")
    call = Call(method="POST", target=b"/x", promise=promise)
    made = policies(engine := Engine(portal))

    async def ask() -> None:
        if how == "analyze":
            await made.analyze(call, seconds=120)
        else:
            async with made.analyze_bit_by_bit(call, seconds=120):
                pass

    for _ in range(5):
        with pytest.raises(AnswerUnusable, match="it is text/html and not application/json"):
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


@pytest.mark.trio
@pytest.mark.parametrize(("other", "status"), [(404, 503), (409, 503), (200, 200)])
async def test_an_engine_whose_store_is_away_cannot_tell_that_there_is_no_job(autojump_clock, other, status):
    for engines in ((problem("store-unavailable"), reply(other)), (reply(other), problem("store-unavailable"))):
        made = policies(*map(Engine, engines))
        assert (await made.find(CALL)).status == status
