"""Parts under real threads: nothing is lost, admitted twice or stuck. `make free-threading` runs this without a GIL.

Each scenario is bounded by its number of calls, and all of them together take a few seconds.
"""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitClosed,
    CircuitIsolated,
    CircuitOpen,
    Event,
    FailureRate,
    LoadShed,
    Policy,
    RateLimit,
    RateLimited,
    Registry,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    subscribe,
)
from cqox.resilience.observability.event_counts import EventCounts
from cqox.resilience.observability.metrics import REJECTIONS
from cqox.resilience.pipeline.key_twins import KeyTwins
from cqox.resilience.runtime.atomic_counter import AtomicCounter
from cqox.resilience.testing import FakeClock

THREADS = 6


def together(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run `work` with the number of each thread, all beginning at once; raise what the first of them raised."""
    barrier, raised = threading.Barrier(threads), list[BaseException]()

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    started = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if raised:
        raise raised[0]


@pytest.fixture(autouse=True)
def switching_often() -> Iterator[None]:
    """Let an interpreter with a GIL change threads at every chance."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_a_counter_counts_each_addition() -> None:
    counter = AtomicCounter()

    def work(_: int) -> None:
        for _ in range(20_000):
            counter.add()

    together(work)
    assert counter.value() == THREADS * 20_000


@pytest.mark.parametrize(
    "rate", [None, FailureRate(rate=1.0, window=50, minimum_calls=50), FailureRate(rate=1.0, seconds=60.0)]
)
def test_the_outcomes_of_a_circuit_add_up(rate: FailureRate | None) -> None:
    bound = {"failure_threshold": 1_000_000} if rate is None else {"failure_rate": rate}
    breaker = CircuitBreaker("c", **bound)

    @breaker
    def call(number: int) -> None:
        if number % 3 == 0:
            raise OSError

    def work(_: int) -> None:
        for number in range(2_400):
            with suppress(OSError):
                call(number)

    together(work)
    seen = breaker.snapshot()
    assert (seen.success, seen.failure, seen.calls) == (THREADS * 1_600, THREADS * 800, THREADS * 2_400)


def test_a_half_open_circuit_admits_one_of_all_threads() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("c", failure_threshold=1, recovery_timeout=1.0, clock=clock)
    for _ in range(60):
        with suppress(OSError, CircuitOpen), breaker:
            raise OSError
        clock.advance(1.0)
        admitted, met = list[int](), threading.Barrier(THREADS)

        def probe(number: int, admitted: list[int] = admitted, met: threading.Barrier = met) -> None:
            try:
                with breaker:
                    admitted.append(number)
                    # The probe ends when all others have been refused.
                    met.wait(10.0)
            except CircuitOpen:
                met.wait(10.0)

        together(probe)
        assert len(admitted) == 1


def test_a_circuit_may_be_reset_while_it_is_called() -> None:
    breaker = CircuitBreaker("c", failure_threshold=2, recovery_timeout=0.0)
    done = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            while not done.is_set():
                breaker.reset()
            return
        try:
            for index in range(3_000):
                with suppress(OSError, CircuitOpen), breaker:
                    if index % 4 == 0:
                        raise OSError
        finally:
            done.set()

    together(work)
    assert breaker.snapshot().calls == (THREADS - 1) * 3_000
    breaker.reset()
    with breaker:
        pass


def test_changes_of_a_circuit_are_heard_once_and_in_order() -> None:
    breaker, heard = CircuitBreaker("c"), list[Event]()
    breaker.subscribe(heard.append)

    def work(number: int) -> None:
        for _ in range(300):
            breaker.isolate()
            breaker.reset()
            # Listeners come and go meanwhile.
            subscribe(lambda event: None)()

    together(work)
    assert breaker.snapshot().state == "closed"
    assert [type(event) for event in heard[::2]] == [CircuitIsolated] * (len(heard) // 2)
    assert [type(event) for event in heard[1::2]] == [CircuitClosed] * (len(heard) // 2)


def test_a_bulkhead_holds_its_limit_and_its_arrivals_add_up() -> None:
    bulkhead, running, most = Bulkhead(2, max_queued=2), list[int](), list[int]()
    refused = AtomicCounter()

    def work(number: int) -> None:
        for _ in range(400):
            try:
                with bulkhead:
                    running.append(number)
                    most.append(len(running))
                    running.remove(number)
            except BulkheadFull:
                refused.add()

    together(work)
    seen = bulkhead.snapshot()
    assert max(most) <= 2
    assert (seen.running, seen.queued, seen.abandoned) == (0, 0, 0)
    assert seen.rejected == refused.value()
    assert seen.admitted + seen.rejected == THREADS * 400


def test_limits_admit_what_they_may_and_count_the_rest() -> None:
    clock = FakeClock()
    rate = RateLimit(500, 3600.0, clock=clock)
    adaptive = AdaptiveLimit(2, max_limit=2, clock=clock)
    shed = Shed(2, clock=clock)
    admitted = AtomicCounter()

    def work(_: int) -> None:
        for _ in range(1_200):
            with suppress(RateLimited), rate:
                admitted.add()
            with suppress(BulkheadFull), adaptive:
                pass
            with suppress(LoadShed), shed:
                pass

    together(work)
    seen = rate.snapshot()
    assert (admitted.value(), seen.admitted, seen.rejected) == (500, 500, THREADS * 1_200 - 500)
    assert adaptive.snapshot().running == 0
    assert adaptive.snapshot().admitted + adaptive.snapshot().rejected == THREADS * 1_200
    assert shed.snapshot().running == 0
    assert shed.snapshot().admitted + sum(shed.snapshot().rejected.values()) == THREADS * 1_200


def test_a_budget_grants_what_it_has() -> None:
    budget = RetryBudget(ratio=0.0, floor_per_second=40.0, clock=FakeClock())
    granted = AtomicCounter()

    def work(_: int) -> None:
        for _ in range(4_000):
            budget.first_attempt()
            if budget.may_retry():
                granted.add()

    together(work)
    seen = budget.snapshot()
    assert (granted.value(), seen.granted, seen.refused) == (400, 400, THREADS * 4_000 - 400)
    assert seen.first_attempts == THREADS * 4_000


def test_all_threads_find_the_same_state_of_a_key() -> None:
    hosts = Policy("hosts", CircuitBreaker("hosts"), Retry(2, 0.0, idempotent=True, budget=RetryBudget()), most_keys=4)
    for number in range(100):
        found, met = list[object](), threading.Barrier(THREADS)

        def find(_: int, key: int = number, found: list[object] = found, met: threading.Barrier = met) -> None:
            policy = hosts.for_key(key)
            found.append(policy.part(CircuitBreaker))
            met.wait(10.0)

        together(find)
        assert len({id(each) for each in found}) == 1
    assert hosts.snapshot().keys == 4


def test_a_key_has_one_twin_while_it_is_held() -> None:
    class Twin:
        def tally(self) -> None:
            """It counts nothing."""

    twins = KeyTwins[Twin]()
    held: list[list[Twin]] = [[] for _ in range(THREADS)]

    def work(number: int) -> None:
        for key in range(2_000):
            held[number].append(twins.of(key, Twin))
            if key % 100 == 0:
                twins.all()

    together(work)
    assert all(len({id(each) for each in of_key}) == 1 for of_key in zip(*held, strict=True))


def test_keys_may_be_used_while_others_are_forgotten() -> None:
    hosts = Policy("hosts", CircuitBreaker("hosts"), most_keys=4)

    def work(number: int) -> None:
        for index in range(600):
            hosts.for_key((index * (number + 1)) % 9)
            hosts.forget(index % 5)

    together(work)
    assert hosts.snapshot().keys <= 4


def test_a_registry_lists_what_lives_while_entries_come_and_go() -> None:
    registry = Registry()
    kept = [[CircuitBreaker("kept") for _ in range(100)] for _ in range(THREADS)]

    def work(number: int) -> None:
        for index, breaker in enumerate(kept[number]):
            registry.add("kept", breaker)
            registry.add("same name", CircuitBreaker("gone"))
            if index % 20 == 0:
                registry.snapshot()
                assert "kept" in registry

    together(work)
    listed = {key for key in registry if key.startswith("kept")}
    assert listed == {"kept", *(f"kept#{number}" for number in range(2, THREADS * 100 + 1))}


def test_a_timeout_knows_all_policies_that_depend_on_it() -> None:
    for _ in range(25):
        timeout, breakers = Timeout(1.0), list[CircuitBreaker]()

        def work(number: int, timeout: Timeout = timeout, breakers: list[CircuitBreaker] = breakers) -> None:
            for _ in range(5):
                breaker = CircuitBreaker(f"c{number}", probe_timeout=2.0)
                breakers.append(breaker)
                Policy("p", breaker, timeout)
                timeout.check_dependencies({})

        together(work)
        assert len(timeout.dependents) == THREADS * 5
        with pytest.raises(ValueError, match="probe_timeout"):
            timeout.check_dependencies({timeout: {"seconds": 3.0}})


def test_events_are_counted_once() -> None:
    counts, bulkhead = EventCounts(), Bulkhead(1, name="full")
    unsubscribe = subscribe(counts)

    def work(_: int) -> None:
        for _ in range(300):
            with pytest.raises(BulkheadFull), bulkhead:
                pass

    try:
        with bulkhead:
            together(work)
    finally:
        unsubscribe()
    registry = Registry()
    assert sum(count for count, labels in counts.read(REJECTIONS, registry)) == THREADS * 300


def test_a_function_is_decorated_once_and_called_by_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "cqox.resilience")
    policy = Policy("p", CircuitBreaker("c"), Retry(3, 0.0, idempotent=True), Timeout(5.0))
    for _ in range(20):
        attempts = [0] * THREADS

        @policy
        def call(number: int, attempts: list[int] = attempts) -> int:
            attempts[number] += 1
            if attempts[number] % 2:
                raise ConnectionResetError
            return number

        def work(number: int, call: Callable[[int], int] = call) -> None:
            assert [call(number) for _ in range(10)] == [number] * 10

        together(work)
