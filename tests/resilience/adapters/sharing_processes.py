"""Processes that share one circuit over Redis, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from cqox.resilience import CircuitState
from cqox.resilience.adapters.redis_circuit import (
    RedisCircuitBreaker,
)
from tests.resilience.adapters.redis_model import RedisModel

__all__ = ["ANSWER", "RECOVERY", "REFRESH", "Down", "Process", "processes"]


RECOVERY, REFRESH, ANSWER = 10.0, 1.0, 0.25


class Down(Exception):
    """The dependency is down."""


class Process:
    """One process of several that share a circuit: its breaker, in front of a dependency that hangs until it ends."""

    def __init__(self, redis: RedisModel, **settings: object) -> None:
        bound = {} if "failure_rate" in settings else {"failure_threshold": 2}
        arguments: dict[str, object] = {**bound, "recovery_timeout": RECOVERY, **settings}
        self.breaker = RedisCircuitBreaker("engine", redis, **arguments)  # type: ignore[arg-type]
        self.running = 0
        self.ends: list[anyio.Event] = []

    async def call(self, error: Exception | None = None) -> str:
        async def dependency() -> str:
            if error is not None:
                raise error
            return "answer"

        return await self.breaker(dependency)()

    async def hang(self) -> None:
        async def dependency() -> None:
            self.running += 1
            try:
                await anyio.sleep_forever()
            finally:
                self.running -= 1

        await self.breaker(dependency)()

    async def trip(self) -> None:
        for _ in range(2):
            with pytest.raises(Down):
                await self.call(Down())
        assert self.breaker.state is CircuitState.OPEN

    @property
    def state(self) -> CircuitState:
        return self.breaker.state


@asynccontextmanager
async def processes(count: int, redis: RedisModel | None = None, **settings: object) -> AsyncIterator[list[Process]]:
    redis = redis or RedisModel()
    found = [Process(redis, **settings) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for process in found:
            await stack.enter_async_context(process.breaker.shared())
        yield found
