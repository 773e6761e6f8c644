"""Three backends in virtual time: Trio with MockClock, asyncio with its loop, synchronous code with a FakeClock."""

import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from cqox.resilience import remaining
from cqox.resilience.composition.policy import Policy
from cqox.resilience.pipeline.part import Part
from cqox.resilience.testing import FakeClock, Script, VirtualTimeLoop, run_in_virtual_time


class Down(Exception):
    """The dependency is down."""


class Time:
    """A clock that only advances when a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """One backend, behind the interface of all scenarios."""

    name = ""
    clock: FakeClock | None = None

    def now(self) -> float:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def guard(self, guard: Part | Policy, *steps: object) -> Callable[..., Awaitable[object]]:
        """A scripted dependency behind `guard`, awaitable on every backend."""
        raise NotImplementedError


class AsyncWorld(World):
    def __init__(self, name: str) -> None:
        self.name = name
        self._start = anyio.current_time()

    def now(self) -> float:
        return round(anyio.current_time() - self._start, 6)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def guard(self, guard: Part | Policy, *steps: object) -> Callable[..., Awaitable[object]]:
        script = Script(*steps)

        async def dependency() -> object:
            return await script.call()

        return guard(dependency)


class SyncWorld(World):
    name = "sync"

    def __init__(self) -> None:
        self.clock = FakeClock()

    def now(self) -> float:
        return round(self.clock.now(), 6)

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def guard(self, guard: Part | Policy, *steps: object) -> Callable[..., Awaitable[object]]:
        script = Script(*steps, clock=self.clock)

        def dependency() -> object:
            return script()

        guarded = guard(dependency)

        async def call() -> object:
            return guarded()

        return call


type Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
"""Type of the fixture `run`: it runs a coroutine function in virtual time."""

type Scenario = Callable[[World], Coroutine[Any, Any, list[object]]]


def run_async(backend: str, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run `main` in virtual time on one backend."""
    if backend == "asyncio":
        return run_in_virtual_time(main)
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def _drive(coroutine: Coroutine[Any, Any, list[object]]) -> list[object]:
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a scenario of the synchronous world must not wait for anything")


@pytest.fixture
def same_trace() -> Callable[[Scenario], list[object]]:
    """Run a scenario on the three backends and return its trace, which must be equal on all."""

    def play(scenario: Scenario) -> list[object]:
        traces = {"sync": _drive(scenario(SyncWorld()))}
        for backend in ("asyncio", "trio"):

            async def main(backend: str = backend) -> list[object]:
                return await scenario(AsyncWorld(backend))

            traces[backend] = run_async(backend, main)
        assert traces["asyncio"] == traces["sync"]
        assert traces["trio"] == traces["sync"]
        return traces["sync"]

    return play


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """The two backends of tests marked `anyio`, both in virtual time."""
    if request.param == "asyncio":
        return "asyncio", {"loop_factory": VirtualTimeLoop}
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine function in virtual time, on each backend."""
    return lambda main: run_async(request.param, main)


@pytest.fixture(autouse=True)
def _no_leak() -> Any:
    """No test leaves a deadline in force."""
    yield
    assert remaining() == math.inf


async def outcome(call: Callable[[], Awaitable[object]]) -> object:
    """Return the result of a call, or the name of its exception."""
    try:
        return await call()
    except Exception as error:  # any error is what the test is about
        return type(error).__name__


async def outcomes(call: Callable[[], Awaitable[object]], times: int) -> list[str]:
    """Return the outcomes of concurrent calls as sorted texts."""
    found: list[object] = []

    async def caller() -> None:
        found.append(await outcome(call))

    async with anyio.create_task_group() as group:
        for _ in range(times):
            group.start_soon(caller)
    return sorted(map(str, found))


__all__ = ["AsyncWorld", "Down", "Run", "SyncWorld", "Time", "World", "outcome", "outcomes", "run_async"]
