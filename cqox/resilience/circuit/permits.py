"""Permits of the calls of a circuit, with the classification of their outcomes."""

import math
from collections.abc import Callable
from typing import cast

from cqox.errors import AttemptTimeout, DeadlineExceeded, Rejected, ResilienceError
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.state import Circuit, Closed, Lease, Phase
from cqox.resilience.circuit.statistics import Outcome
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, TimeSpent, is_timeout_or_cancellation
from cqox.resilience.runtime.queueing import seconds_in_queues
from cqox.resilience.runtime.ranges import Covered

__all__ = ["CallPermit", "SharedPermit", "TimedPermit"]

# Exceptions that may say nothing about the callee although their class is listed.
_JUDGED_APART = (ResilienceError, BaseExceptionGroup)


class _CircuitPermit(Permit):
    """Base of both permits: classification of a failure, and validity of the permit."""

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
        slow_call_seconds: duration from which a call is slow, infinite where that does not count.
    """

    __slots__ = ("count", "failure_if", "now", "slow_call_seconds")

    phase: Closed

    def __init__(self, circuit: Circuit, phase: Closed, settings: CircuitSettings) -> None:
        super().__init__(circuit, phase)
        self.count = circuit.totals.quiet.add
        self.failure_if = settings.failure_if
        self.now = circuit.clock.now
        self.slow_call_seconds = math.inf if settings.slow_call_seconds is None else settings.slow_call_seconds

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        circuit, phase = self._circuit, self.phase
        if self.failure_if is not None and self._is_failure(value, self.failure_if):
            self._leave(Outcome.FAILURE)
            return
        health = phase.health
        now = circuit.clock.now() if health.needs_time else 0.0
        if now < health.quiet_until and circuit.phase is phase:
            self.count()
        else:
            # A success can complete the calls from which a rate is judged, and so open the circuit: at its own time.
            circuit.leave(phase, None, Outcome.SUCCESS, now if health.needs_time else circuit.clock.now(), False)

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        circuit = self._circuit
        failures = circuit.settings.failures
        # Most failures are known by the class of their exception alone.
        plain = isinstance(error, Exception) and not isinstance(error, _JUDGED_APART)
        if plain and isinstance(failures, tuple) and isinstance(error, failures):
            clock = circuit.clock
            now = clock.now() if clock.is_certain else clock.checked_now()
            circuit.leave(self.phase, None, Outcome.FAILURE, now, False)
        else:
            super().fail(error)

    def _leave(self, outcome: Outcome) -> None:
        circuit = self._circuit
        circuit.leave(self.phase, None, outcome, circuit.clock.checked_now(), False)


class TimedPermit(_CircuitPermit):
    """Permit of one call of a closed circuit that counts slow calls: the clock is read when it begins and ends."""

    __slots__ = ("_shared", "_started")

    def __init__(self, shared: SharedPermit) -> None:
        """Begin a call; `shared` is what all calls have in common."""
        # The attributes of the base class are set here, as every call passes here.
        self._circuit = shared._circuit
        self.phase = shared.phase
        self._shared = shared
        self._started = shared.now()

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        shared = self._shared
        if shared.failure_if is not None and self._is_failure(value, shared.failure_if):
            self._leave(Outcome.FAILURE)
            return
        now, phase = shared.now(), shared.phase
        slow = now - self._started >= shared.slow_call_seconds
        if not slow and now < phase.health.quiet_until and self._circuit.phase is phase:
            shared.count()
        else:
            self._leave_at(Outcome.SUCCESS, now)

    def _leave(self, outcome: Outcome) -> None:
        self._leave_at(outcome, self._circuit.clock.checked_now())

    def _leave_at(self, outcome: Outcome, now: float) -> None:
        slow = _took_long(self._circuit, self._shared.slow_call_seconds, self._started, now)
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
