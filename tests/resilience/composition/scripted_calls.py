"""Policies and scripts of their calls, in words that the library and the naive model both take."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from hypothesis import strategies as st


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """`window` 0: failures in a row; above: a rate of `threshold` in so many calls."""

    threshold: int = 2
    window: int = 0
    recovery: float
    permits: int = 1
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    attempts: int
    base: float
    cap: float
    jitter: bool = False
    budget: bool = False
    idempotent: bool = True
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulkhead:
    size: int
    queue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    size: int
    queue: int
    slow: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    calls: int
    seconds: float
    burst: int
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """`at`: when it begins."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    delay: float
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    pass


type PartSpec = Breaker | Retry | Timeout | Bulkhead | Adaptive | Rate | Shed | Drain | Hedge | Fallback


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One attempt of the callee: after `seconds` it answers, or fails. Parts list Down, not Odd.

    Attributes:
        seconds: time that it waits.
        ends: "answer", or the name of what it raises.
        blocks: seconds for which it then keeps every other task from running.
    """

    seconds: float
    ends: str
    blocks: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallScript:
    """One call: when it starts, what its attempts meet, and what happens to it meanwhile.

    Attributes:
        start: when it starts.
        steps: for each attempt; the last one for all further ones.
        cancelled: seconds after the start, None for never.
        deadline: seconds of the ambient deadline, None for none.
        serves_retry: True where the request in hand is itself a retry.
        level: criticality, from 0.
        cancels: number of the call that is cancelled at the moment at which this one ends, None for none.
    """

    start: float
    steps: tuple[Step, ...]
    cancelled: float | None
    deadline: float | None
    serves_retry: bool
    level: int
    cancels: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    parts: tuple[PartSpec, ...]
    calls: tuple[CallScript, ...]


HANGS = 3600.0


@st.composite
def scenarios(draw: st.DrawFn, most_calls: int = 8) -> Scenario:
    """Draw a policy of one to five parts in any order or of a usual one, and calls of it.

    In a fifth of them, calls also block the loop and cancel each other: then much happens at the same moment.
    """
    position = itertools.count(1)

    def seconds(eighths: st.SearchStrategy[int]) -> float:
        # No two sums of times may coincide by chance: what then comes first is not promised.
        return draw(eighths) / 8 + Random(next(position)).random() / 100

    # The attempts of a hedge in a hedge end in one instant, in an order that is not promised.
    any_order = st.lists(st.sampled_from(sorted(_PARTS)), min_size=1, max_size=5).filter(_has_at_most_one_hedge)
    kinds = draw(any_order | any_order | st.sampled_from(_USUAL))
    parts = tuple(_PARTS[kind](draw, seconds) for kind in kinds)
    count = draw(st.integers(1, most_calls))
    calls = tuple(_call(draw, seconds) for _ in range(count))
    return Scenario(parts=parts, calls=_at_once(draw, calls) if draw(st.integers(0, 4)) == 4 else calls)


def _at_once(draw: st.DrawFn, calls: tuple[CallScript, ...]) -> tuple[CallScript, ...]:
    """Let some calls block the loop, and some cancel another one when they end."""
    others = st.none() | st.integers(0, len(calls) - 1)
    blocks = st.sampled_from([0.0, 0.0, 0.5, 2.0])
    return tuple(
        replace(
            each,
            steps=tuple(replace(step, blocks=0.0 if step.seconds == HANGS else draw(blocks)) for step in each.steps),
            cancels=draw(others),
        )
        for each in calls
    )


def _has_at_most_one_hedge(kinds: list[str]) -> bool:
    return kinds.count("hedge") <= 1


type _Seconds = Callable[[st.SearchStrategy[int]], float]


def _call(draw: st.DrawFn, seconds: _Seconds) -> CallScript:
    steps = tuple(_step(draw, seconds) for _ in range(draw(st.integers(1, 3))))
    fate = draw(st.integers(0, 9))
    return CallScript(
        start=seconds(st.integers(0, 60) | st.integers(0, 12)),
        steps=steps,
        cancelled=seconds(st.integers(0, 40)) if fate in (7, 8) else None,
        deadline=seconds(st.integers(1, 60))
        if fate in (4, 5, 6, 7)
        else 0.0
        if fate == 9 and draw(st.integers(0, 3)) == 3
        else None,
        serves_retry=draw(st.integers(0, 5)) == 5,
        level=draw(st.sampled_from([2, 2, 2, 0, 1, 3])),
    )


def _step(draw: st.DrawFn, seconds: _Seconds) -> Step:
    ends = draw(st.sampled_from(["answer", "answer", "Down", "Down", "Down", "TimeoutError", "Odd", "hang"]))
    if ends == "hang":
        return Step(seconds=HANGS, ends="answer")
    at_once = draw(st.integers(0, 2)) == 0
    return Step(seconds=0.0 if at_once else seconds(st.integers(1, 24)), ends=ends)


def _breaker(draw: st.DrawFn, seconds: _Seconds) -> Breaker:
    return Breaker(
        threshold=draw(st.integers(1, 3)),
        window=draw(st.sampled_from([0, 0, 2, 4])),
        recovery=seconds(st.integers(1, 40)),
        permits=draw(st.sampled_from([1, 1, 2])),
        listed=draw(st.booleans()),
    )


def _retry(draw: st.DrawFn, seconds: _Seconds) -> Retry:
    return Retry(
        attempts=draw(st.integers(1, 4)),
        base=seconds(st.integers(1, 8)),
        cap=seconds(st.sampled_from([10, 800])),
        jitter=draw(st.booleans()),
        budget=draw(st.booleans()),
        idempotent=draw(st.sampled_from([True, True, True, False])),
        listed=draw(st.booleans()),
    )


_USUAL = [
    ["breaker", "retry"],
    ["bulkhead", "breaker", "retry", "timeout"],
    ["bulkhead", "timeout"],
    ["rate", "breaker too"],
    ["rate", "retry"],
]

_PARTS: dict[str, Callable[[st.DrawFn, _Seconds], PartSpec]] = {
    "adaptive": lambda draw, seconds: Adaptive(
        size=draw(st.integers(1, 4)), queue=draw(st.integers(0, 2)), slow=seconds(st.integers(4, 24))
    ),
    "breaker": _breaker,
    "breaker too": _breaker,
    "bulkhead": lambda draw, seconds: Bulkhead(size=draw(st.integers(1, 2)), queue=draw(st.integers(0, 2))),
    "drain": lambda draw, seconds: Drain(at=seconds(st.integers(8, 90))),
    "fallback": lambda draw, seconds: Fallback(),
    "hedge": lambda draw, seconds: Hedge(delay=seconds(st.integers(1, 16)), attempts=draw(st.integers(2, 3))),
    "rate": lambda draw, seconds: Rate(
        calls=1,
        seconds=seconds(st.integers(1, 24)),
        burst=draw(st.integers(1, 2)),
        wait=seconds(st.sampled_from([8, 40])) if draw(st.booleans()) else 0.0,
    ),
    "retry": _retry,
    "retry too": _retry,
    "shed": lambda draw, seconds: Shed(capacity=draw(st.integers(1, 4))),
    "timeout": lambda draw, seconds: Timeout(seconds=seconds(st.integers(1, 32))),
}
