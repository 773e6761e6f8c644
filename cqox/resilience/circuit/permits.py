"""Permits of the calls of a circuit, with the classification of their outcomes."""

import math
from collections.abc import Callable
from typing import cast

from cqox.errors import AttemptTimeout, DeadlineExceeded, Rejected, ResilienceError
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.state import Circuit, Closed, Lease, Phase
from cqox.resilience.circuit.statistics import Outcome
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, TimedGrant, TimeSpent, is_timeout_or_cancellation
from cqox.resilience.runtime.queueing import seconds_in_queues
from cqox.resilience.runtime.ranges import Covered

__all__ = ["CallPermit", "SharedPermit", "TimedCalls", "TimedPermit"]

# Exceptions that may say nothing about the callee although their class is listed.
_JUDGED_APART = (ResilienceError, BaseExceptionGroup)


class _CircuitPermit(Permit):
    """Base of all permits: classification of a failure, and validity of the permit."""

    __slots__ = ("_circuit", "phase")

    def __init__(self, circuit: Circuit, phase: Phase) -> None:
        self._circuit = circuit
        self.phase = phase

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        try:
            outcome = _outcome_of(self._circuit, error)
        except BaseException:
            self._leave(Outcome.IGNORED)
            raise
        self._leave(outcome)

    def fail_within_deadline(self, spent: TimeSpent, error: BaseException) -> None:
        """See `Permit.fail_within_deadline`."""
        try:
            outcome = _outcome_within_deadline(self._circuit, spent, error)
        except BaseException:
            self._leave(Outcome.IGNORED)
            raise
        self._leave(outcome)

    def is_current(self) -> bool:
        """See `Permit.is_current`."""
        return self._circuit.phase is self.phase

    def _is_failure(self, value: object, failure_if: Callable[..., bool]) -> bool:
        try:
            return value is not NO_RESULT and failure_if(value)
        except BaseException:
            self._leave(Outcome.IGNORED)
            raise

    def _leave(self, outcome: Outcome) -> None:
        """Report the outcome of the call to the circuit."""


class SharedPermit(_CircuitPermit):
    """Permit shared by all calls of a closed circuit that keeps no state per call.

    Attributes:
        count: counts a success that cannot change the state.
        failure_if: predicate on results, None for none.
        now: the clock.
    """

    __slots__ = ("_checked_now", "_plain_failures", "_settings", "_usual_failure", "count", "failure_if", "now")

    phase: Closed

    def __init__(self, circuit: Circuit, phase: Closed, settings: CircuitSettings) -> None:
        super().__init__(circuit, phase)
        self.count = circuit.totals.quiet.add
        self.failure_if = settings.failure_if
        # Both are those of a clock that the admission has just bound; a reset, which releases it, ends the phase.
        clock = circuit.clock
        self.now = clock.now
        self._checked_now = clock.now if clock.is_certain else clock.checked_now
        self._settings = settings
        self._plain_failures = _plain_classes(settings.failures)
        self._usual_failure: type[BaseException] | None = None

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        if self.failure_if is not None and self._is_failure(value, self.failure_if):
            self._leave(Outcome.FAILURE)
            return
        phase = self.phase
        health = phase.health
        now = self.now() if health.needs_time else 0.0
        if now < health.quiet_until:
            self.count()
        else:
            # A success can complete the calls from which a rate is judged, and so open the circuit: at its own time.
            self._circuit.leave(phase, None, Outcome.SUCCESS, now if health.needs_time else self.now(), False)

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        circuit, kind = self._circuit, type(error)
        # Most failures are known by the class of their exception alone, and most are of the class of the last one.
        if kind is not self._usual_failure:
            if not issubclass(kind, self._plain_failures) or issubclass(kind, _JUDGED_APART):
                super().fail(error)
                return
            self._usual_failure = kind
        if circuit.settings is not self._settings:
            super().fail(error)
            return
        now, phase = self._checked_now(), self.phase
        # What `Circuit.leave` does, without its frame: during an outage most calls come here.
        with circuit.lock:
            if circuit.phase is not phase:
                circuit.totals.stale += 1
                return
            circuit.totals.failure += 1
            health = phase.health
            if not (health.record(now, True, False) and health.reached()):
                return
            circuit.open(now, health.reason())
        circuit.outbox.deliver()

    def _leave(self, outcome: Outcome) -> None:
        circuit = self._circuit
        circuit.leave(self.phase, None, outcome, circuit.clock.checked_now(), False)


class TimedCalls(TimedGrant):
    """Admission of the calls of a closed circuit that counts slow ones: the clock is read when each begins and ends.

    Attributes:
        circuit: the circuit.
        phase: its state.
        failure_if: predicate on results, None for none.
        slow_call_seconds: duration from which a call is slow.
    """

    __slots__ = ("_count", "circuit", "failure_if", "phase", "slow_call_seconds")

    def __init__(self, circuit: Circuit, phase: Closed, settings: CircuitSettings) -> None:
        """Args:
        circuit: the circuit.
        phase: its state.
        settings: its settings, which count slow calls.
        """
        self.circuit = circuit
        self.phase = phase
        self.failure_if = settings.failure_if
        self.now = circuit.clock.now
        self.slow_call_seconds = math.inf if settings.slow_call_seconds is None else settings.slow_call_seconds
        self._count = circuit.totals.quiet.add

    def permit(self, began: float) -> "TimedPermit":
        """See `TimedGrant.permit`."""
        return TimedPermit(self, began)

    def succeed(self, began: float, value: object) -> None:
        """See `TimedGrant.succeed`."""
        if self.failure_if is not None:
            TimedPermit(self, began).succeed(value)
            return
        now = self.now()
        if now - began < self.slow_call_seconds and now < self.phase.health.quiet_until:
            self._count()
        else:
            TimedPermit(self, began).succeed_at(now)


class TimedPermit(_CircuitPermit):
    """Permit of one call of `TimedCalls`."""

    __slots__ = ("_calls", "_started")

    def __init__(self, calls: TimedCalls, started: float) -> None:
        """Args:
        calls: what all calls have in common.
        started: time at which the call began.
        """
        super().__init__(calls.circuit, calls.phase)
        self._calls = calls
        self._started = started

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        failure_if = self._calls.failure_if
        if failure_if is not None and self._is_failure(value, failure_if):
            self._leave(Outcome.FAILURE)
        else:
            self.succeed_at(self._calls.now())

    def succeed_at(self, now: float) -> None:
        """Record a success that ended at `now`."""
        self._leave_at(Outcome.SUCCESS, now)

    def _leave(self, outcome: Outcome) -> None:
        self._leave_at(outcome, self._circuit.clock.checked_now())

    def _leave_at(self, outcome: Outcome, now: float) -> None:
        slow = _took_long(self._circuit, self._calls.slow_call_seconds, self._started, now)
        self._circuit.leave(self.phase, None, outcome, now, slow)


class CallPermit(_CircuitPermit):
    """Permit of one call: a probe, or a call of a circuit that an operator has forced or that only observes."""

    __slots__ = ("_lease", "_started", "single_attempt")

    def __init__(self, circuit: Circuit, phase: Phase, lease: Lease | None, started: float) -> None:
        super().__init__(circuit, phase)
        self._lease = lease
        self._started = started
        self.single_attempt = lease is not None

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        failure_if = self._circuit.settings.failure_if
        failed = failure_if is not None and self._is_failure(value, failure_if)
        self._leave(Outcome.FAILURE if failed else Outcome.SUCCESS)

    def _leave(self, outcome: Outcome) -> None:
        circuit = self._circuit
        now = circuit.clock.checked_now()
        circuit.leave(self.phase, self._lease, outcome, now, self._was_slow(now))

    def _was_slow(self, now: float) -> bool:
        return _took_long(self._circuit, self._circuit.settings.slow_call_seconds, self._started, now)


def _took_long(circuit: Circuit, threshold: float | None, started: float, now: float) -> bool:
    """Return whether a call took `threshold` seconds or more, without those in queues of this process."""
    if threshold is None or now - started < threshold:
        return False
    return now - started - seconds_in_queues(circuit.clock.now, started) >= threshold


def _plain_classes(failures: Covered[BaseException]) -> tuple[type[BaseException], ...]:
    """Return the classes of `failures` whose instances are known by their class; none for a predicate."""
    if callable(failures):
        return ()
    # A metaclass may look at the exception itself, and what is no `Exception` may be a cancellation.
    return failures if all(issubclass(kind, Exception) and type(kind) is type for kind in failures) else ()


def _outcome_of(circuit: Circuit, error: BaseException) -> Outcome:
    """Classify the exception of a call, without regard to time; a group is a failure if one of its leaves is."""
    if not isinstance(error, Exception):
        return Outcome.CANCELLED
    return Outcome.FAILURE if _counts_as_failure(circuit.settings.failures, error) else Outcome.IGNORED


def _counts_as_failure(failures: Covered[BaseException], error: Exception) -> bool:
    if isinstance(error, ResilienceError) and _came_before_the_call(error):
        return False
    leaves = _leaves(error)
    if leaves and not _lists_group_class(failures, error):
        return any(_counts_as_failure(failures, leaf) for leaf in leaves)
    return isinstance(error, failures) if isinstance(failures, tuple) else failures(error)


def _leaves(error: Exception) -> tuple[Exception, ...]:
    return cast("ExceptionGroup[Exception]", error).exceptions if isinstance(error, ExceptionGroup) else ()


def _came_before_the_call(error: ResilienceError) -> bool:
    """Return whether the dependency was not called: an inner part rejected the call, or its time had passed."""
    return isinstance(error, Rejected) or (isinstance(error, (DeadlineExceeded, AttemptTimeout)) and error.before_call)


def _lists_group_class(failures: Covered[BaseException], group: BaseException) -> bool:
    """Return whether `failures` lists an exception group class that `group` is an instance of."""
    if callable(failures):
        return False
    return any(issubclass(kind, BaseExceptionGroup) and isinstance(group, kind) for kind in failures)


def _outcome_within_deadline(circuit: Circuit, spent: TimeSpent, error: BaseException) -> Outcome:
    """Classify the exception of a call under a deadline; expiry is a failure only after a fair share of time."""
    outcome = _outcome_of(circuit, error)
    if outcome is Outcome.IGNORED or not is_timeout_or_cancellation(error):
        return outcome
    if isinstance(error, Exception):  # a deadline, or a group of deadlines
        return outcome if spent.was_fair else Outcome.IGNORED
    return Outcome.FAILURE if spent.was_fair and spent.is_over else outcome
