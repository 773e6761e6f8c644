"""Cost of policies off the plain success path, each as a ratio to a call of the same kind in the same round.

Refusals and failures are compared with those of circuitbreaker; what an option costs, with the same call without it. A
floor is hand-written for this one case, with the same semantics and nothing else.
"""

import asyncio
import functools
import itertools
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
import circuitbreaker
import trio

from benchmarks._history import Ratio, record
from benchmarks.resilience import ATTEMPT_SECONDS, ROUNDS, Around, answer, in_bare_scope, stack, windowed
from cqox.resilience import CircuitBreaker, CircuitOpen, FailureRate, Policy, deadline
from cqox.resilience.runtime.passing import passing

BLOCK_SECONDS = 0.006
_NEVER = 10**9

type Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One comparison.

    Attributes:
        what: its row in the table.
        call: what is measured.
        base: what it is compared with.
        peer: what that is, in words.
        target: the largest accepted ratio, None without one.
        around: returns a context manager around both.
    """

    what: str
    call: Call
    base: Call
    peer: str
    target: float | None = None
    around: Around = nullcontext


async def fail() -> None:
    """The coroutine function that fails."""
    raise ConnectionError


def slow_counting() -> CircuitBreaker:
    """A breaker with a failure rate over 30 s that counts slow calls."""
    return CircuitBreaker("slow", failure_rate=FailureRate(seconds=30.0, slow_call_seconds=2.0))


def by_calls(slow_call_seconds: float | None = None) -> CircuitBreaker:
    """A breaker with a failure rate over 100 calls, which needs no clock unless it counts slow calls."""
    return CircuitBreaker("by calls", failure_rate=FailureRate(window=100, slow_call_seconds=slow_call_seconds))


async def opened(breaker: Callable[[Call], Call]) -> Call:
    """Return a call that `breaker`, which opens after one failure, rejects."""
    call = breaker(fail)
    with suppress(ConnectionError):
        await call()
    return call


def refusal_floor() -> Call:
    """A breaker that is open for ever and counts its rejections under a lock."""
    lock, until, rejected = threading.Lock(), time.monotonic() + 1e6, 0

    def left() -> float:
        nonlocal rejected
        with lock:
            rejected += 1
        return until - time.monotonic()

    async def guarded(*args: Any, **kwargs: Any) -> object:
        if passing.lookup() is None and sys.exception() is None and (seconds := left()) > 0:
            raise CircuitOpen("floor", retry_after=seconds)
        return await fail(*args, **kwargs)

    return guarded


def failure_floor() -> Call:
    """A breaker that only counts consecutive failures, under a lock."""
    lock, failures, opened_at = threading.Lock(), 0, 0.0

    async def guarded(*args: Any, **kwargs: Any) -> object:
        nonlocal failures, opened_at
        if passing.lookup() is not None:
            raise AssertionError
        try:
            return await fail(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, Exception):
                now = time.monotonic()
                with lock:
                    failures += 1
                    if failures >= _NEVER:
                        opened_at = now
            raise

    return guarded


class FloorScope:
    """A scope of one attempt that code inside of it can look up, with the task that opened it."""

    __slots__ = ("at", "scope", "task", "token")

    def __init__(self, scope: Any, at: float, task: object) -> None:
        self.scope = scope
        self.at = at
        self.task = task

    def __enter__(self) -> None:
        self.scope.__enter__()
        self.token = _floor_scope.set(self)

    def __exit__(self, *raised: Any) -> bool | None:
        _floor_scope.reset(self.token)
        return self.scope.__exit__(*raised)


_floor_scope: ContextVar[FloorScope | None] = ContextVar("floor_scope", default=None)


def scope_floor(world: str) -> Call:
    """A breaker that only counts successes until a time, around an attempt in a scope of its own."""
    count, until = itertools.count().__next__, time.monotonic() + 1e6
    new_scope: Callable[..., Any] = trio.CancelScope if world == "trio" else anyio.CancelScope
    now = trio.current_time if world == "trio" else anyio.current_time
    task: Callable[[], object] = trio.lowlevel.current_task if world == "trio" else asyncio.current_task

    async def guarded(*args: Any, **kwargs: Any) -> object:
        if passing.lookup() is not None or sys.exception() is not None:
            raise AssertionError
        at = now() + ATTEMPT_SECONDS
        with FloorScope(new_scope(deadline=at), at, task()):
            result = await answer(*args, **kwargs)
        if time.monotonic() < until:
            count()
        return result

    return guarded


async def pairs(world: str) -> list[Pair]:
    """Return the comparisons on one event loop."""
    policy, plain, shared = stack(), Policy("plain", CircuitBreaker("plain")), windowed()
    peer_refusal = await opened(circuitbreaker.CircuitBreaker(failure_threshold=1, recovery_timeout=10**6))
    peer_failure = circuitbreaker.CircuitBreaker(failure_threshold=_NEVER)(fail)
    under = functools.partial(deadline, ATTEMPT_SECONDS - 1)
    return [
        Pair(what="slow calls", call=slow_counting()(answer), base=shared(answer), peer="windowed", target=1.5),
        Pair(
            what="slow calls, by calls",
            call=by_calls(2.0)(answer),
            base=by_calls()(answer),
            peer="windowed",
            target=1.5,
        ),
        Pair(
            what="policy.call, stack, deadline",
            call=functools.partial(policy.call, answer),
            base=policy(answer),
            peer="decorated",
            target=1.5,
            around=under,
        ),
        Pair(
            what="policy.call, breaker",
            call=functools.partial(plain.call, answer),
            base=plain(answer),
            peer="decorated",
            target=1.5,
        ),
        Pair(
            what="refusal",
            call=await opened(CircuitBreaker("shut", 1, 1e6)),
            base=peer_refusal,
            peer="circuitbreaker",
            target=1.0,
        ),
        Pair(what="refusal, floor", call=refusal_floor(), base=peer_refusal, peer="circuitbreaker"),
        Pair(
            what="failure",
            call=CircuitBreaker("failing", _NEVER)(fail),
            base=peer_failure,
            peer="circuitbreaker",
            target=1.0,
        ),
        Pair(what="failure, floor", call=failure_floor(), base=peer_failure, peer="circuitbreaker"),
        Pair(
            what="stack, own scope",
            call=policy(answer),
            base=in_bare_scope(world),
            peer="a bare scope",
            target=1.25 if world == "trio" else None,
        ),
        Pair(what="stack, own scope, floor", call=scope_floor(world), base=in_bare_scope(world), peer="a bare scope"),
    ]


async def nanoseconds(call: Call, calls: int) -> float:
    """Return the process time of an awaited call, which may fail."""
    began = time.process_time_ns()
    for _ in range(calls):
        try:  # noqa: SIM105 - a context manager would be measured too
            await call()
        except Exception:  # noqa: BLE001 - what is measured
            pass
    return (time.process_time_ns() - began) / calls


async def measure(world: str) -> None:
    """Measure both sides of each pair in turn, and print a row for it."""
    for pair in await pairs(world):
        with pair.around():
            calls = max(100, int(BLOCK_SECONDS * 1e9 / await nanoseconds(pair.call, 200)))
            rounds = [(await nanoseconds(pair.call, calls), await nanoseconds(pair.base, calls)) for _ in range(ROUNDS)]
        ratio = statistics.median(ours / theirs for ours, theirs in rounds)
        ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
        verdict = "" if pair.target is None else f"<= {pair.target:g}x {'met' if ratio <= pair.target else 'MISSED'}"
        print(f"  {pair.what:<30}{ours:>9,.0f}{theirs:>9,.0f}{ratio:>8.2f}x  {pair.peer:<16}{verdict}", flush=True)
        record(
            Ratio(
                case=f"{pair.what}, {world}",
                ratio=ratio,
                better="lower",
                unit="ns",
                ours=ours,
                theirs=theirs,
                peer=pair.peer,
                peer_version=None,
                threads=1,
                peer_threads=1,
            )
        )


def main() -> None:
    """Print a table for each event loop."""
    print("\nResilience off the success path: process time per call, and the ratio to a call of the same kind")
    for world in ("asyncio", "trio"):
        print(f"\n  {world:<30}{'ns':>9}{'base':>9}{'ratio':>9}  base            target")
        if world == "trio":
            trio.run(measure, world)
        else:
            asyncio.run(measure(world))


if __name__ == "__main__":
    main()
