"""Questions about retries in critical cases, and how each library is set for them: three attempts, minimal pauses."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import nopanic
import stamina
import tenacity
import trio

from cqox.resilience import Retry

type Retrying = Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]
"""Takes the exceptions to retry, the seconds of a pause and of the call, and returns a decorator."""


def cqox(on: type[BaseException], pause: float = 0.001, total: float | None = None) -> Any:
    """This library, where a predicate stands for a class that it refuses to list."""
    exceptions = (on,) if issubclass(on, Exception) else lambda _: True
    return Retry(3, pause, 5.0, jitter=False, exceptions=exceptions, max_duration=total, idempotent=True)


def nopanic_(on: type[BaseException], pause: float = 0.001, total: float | None = None) -> Any:
    """nopanic."""
    return nopanic.retry(attempts=3, on=on, backoff=nopanic.backoff.fixed(pause), max_time=total)


def stamina_(on: type[BaseException], pause: float = 0.001, total: float | None = None) -> Any:
    """stamina."""
    return stamina.retry(on=on, attempts=3, wait_initial=pause, wait_max=pause, wait_jitter=0.0, timeout=total)


def tenacity_(on: type[BaseException], pause: float = 0.001, total: float | None = None) -> Any:
    """tenacity."""
    stop: Any = tenacity.stop_after_attempt(3)
    if total is not None:
        stop |= tenacity.stop_before_delay(total)
    return tenacity.retry(stop=stop, retry=tenacity.retry_if_exception_type(on), wait=tenacity.wait_fixed(pause))


RETRIES: dict[str, Retrying] = {"cqox": cqox, "nopanic": nopanic_, "stamina": stamina_, "tenacity": tenacity_}


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
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
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
    return await _items(retrying, before_the_failure=0) == [1]


async def no_item_of_a_stream_is_repeated(retrying: Retrying) -> bool:
    """An async generator that fails after its first item is not restarted."""
    return await _items(retrying, before_the_failure=1) in (None, [1])


async def _items(retrying: Retrying, *, before_the_failure: int) -> list[int] | None:
    """Return the items of a stream whose first run fails after so many, or None where the failure came through."""
    runs = 0

    @retrying(ConnectionError)
    async def items() -> AsyncGenerator[int]:
        nonlocal runs
        runs += 1
        if runs == 1:
            for _ in range(before_the_failure):
                yield 1
            raise ConnectionError
        yield 1

    with suppress(ConnectionError):
        return [item async for item in items()]
    return None


async def a_group_is_retried_if_all_its_leaves_are(retrying: Retrying) -> bool:
    """An exception group of nothing but exceptions to retry is retried."""
    attempts = 0

    @retrying(ConnectionError)
    async def call() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ExceptionGroup("both", [ConnectionError("a"), ConnectionError("b")])

    with suppress(ExceptionGroup):
        await call()
    return attempts == 2


async def no_pause_outlasts_the_total_time(retrying: Retrying) -> bool:
    """A pause that would end after the total time of the call is not begun."""
    began = time.monotonic()

    @retrying(ConnectionError, pause=0.6, total=0.1)
    async def call() -> None:
        raise ConnectionError

    with suppress(Exception):
        await call()
    return time.monotonic() - began < 0.5


QUESTIONS = (
    the_last_error_reaches_the_caller,
    a_cancellation_is_never_retried,
    retry_after_of_a_response_is_honoured,
    a_stream_is_retried_before_its_first_item,
    no_item_of_a_stream_is_repeated,
    a_group_is_retried_if_all_its_leaves_are,
    no_pause_outlasts_the_total_time,
)


def it_retries_on_trio(retrying: Retrying) -> bool:
    """A call on Trio is retried, its pause included."""
    attempts = 0

    @retrying(ConnectionError)
    async def call() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ConnectionError

    trio.run(call)
    return attempts == 2
