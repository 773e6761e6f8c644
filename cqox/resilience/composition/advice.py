"""Warnings about questionable orders of parts. All of these orders are valid.

A policy's `explain()` ends each warning with one of these topics:

two-retries: attempts multiply. Keep one retry, where the exception is best understood.

no-timeout: a callee that hangs keeps its slot and its probe permit. Put a `Timeout` innermost.

timeout-outside-of-a-queue: it expires under load before the callee was called. Put the timeout inside of the queue, and
a `deadline` around everything to bound the wait as well.

queue-inside-of-the-breaker: a probe that waits in a queue delays the recovery. Put the queue outside of the breaker.

fallback-inside-of-other-parts: it turns each failure into a result, which parts outside never count or repeat. Put the
fallback outermost.

retry-without-idempotency: only what was provably never sent is repeated. Set `idempotent=True` where the call may be
executed twice. An adapter of a client judges each request by its method instead.

timeout-outside-of-the-retry: the first attempt that hangs uses up the time of all. Put a `Timeout` inside of the retry,
and a `deadline` around it.

admission-inside-of-the-retry: each attempt asks for its slot again, and a rejection ends the call. Put the limit, the
shedding or the drain outside of the retry, unless slots are meant to be free during the pauses.

breaker-inside-of-the-retry: one unlucky call opens the circuit. Put the breaker outside of the retry, raise its
threshold above the attempts, or judge by a `FailureRate`.

timeout-that-is-not-listed: a dependency that hangs is neither counted nor repeated. Add `AttemptTimeout` to the list.

inner-timeout-that-never-expires: the outer one is not larger. Remove the inner one, or make the outer one larger.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cqox.errors import AttemptTimeout
from cqox.resilience.circuit import CircuitBreaker
from cqox.resilience.deadlines.deadline import deadline
from cqox.resilience.pipeline.part import Limit, Part
from cqox.resilience.retry.retry import Retry
from cqox.resilience.runtime.ranges import Covered

__all__ = ["OrderWarning", "order_warnings"]

_PAGE = "docs/resilience/order-of-parts.md"
_HELP = f'help("{__name__}")'
_SLOTS = frozenset({"Bulkhead", "AdaptiveLimit"})
_ADMISSION_CONTROLS = frozenset({"Shed", "Drain"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWarning:
    """A questionable choice; as text it names its topic, which the help of this module explains.

    Attributes:
        text: the choice and its effect, in words.
        section: the topic, and the anchor of its section in the documentation.
    """

    text: str
    section: str

    @property
    def page(self) -> str:
        """Path of the page in the repository, with the anchor of the section."""
        return f"{_PAGE}#{self.section}"

    def __str__(self) -> str:
        return f"{self.text} ({self.section}: see {_HELP})"


def order_warnings(parts: Sequence[Part]) -> Iterator[OrderWarning]:
    """Yield one warning per questionable choice; `parts` are ordered outermost first."""
    retries = [at for at, part in enumerate(parts) if isinstance(part, Retry)]
    limits = [at for at, part in enumerate(parts) if isinstance(part, Limit)]
    if len(retries) > 1:
        attempts = " x ".join(str(part.settings.max_attempts) for part in parts if isinstance(part, Retry))
        yield OrderWarning(text=f"two retries multiply: one call may make {attempts} attempts", section="two-retries")
    for at in retries:
        yield from _retry_warnings(parts, at, limits)
    if not limits and not any(isinstance(part, deadline) for part in parts[max(retries, default=0) :]):
        yield OrderWarning(
            text="no timeout bounds an attempt: only the caller's deadline ends a callee that hangs",
            section="no-timeout",
        )
    for at, part in enumerate(parts):
        if part.kind in _SLOTS and any(limit < at for limit in limits):
            yield OrderWarning(
                text=f"the timeout outside of the {part.kind} counts the time in its queue",
                section="timeout-outside-of-a-queue",
            )
        if part.kind in _SLOTS and any(isinstance(outer, CircuitBreaker) for outer in parts[:at]):
            yield OrderWarning(
                text=f"the {part.kind} inside of the circuit breaker makes probes wait in its queue",
                section="queue-inside-of-the-breaker",
            )
        if part.kind == "Fallback" and any(isinstance(outer, Retry | CircuitBreaker) for outer in parts[:at]):
            yield OrderWarning(
                text="the parts outside of the Fallback never see a failure", section="fallback-inside-of-other-parts"
            )
    yield from _timeout_warnings(parts)
    yield from _unlisted_timeouts(parts, limits)


def _unlisted_timeouts(parts: Sequence[Part], limits: Sequence[int]) -> Iterator[OrderWarning]:
    """Yield one warning per list of exception classes that lacks what a timeout further in raises."""
    for part in parts[: max(limits, default=0)]:
        if isinstance(part, CircuitBreaker) and _lacks_timeouts(part.settings.failures):
            yield OrderWarning(
                text=f"the failures of the circuit breaker {part.name} do not list AttemptTimeout: "
                "a call that hangs is ignored",
                section="timeout-that-is-not-listed",
            )
        if isinstance(part, Retry) and _repeats(part) and _lacks_timeouts(part.settings.exceptions):
            yield OrderWarning(
                text="the exceptions of the retry do not list AttemptTimeout: an attempt that hangs is not repeated",
                section="timeout-that-is-not-listed",
            )


def _repeats(retry: Retry) -> bool:
    return retry.settings.idempotent and retry.settings.max_attempts > 1


def _lacks_timeouts(listed: Covered[BaseException]) -> bool:
    # A predicate may do anything with the exception that it is given, so that none is asked.
    return isinstance(listed, tuple) and not issubclass(AttemptTimeout, listed)


def _retry_warnings(parts: Sequence[Part], at: int, limits: Sequence[int]) -> Iterator[OrderWarning]:
    retry = parts[at]
    assert isinstance(retry, Retry)
    settings = retry.settings
    if settings.max_attempts > 1 and not settings.idempotent:
        yield OrderWarning(
            text="the retry is not idempotent: only requests that were never sent are repeated, unless an adapter of a "
            "client judges them by their method",
            section="retry-without-idempotency",
        )
    if any(limit < at for limit in limits) and not any(limit > at for limit in limits):
        yield OrderWarning(
            text="the only timeout is outside of the retry: one attempt that hangs leaves no time for another",
            section="timeout-outside-of-the-retry",
        )
    for inner in parts[at + 1 :]:
        if inner.kind in _SLOTS | _ADMISSION_CONTROLS:
            yield OrderWarning(
                text=f"the {inner.kind} is inside of the retry: each attempt must be admitted again",
                section="admission-inside-of-the-retry",
            )
        if isinstance(inner, CircuitBreaker):
            threshold = inner.settings.failure_threshold
            if inner.settings.failure_rate is None and threshold <= settings.max_attempts:
                yield OrderWarning(
                    text=f"the circuit breaker inside of the retry counts attempts: one call of "
                    f"{settings.max_attempts} reaches its threshold of {threshold}",
                    section="breaker-inside-of-the-retry",
                )


def _timeout_warnings(parts: Sequence[Part]) -> Iterator[OrderWarning]:
    bounds = [part for part in parts if isinstance(part, Limit | deadline)]
    for outer, inner in itertools.pairwise(bounds):
        if inner.seconds >= outer.seconds:
            kinds = ["deadline" if isinstance(part, deadline) else "timeout" for part in (inner, outer)]
            last = f"one of {outer.seconds:g} s" if kinds[0] == kinds[1] else f"{kinds[1]} of {outer.seconds:g} s"
            yield OrderWarning(
                text=f"the inner {kinds[0]} of {inner.seconds:g} s never expires: the outer {last} expires first",
                section="inner-timeout-that-never-expires",
            )
