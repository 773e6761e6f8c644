"""Retry with exponential backoff, as a part of a policy and as a decorator.

The decision after each attempt is made in `attempt_controller`; exceptions are classified in `classification`, delays
computed in `backoff`, and retries limited in `budget`.
"""

import math
import uuid
from collections.abc import Callable, Hashable
from dataclasses import replace
from random import Random
from typing import Any, Self, Unpack, cast

from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.events import RetryScheduled
from cqox.resilience.pipeline.part import AttemptController, RetryPart, StageContext
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.pipeline.results import ResultCheck
from cqox.resilience.retry.attempt_controller import Backoff, RetryController, emit_start
from cqox.resilience.retry.attempt_loop import AsyncAttempts, BlockingAttempts
from cqox.resilience.retry.backoff import Jitter
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.settings import Exceptions, RetryChanges, RetrySettings
from cqox.resilience.retry.unsent import AttemptRequests, attempt_requests
from cqox.resilience.runtime.call_context import call_key
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.passing import passing
from cqox.resilience.runtime.randomness import shared_rng
from cqox.resilience.runtime.ranges import (
    Seconds,
    as_listed,
    as_seconds,
    check_callable,
    check_flag,
    check_kind,
    check_name,
    check_seconds,
)

__all__ = ["Exceptions", "Retry", "RetryChanges", "RetrySettings"]


class Retry(RetryPart):
    """A retry: it repeats a failed call up to `max_attempts` attempts in all, with exponential backoff.

    The pause is min(base_delay · 2^attempt, max_delay) · (0.5 + random()). `Retry-After` is honoured where it is
    longer. It gives up, with the last exception of the callee and a note on it, where the pause would exceed the
    deadline, the budget is exhausted, an enclosing circuit has opened, or the request being served is itself a retry.

    `async for attempt in retry:` (or `for`) with `with attempt:` inside retries a block, which counts as idempotent.

    A cancellation is never retried. A call that is not idempotent is retried only where its first request was provably
    never sent and it has started no other: `propagate` records the requests; an exception's name alone proves nothing.
    """

    __slots__ = (
        "_gives_key",
        "_retry_if",
        "backoff",
        "budget",
        "clock",
        "max_duration",
        "name",
        "on_retry",
        "rng",
        "settings",
    )

    def __init__(
        self,
        max_attempts: int = 3,
        base_delay: Seconds = 1.0,
        max_delay: Seconds = 60.0,
        jitter: Jitter = True,
        exceptions: Exceptions = (Exception,),
        budget: RetryBudget | None = None,
        idempotent: bool = False,
        *,
        idempotency_key: bool = False,
        max_retry_after: Seconds | None = None,
        retry_if: ResultCheck | None = None,
        max_duration: Seconds | None = None,
        backoff: Backoff | None = None,
        on_retry: Callable[[RetryScheduled], object] | None = None,
        name: str = "retry",
        clock: Clock | TimeSource | None = None,
        rng: Random | None = None,
    ) -> None:
        """Make a retry.

        Args:
            max_attempts: limit on the number of attempts, including the first, at least 1.
            base_delay: the first pause before jitter, in seconds or as a `timedelta`, from 0.
            max_delay: cap of the pause before jitter, likewise.
            jitter: randomisation of the pauses: True, False, "full" or "decorrelated".
            exceptions: a class or classes to retry, or a predicate. `Exception` does not include rejections: list their
                class to retry them.
            budget: retry budget, shared by all callers of the dependency.
            idempotent: True where the call may be executed twice. A bare decorator implies it.
            idempotency_key: gives all attempts of a call the same `Idempotency-Key`, which `propagate` sends.
            max_retry_after: the longest `Retry-After` to honour, in seconds, from 0; `max_delay` by default.
            retry_if: predicate on the result; True makes another attempt, if the call is idempotent. The result of the
                last attempt is returned.
            max_duration: total time of the call in seconds or as a `timedelta`, above 0: no attempt and no pause starts
                that would begin or end after it. A running attempt is not cut.
            backoff: computes the pause in seconds or as a `timedelta` from the number of the attempt, from 1, and its
                exception, which is an `UnwantedResult` for `retry_if`. None is the usual pause. Neither `max_delay` nor
                jitter applies to it.
            on_retry: called with each `RetryScheduled` of this retry, before the pause. An exception of it is logged.
            name: its name in the registry.
            clock: clock that sleeps; by default the system's, or the simulated clock in effect.
            rng: random generator of the jitter.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.settings = RetrySettings(
            max_attempts=max_attempts,
            base_delay=as_seconds(base_delay),
            max_delay=as_seconds(max_delay),
            jitter=jitter,
            exceptions=as_listed(exceptions),
            idempotent=idempotent,
            max_retry_after=None if max_retry_after is None else as_seconds(max_retry_after),
        )
        self.name = check_name(name)
        check_kind("budget", budget, RetryBudget)
        check_kind("rng", rng, Random)
        self.budget = budget
        self._gives_key = check_flag("idempotency_key", idempotency_key)
        check_callable("retry_if", retry_if, takes=1)
        check_callable("backoff", backoff, takes=2)
        check_callable("on_retry", on_retry, takes=1)
        self._retry_if = retry_if
        self.max_duration = None if max_duration is None else check_seconds("max_duration", max_duration, zero=False)
        self.backoff = backoff
        self.on_retry = on_retry
        self.begins = budget is not None or idempotency_key or max_duration is not None
        self.clock = bind_clock(name, clock)
        self.rng = rng or shared_rng

    def setting_names(self) -> frozenset[str]:
        """See `Part.setting_names`."""
        return frozenset(RetryChanges.__annotations__)

    def reconfigure(self, **changes: Unpack[RetryChanges]) -> None:
        """Change settings of the constructor, for failures from now on.

        Raises:
            ValueError: a setting is out of its range; no setting is changed.
        """
        self.prepare(**changes)()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        settings = replace(self.settings, **cast("dict[str, Any]", changes))

        def change() -> None:
            self.settings = settings
            for retry in self.with_twins()[1:]:
                retry.settings = replace(retry.settings, **cast("dict[str, Any]", changes))

        return change

    def for_key(self, key: Hashable) -> Self:
        """Return the retry of `key`, which has a budget of its own; itself where it has none. See `Part.for_key`."""
        return self if self.budget is None else super().for_key(key)

    def renew(self) -> None:
        """See `Part.renew`."""
        assert self.budget is not None
        self.budget = self.budget.for_key(self.key)

    def result_check(self) -> ResultCheck | None:
        """See `RetryPart.result_check`."""
        return self._retry_if

    def begins_in(self, facts: StageContext) -> bool:
        """See `RetryPart.begins_in`."""
        return self.begins or self._tracks_requests(facts)

    def _tracks_requests(self, facts: StageContext) -> bool:
        return not (facts.bare or self.settings.idempotent)

    def begin(self, facts: StageContext) -> Permit | None:
        """See `RetryPart.begin`."""
        if self.budget is not None:
            self.budget.first_attempt()
        if events.listeners:
            emit_start(self, facts, 1)
        tracks = self._tracks_requests(facts)
        if not (self._gives_key or tracks or self.max_duration is not None):
            return None
        gives_key = self._gives_key and call_key.get() is None
        if not (gives_key or tracks or self.max_duration is not None):
            return None
        return _CallScope(self, gives_key=gives_key, tracks=tracks)

    def judge(self, outer: tuple[Permit, ...], facts: StageContext, function: str) -> AttemptController:
        """See `RetryPart.judge`."""
        began = math.nan
        if self.max_duration is not None:
            scopes = (permit for permit in reversed(outer) if isinstance(permit, _CallScope) and permit.retry is self)
            began = next((scope.began for scope in scopes), math.nan)
        return RetryController(self, outer, facts, began)

    def __iter__(self) -> BlockingAttempts:
        """Return the attempts of a block in synchronous code: `for attempt in retry:`, and in it `with attempt:`.

        Raises:
            TypeError: the retry has `retry_if`, and a block has no result.
        """
        return BlockingAttempts(self._judge_block(asynchronous=False), gives_key=self._gives_key)

    def __aiter__(self) -> AsyncAttempts:
        """Return the attempts of a block in a task: `async for attempt in retry:`, and in it `with attempt:`.

        Raises:
            TypeError: the retry has `retry_if`, and a block has no result.
        """
        return AsyncAttempts(self._judge_block(asynchronous=True), gives_key=self._gives_key)

    def _judge_block(self, *, asynchronous: bool) -> AttemptController:
        if self._retry_if is not None:
            raise TypeError(f"{self.name} checks results with retry_if, and a block has none: decorate a function")
        facts = StageContext(policy=self.name, asynchronous=asynchronous, bare=True)
        if self.budget is not None and not passing.on:
            self.budget.first_attempt()
        if events.listeners and not passing.on:
            emit_start(self, facts, 1)
        return RetryController(self, (), facts, math.nan if self.max_duration is None else self.clock.peek())

    def describe(self) -> str:
        """See `Part.describe`."""
        settings = self.settings
        within = "" if self.max_duration is None else f" within {self.max_duration:g} s"
        first, last = settings.delay_range
        pauses = f"of {first:g} s" if first == last else f"from {first:g} s to {last:g} s"
        if self.backoff is not None:
            pauses = f"by {getattr(self.backoff, '__name__', 'backoff')}"
        if settings.max_attempts == 1:
            return "retry: one attempt, no pauses"
        return (
            f"retry: up to {settings.max_attempts} attempts{within}, pauses {pauses}, "
            f"{'idempotent' if settings.idempotent else 'only requests never sent'}"
        )


class _CallScope(Permit):
    """Context shared by all attempts of one call: its idempotency key, its recorded requests and its start."""

    __slots__ = ("_key", "_requests", "began", "retry")

    contextual = True

    def __init__(self, retry: Retry, *, gives_key: bool, tracks: bool) -> None:
        self.retry = retry
        self.began = math.nan if retry.max_duration is None else retry.clock.peek()
        self._key = call_key.set(str(uuid.uuid4())) if gives_key else None
        self._requests = attempt_requests.set(AttemptRequests(retry, attempt_requests.get())) if tracks else None

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        if self._requests is not None:
            attempt_requests.reset(self._requests)
        if self._key is not None:
            call_key.reset(self._key)

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        self.succeed(error)
