"""The same calls through the library, in the virtual time of a loop."""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio
import sniffio

from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CircuitBreaker,
    Criticality,
    Drain,
    Event,
    FailureRate,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    criticality,
    deadline,
)
from cqox.resilience.circuit.state import HalfOpen
from cqox.resilience.pipeline.part import Part
from cqox.resilience.runtime.call_context import attempt_served
from tests.resilience.composition import scripted_calls as script
from tests.resilience.composition.naive_policy import BUDGET_FLOOR, BUDGET_RATIO, RANDOM, Outcome


class Down(Exception):
    """An exception that the parts of a scenario list."""


class Odd(Exception):
    """An exception that they do not list."""


_ERRORS: Mapping[str, type[Exception]] = {"Down": Down, "Odd": Odd, "TimeoutError": TimeoutError}
_LISTED = (Down, TimeoutError)
_LEVELS = [Criticality.SHEDDABLE, Criticality.SHEDDABLE_PLUS, Criticality.CRITICAL, Criticality.CRITICAL_PLUS]


class Constant(Random):
    """A generator that always draws the same."""

    def random(self) -> float:
        return RANDOM


def make_part(spec: script.PartSpec, name: str) -> Part:
    """Return the library's part for `spec`."""
    match spec:
        case script.Breaker():
            rate = FailureRate(rate=0.5, window=spec.window, minimum_calls=spec.threshold) if spec.window else None
            return CircuitBreaker(
                name,
                recovery_timeout=spec.recovery,
                half_open_max_calls=spec.permits,
                failures=_LISTED if spec.listed else (Exception,),
                **({"failure_rate": rate} if rate else {"failure_threshold": spec.threshold}),
            )
        case script.Retry():
            return Retry(
                spec.attempts,
                spec.base,
                spec.cap,
                spec.jitter,
                _LISTED if spec.listed else (Exception,),
                RetryBudget(BUDGET_RATIO, BUDGET_FLOOR) if spec.budget else None,
                spec.idempotent,
                name=name,
                rng=Constant(),
            )
        case script.Timeout():
            return Timeout(spec.seconds, name=name)
        case script.Bulkhead():
            return Bulkhead(spec.size, max_queued=spec.queue, name=name)
        case script.Adaptive():
            return AdaptiveLimit(spec.size, max_queued=spec.queue, slow_call_seconds=spec.slow, name=name)
        case script.Rate():
            return RateLimit(spec.calls, spec.seconds, burst=spec.burst, max_wait=spec.wait, name=name)
        case script.Shed():
            return Shed(spec.capacity, name=name)
        case script.Drain():
            return Drain(name)
        case script.Hedge():
            return Hedge(spec.delay, spec.attempts, name=name)
        case script.Fallback():
            return Fallback(lambda error: "fallback", name=name)


@dataclass(eq=False)
class Callee:
    """The callee of one call; it notes each attempt and every exception that it raised."""

    each: script.CallScript
    play: "Play"
    starts: list[float] = field(default_factory=list)
    raised: list[Exception] = field(default_factory=list)

    async def call(self) -> str:
        attempt = len(self.starts)
        self.starts.append(self.play.now())
        step = self.each.steps[min(attempt, len(self.each.steps) - 1)]
        self.play.entered()
        try:
            if step.seconds:
                await anyio.sleep(step.seconds)
            if step.blocks:
                self.play.jump(step.blocks)
        finally:
            self.play.inside -= 1
        if step.ends == "answer":
            return f"answer {attempt}"
        error = _ERRORS[step.ends](f"attempt {attempt}")
        self.raised.append(error)
        raise error

    def name_of(self, error: Exception) -> str:
        """Return the name of what reached the caller; if the callee's, it has to be the same object."""
        if type(error) in _ERRORS.values():
            assert any(error is raised for raised in self.raised)
        return type(error).__name__


class Play:
    """A scenario on the loop that runs.

    Attributes:
        parts: the library's parts, outermost first.
        outcomes: by call.
        began: when each call began: later than it should where the loop was blocked.
        jump: advances the time while no task runs.
        moves: transitions of each circuit, with their times.
        inside: attempts in the callee now; `most_inside`: at most.
    """

    def __init__(self, scenario: script.Scenario, jump: Callable[[float], None]) -> None:
        self.scenario = scenario
        self.jump = jump
        self.parts = [make_part(spec, f"part {at}") for at, spec in enumerate(scenario.parts)]
        self.policy = Policy("played", *self.parts)
        self.outcomes: dict[int, Outcome] = {}
        self.moves: dict[str, list[tuple[str, float]]] = {}
        self.inside = self.most_inside = 0
        self.began: dict[int, float] = {}
        self._running: dict[int, tuple[anyio.CancelScope, asyncio.Task[Any] | None]] = {}
        self._tasks_cancelled: set[int] = set()
        self._began = math.nan

    def now(self) -> float:
        return anyio.current_time() - self._began

    def entered(self) -> None:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        for part in self.parts:
            if isinstance(part, CircuitBreaker):
                phase = part._circuit.phase
                if isinstance(phase, HalfOpen):
                    assert len(phase.leases) <= part._circuit.settings.half_open_max_calls

    async def run(self) -> None:
        self._began = anyio.current_time()
        for part in self.parts:
            if isinstance(part, CircuitBreaker):
                part.subscribe(self._moved)
        async with anyio.create_task_group() as group:
            for number, each in enumerate(self.scenario.calls):
                group.start_soon(self._call, number, each)
            for spec, part in zip(self.scenario.parts, self.parts, strict=True):
                if isinstance(spec, script.Drain) and isinstance(part, Drain):
                    group.start_soon(self._drain, part, spec.at)

    def _moved(self, event: Event) -> None:
        kind = {"CircuitOpened": "open", "CircuitHalfOpened": "half_open", "CircuitClosed": "closed"}
        self.moves.setdefault(event.name, []).append((kind[type(event).__name__], event.at - self._began))

    async def _drain(self, part: Drain, at: float) -> None:
        await anyio.sleep(at)
        part.begin()

    async def _call(self, number: int, each: script.CallScript) -> None:
        await anyio.sleep(each.start)
        self.began[number] = self.now()
        attempt_served.set(int(each.serves_retry))
        callee = Callee(each, self)
        try:
            how, at = await self._ending(number, each, callee)
        except asyncio.CancelledError:
            if number not in self._tasks_cancelled:
                raise
            how, at = "cancelled", self.now()
        self.outcomes[number] = Outcome(how=how, at=at, starts=tuple(callee.starts))

    async def _ending(self, number: int, each: script.CallScript, callee: Callee) -> tuple[str, float]:
        how, at, on_trio = "", math.nan, sniffio.current_async_library() == "trio"
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                self._running[number] = scope, None if on_trio else asyncio.current_task()
                try:
                    if each.cancelled is not None:
                        group.start_soon(self._cancel, each.cancelled, scope)
                    how = await self._outcome(callee, each)
                    at = self.now()
                finally:
                    del self._running[number]
                    if each.cancels is not None:
                        self._cancel_now(each.cancels)
            if scope.cancelled_caught:
                how, at = "cancelled", self.now()
            group.cancel_scope.cancel()
        return how, at

    def _cancel_now(self, number: int) -> None:
        """Cancel a call: the task itself on asyncio, where AnyIO would wait until it has run after it was woken."""
        if number in self._running:
            scope, task = self._running[number]
            if task is None:
                scope.cancel()
            else:
                self._tasks_cancelled.add(number)
                task.cancel()

    async def _cancel(self, seconds: float, scope: anyio.CancelScope) -> None:
        await anyio.sleep(seconds)
        scope.cancel()

    async def _outcome(self, callee: Callee, each: script.CallScript) -> str:
        try:
            with criticality(_LEVELS[each.level]), nullcontext() if each.deadline is None else deadline(each.deadline):
                return await self.policy.call(callee.call)
        except Exception as error:  # any error is compared with the model's
            return callee.name_of(error)
