"""Observed behaviour of circuit breakers and retries in critical cases: ours and the peers, on asyncio.

Each breaker opens after two failures and probes after half a second. A circuit counts as open if a call through
it does not reach the callee, so that results do not depend on a library's own reports. Each retry makes three attempts
with minimal delays. `docs/resilience/peers.md` has the answers.
"""

import asyncio
import datetime
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import aiobreaker
import circuitbreaker
import interlock
import nopanic
import pybreaker
import stamina
import trio

from benchmarks import _retry_semantics
from cqox.resilience import CircuitBreaker

THRESHOLD = 2
RECOVERY_SECONDS = 0.5

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
    """A callee that behaves as each call specifies, and counts the calls that reach it."""

    def __init__(self, guard: Guard) -> None:
        self.reached = 0

        # A plain function: not every peer accepts a method.
        async def work(gate: asyncio.Event | None, fails: bool) -> str:
            self.reached += 1
            if gate is not None:
                await gate.wait()
            if fails:
                raise ConnectionError("down")
            return "up"

        self._call = guard(work)

    async def call(self, gate: asyncio.Event | None = None, *, fails: bool = False) -> object:
        """Make a call and return its result or exception."""
        try:
            return await self._call(gate, fails)
        except Exception as error:  # noqa: BLE001 - the caller evaluates the exception
            return error

    def start(self, gate: asyncio.Event, *, fails: bool = False) -> asyncio.Task[object]:
        """Start a call that waits for `gate`."""
        return asyncio.ensure_future(self.call(gate, fails=fails))

    async def is_reached(self) -> bool:
        """Return whether a call reaches the callee."""
        before = self.reached
        await self.call()
        return self.reached > before

    async def trip(self) -> None:
        """Open the circuit by failures."""
        for _ in range(THRESHOLD):
            await self.call(fails=True)


async def cancel(task: asyncio.Task[object]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def cancelled_calls_leave_it_closed(guard: Guard) -> bool:
    """A caller's cancellation does not count as a failure of the dependency."""
    dependency = Dependency(guard)
    for _ in range(2 * THRESHOLD):
        task = dependency.start(asyncio.Event())
        await asyncio.sleep(0)
        await cancel(task)
    return await dependency.is_reached()


async def half_open_admits_one(guard: Guard) -> bool:
    """Of ten concurrent callers after the recovery time, one reaches the dependency."""
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
    """After a cancelled probe the next caller may probe at once, and closes the circuit."""
    dependency = Dependency(guard)
    await dependency.trip()
    await asyncio.sleep(1.2 * RECOVERY_SECONDS)
    task = dependency.start(asyncio.Event())
    await asyncio.sleep(0.01)
    await cancel(task)
    return await dependency.is_reached()


async def a_probe_that_hangs_does_not_block_recovery(guard: Guard) -> bool:
    """A probe that hangs loses its permit: after a while another caller may probe."""
    dependency = Dependency(guard)
    await dependency.trip()
    await asyncio.sleep(1.2 * RECOVERY_SECONDS)
    task = dependency.start(asyncio.Event())
    # The probe has no timeout here, so ours holds its permit for at least a second.
    await asyncio.sleep(1.3)
    reached = await dependency.is_reached()
    await cancel(task)
    return reached


async def late_failures_leave_a_recovered_circuit_closed(guard: Guard) -> bool:
    """Calls from before the outage that fail after the recovery do not count."""
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
    """The callee's exception reaches the caller also on the call that opens the circuit."""
    dependency = Dependency(guard)
    await dependency.call(fails=True)
    return type(await dependency.call(fails=True)) is ConnectionError


async def a_rejection_has_no_context(guard: Guard) -> bool:
    """A rejection does not reference an exception of another call, which would keep its frames alive."""
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
    """The breaker opens and recovers on Trio."""

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


def a_slow_call_on_another_loop_does_not_delay_it(guard: Guard) -> bool:
    """While a call runs on the event loop of one thread, a call on the loop of another thread ends."""
    began, may_end = threading.Event(), threading.Event()

    async def work(slow: bool) -> None:
        began.set()
        if slow:
            await asyncio.to_thread(may_end.wait, 10.0)

    guarded = guard(work)

    async def call(slow: bool) -> None:
        await guarded(slow)

    slow, quick = (threading.Thread(target=lambda each=each: asyncio.run(call(each))) for each in (True, False))
    slow.start()
    assert began.wait(10.0)
    quick.start()
    quick.join(1.0)
    was_delayed = quick.is_alive()
    may_end.set()
    slow.join(10.0)
    quick.join(10.0)
    return not was_delayed


async def _answer(question: Callable[[Any], Awaitable[bool]], subject: object) -> str:
    """Return yes, no, or the name of the exception."""
    try:
        async with asyncio.timeout(10):
            return "yes" if await question(subject) else "no"
    except Exception as error:  # noqa: BLE001 - an exception of a peer is a result as well
        return type(error).__name__


def _answer_of_threads(question: Callable[[Any], bool], subject: object) -> str:
    """Return yes, no, or the name of the exception, of a question that runs event loops itself."""
    try:
        return "yes" if question(subject) else "no"
    except Exception as error:  # noqa: BLE001 - an exception of a peer is a result as well
        return type(error).__name__


type Answers = dict[str, dict[str, str]]
"""Each question, in words, and for each library yes, no, or the name of an exception."""


def breakers() -> Answers:
    """Return what circuit breakers do."""
    alone = (trips_on_trio, a_slow_call_on_another_loop_does_not_delay_it)
    return _answers(QUESTIONS, alone, BREAKERS, lambda make: make())


def retries() -> Answers:
    """Return what retries do."""
    alone = (_retry_semantics.it_retries_on_trio,)
    return _answers(_retry_semantics.QUESTIONS, alone, _retry_semantics.RETRIES, lambda retrying: retrying)


def _answers(
    together: tuple[Callable[[Any], Awaitable[bool]], ...],
    alone: tuple[Callable[[Any], bool], ...],
    subjects: dict[str, Any],
    prepare: Callable[[Any], object],
) -> Answers:
    """Ask all at once what waits on a loop, as nearly all of it is waiting; what runs loops itself has a thread."""

    async def ask(question: Callable[[Any], Awaitable[bool]]) -> list[str]:
        return await asyncio.gather(*(_answer(question, prepare(subject)) for subject in subjects.values()))

    async def ask_all() -> list[list[str]]:
        return await asyncio.gather(*map(ask, together))

    rows = asyncio.run(ask_all())
    with ThreadPoolExecutor() as pool:
        rows += [
            list(pool.map(partial(_answer_of_threads, question), map(prepare, subjects.values()))) for question in alone
        ]
    names = [question.__name__.replace("_", " ") for question in (*together, *alone)]
    return {name: dict(zip(subjects, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def main() -> None:
    """Print the two tables."""
    logging.disable()
    stamina.instrumentation.set_on_retry_hooks([])
    for title, answers in (("Circuit breakers", breakers()), ("Retries", retries())):
        print(f"\n{title}, by running them")
        print(f"  {'':50}" + "".join(f"{name:>15}" for name in next(iter(answers.values()))))
        for question, row in answers.items():
            print(f"  {question:50}" + "".join(f"{cell:>15}" for cell in row.values()))


if __name__ == "__main__":
    main()
