"""Blocks under a policy: all its parts, outermost first, and nothing that would need to run the block again."""

import math
import threading

import anyio
import pytest

from cqox.errors import AttemptTimeout, BulkheadFull, CircuitOpen, DeadlineExceeded, RateLimited
from cqox.resilience import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    Timeout,
    deadline,
    remaining,
)
from cqox.resilience.testing import FakeClock
from tests.resilience.composition.test_policy import Tracer
from tests.resilience.conftest import Down


def test_all_parts_guard_the_block_outermost_first(run) -> None:
    async def main() -> None:
        trace: list[str] = []
        policy = Policy("p", Tracer("a", trace), Timeout(5.0), Tracer("b", trace), Timeout(2.0), Tracer("c", trace))
        async with policy as entered:
            assert entered is policy
            trace.append(f"body {remaining():g}")
        with pytest.raises(Down):
            async with policy:
                raise Down
        assert trace == [
            *["a in", "b in", "c in", "body 2", "c NO_RESULT", "b NO_RESULT", "a NO_RESULT"],
            *["a in", "b in", "c in", "c Down", "b Down", "a Down"],
        ]

    run(main)


def test_a_plain_block_is_guarded_too() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=clock)
    policy = Policy("engine", Bulkhead(1, clock=clock), breaker, Timeout(5.0, clock=clock))
    with policy:
        assert remaining() == 5.0
        with pytest.raises(BulkheadFull), policy:
            pytest.fail("there is one slot")
    assert remaining() == math.inf
    with pytest.raises(Down), policy:
        raise Down
    with pytest.raises(CircuitOpen), policy:
        pytest.fail("the circuit is open")
    assert policy.part(Bulkhead).snapshot().running == 0


@pytest.mark.parametrize("plain", [False, True])
def test_a_timeout_ends_a_block_of_a_task_and_counts_as_a_failure(run, plain: bool) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        policy = Policy("engine", breaker, Timeout(2.0))
        began = anyio.current_time()

        async def body() -> None:
            if plain:
                with policy:
                    await anyio.sleep_forever()
            async with policy:
                await anyio.sleep_forever()

        with pytest.raises(AttemptTimeout) as caught:
            await body()
        assert anyio.current_time() - began == pytest.approx(2.0)
        assert caught.value.seconds == 2.0
        with pytest.raises(CircuitOpen):
            async with policy:
                pytest.fail("the circuit is open")

    run(main)


def test_a_deadline_of_the_policy_is_one_of_each_block(run) -> None:
    async def main() -> None:
        policy = Policy("engine", deadline(3.0), CircuitBreaker("engine"))
        for _ in range(2):
            async with policy:
                await anyio.sleep(2)
        with pytest.raises(DeadlineExceeded):
            async with policy:
                await anyio.sleep(4)

    run(main)


def test_a_cancellation_from_outside_is_no_verdict_and_stays_one(run) -> None:
    async def main() -> None:
        policy = Policy("engine", Bulkhead(1), CircuitBreaker("engine", failure_threshold=1), Timeout(9.0))
        with anyio.move_on_after(1) as scope:
            async with policy:
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        snapshot = policy.part(CircuitBreaker).snapshot()
        assert (snapshot.cancelled, snapshot.failure) == (1, 0)
        assert policy.part(Bulkhead).snapshot().running == 0

    run(main)


def test_a_block_that_is_cancelled_in_the_queue_of_a_part_leaves_nothing_behind(run) -> None:
    async def main() -> None:
        outer, inner = Bulkhead(5, name="outer"), Bulkhead(1, 1, name="inner")
        policy = Policy("engine", outer, Timeout(50.0), inner)
        async with policy:
            with anyio.move_on_after(1) as scope:
                async with policy:
                    pytest.fail("there is one slot")
            assert scope.cancelled_caught
            assert (outer.snapshot().running, inner.snapshot().queued) == (1, 0)
            assert remaining() == 49.0
        assert (outer.snapshot().running, inner.snapshot().running) == (0, 0)

    run(main)


def test_a_hung_dependency_trips_its_circuit_by_the_deadline_of_the_caller(run) -> None:
    async def main() -> None:
        policy = Policy("engine", CircuitBreaker("engine", failure_threshold=1))
        with pytest.raises(DeadlineExceeded), deadline(2.0):
            async with policy:
                await anyio.sleep_forever()
        assert policy.part(CircuitBreaker).state == "open"

    run(main)


def test_a_refusal_further_in_gives_back_what_is_further_out() -> None:
    clock = FakeClock()
    policy = Policy("engine", Bulkhead(1, clock=clock), Timeout(5.0), RateLimit(1, 60.0, clock=clock))
    with policy:
        pass
    for _ in range(2):
        with pytest.raises(RateLimited), policy:  # and not BulkheadFull
            pytest.fail("the rate is used up")
    assert policy.part(Bulkhead).snapshot().running == 0
    assert remaining() == math.inf


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Retry(idempotent=True), r"has a retry, .* write `async for attempt in retry` .* `policy\.call`"),
        (Hedge(1.0), r"has a hedge, which needs a function .* `policy\.call`"),
        (Fallback(lambda error: None), r"has a fallback, which needs a function .* `policy\.call`"),
    ],
)
def test_parts_that_need_a_function_are_refused_before_anything_is_admitted(run, part, message: str) -> None:
    async def main() -> None:
        slots = Bulkhead(1)
        policy = Policy("engine", slots, part)
        with pytest.raises(TypeError, match=message):
            async with policy:
                pytest.fail("the block must not run")
        with pytest.raises(TypeError, match=message), policy:
            pytest.fail("the block must not run")
        assert slots.snapshot().admitted == 0

    run(main)


def test_one_policy_guards_many_blocks_at_once(run) -> None:
    async def main() -> None:
        policy, most = Policy("engine", Bulkhead(3, 10), Timeout(20.0)), 0

        async def work(number: int) -> None:
            nonlocal most
            async with policy:
                most = max(most, policy.part(Bulkhead).snapshot().running)
                await anyio.sleep(number)

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(work, number)
        assert (most, policy.part(Bulkhead).snapshot().running) == (3, 0)

    run(main)


def test_threads_share_a_policy() -> None:
    policy, inside = Policy("engine", Bulkhead(4)), threading.Barrier(4)

    def work() -> None:
        with policy:
            inside.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert policy.part(Bulkhead).snapshot().running == 0


def test_blocks_of_a_key_are_guarded_by_its_parts() -> None:
    policy = Policy("hosts", CircuitBreaker("hosts", failure_threshold=1, clock=FakeClock()))
    with pytest.raises(Down), policy.for_key("down"):
        raise Down
    with policy.for_key("up"):
        pass
    with pytest.raises(CircuitOpen), policy.for_key("down"):
        pytest.fail("the circuit is open")


def test_a_block_that_is_left_elsewhere_is_reported(run) -> None:
    async def main() -> None:
        policy = Policy("engine", Bulkhead(1))
        with pytest.raises(RuntimeError, match="left in another task than the one that entered it"):
            await policy.__aexit__(None, None, None)

    run(main)
