"""Admission of calls to a circuit, and their permits with the classification of outcomes.

A call is admitted directly where the circuit is closed, and as a probe or after one where it is half-open.
"""

import inspect
import math
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from types import CoroutineType
from typing import Protocol, cast

from cqox.errors import AttemptTimeout, CircuitOpen, DeadlineExceeded, Rejected
from cqox.resilience.circuit.settings import CircuitSettings, Probe
from cqox.resilience.circuit.state import Circuit, Closed, Lease, Phase
from cqox.resilience.circuit.statistics import Outcome
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.events import CallRejected, ProbeFailed
from cqox.resilience.pipeline.part import StageContext
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, TimeSpent, is_timeout_or_cancellation
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.event_loop import current_loop
from cqox.resilience.runtime.queueing import seconds_in_queues
from cqox.resilience.runtime.ranges import Covered

__all__ = ["CallPermit", "CircuitAdmission", "SharedPermit", "check_probe"]

# A lease outlives its call: the outcome of a call that ends exactly at its timeout must still count.
_LEASE_MARGIN = 1.0


class _Refuse(Protocol):
    def __call__(self, rejection: CircuitOpen) -> Permit: ...


class CircuitAdmission:
    """Admission of the calls of one stage, or of a block, to one circuit."""

    __slots__ = ("_circuit", "_facts", "_refuse")

    def __init__(self, circuit: Circuit, facts: StageContext | None, refuse: _Refuse) -> None:
        """Args:
        circuit: the shared state.
        facts: facts of the stage, None for a block.
        refuse: raises the rejection.
        """
        self._circuit = circuit
        self._facts = facts
        self._refuse = refuse

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """See `Admission.admit`."""
        shared = self._circuit.shared
        if shared is not None:
            return shared
        if self._circuit.settings.probe is not None and self._circuit.may_be_half_open():
            return None
        permit, _, _ = self._enter(self._lease_seconds(deadline))
        return permit

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        """Run the `probe` of the circuit, if any, then admit the call. A cancellation releases the probe's lease."""
        seconds = self._lease_seconds(deadline)
        permit, phase, lease = self._enter(seconds + _LEASE_MARGIN)
        probe = self._circuit.settings.probe
        if lease is None or probe is None:
            return permit
        loop = current_loop()
        assert loop is not None
        scope = loop.open_scope(loop.time() + seconds)
        with self._running_probe(phase, lease, deadline) as result:
            with scope:
                returned = probe()
                result.passed = (await returned if isinstance(returned, Awaitable) else returned) is not False
        return self._after_probe(deadline, result)

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        """Synchronous twin of `admit_waiting`.

        Raises:
            TypeError: the probe is a coroutine function.
        """
        probe = self._circuit.settings.probe
        check_probe(probe)
        permit, phase, lease = self._enter(self._lease_seconds(deadline) + _LEASE_MARGIN)
        if lease is None or probe is None:
            return permit
        with self._running_probe(phase, lease, deadline) as result:
            returned = probe()
            if isinstance(returned, CoroutineType):
                returned.close()
                raise TypeError(f"{probe!r} returned a coroutine, which cannot probe for synchronous code")
            result.passed = returned is not False
        return self._after_probe(deadline, result)

    def _enter(self, lease_seconds: float) -> tuple[Permit, Phase, Lease | None]:
        circuit = self._circuit
        now = circuit.clock.checked_now()
        entered = circuit.enter(now, lease_seconds)
        circuit.outbox.deliver()
        if not isinstance(entered, tuple):
            return self._refused(entered, now), circuit.phase, None
        phase, lease = entered
        settings = circuit.settings
        if isinstance(phase, Closed) and settings.slow_call_seconds is None:
            return circuit.share(SharedPermit(circuit, phase, settings), phase, settings), phase, None
        return CallPermit(circuit, phase, lease, now), phase, lease

    def _refused(self, retry_after: float, now: float) -> Permit:
        circuit = self._circuit
        if not circuit.observing:
            return self._refuse(circuit.refuse(retry_after))
        if events.listeners or circuit.outbox.subscribers:
            circuit.outbox.put(
                CallRejected(
                    name=circuit.name,
                    key=circuit.key,
                    at=now,
                    kind="CircuitBreaker",
                    retry_after=retry_after,
                    enforced=False,
                )
            )
            circuit.outbox.deliver()
        return CallPermit(circuit, circuit.phase, None, now)

    def _lease_seconds(self, deadline: AmbientDeadline | None) -> float:
        """Return the seconds after which a probe loses its permit."""
        settings = self._circuit.settings
        if settings.probe_timeout is not None:
            return settings.probe_timeout
        bounds = [] if self._facts is None else [self._facts.attempt_timeout]
        if deadline is not None:
            bounds.append(deadline.remaining())
        bound = min(bounds, default=float("inf"))
        # The call is unbounded, but a permit must not be held for ever.
        return bound + _LEASE_MARGIN if bound < float("inf") else max(settings.recovery_timeout, _LEASE_MARGIN)

    @contextmanager
    def _running_probe(self, phase: Phase, lease: Lease, deadline: AmbientDeadline | None) -> Generator["_ProbeResult"]:
        circuit, result = self._circuit, _ProbeResult()
        began = 0.0 if deadline is None else deadline.clock()
        try:
            yield result
        except Exception as error:  # noqa: BLE001 - any exception of a probe means that the dependency has not recovered
            result.error = error
        except BaseException as error:
            timeout = math.inf if self._facts is None else self._facts.attempt_timeout
            spent = None if deadline is None else TimeSpent(deadline, deadline.clock() - began, timeout)
            hung = spent is not None and is_timeout_or_cancellation(error) and spent.was_fair and spent.is_over
            circuit.release(phase, lease, circuit.clock.checked_now(), hung=hung)
            raise
        now = circuit.clock.checked_now()
        circuit.conclude_probe(phase, lease, now=now, failed=not result.passed)
        if result.error is not None and (events.listeners or circuit.outbox.subscribers):
            events.emit(
                ProbeFailed(name=circuit.name, key=circuit.key, at=now, error=result.error), circuit.outbox.subscribers
            )

    def _after_probe(self, deadline: AmbientDeadline | None, result: "_ProbeResult") -> Permit:
        """Admit the call if its probe, or an operator meanwhile, closed the circuit; otherwise reject it."""
        circuit = self._circuit
        now = circuit.clock.checked_now()
        if not circuit.may_be_half_open():
            return self._enter(self._lease_seconds(deadline))[0]
        return self._refused(circuit.retry_after(now), now)


def check_probe(probe: Probe | None) -> None:
    """Reject a probe that synchronous code cannot run.

    Raises:
        TypeError: the probe is a coroutine function.
    """
    if inspect.iscoroutinefunction(probe):
        raise TypeError(f"{probe!r} is a coroutine function, which cannot probe for synchronous code")


class _ProbeResult:
    __slots__ = ("error", "passed")

    def __init__(self) -> None:
        self.passed = False
        self.error: Exception | None = None


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
        circuit.leave(self.phase, self._lease, outcome, now=now, slow=self._was_slow(now))

    def _was_slow(self, now: float) -> bool:
        threshold = self._circuit.settings.slow_call_seconds
        if threshold is None or now - self._started < threshold:
            return False
        return now - self._started - seconds_in_queues(self._circuit.clock.now, self._started) >= threshold


def _outcome_of(circuit: Circuit, error: BaseException) -> Outcome:
    """Classify the exception of a call, without regard to time; a group is a failure if one of its leaves is."""
    if not isinstance(error, Exception):
        return Outcome.CANCELLED
    return Outcome.FAILURE if _counts_as_failure(circuit.settings.failures, error) else Outcome.IGNORED


def _counts_as_failure(failures: Covered[BaseException], error: Exception) -> bool:
    # The dependency was not called: an inner part rejected the call, or its time had already passed.
    if isinstance(error, Rejected) or (isinstance(error, DeadlineExceeded | AttemptTimeout) and error.before_call):
        return False
    leaves = _leaves(error)
    if leaves and not _lists_group_class(failures, error):
        return any(_counts_as_failure(failures, leaf) for leaf in leaves)
    return failures(error) if callable(failures) else isinstance(error, failures)


def _leaves(error: Exception) -> tuple[Exception, ...]:
    return cast("ExceptionGroup[Exception]", error).exceptions if isinstance(error, ExceptionGroup) else ()


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
