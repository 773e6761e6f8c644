"""Attempts and hedges of the interceptors of grpc.aio whose answers are not used."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import grpc
import grpc.aio
import pytest

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import (
    Hedge,
    Policy,
    Retry,
    Timeout,
    deadline,
)
from cqox.resilience.adapters.grpc import resilient_interceptors
from tests.resilience.adapters.grpc_server import GET, run


class Scripted:
    """A call of grpc.aio that ends when a test says so."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.cancelled = False
        self.end: Callable[[], None] = lambda: None

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        self.end = lambda: callback(self)
        if self.error is not None:
            self.end()

    def __await__(self) -> Any:
        if self.error is not None:
            raise self.error
        return b"message"
        yield

    def cancel(self) -> None:
        self.cancelled = True


async def intercepted(policy: Policy, continuation: Callable[[Any, Any], Coroutine[Any, Any, Scripted]]) -> object:
    unary: Any = resilient_interceptors(policy, idempotent=lambda _: True)[0]
    details = grpc.aio.ClientCallDetails(GET.encode(), None, None, None, None)
    return await unary.intercept_unary_unary(continuation, details, b"")


def test_an_attempt_that_took_too_long_is_cancelled_before_the_next_begins() -> None:
    made: list[Scripted] = []
    cancelled: list[list[bool]] = []

    async def continuation(details: object, request: object) -> Scripted:
        cancelled.append([each.cancelled for each in made])
        made.append(Scripted())
        return made[-1]

    async def main() -> None:
        with pytest.raises(AttemptTimeout):
            await intercepted(Policy("slow", Retry(2, 0.0), Timeout(0.01)), continuation)

    run(main)
    assert cancelled == [[], [True]]


def test_a_timer_of_grpc_that_fires_before_the_scope_changes_no_exception() -> None:
    async def continuation(details: Any, request: object) -> Scripted:
        assert details.timeout <= 0.04
        return Scripted(
            grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata())
        )

    async def main() -> None:
        with pytest.raises(AttemptTimeout):
            await intercepted(Policy("timer", Timeout(0.04)), continuation)
        with pytest.raises(DeadlineExceeded), deadline(0.04):
            await intercepted(Policy("timer", Retry(2, 0.0)), continuation)

    run(main)


def test_a_hedged_call_whose_answer_is_not_used_is_cancelled() -> None:
    made: list[Scripted] = []

    async def continuation(details: object, request: object) -> Scripted:
        made.append(Scripted())
        return made[-1]

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(intercepted, Policy("both", Hedge(0.01)), continuation)
            with anyio.fail_after(5.0):
                while len(made) < 2:
                    await anyio.sleep(0.005)
            for each in made:
                each.end()

    run(main)
    assert sorted(each.cancelled for each in made) == [False, True]
