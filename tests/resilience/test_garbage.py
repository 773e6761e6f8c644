"""No reference cycles: a call leaves no work to the garbage collector."""

import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import Rejected
from cqox.resilience import (
    Bulkhead,
    CircuitBreaker,
    Drain,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    Shed,
    Timeout,
    deadline,
)
from cqox.resilience.pipeline.part import Gate
from tests.resilience.circuit.callees import fail
from tests.resilience.conftest import Down, Run
from tests.resilience.retrying import plain


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """Disable the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def is_left(call: Callable[[], object]) -> bool:
    """Return whether the exception of `call` outlives its handler."""
    try:
        call()
    except Exception as error:  # any error is what the test is about
        raised = weakref.ref(error)
    return raised() is not None


async def is_left_async(call: Callable[[], Awaitable[object]]) -> bool:
    """The same where it is awaited, once the loop has turned."""
    try:
        await call()
    except Exception as error:  # any error is what the test is about
        raised = weakref.ref(error)
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()
    return raised() is not None


def isolated() -> CircuitBreaker:
    breaker = CircuitBreaker("engine")
    breaker.isolate()
    return breaker


def full() -> Bulkhead:
    slots = Bulkhead(1)
    slots.admit(None)
    return slots


def spent() -> RateLimit:
    rate = RateLimit(1, 60.0)
    rate.admit(None)
    return rate


def loaded() -> Shed:
    return Shed(1, load=lambda: 1.0)


def draining() -> Drain:
    drain = Drain()
    drain.begin()
    return drain


@pytest.mark.parametrize("make", [isolated, full, spent, loaded, draining])
@pytest.mark.parametrize("inside", [(), (Retry(1), Timeout(1.0))])
def test_a_refusal_and_what_its_caller_held_are_freed_at_once(make: Callable[[], Gate], inside: tuple) -> None:
    class Request:
        """A large object held by the caller of a rejected call."""

    bodies: list[weakref.ref[Request]] = []
    call = Policy("refusing", make(), *inside)(lambda request: request)

    def handle() -> None:
        body = Request()
        bodies.append(weakref.ref(body))
        call(body)

    with pytest.raises(Rejected):
        call(None)
    assert not is_left(handle)
    assert bodies[0]() is None


def test_a_failure_that_ends_a_call_in_its_pause_is_freed_at_once() -> None:
    retry, clock = plain()
    sleep = clock.sleep
    clock.sleep = lambda seconds: sleep(seconds * 5)  # a machine that was suspended

    def late() -> None:
        with deadline(3.0, clock=clock):
            retry(fail)()

    assert not is_left(late)


def test_the_failure_of_a_hedged_call_is_freed_at_once(run: Run) -> None:
    async def down() -> None:
        raise Down

    async def main() -> bool:
        return await is_left_async(Hedge(1.0)(down))

    assert not run(main)
