"""Division of the parts of a policy into stages. A stage runs in one coroutine or function:

    gates ... retry? gates ... limit?

Parts are ordered outermost first. A second retry, a limit that is not innermost, and a wrapper start another stage.
"""

from collections.abc import Hashable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace

from cqox.resilience.pipeline.part import Gate, Limit, Part, RetryPart, StageContext, Wrapper
from cqox.resilience.pipeline.permit import Admission, Permit
from cqox.resilience.pipeline.results import ResultCheck

__all__ = ["Stage", "enclosing", "plan"]

enclosing: ContextVar[tuple[Sequence[Permit], ...]] = ContextVar("cqox_enclosing_permits", default=())
"""Permits currently held by each outer stage, for a retry or wrapper in an inner one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Adjacent parts that run as one.

    Attributes:
        outer: gates around the retry; all gates where there is no retry.
        retry: the part that repeats failed attempts.
        inner: gates around each attempt.
        limit: time limit of each attempt.
        facts: the stage as its parts see it.
        first: True for the outermost stage of its policy, not counting wrappers.
        publishes: True where an inner retry or wrapper must see the permits of this stage.
        function: name of the callee.
        check: predicate on results after which another attempt follows.
        of_many: True where it runs the calls of any function of a kind, which is the first argument.
    """

    outer: tuple[Admission, ...]
    retry: RetryPart | None
    inner: tuple[Admission, ...]
    limit: Limit | None
    facts: StageContext
    first: bool
    publishes: bool
    function: str
    check: ResultCheck | None = None
    of_many: bool = False

    @property
    def outermost_gate(self) -> Admission | None:
        """The gate of a stage of one gate, and inside of it at most a retry, which does not begin, and a limit."""
        begins = self.retry is not None and self.retry.begins_in(self.facts)
        ordinary = len(self.outer) == 1 and not (self.inner or self.publishes or begins)
        return self.outer[0] if ordinary else None

    @property
    def is_retry_only(self) -> bool:
        """True for a retry directly around the callee, with nothing to do before the first attempt."""
        retry = self.retry
        return retry is not None and not (retry.begins_in(self.facts) or self.outer or self.inner or self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapperStage:
    """A stage of one wrapper around a callable."""

    wrapper: Wrapper
    facts: StageContext


def plan(
    parts: Sequence[Part], *, policy: str, function: str, asynchronous: bool, bare: bool, key: Hashable = None
) -> list[Stage | WrapperStage]:
    """Divide `parts` into stages, outermost first.

    Raises:
        TypeError: a part is of no known kind.
    """
    stages: list[Stage | WrapperStage] = []
    start = 0
    facts = [
        StageContext(policy=policy, asynchronous=asynchronous, limits=_limits(parts, at), bare=bare, key=key)
        for at in range(len(parts))
    ]
    while start < len(parts):
        part = parts[start]
        if isinstance(part, Wrapper):
            inside = any(isinstance(stage, Stage) for stage in stages)
            stages.append(WrapperStage(wrapper=part, facts=replace(facts[start], outermost=not inside)))
            start += 1
            continue
        end = _end_of_stage(parts, start)
        publishes = any(isinstance(other, RetryPart | Wrapper) for other in parts[end:])
        first = not any(isinstance(stage, Stage) for stage in stages)
        stages.append(_stage(parts[start:end], facts[start:end], first=first, publishes=publishes, function=function))
        start = end
    return stages


def _end_of_stage(parts: Sequence[Part], start: int) -> int:
    has_retry = False
    for at in range(start, len(parts)):
        part = parts[at]
        if isinstance(part, Limit):
            return at + 1
        if isinstance(part, Wrapper) or (isinstance(part, RetryPart) and has_retry):
            return at
        if not isinstance(part, RetryPart | Gate):
            raise TypeError(f"{part!r} is no part of this package: derive it from Gate, RetryPart, Limit or Wrapper")
        has_retry = has_retry or isinstance(part, RetryPart)
    return len(parts)


def _stage(
    parts: Sequence[Part], facts: Sequence[StageContext], *, first: bool, publishes: bool, function: str
) -> Stage:
    retry_at = next((at for at, part in enumerate(parts) if isinstance(part, RetryPart)), None)
    gates = [(at, part.admission(facts[at])) for at, part in enumerate(parts) if isinstance(part, Gate)]
    retry = None if retry_at is None else parts[retry_at]
    limit = parts[-1]
    return Stage(
        outer=tuple(gate for at, gate in gates if retry_at is None or at < retry_at),
        retry=retry if isinstance(retry, RetryPart) else None,
        inner=tuple(gate for at, gate in gates if retry_at is not None and at > retry_at),
        limit=limit if isinstance(limit, Limit) else None,
        facts=facts[retry_at or 0],
        first=first,
        publishes=publishes,
        function=function,
        check=retry.result_check() if isinstance(retry, RetryPart) else None,
    )


def _limits(parts: Sequence[Part], at: int) -> tuple[Limit, ...]:
    """Return the inner limits; where there are none, the outer ones."""
    further_in = tuple(part for part in parts[at:] if isinstance(part, Limit))
    return further_in or tuple(part for part in parts[:at] if isinstance(part, Limit))
