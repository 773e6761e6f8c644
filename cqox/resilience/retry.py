"""Calling again after a failure, where that helps and does no harm.

What lives here: the decision after each attempt. What does not: what an exception means (`classification`), how long to
wait (`backoff`), how many retries a dependency gets (`budget`).
"""

import inspect
import logging
import uuid
import warnings
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass, replace
from random import Random
from typing import TypedDict, Unpack, cast

from cqox.errors import DeadlineExceeded, Rejected
from cqox.resilience import _events
from cqox.resilience._clock import Clock, TimeSource, bind_clock
from cqox.resilience._events import AttemptFailed, AttemptStarted, GaveUp, RetryScheduled
from cqox.resilience._hop import attempt_made, call_key, serves_a_retry
from cqox.resilience._part import Facts, Judge, Loop
from cqox.resilience._permit import Permit
from cqox.resilience._ranges import check_count, check_exceptions, check_seconds
from cqox.resilience._scope import place
from cqox.resilience.backoff import Jitter, backoff
from cqox.resilience.budget import RetryBudget
from cqox.resilience.classification import never_sent
from cqox.resilience.deadline import remaining
from cqox.resilience.retry_after import retry_after_of

__all__ = ["Exceptions", "Retry", "RetryChanges", "RetrySettings"]

type Exceptions = tuple[type[BaseException], ...] | Callable[[Exception], bool]
"""Which exceptions to retry: classes, or what answers for each exception."""

_log = logging.getLogger("cqox.resilience")
_shared_rng = Random()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """See `Retry`, which takes the same.

    Raises:
        ValueError: a setting is out of its range.
    """

    max_attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 60.0
    jitter: Jitter = True
    exceptions: Exceptions = (Exception,)
    idempotent: bool = False
    max_retry_after: float | None = None

    def __post_init__(self) -> None:
        check_count("max_attempts", self.max_attempts)
        check_seconds("base_delay", self.base_delay)
        check_seconds("max_delay", self.max_delay)
        if self.jitter not in (True, False, "full", "decorrelated"):
            raise ValueError(f'jitter must be True, False, "full" or "decorrelated", not {self.jitter!r}')
        check_exceptions("exceptions", self.exceptions)
        if self.max_retry_after is not None:
            check_seconds("max_retry_after", self.max_retry_after)

    @property
    def longest_retry_after(self) -> float:
        """The longest wait that a server may ask for, in seconds."""
        return self.max_delay if self.max_retry_after is None else self.max_retry_after

    def covers(self, error: BaseException) -> bool:
        """Whether `error` is one to retry. A group is if every leaf is; a rejection only if its class is listed."""
        if isinstance(error, BaseExceptionGroup):
            return all(map(self.covers, cast("BaseExceptionGroup[BaseException]", error).exceptions))
        if not isinstance(error, Exception) or (isinstance(error, DeadlineExceeded) and error.before_call):
            return False
        listed = self.exceptions
        if callable(listed):
            return listed(error)
        if isinstance(error, Rejected):
            return any(issubclass(kind, Rejected) and isinstance(error, kind) for kind in listed)
        return isinstance(error, listed)


class RetryChanges(TypedDict, total=False):
    """What can be changed at run time."""

    max_attempts: int
    base_delay: float
    max_delay: float
    jitter: Jitter
    exceptions: Exceptions
    idempotent: bool
    max_retry_after: float | None


class Retry(Loop):
    """Calls again after an exception, at most `max_attempts` times in all, with growing pauses.

    The pause is min(base_delay · 2^attempt, max_delay) · (0.5 + random()). `Retry-After` is honoured where it asks for
    more. It gives up, with the last exception of the callee and a note on it, where the pause would outlast the
    deadline, the budget is used up, an enclosing circuit has opened, or the request in hand is itself a retry.

    A cancellation is never retried. A call that is not idempotent is retried only if the request was never sent.
    """

    __slots__ = ("_gives_key", "budget", "clock", "name", "rng", "settings")

    def __init__(
        self,
        max_attempts: int = 3,
        base_delay: float = 1.0,
        max_delay: float = 60.0,
        jitter: Jitter = True,
        exceptions: Exceptions = (Exception,),
        budget: RetryBudget | None = None,
        idempotent: bool = False,
        *,
        idempotency_key: bool = False,
        max_retry_after: float | None = None,
        name: str = "retry",
        clock: Clock | TimeSource | None = None,
        rng: Random | None = None,
    ) -> None:
        """Say when and how to call again.

        Args:
            max_attempts: attempts in all, at least 1.
            base_delay: the first pause before jitter, in seconds, from 0.
            max_delay: cap of the pause before jitter, in seconds, from 0.
            jitter: how pauses are spread: True, False, "full" or "decorrelated".
            exceptions: classes to retry, or a predicate. `Exception` leaves rejections out: list their class to retry
                them.
            budget: how many retries the dependency gets, from all its callers.
            idempotent: True where the call may be carried out twice. A bare decorator counts as that.
            idempotency_key: gives all attempts of a call one `Idempotency-Key`, which `propagate` sends.
            max_retry_after: the longest pause that a server may ask for, in seconds, from 0; `max_delay` by default.
            name: what the registry calls it.
            clock: what sleeps; by default the system's, or the simulated one in charge.
            rng: draws the jitter.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.settings = RetrySettings(
            max_attempts=max_attempts,
            base_delay=base_delay,
            max_delay=max_delay,
            jitter=jitter,
            exceptions=exceptions,
            idempotent=idempotent,
            max_retry_after=max_retry_after,
        )
        self.name = name
        self.budget = budget
        self.begins = budget is not None or idempotency_key
        self._gives_key = idempotency_key
        self.clock = bind_clock(name, clock)
        self.rng = rng or _shared_rng

    def setting_names(self) -> frozenset[str]:
        """See `Part.setting_names`."""
        return frozenset(RetryChanges.__annotations__)

    def reconfigure(self, **changes: Unpack[RetryChanges]) -> None:
        """Go on with other settings of the constructor, for failures from now on.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.settings = replace(self.settings, **changes)

    def begin(self, facts: Facts) -> Permit | None:
        """See `Loop.begin`."""
        if self.budget is not None:
            self.budget.first_attempt()
        if _events.listeners:
            self.tell_start(facts, 1)
        return _Key() if self._gives_key and call_key.get() is None else None

    def judge(self, outer: tuple[Permit, ...], facts: Facts, function: str) -> Judge:
        """See `Loop.judge`."""
        return _RetryJudge(self, outer, facts)

    def describe(self) -> str:
        """See `Part.describe`."""
        settings = self.settings
        return (
            f"retry: up to {settings.max_attempts} attempts, pauses from {settings.base_delay:g} s to "
            f"{settings.max_delay:g} s, {'idempotent' if settings.idempotent else 'only what was never sent'}"
        )

    def tell_start(self, facts: Facts, attempt: int) -> None:
        """Tell listeners that an attempt begins."""
        _events.emit(
            AttemptStarted(
                name=facts.policy, at=self.clock.peek(), attempt=attempt, max_attempts=self.settings.max_attempts
            )
        )


class _RetryJudge(Judge):
    """The attempts of one call."""

    __slots__ = ("_attempt", "_delay", "_error", "_facts", "_outer", "_retry", "_token")

    def __init__(self, retry: Retry, outer: tuple[Permit, ...], facts: Facts) -> None:
        self._retry = retry
        self._outer = outer
        self._facts = facts
        self._attempt = 1
        self._delay = 0.0
        self._error: Exception | None = None
        self._token: Token[int] | None = None

    def after(self, error: Exception) -> float | None:
        """See `Judge.after`."""
        settings = self._retry.settings
        if _events.listeners:
            self._tell(AttemptFailed, max_attempts=settings.max_attempts, error=error)
        refusal = self._reason_to_stop(error)
        if refusal is not None:
            self._give_up(error, refusal)
            return None
        self._error = error
        return self._delay

    async def pause(self, seconds: float) -> None:
        """See `Judge.pause`."""
        await self._retry.clock.sleep_async(seconds)
        self._resume()

    def pause_blocking(self, seconds: float) -> None:
        """See `Judge.pause_blocking`."""
        if place() is not None:
            _warn_of_blocked_loop(seconds)
        self._retry.clock.sleep(seconds)
        self._resume()

    def end(self) -> None:
        """See `Judge.end`."""
        self._error = None
        if self._token is not None:
            attempt_made.reset(self._token)
            self._token = None

    def _resume(self) -> None:
        """Begin the next attempt, unless the pause has changed what speaks for it."""
        error, self._error = self._error, None
        assert error is not None
        if not all(permit.stands() for permit in self._outer):
            self._give_up(error, _Stop("an enclosing circuit has changed its state"))
            raise error
        if remaining() <= 0:
            self._give_up(error, _Stop("the deadline has passed"))
            raise error
        token = attempt_made.set(self._attempt)
        self._token = self._token or token
        self._attempt += 1
        if _events.listeners:
            self._retry.tell_start(self._facts, self._attempt)

    def _reason_to_stop(self, error: Exception) -> "_Stop | None":
        """Why no attempt follows, or None after putting the pause into `_delay`."""
        settings = self._retry.settings
        if not settings.covers(error):
            return _Stop("it is not one to retry", noted=False, logged=False)
        if self._attempt >= settings.max_attempts:
            return _Stop(f"{self._attempt} attempts were made", noted=False)
        if any(permit.single_attempt for permit in self._outer):
            return _Stop("a probe makes one attempt")
        if not all(permit.stands() for permit in self._outer):
            return _Stop("an enclosing circuit has changed its state")
        if serves_a_retry():
            return _Stop("the request in hand is itself a retry")
        if not (settings.idempotent or self._facts.bare or never_sent(error)):
            return _Stop("the call is not idempotent and may have been carried out")
        return self._reason_to_stop_by_time(error)

    def _reason_to_stop_by_time(self, error: Exception) -> "_Stop | None":
        settings = self._retry.settings
        asked = error.retry_after if isinstance(error, Rejected) else retry_after_of(error) or 0.0
        if asked > settings.longest_retry_after:
            return _Stop(f"Retry-After asks for {asked:g} s, and at most {settings.longest_retry_after:g} s are waited")
        computed = backoff(
            self._attempt - 1,
            base_delay=settings.base_delay,
            max_delay=settings.max_delay,
            jitter=settings.jitter,
            rng=self._retry.rng,
            previous=self._delay,
        )
        self._delay = max(computed, asked)
        left = remaining()
        if self._delay >= left:
            what = "the wait that Retry-After asks for" if asked > computed else "the pause"
            return _Stop(f"{what}, {self._delay:.2f} s, would outlast the deadline, {left:.2f} s from now")
        budget = self._retry.budget
        if budget is not None and not budget.may_retry():
            return _Stop(f"{budget.name} is exhausted")
        _log.warning(
            "[Retry] Attempt %d/%d failed: %s. Retrying in %.2fs...",
            self._attempt,
            settings.max_attempts,
            _said(error),
            self._delay,
        )
        if _events.listeners:
            self._tell(RetryScheduled, max_attempts=settings.max_attempts, delay=self._delay, error=error)
        return None

    def _give_up(self, error: Exception, stop: "_Stop") -> None:
        note = f"no further attempt was made after {self._attempt}: {stop.reason}"
        # A callee may raise one and the same exception again and again, on which notes would pile up.
        if stop.noted and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        if stop.logged:
            _log.warning(
                "[Retry] Attempt %d/%d failed: %s. Giving up: %s.",
                self._attempt,
                self._retry.settings.max_attempts,
                _said(error),
                stop.reason,
            )
        if _events.listeners:
            self._tell(GaveUp, reason=stop.reason, error=error)

    def _tell(self, kind: Callable[..., _events.Event], **data: object) -> None:
        _events.emit(kind(name=self._facts.policy, at=self._retry.clock.peek(), attempt=self._attempt, **data))


def _said(error: Exception) -> str:
    # One line, which goes on with a period of its own.
    return (" ".join(str(error).split()) or repr(error)).removesuffix(".")


@dataclass(frozen=True, slots=True)
class _Stop:
    """Why no attempt follows, and where that is said."""

    reason: str
    noted: bool = True
    logged: bool = True


class _Key(Permit):
    """Keeps one idempotency key in force for all attempts of a call."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token = call_key.set(str(uuid.uuid4()))

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        call_key.reset(self._token)

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        call_key.reset(self._token)


_warned_of: set[tuple[str, int]] = set()


def _warn_of_blocked_loop(seconds: float) -> None:
    """Warn once for each line that makes a synchronous call wait on a thread that runs an event loop."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("cqox.resilience"):
        frame, level = frame.f_back, level + 1
    site = ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
    if site not in _warned_of:
        _warned_of.add(site)
        warnings.warn(
            f"a retry pauses for {seconds:.2f} s on a thread that runs an event loop, which stands still meanwhile: "
            "make the function a coroutine function, or call it in a thread",
            RuntimeWarning,
            stacklevel=level,
        )
