"""Overhead of policies on the success path, compared with peer libraries, in one process and one run.

Each is measured in interleaved blocks of a few milliseconds of process time, so that a busy machine slows all of them
equally. A time is the median over the rounds; a ratio is the median of the ratios to the bare call of the same round.
The callee does nothing, and the loop that calls it is part of every time.
"""

import asyncio
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import aiobreaker
import anyio
import circuitbreaker
import interlock
import nopanic
import pybreaker
import stamina
import tenacity
import trio

from benchmarks._history import Ratio, record
from cqox.resilience import (
    Bulkhead,
    CircuitBreaker,
    FailureRate,
    Policy,
    Retry,
    RetryBudget,
    Timeout,
    deadline,
)

ROUNDS = 15
BLOCK_SECONDS = 0.008
ATTEMPT_SECONDS = 5.0
DEADLINE_SECONDS = 600.0

type Around = Callable[[], Any]
"""Makes what a block is measured inside of, such as a deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One measured way to make the call.

    Attributes:
        what: its row in the table.
        call: the guarded callee.
        target: the largest accepted ratio to the bare call; None for a peer, or without a target.
        around: returns a context manager around the block.
    """

    what: str
    call: Callable[[], Any]
    target: float | None = None
    around: Around = nullcontext


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The measured cost of one entry.

    Attributes:
        entry: the measured entry.
        nanoseconds: process time per call.
        ratio: to the bare call of the same round.
    """

    entry: Entry
    nanoseconds: float
    ratio: float


async def answer() -> int:
    """The coroutine function that is called."""
    return 1


def answer_sync() -> int:
    """The plain function that is called."""
    return 1


def identity(function: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    """Wrap a coroutine function without effect: the lower bound of any decorator."""

    async def wrapper(*args: Any, **kwargs: Any) -> int:
        return await function(*args, **kwargs)

    return wrapper


def identity_sync(function: Callable[[], int]) -> Callable[[], int]:
    """Wrap a plain function without effect."""

    def wrapper(*args: Any, **kwargs: Any) -> int:
        return function(*args, **kwargs)

    return wrapper


def in_bare_scope(world: str) -> Callable[[], Awaitable[int]]:
    """Call in a cancel scope of the event loop: the lower bound of any timeout."""
    new_scope: Callable[..., Any] = trio.CancelScope if world == "trio" else anyio.CancelScope
    deadline_at = anyio.current_time if world == "asyncio" else trio.current_time

    async def bounded() -> int:
        with new_scope(deadline=deadline_at() + ATTEMPT_SECONDS):
            return await answer()

    return bounded


def consecutive() -> CircuitBreaker:
    """A breaker that counts consecutive failures."""
    return CircuitBreaker("consecutive")


def windowed() -> CircuitBreaker:
    """A breaker with a failure rate over 30 s."""
    return CircuitBreaker("windowed", failure_rate=FailureRate(seconds=30.0))


def retry(budget: RetryBudget | None = None) -> Retry:
    """Three attempts."""
    return Retry(idempotent=True, budget=budget)


def stack() -> Policy:
    """The minimal stack for a remote call: a breaker with a window, a retry, a timeout."""
    return Policy("stack", windowed(), retry(), Timeout(ATTEMPT_SECONDS))


def ours(function: Callable[[], Any], world: str) -> list[Entry]:
    """Return the entries of `cqox.resilience`, with the targets of each event loop."""
    sync = world == "sync"
    wide = Policy("wide", Bulkhead(10), windowed(), retry(RetryBudget()), Timeout(ATTEMPT_SECONDS))
    return [
        Entry(what="consecutive breaker", call=consecutive()(function), target=20 if sync else 7),
        Entry(what="windowed breaker", call=windowed()(function), target=20 if sync else 9),
        Entry(what="retry", call=Policy("retry", retry())(function)),
        Entry(
            what="breaker + retry",
            call=Policy("two", consecutive(), retry())(function),
            target=None if sync else 10,
        ),
        Entry(
            what="stack, ambient deadline",
            call=stack()(function),
            target=None if sync else 12,
            around=lambda: deadline(ATTEMPT_SECONDS - 1),
        ),
        Entry(
            what="stack, own scope",
            call=stack()(function),
            target={"asyncio": 95.0}.get(world),  # that on Trio is a ratio to a bare scope: `resilience_paths`
        ),
        Entry(what="stack, scope and deadline", call=stack()(function), around=lambda: deadline(DEADLINE_SECONDS)),
        Entry(what="stack + bulkhead + budget", call=wide(function)),
    ]


def peers(function: Callable[[], Any], world: str) -> list[Entry]:
    """Return the peers that support this event loop, each used as documented."""
    entries = [
        Entry(what="circuitbreaker", call=circuitbreaker.CircuitBreaker()(function)),
        Entry(what="nopanic breaker", call=nopanic.circuit_breaker()(function)),
        Entry(what="pybreaker", call=_pybreaker(function, world)),
        Entry(what="interlock-cb", call=interlock.CircuitBreaker(name="peer")(function)),
        Entry(what="aiobreaker", call=aiobreaker.CircuitBreaker()(function)),
        Entry(what="nopanic retry", call=nopanic.retry(attempts=3)(function)),
        Entry(what="stamina", call=stamina.retry(on=Exception, attempts=3)(function)),
        Entry(what="tenacity", call=_tenacity()(function)),
    ]
    if world == "sync":
        return entries  # nopanic implements a timeout as a thread for each call, so its stack is left out
    nopanic_stack = nopanic.compose(
        nopanic.circuit_breaker(), nopanic.retry(attempts=3), nopanic.timeout(ATTEMPT_SECONDS)
    )
    return [
        *entries,
        Entry(what="nopanic stack", call=nopanic_stack(function)),
        Entry(
            what="circuitbreaker+stamina+anyio",
            call=circuitbreaker.CircuitBreaker()(stamina.retry(on=Exception, attempts=3)(_bounded(function))),
        ),
        Entry(
            what="aiobreaker+tenacity+anyio",
            call=aiobreaker.CircuitBreaker()(_tenacity()(_bounded(function))),
        ),
    ]


def _tenacity() -> Callable[[Any], Any]:
    return tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_exponential_jitter())


def _bounded(function: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    async def bounded() -> int:
        with anyio.fail_after(ATTEMPT_SECONDS):
            return await function()

    return bounded


def _pybreaker(function: Callable[[], Any], world: str) -> Callable[[], Any]:
    breaker = pybreaker.CircuitBreaker()
    if world == "sync":
        return breaker(function)

    async def guarded() -> int:
        # Its decorator returns the coroutine unawaited, so that it would not count failures.
        with breaker.calling():
            return await function()

    return guarded


async def block(entry: Entry, calls: int) -> float:
    """Return the seconds of process time for `calls` awaited calls."""
    call = entry.call
    with entry.around():
        began = time.process_time_ns()
        for _ in range(calls):
            await call()
        return (time.process_time_ns() - began) / 1e9


def block_sync(entry: Entry, calls: int) -> float:
    """Return the seconds of process time for `calls` plain calls."""
    call = entry.call
    with entry.around():
        began = time.process_time_ns()
        for _ in range(calls):
            call()
        return (time.process_time_ns() - began) / 1e9


async def measure(entries: list[Entry], run_block: Callable[[Entry, int], Awaitable[float]]) -> list[Cost]:
    """Measure the entries in interleaved blocks; the first is the bare call."""
    calls = []
    for entry in entries:
        await run_block(entry, 50)
        seconds = await run_block(entry, 200) / 200
        calls.append(max(100, int(BLOCK_SECONDS / max(seconds, 1e-9))))
    rounds = []
    for _ in range(ROUNDS):
        rounds.append([await run_block(entry, number) / number for entry, number in zip(entries, calls, strict=True)])
    return [
        Cost(
            entry=entry,
            nanoseconds=statistics.median(costs[at] for costs in rounds) * 1e9,
            ratio=statistics.median(costs[at] / costs[0] for costs in rounds),
        )
        for at, entry in enumerate(entries)
    ]


def costs_in(world: str) -> tuple[list[Cost], list[Cost]]:
    """Measure the bare call, the identity wrapper, our entries and the peers in one run."""
    sync = world == "sync"
    function: Callable[[], Any] = answer_sync if sync else answer
    wrapped: Callable[[], Any] = identity_sync(answer_sync) if sync else identity(answer)
    mine = [Entry(what="bare call", call=function), Entry(what="identity wrapper", call=wrapped)]
    if not sync:
        mine.append(Entry(what="bare call in a bare scope", call=in_bare_scope(world)))
    mine += ours(function, world)
    entries = [*mine, *peers(function, world)]
    if world == "trio":
        costs = trio.run(measure, entries, block)
    elif sync:
        costs = asyncio.run(measure_sync(entries))
    else:
        costs = asyncio.run(measure(entries, block))
    return costs[: len(mine)], costs[len(mine) :]


async def measure_sync(entries: list[Entry]) -> list[Cost]:
    """Measure plain calls, each block on a thread without an event loop."""

    async def in_thread(entry: Entry, calls: int) -> float:
        return await asyncio.to_thread(block_sync, entry, calls)

    return await measure(entries, in_thread)


def main() -> None:
    """Print a table for each event loop."""
    print(f"\nResilience: process time per successful call, Python {platform.python_version()}, {platform.machine()}")
    print(f"Medians of {ROUNDS} interleaved blocks; the ratio is to the bare call of the same round")
    for world in ("asyncio", "trio", "sync"):
        mine, theirs = costs_in(world)
        print(f"\n  {world:<30}{'ns':>9}{'ratio':>9}  target")
        for cost in mine[1:]:
            record(_ratio(cost, mine[0], world))
        for cost in mine:
            print(f"  {cost.entry.what:<30}{cost.nanoseconds:>9,.0f}{cost.ratio:>8.1f}x  {_verdict(cost)}", flush=True)
        for cost in theirs:
            print(f"    {cost.entry.what:<28}{cost.nanoseconds:>9,.0f}{cost.ratio:>8.1f}x", flush=True)


def _ratio(cost: Cost, bare: Cost, world: str) -> Ratio:
    return Ratio(
        case=f"{cost.entry.what}, {world}",
        ratio=cost.ratio,
        better="lower",
        unit="ns",
        ours=cost.nanoseconds,
        theirs=bare.nanoseconds,
        peer="the bare call",
        peer_version=f"Python {platform.python_version()}",
        threads=1,
        peer_threads=1,
    )


def _verdict(cost: Cost) -> str:
    target = cost.entry.target
    if target is None:
        return ""
    return f"<= {target:g}x {'met' if cost.ratio <= target else 'MISSED'}"


if __name__ == "__main__":
    main()
