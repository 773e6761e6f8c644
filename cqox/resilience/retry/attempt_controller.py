"""Controller of the attempts of one call: whether another follows, after which delay, with log lines and events.

The last exception is referenced only during a pause, so that a failed attempt keeps nothing alive.
"""

import inspect
import math
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from contextvars import Token
from random import Random
from typing import NamedTuple, Protocol, cast

from cqox.errors import Rejected
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.events import AttemptFailed, AttemptStarted, Event, GaveUp, Listener, RetryScheduled
from cqox.resilience.pipeline.part import AttemptController, StageContext
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.retry.backoff import backoff
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.retry_after import retry_after_of
from cqox.resilience.retry.settings import RetrySettings
from cqox.resilience.retry.unsent import AttemptRequests, attempt_requests
from cqox.resilience.runtime.ambient_deadline import ambient
from cqox.resilience.runtime.call_context import attempt_made, call_safety, serves_a_retry
from cqox.resilience.runtime.clock import BoundClock
from cqox.resilience.runtime.event_loop import task_or_loop
from cqox.resilience.runtime.instant import pauses
from cqox.resilience.runtime.queueing import QueueWait
from cqox.resilience.runtime.ranges import Seconds, check_seconds

__all__ = ["Backoff", "RetryController", "emit_start"]

type Backoff = Callable[[int, Exception], Seconds | None]
"""Computes the pause after a failed attempt from its number, from 1, and its exception; None is the usual pause."""


_NOTE = "no further attempt was made after"
_MOST_NOTES = 8
_NUMBER = re.compile(r"\d+(\.\d+)?")


class _Retry(Protocol):
    """The retry, as its controllers see it; they read it at each decision, as its settings may change."""

    backoff: "Backoff | None"
    max_duration: float | None
    on_retry: Callable[[RetryScheduled], object] | None

    settings: RetrySettings
    budget: RetryBudget | None
    clock: BoundClock
    rng: Random


class RetryController(AttemptController):
    """Controller of the attempts of one call."""

    __slots__ = ("_attempt", "_began", "_delay", "_error", "_facts", "_outer", "_retry", "_token")

    def __init__(self, retry: _Retry, outer: tuple[Permit, ...], facts: StageContext, began: float = math.nan) -> None:
        """Args:
        retry: the retry.
        outer: permits of the call from the gates outside of the retry.
        facts: facts of the stage.
        began: start of the call by the clock of the retry, NaN where it has no `max_duration`.
        """
        self._retry = retry
        self._began = began
        self._outer = outer
        self._facts = facts
        self._attempt = 1
        self._delay = 0.0
        self._error: Exception | None = None
        self._token: Token[int] | None = None

    def after(self, error: Exception, *, called: bool = True) -> float | None:
        """See `AttemptController.after`."""
        settings = self._retry.settings
        if events.listeners:
            self._emit(AttemptFailed, max_attempts=settings.max_attempts, error=error)
        refusal = self._reason_to_stop(error, called)
        if refusal is not None:
            self._give_up(error, refusal)
            return None
        self._error = error
        return self._delay

    async def pause(self, seconds: float) -> None:
        """See `AttemptController.pause`."""
        with self._paused():
            await self._retry.clock.sleep_async(seconds)
        self._resume()

    def pause_blocking(self, seconds: float) -> None:
        """See `AttemptController.pause_blocking`."""
        if seconds > 0 and task_or_loop() is not None:
            _warn_of_blocked_loop(seconds)
        with self._paused():
            self._retry.clock.sleep(seconds)
        self._resume()

    def end(self) -> None:
        """See `AttemptController.end`."""
        self._error = None
        if self._token is not None:
            attempt_made.reset(self._token)
            self._token = None

    def _paused(self) -> QueueWait:
        """Return a context around a pause, whose time no circuit or limit around takes for the callee's."""
        deadline = ambient.get()
        return QueueWait(self._retry.clock, None if deadline is None else deadline.clock)

    def _resume(self) -> None:
        """Start the next attempt, unless a reason to give up arose during the pause."""
        error, self._error = self._error, None
        assert error is not None
        try:
            stop = self._reason_to_stop_now()
            if stop is not None:
                self._give_up(error, stop)
                raise error
        finally:
            del error  # its traceback references this frame
        requests = self._requests
        if requests is not None:
            requests.clear()
        token = attempt_made.set(self._attempt)
        self._token = self._token or token
        self._attempt += 1
        if events.listeners:
            emit_start(self._retry, self._facts, self._attempt)

    def _reason_to_stop_now(self) -> "_StopReason | None":
        if self._outer and not all(permit.is_current() for permit in self._outer):
            return _StopReason("an enclosing circuit has changed its state")
        if self._time_left() <= 0:
            return _StopReason(f"the total time of {self._retry.max_duration:g} s is over")
        return _StopReason("the deadline has passed") if remaining() <= 0 else None

    def _time_left(self) -> float:
        """Return what is left of the total time of the call in seconds, NaN where it is not limited."""
        limit = self._retry.max_duration
        return math.nan if limit is None else limit - (self._retry.clock.peek() - self._began)

    def _computed_delay(self, error: Exception) -> float:
        retry, settings = self._retry, self._retry.settings
        chosen = None if retry.backoff is None else retry.backoff(self._attempt, error)
        if chosen is not None:
            return check_seconds("the result of backoff", chosen)
        return backoff(
            self._attempt - 1,
            base_delay=settings.base_delay,
            max_delay=settings.max_delay,
            jitter=settings.jitter,
            rng=retry.rng,
            previous=self._delay,
        )

    def _reason_to_stop(self, error: Exception, called: bool) -> "_StopReason | None":
        """Return the reason to give up, or None after setting `_delay` to the pause."""
        settings = self._retry.settings
        if not settings.covers(error):
            return _StopReason("it is not one to retry", noted=False, logged=False)
        if self._attempt >= settings.max_attempts:
            return _StopReason(f"{self._attempt} attempts were made", noted=False)
        if self._outer and any(permit.single_attempt for permit in self._outer):
            return _StopReason("a probe makes one attempt")
        if self._outer and not all(permit.is_current() for permit in self._outer):
            return _StopReason("an enclosing circuit has changed its state")
        if serves_a_retry():
            return _StopReason("the request in hand is itself a retry")
        if called and not self._may_repeat(error):
            return _StopReason("the call is not idempotent and may have been carried out")
        return self._reason_to_stop_by_time(error)

    def _may_repeat(self, error: Exception) -> bool:
        safety = call_safety.get()
        if safety is not None:
            return safety.may_repeat(error)
        return self._retry.settings.idempotent or self._facts.bare or self._was_never_sent(error)

    def _was_never_sent(self, error: Exception) -> bool:
        requests = self._requests
        return requests is not None and requests.prove_unsent(error)

    @property
    def _requests(self) -> AttemptRequests | None:
        requests = attempt_requests.get()
        return requests if requests is not None and requests.owner is self._retry else None

    def _reason_to_stop_by_time(self, error: Exception) -> "_StopReason | None":
        settings = self._retry.settings
        asked = _requested_wait(error)
        if asked > settings.longest_retry_after:
            longest = settings.longest_retry_after
            return _StopReason(f"Retry-After asks for {asked:g} s, and at most {longest:g} s are waited")
        computed = self._computed_delay(error)
        self._delay = 0.0 if pauses.skipped else max(computed, asked)
        what = "the wait that Retry-After asks for" if asked > computed else "the pause"
        left = remaining()
        if self._delay >= left:
            return _StopReason(f"{what}, {self._delay:.2f} s, would outlast the deadline, {left:.2f} s from now")
        left = self._time_left()
        if self._delay >= left:
            return _StopReason(
                f"{what}, {self._delay:.2f} s, would outlast the total time of {self._retry.max_duration:g} s, "
                f"of which {max(left, 0.0):.2f} s are left"
            )
        budget = self._retry.budget
        if budget is not None and not budget.may_retry():
            return _StopReason(f"{budget.name} is exhausted")
        _warn(
            "[Retry] Attempt %d/%d failed: %s. Retrying in %.2fs...",
            self._attempt,
            settings.max_attempts,
            _one_line(error),
            self._delay,
        )
        on_retry = self._retry.on_retry
        if on_retry is not None or events.listeners:
            more = () if on_retry is None else (cast("Listener", on_retry),)
            self._emit(RetryScheduled, more, max_attempts=settings.max_attempts, delay=self._delay, error=error)
        return None

    def _give_up(self, error: Exception, stop: "_StopReason") -> None:
        if stop.noted:
            _add_note_once(error, f"{_NOTE} {self._attempt}: {stop.reason}")
        if stop.logged:
            _warn(
                "[Retry] Attempt %d/%d failed: %s. Giving up: %s.",
                self._attempt,
                self._retry.settings.max_attempts,
                _one_line(error),
                stop.reason,
            )
        if events.listeners:
            self._emit(GaveUp, reason=stop.reason, error=error)

    def _emit(self, kind: Callable[..., Event], more: tuple[Listener, ...] = (), **data: object) -> None:
        facts = self._facts
        at = self._retry.clock.peek()
        events.emit(kind(name=facts.policy, key=facts.key, at=at, attempt=self._attempt, **data), more)


def emit_start(retry: _Retry, facts: StageContext, attempt: int) -> None:
    """Emit the event that an attempt starts."""
    events.emit(
        AttemptStarted(
            name=facts.policy,
            key=facts.key,
            at=retry.clock.peek(),
            attempt=attempt,
            max_attempts=retry.settings.max_attempts,
        )
    )


def _add_note_once(error: Exception, note: str) -> None:
    """Add `note` to `error`; it replaces a note that differs only in numbers, and the oldest of too many.

    A callee may raise the same exception object repeatedly.
    """
    # A frozen exception accepts no notes and reaches the caller without one.
    with suppress(AttributeError, TypeError):
        notes: object = getattr(error, "__notes__", None)
        if isinstance(notes, list):
            said = cast("list[object]", notes)
            ours = [line for line in said if isinstance(line, str) and line.startswith(_NOTE)]
            gone = {line for line in ours if _without_numbers(line) == _without_numbers(note)}
            gone.update(ours[: 1 - _MOST_NOTES])
            said[:] = [line for line in said if not (isinstance(line, str) and line in gone)]
        error.add_note(note)


def _without_numbers(note: str) -> tuple[str, str]:
    attempt, _, reason = note.partition(":")
    return attempt, _NUMBER.sub("#", reason)


def _requested_wait(error: BaseException) -> float:
    """Return the seconds that the server asked to wait; the maximum over the leaves of a group."""
    if isinstance(error, BaseExceptionGroup):
        return max(map(_requested_wait, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return error.retry_after if isinstance(error, Rejected) else retry_after_of(error) or 0.0


def _warn(message: str, *args: object) -> None:
    # Imported where it is needed: it takes longer to import than most modules of the library.
    import logging

    logging.getLogger("cqox.resilience").warning(message, *args, stacklevel=2)


def _one_line(error: Exception) -> str:
    # One line without a final period, as the log message adds its own.
    try:
        return (" ".join(str(error).split()) or repr(error)).removesuffix(".")
    except Exception:  # noqa: BLE001 - the exception's own code must not affect the retry
        return type(error).__name__


class _StopReason(NamedTuple):
    """Reason to give up, and whether it is noted on the exception and logged."""

    reason: str
    noted: bool = True
    logged: bool = True


_warned_sites: set[tuple[str, int]] = set()


def _warn_of_blocked_loop(seconds: float) -> None:
    """Warn once per call site that a synchronous retry pauses on a thread that runs an event loop."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("cqox.resilience"):
        frame, level = frame.f_back, level + 1
    site = ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
    if site not in _warned_sites:
        _warned_sites.add(site)
        warnings.warn(
            f"a retry pauses for {seconds:.2g} s on a thread that runs an event loop, which it blocks: "
            "make the function a coroutine function, or call it in a thread",
            RuntimeWarning,
            stacklevel=level,
        )
