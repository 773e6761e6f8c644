"""Permits of calls inside a circuit, and the classification of their outcomes."""

import asyncio
from typing import cast

from cqox.errors import AttemptTimeout, DeadlineExceeded, Rejected
from cqox.resilience.circuit.controller import Circuit
from cqox.resilience.circuit.settings import CircuitSettings, Failures
from cqox.resilience.circuit.state import Closed, Lease, Phase
from cqox.resilience.circuit.statistics import Outcome
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, TimeSpent
from cqox.resilience.runtime.queueing import seconds_in_queues

__all__ = ["CallPermit", "SharedPermit", "is_timeout_or_cancellation", "outcome_of", "outcome_within_deadline"]


class _CircuitPermit(Permit):
    """Base of both permits: classification of a failure, and validity of the permit."""

    __slots__ = ("_circuit", "phase")

    def __init__(self, circuit: Circuit, phase: Phase) -> None:
        self._circuit = circuit
        self.phase = phase

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        try:
            outcome = outcome_of(self._circuit, error)
        except BaseException:
            self._leave(Outcome.IGNORED)
            raise
        self._leave(outcome)

    def fail_within_deadline(self, spent: TimeSpent, error: BaseException) -> None:
        """See `Permit.fail_within_deadline`."""
        try:
            outcome = outcome_within_deadline(self._circuit, spent, error)
        except BaseException:
            self._leave(Outcome.IGNORED)
            raise
        self._leave(outcome)

    def is_current(self) -> bool:
        """See `Permit.is_current`."""
        return self._circuit.phase is self.phase

    def _leave(self, outcome: Outcome) -> None:
        """Report the outcome of the call to the circuit."""


class SharedPermit(_CircuitPermit):
    """Permit shared by all calls of a closed circuit that keeps no state per call."""

    __slots__ = ("_count", "_failure_if", "settings")

    phase: Closed

    def __init__(self, circuit: Circuit, phase: Closed, settings: CircuitSettings) -> None:
        super().__init__(circuit, phase)
        self.settings = settings
        self._count = circuit.totals.quiet.add
        self._failure_if = settings.failure_if

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        circuit, phase = self._circuit, self.phase
        if self._failure_if is not None and value is not NO_RESULT and self._is_failure(value):
            self._leave(Outcome.FAILURE)
            return
        health = phase.health
        now = circuit.clock.now() if health.needs_time else 0.0
        if now < health.quiet_until and circuit.phase is phase:
            self._count()
        else:
            circuit.leave(phase, None, Outcome.SUCCESS, now=now, slow=False)

    def _is_failure(self, value: object) -> bool:
        assert self._failure_if is not None
        try:
            return self._failure_if(value)
        except BaseException:
            self._leave(Outcome.IGNORED)
            raise

    def _leave(self, outcome: Outcome) -> None:
        circuit = self._circuit
        circuit.leave(self.phase, None, outcome, now=circuit.clock.checked_now(), slow=False)


class CallPermit(_CircuitPermit):
    """Permit of one call: a probe, or a call whose duration is measured."""

    __slots__ = ("_lease", "_started", "single_attempt")

    def __init__(self, circuit: Circuit, phase: Phase, lease: Lease | None, started: float) -> None:
        super().__init__(circuit, phase)
        self._lease = lease
        self._started = started
        self.single_attempt = lease is not None

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        failure_if = self._circuit.settings.failure_if
        try:
            failed = failure_if is not None and value is not NO_RESULT and failure_if(value)
        except BaseException:
            self._leave(Outcome.IGNORED)
            raise
        self._leave(Outcome.FAILURE if failed else Outcome.SUCCESS)

    def _leave(self, outcome: Outcome) -> None:
        circuit = self._circuit
        now = circuit.clock.checked_now()
        threshold = circuit.settings.slow_call_seconds
        slow = threshold is not None and now - self._started >= threshold
        if slow and threshold is not None:
            slow = now - self._started - seconds_in_queues(circuit.clock.now, self._started) >= threshold
        circuit.leave(self.phase, self._lease, outcome, now=now, slow=slow)


def outcome_of(circuit: Circuit, error: BaseException) -> Outcome:
    """Classify the exception of a call, without regard to time; a group is a failure if one of its leaves is."""
    if not isinstance(error, Exception):
        return Outcome.CANCELLED
    return Outcome.FAILURE if _counts_as_failure(circuit.settings.failures, error) else Outcome.IGNORED


def _counts_as_failure(failures: Failures, error: Exception) -> bool:
    # The dependency was not called: an inner part rejected the call, or its time had already passed.
    if isinstance(error, Rejected) or (isinstance(error, DeadlineExceeded | AttemptTimeout) and error.before_call):
        return False
    leaves = _leaves(error)
    if leaves and not _lists_group_class(failures, error):
        return any(_counts_as_failure(failures, leaf) for leaf in leaves)
    return failures(error) if callable(failures) else isinstance(error, failures)


def _leaves(error: Exception) -> tuple[Exception, ...]:
    return cast("ExceptionGroup[Exception]", error).exceptions if isinstance(error, ExceptionGroup) else ()


def _lists_group_class(failures: Failures, group: BaseException) -> bool:
    """Return whether `failures` lists an exception group class that `group` is an instance of."""
    if callable(failures):
        return False
    return any(issubclass(kind, BaseExceptionGroup) and isinstance(group, kind) for kind in failures)


def outcome_within_deadline(circuit: Circuit, spent: TimeSpent, error: BaseException) -> Outcome:
    """Classify the exception of a call under a deadline; expiry is a failure only after a fair share of time."""
    outcome = outcome_of(circuit, error)
    if outcome is Outcome.IGNORED or not is_timeout_or_cancellation(error):
        return outcome
    if isinstance(error, Exception):  # a deadline, or a group of deadlines
        return outcome if spent.was_fair else Outcome.IGNORED
    return Outcome.FAILURE if spent.was_fair and spent.is_over else outcome


def is_timeout_or_cancellation(error: BaseException) -> bool:
    """Return whether `error` is a cancellation of asyncio or Trio, a deadline, or a group of only these."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_timeout_or_cancellation, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    if isinstance(error, asyncio.CancelledError | DeadlineExceeded):
        return True
    # Trio is never imported here: its cancellation class is recognised by name.
    kind = type(error)
    return kind.__name__ == "Cancelled" and kind.__module__.partition(".")[0] == "trio"
