"""What circuit breakers do where it matters, found by running them: ours beside the peers, on asyncio.

Each breaker opens after two failures and tests after a tenth of a second. Whether a circuit is open is asked by calling
through it and looking whether the callee was reached, so that nothing depends on what a library says about itself.
"""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiobreaker
import circuitbreaker
import interlock
import nopanic
import pybreaker
import trio

from cqox.resilience import CircuitBreaker

THRESHOLD = 2
RECOVERY_SECONDS = 0.1

type Guard = Callable[[Callable[..., Awaitable[object]]], Callable[..., Awaitable[object]]]


def cqox() -> Guard:
    """This library."""
    return CircuitBreaker("cqox", THRESHOLD, RECOVERY_SECONDS)


def nopanic_breaker() -> Guard:
    """nopanic."""
    return nopanic.circuit_breaker(failure_threshold=1.0, min_calls=THRESHOLD, reset_timeout=RECOVERY_SECONDS)


def interlock_cb() -> Guard:
    """interlock-cb."""
    config = interlock.Config(
        failure_rate_threshold=1.0,
        minimum_number_of_calls=THRESHOLD,
        wait_duration_in_open=RECOVERY_SECONDS,
        permitted_calls_in_half_open=1,
    )
    return interlock.CircuitBreaker(name="peer", config=config)


def circuitbreaker_() -> Guard:
    """circuitbreaker."""
    return circuitbreaker.CircuitBreaker(failure_threshold=THRESHOLD, recovery_timeout=RECOVERY_SECONDS)


def pybreaker_() -> Guard:
    """pybreaker, by its context manager, as its decorator does not await."""
    breaker = pybreaker.CircuitBreaker(fail_max=THRESHOLD, reset_timeout=RECOVERY_SECONDS)

    def guard(function: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def guarded(*args: Any) -> object:
            with breaker.calling():
                return await function(*args)

        return guarded

    return guard


def aiobreaker_() -> Guard:
    """aiobreaker."""
    timeout = datetime.timedelta(seconds=RECOVERY_SECONDS)
    return aiobreaker.CircuitBreaker(fail_max=THRESHOLD, timeout_duration=timeout)


BREAKERS = {
    "cqox": cqox,
    "nopanic": nopanic_breaker,
    "interlock-cb": interlock_cb,
    "circuitbreaker": circuitbreaker_,
    "pybreaker": pybreaker_,
    "aiobreaker": aiobreaker_,
}


class Dependency:
    """Does what each call says, and counts who reached it."""

    def __init__(self, guard: Guard) -> None:
        self.reached = 0

        # A plain function: not every peer takes a method.
        async def work(gate: asyncio.Event | None, fails: bool) -> str:
            self.reached += 1
            if gate is not None:
                await gate.wait()
            if fails:
                raise ConnectionError("down")
            return "up"

        self._call = guard(work)

    async def call(self, gate: asyncio.Event | None = None, *, fails: bool = False) -> object:
        """What the call returned or raised."""
        try:
            return await self._call(gate, fails)
        except Exception as error:  # noqa: BLE001 - what it was is for the question to judge
            return error

    def start(self, gate: asyncio.Event, *, fails: bool = False) -> asyncio.Task[object]:
        """A call that waits for `gate`."""
        return asyncio.ensure_future(self.call(gate, fails=fails))

    async def is_reached(self) -> bool:
        """Whether a call comes through."""
        before = self.reached
        await self.call()
        return self.reached > before

    async def trip(self) -> None:
        """Fail often enough."""
        for _ in range(THRESHOLD):
            await self.call(fails=True)


async def cancel(task: asyncio.Task[object]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def cancelled_calls_leave_it_closed(guard: Guard) -> bool:
    """A caller that gives up says nothing about the dependency."""
    dependency = Dependency(guard)
    for _ in range(2 * THRESHOLD):
        task = dependency.start(asyncio.Event())
        await asyncio.sleep(0)
        await cancel(task)
    return await dependency.is_reached()


async def half_open_admits_one(guard: Guard) -> bool:
    """Of ten callers at once after the recovery time, one reaches the dependency."""
    dependency = Dependency(guard)
    await dependency.trip()
    await asyncio.sleep(1.2 * RECOVERY_SECONDS)
    dependency.reached, gate = 0, asyncio.Event()
    tasks = [dependency.start(gate) for _ in range(10)]
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(*tasks)
    return dependency.reached == 1


async def a_cancelled_probe_gives_its_place_back(guard: Guard) -> bool:
    """After a probe was cancelled the next caller may test at once, and closes the circuit."""
    dependency = Dependency(guard)
    await dependency.trip()
    await asyncio.sleep(1.2 * RECOVERY_SECONDS)
    task = dependency.start(asyncio.Event())
    await asyncio.sleep(0.01)
    await cancel(task)
    return await dependency.is_reached()


async def a_probe_that_hangs_does_not_block_recovery(guard: Guard) -> bool:
    """A probe that never answers loses its place: after a while another caller may test."""
    dependency = Dependency(guard)
    await dependency.trip()
    await asyncio.sleep(1.2 * RECOVERY_SECONDS)
    task = dependency.start(asyncio.Event())
    # Nothing bounds the probe here, so that ours holds its lease for at least a second.
    await asyncio.sleep(1.3)
    reached = await dependency.is_reached()
    await cancel(task)
    return reached


async def late_failures_leave_a_recovered_circuit_closed(guard: Guard) -> bool:
    """Calls from before the outage that fail after the recovery say nothing about the present."""
    dependency = Dependency(guard)
    gate = asyncio.Event()
    old = [dependency.start(gate, fails=True) for _ in range(THRESHOLD)]
    await asyncio.sleep(0)
    await dependency.trip()
    await asyncio.sleep(1.2 * RECOVERY_SECONDS)
    assert await dependency.is_reached()
    gate.set()
    await asyncio.gather(*old)
    return await dependency.is_reached()


async def the_call_that_trips_raises_its_own_error(guard: Guard) -> bool:
    """Also on the call that opens the circuit the callee's exception reaches the caller."""
    dependency = Dependency(guard)
    await dependency.call(fails=True)
    return type(await dependency.call(fails=True)) is ConnectionError


async def a_rejection_has_no_context(guard: Guard) -> bool:
    """A rejection drags no exception of another call along, which would keep its frames alive."""
    dependency = Dependency(guard)
    await dependency.trip()
    rejection = await dependency.call()
    assert isinstance(rejection, Exception)
    return rejection.__context__ is None and rejection.__cause__ is None


QUESTIONS = (
    cancelled_calls_leave_it_closed,
    half_open_admits_one,
    a_cancelled_probe_gives_its_place_back,
    a_probe_that_hangs_does_not_block_recovery,
    late_failures_leave_a_recovered_circuit_closed,
    the_call_that_trips_raises_its_own_error,
    a_rejection_has_no_context,
)


def trips_on_trio(guard: Guard) -> bool:
    """It opens on Trio, and lets a call through again."""

    async def main() -> bool:
        reached = 0

        @guard
        async def call(fails: bool) -> None:
            nonlocal reached
            reached += 1
            if fails:
                raise ConnectionError

        for fails in (True, True, False):
            with suppress(Exception):
                await call(fails)
        await trio.sleep(1.2 * RECOVERY_SECONDS)
        await call(False)
        return reached == 3

    return trio.run(main)


def answer(question: Callable[[Guard], Any], make: Callable[[], Guard]) -> str:
    """Yes, no, or what it raised instead."""
    try:
        if question is trips_on_trio:
            return "yes" if trips_on_trio(make()) else "no"
        return "yes" if asyncio.run(_within(question(make()))) else "no"
    except Exception as error:  # noqa: BLE001 - a peer that breaks is an answer, too
        return type(error).__name__


async def _within(answered: Awaitable[bool]) -> bool:
    async with asyncio.timeout(10):
        return await answered


def main() -> None:
    """Print the table."""
    print("\nCircuit breakers, by running them")
    print(f"  {'':50}" + "".join(f"{name:>15}" for name in BREAKERS))
    for question in (*QUESTIONS, trips_on_trio):
        row = [answer(question, make) for make in BREAKERS.values()]
        print(f"  {question.__name__.replace('_', ' '):50}" + "".join(f"{cell:>15}" for cell in row), flush=True)


if __name__ == "__main__":
    main()
