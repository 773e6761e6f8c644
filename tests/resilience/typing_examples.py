"""Types behind every decorator; checked by `test_typing`, never run."""

import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from datetime import timedelta
from typing import Any, assert_type

from cqox.resilience import (
    CircuitBreaker,
    Policy,
    Retry,
    RetryScheduled,
    Timeout,
    UnwantedResult,
    api_timeout,
    circuit_breaker,
    computation_timeout,
    database_timeout,
    deadline,
    exponential_backoff_retry,
    retry_on_database_error,
    retry_on_network_error,
)

policy = Policy("typed", CircuitBreaker("typed"), Retry(), Timeout(1.0))


@circuit_breaker(failure_threshold=5, recovery_timeout=60.0)
def plain(number: int, *, text: str = "") -> bytes:
    return text.encode() * number


@circuit_breaker()
async def awaited(number: int, *, text: str = "") -> bytes:
    return text.encode() * number


@exponential_backoff_retry(max_attempts=3, base_delay=1.0, max_delay=60.0, jitter=True, exceptions=(OSError,))
@retry_on_network_error()
@retry_on_database_error()
@api_timeout(seconds=30.0)
@database_timeout(seconds=10.0)
@computation_timeout(seconds=120.0)
async def stacked(number: int) -> str:
    return str(number)


@policy.keyed("host")
async def of_host(host: str, *, text: str = "") -> bytes:
    return f"{host}{text}".encode()


def host_of(client: "Client", url: str) -> tuple[str, int]:
    return url, 443


@policy
async def items(count: int) -> AsyncGenerator[int]:
    for number in range(count):
        yield number


@policy
def lines(count: int) -> Generator[str, int, bytes]:
    yield "line" * count
    return b"end"


@policy
@contextlib.asynccontextmanager
async def connect(url: str) -> AsyncGenerator[bytes]:
    yield url.encode()


@policy
@contextlib.contextmanager
def opened(path: str) -> Generator[bytes]:
    yield path.encode()


@circuit_breaker
def bare(number: int) -> str:
    return str(number)


@exponential_backoff_retry
@retry_on_network_error
@retry_on_database_error
@api_timeout
@database_timeout
@computation_timeout
async def all_bare(number: int) -> str:
    return str(number)


@circuit_breaker(recovery_timeout=timedelta(minutes=1), failures=OSError)
@exponential_backoff_retry(base_delay=timedelta(milliseconds=50), exceptions=[ConnectionError, TimeoutError])
@api_timeout(timedelta(seconds=5))
async def everyday(number: int) -> str:
    return str(number)


@deadline(timedelta(seconds=2))
async def in_time(number: int) -> str:
    return str(number)


def is_empty(answer: bytes) -> bool:
    return not answer


def note(event: RetryScheduled) -> None: ...


def pause(attempt: int, error: Exception) -> timedelta | None:
    return timedelta(seconds=attempt) if isinstance(error, UnwantedResult) else None


@exponential_backoff_retry(retry_if=is_empty, backoff=pause, on_retry=note, max_duration=timedelta(minutes=1))
async def polled(number: int) -> bytes:
    return b"x" * number


def is_temporary(error: Exception) -> bool:
    return "busy" in str(error)


@exponential_backoff_retry(exceptions=is_temporary)
async def chosen(number: int) -> str:
    return str(number)


class Client:
    @circuit_breaker()
    def plain(self, number: int) -> str:
        return str(number)

    @circuit_breaker()
    async def awaited(self, number: int) -> str:
        return str(number)

    @api_timeout()
    async def bounded(self, number: int) -> str:
        return str(number)

    @circuit_breaker
    async def bare(self, number: int) -> str:
        return str(number)

    @api_timeout
    async def bare_timeout(self, number: int) -> str:
        return str(number)

    @policy
    def guarded(self, number: int) -> str:
        return str(number)

    @policy.keyed(host_of)
    def of_url(self, url: str) -> int:
        return len(url)


async def examples(client: Client) -> None:
    assert_type(plain(1, text="x"), bytes)
    assert_type(await awaited(1, text="x"), bytes)
    assert_type(plain.breaker, CircuitBreaker)
    assert_type(await stacked(1), str)
    assert_type(await everyday(1), str)
    assert_type(await polled(1), bytes)
    assert_type(await chosen(1), str)
    assert_type(await in_time(1), str)
    assert_type(bare(1), str)
    assert_type(bare.breaker, CircuitBreaker)
    assert_type(await all_bare(1), str)
    assert_type(await client.bare(1), str)
    assert_type(await client.bare_timeout(1), str)
    assert_type(api_timeout(2.0), Timeout)
    assert_type(retry_on_network_error(max_attempts=2), Retry)
    assert_type([item async for item in items(3)], list[int])
    assert_type(lines(3), Generator[str, int, bytes])
    async with connect("url") as connection:
        assert_type(connection, bytes)
    with opened("path") as file:
        assert_type(file, bytes)
    assert_type(client.plain(1), str)
    assert_type(await client.awaited(1), str)
    assert_type(Client.plain.breaker, CircuitBreaker)
    assert_type(client.awaited.breaker, CircuitBreaker)
    assert_type(await Client.awaited(client, 1), str)
    assert_type(await client.bounded(1), str)
    assert_type(client.guarded(1), str)
    assert_type(await policy.call(awaited, 1, text="x"), bytes)
    assert_type(policy.call(divmod, 7, 2), tuple[int, int])
    assert_type(await of_host("host", text="x"), bytes)
    assert_type(client.of_url("url"), int)
    assert_type(policy.for_key("host"), Policy)
    assert_type(await policy.for_key(("host", 443)).call(awaited, 1), bytes)
    guarded = policy(functools.partial(plain, 1))
    assert_type(guarded(), bytes)
    handler: Callable[[int], Coroutine[Any, Any, str]] = stacked
    assert_type(await handler(1), str)
    assert_type(await Timeout(1.0)(stacked)(1), str)
    assert_type(await CircuitBreaker("x")(stacked)(1), str)
    async for attempt in Retry():
        with attempt:
            assert_type(attempt.number, int)
    for attempt in Retry():
        with attempt:
            assert_type(attempt.number, int)
    async with CircuitBreaker("block") as breaker:
        assert_type(breaker, CircuitBreaker)
    async with Policy("block", Timeout(1.0)) as block:
        assert_type(block, Policy)
    with policy.for_key("host") as block:
        assert_type(block, Policy)


async def mistakes(client: Client) -> None:
    """Each line is wrong, and must be reported as wrong."""
    plain("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain(1, txt="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await awaited()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await all_bare("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.bare("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await stacked("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.plain("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.awaited()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.guarded("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await policy.call(awaited, "one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await of_host(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.of_url(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    policy.for_key([])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    policy.keyed(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Retry(exceptions=[int])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Retry(exceptions=note)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Retry(base_delay="1 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    circuit_breaker(threshold=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    CircuitBreaker("x").reconfigure(treshold=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
