"""Parts, outermost first, cut into frames. A frame is what one coroutine or function can hold:

    gates ... loop? gates ... limit?

A further loop, a limit that is not innermost, and a wrapper begin another frame.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace

from cqox.resilience.pipeline.part import Facts, Gate, Limit, Loop, Part, Wrapper
from cqox.resilience.pipeline.permit import Admission, Permit

__all__ = ["Frame", "enclosing", "plan"]

enclosing: ContextVar[tuple[Sequence[Permit], ...]] = ContextVar("cqox_enclosing_permits", default=())
"""What each frame further out holds at the moment, for a loop or a wrapper further in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Adjacent parts that run as one.

    Attributes:
        outer: gates around the loop; all gates where there is no loop.
        loop: what calls again.
        inner: gates around each attempt.
        limit: what bounds each attempt.
        facts: what the loop is told.
        first: True for the outermost frame of its policy, wrappers apart.
        publishes: True where a loop or a wrapper follows further in, which must know what the gates hold.
        function: name of the callee.
    """

    outer: tuple[Admission, ...]
    loop: Loop | None
    inner: tuple[Admission, ...]
    limit: Limit | None
    facts: Facts
    first: bool
    publishes: bool
    function: str

    @property
    def only_gate(self) -> Admission | None:
        """The gate of a frame that has nothing else."""
        alone = len(self.outer) == 1 and self.loop is None and self.limit is None and not self.publishes
        return self.outer[0] if alone else None

    @property
    def is_loop_alone(self) -> bool:
        """True for a loop around nothing but the callee, with nothing to do before the first attempt."""
        loop = self.loop
        return loop is not None and not (loop.begins_in(self.facts) or self.outer or self.inner or self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapperFrame:
    """A part that is written around a callable."""

    wrapper: Wrapper
    facts: Facts


def plan(
    parts: Sequence[Part], *, policy: str, function: str, asynchronous: bool, bare: bool
) -> list[Frame | WrapperFrame]:
    """The frames for `parts`, outermost first.

    Raises:
        TypeError: a part is of no known kind.
    """
    frames: list[Frame | WrapperFrame] = []
    start = 0
    facts = [
        Facts(policy=policy, asynchronous=asynchronous, limits=_limits(parts, at), bare=bare)
        for at in range(len(parts))
    ]
    while start < len(parts):
        part = parts[start]
        if isinstance(part, Wrapper):
            inside = any(isinstance(frame, Frame) for frame in frames)
            frames.append(WrapperFrame(wrapper=part, facts=replace(facts[start], outermost=not inside)))
            start += 1
            continue
        end = _end_of_frame(parts, start)
        asked_for = any(isinstance(other, Loop | Wrapper) for other in parts[end:])
        first = not any(isinstance(frame, Frame) for frame in frames)
        frames.append(_frame(parts[start:end], facts[start:end], first=first, publishes=asked_for, function=function))
        start = end
    return frames


def _end_of_frame(parts: Sequence[Part], start: int) -> int:
    has_loop = False
    for at in range(start, len(parts)):
        part = parts[at]
        if isinstance(part, Limit):
            return at + 1
        if isinstance(part, Wrapper) or (isinstance(part, Loop) and has_loop):
            return at
        if not isinstance(part, Loop | Gate):
            raise TypeError(f"{part!r} is no part of this package: derive it from Gate, Loop, Limit or Wrapper")
        has_loop = has_loop or isinstance(part, Loop)
    return len(parts)


def _frame(parts: Sequence[Part], facts: Sequence[Facts], *, first: bool, publishes: bool, function: str) -> Frame:
    loop_at = next((at for at, part in enumerate(parts) if isinstance(part, Loop)), None)
    gates = [(at, part.admission(facts[at])) for at, part in enumerate(parts) if isinstance(part, Gate)]
    loop = None if loop_at is None else parts[loop_at]
    limit = parts[-1]
    return Frame(
        outer=tuple(gate for at, gate in gates if loop_at is None or at < loop_at),
        loop=loop if isinstance(loop, Loop) else None,
        inner=tuple(gate for at, gate in gates if loop_at is not None and at > loop_at),
        limit=limit if isinstance(limit, Limit) else None,
        facts=facts[loop_at or 0],
        first=first,
        publishes=publishes,
        function=function,
    )


def _limits(parts: Sequence[Part], at: int) -> tuple[Limit, ...]:
    """The limits further in; where there are none, those further out."""
    further_in = tuple(part for part in parts[at:] if isinstance(part, Limit))
    return further_in or tuple(part for part in parts[:at] if isinstance(part, Limit))
