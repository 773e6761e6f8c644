"""Observed behaviour of circuit breakers and retries in critical cases: ours and the peers, on asyncio.

Each breaker opens after two failures and probes after a tenth of a second. A circuit counts as open if a call through
it does not reach the callee, so that results do not depend on a library's own reports. Each retry makes three attempts
with minimal delays.
"""

import asyncio
import datetime
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiobreaker
import circuitbreaker
import interlock
import nopanic
import pybreaker
import stamina
import tenacity
import trio

from cqox.resilience import CircuitBreaker, Retry

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


type Retrying = Callable[[type[BaseException]], Callable[[Callable[..., Any]], Callable[..., Any]]]
"""Takes the exceptions to retry and returns a decorator."""

RETRIES: dict[str, Retrying] = {
    "cqox": lambda on: Retry(3, 0.001, 5.0, exceptions=(on,), idempotent=True),
    "nopanic": lambda on: nopanic.retry(attempts=3, on=on, backoff=nopanic.backoff.fixed(0.001)),
    "stamina": lambda on: stamina.retry(on=on, attempts=3, wait_initial=0.001, wait_max=0.001, wait_jitter=0.0),
    "tenacity": lambda on: tenacity.retry(
        stop=tenacity.stop_after_attempt(3), retry=tenacity.retry_if_exception_type(on), wait=tenacity.wait_fixed(0.001)
    ),
}


class TooMany(Exception):
    """An HTTP client's exception for a 429 with `Retry-After: 1`."""

    class response:
        """The response."""

        status_code = 429
        headers = {"Retry-After": "1", "retry-after": "1"}  # noqa: RUF012


async def the_last_error_reaches_the_caller(retrying: Retrying) -> bool:
    """The caller gets the callee's last exception, the same object."""
    last = ConnectionError("down")

    @retrying(Exception)
    async def call() -> None:
        raise last

    try:
        await call()
    except Exception as error:  # noqa: BLE001 - the exception is the result
        return error is last
    return False


async def a_cancellation_is_never_retried(retrying: Retrying) -> bool:
    """A cancellation is not retried even where every BaseException is to be retried."""
    attempts = 0

    @retrying(BaseException)
    async def call() -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0.05 if attempts == 1 else 0.0)

    task = asyncio.ensure_future(call())
    await asyncio.sleep(0.01)
    await cancel(task)
    return task.cancelled() and attempts == 1


async def retry_after_of_a_response_is_honoured(retrying: Retrying) -> bool:
    """A retry waits for the `Retry-After` of the response."""
    attempts, began = 0, time.monotonic()

    @retrying(TooMany)
    async def call() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise TooMany

    await call()
    return time.monotonic() - began >= 1.0


async def a_stream_is_retried_before_its_first_item(retrying: Retrying) -> bool:
    """An async generator that fails before its first item is restarted."""
    attempts = 0

    @retrying(ConnectionError)
    async def items() -> AsyncGenerator[int]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ConnectionError
        yield 1

    with suppress(ConnectionError):
        return [item async for item in items()] == [1]
    return False


RETRY_QUESTIONS = (
    the_last_error_reaches_the_caller,
    a_cancellation_is_never_retried,
    retry_after_of_a_response_is_honoured,
    a_stream_is_retried_before_its_first_item,
)


def answer(question: Callable[[Any], Any], subject: object) -> str:
    """Return yes, no, or the name of the exception."""
    try:
        answered = question(subject)
        return "yes" if (answered if isinstance(answered, bool) else asyncio.run(_within(answered))) else "no"
    except Exception as error:  # noqa: BLE001 - an exception of a peer is a result as well
        return type(error).__name__


async def _within(answered: Awaitable[bool]) -> bool:
    async with asyncio.timeout(10):
        return await answered


def main() -> None:
    """Print the two tables."""
    logging.disable()
    stamina.instrumentation.set_on_retry_hooks([])
    _table("Circuit breakers", BREAKERS, (*QUESTIONS, trips_on_trio), lambda make: make())
    _table("Retries", RETRIES, RETRY_QUESTIONS, lambda retrying: retrying)


def _table(
    title: str, subjects: dict[str, Any], questions: tuple[Callable[[Any], Any], ...], prepare: Callable[[Any], object]
) -> None:
    print(f"\n{title}, by running them")
    print(f"  {'':50}" + "".join(f"{name:>15}" for name in subjects))
    for question in questions:
        row = [answer(question, prepare(subject)) for subject in subjects.values()]
        print(f"  {question.__name__.replace('_', ' '):50}" + "".join(f"{cell:>15}" for cell in row), flush=True)


if __name__ == "__main__":
    main()
