"""Admission of calls to a circuit, and their permits with the classification of outcomes.

A call is admitted directly where the circuit is closed, and as a probe or after one where it is half-open.
"""

import inspect
import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from types import CoroutineType
from typing import cast

from cqox.errors import AttemptTimeout, CircuitOpen, DeadlineExceeded, Rejected, ResilienceError
from cqox.resilience.circuit.settings import CircuitSettings, Probe
from cqox.resilience.circuit.state import Circuit, Closed, Lease, Phase
from cqox.resilience.circuit.statistics import Outcome
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.events import CallRejected, ProbeFailed
from cqox.resilience.pipeline.part import Gate, StageContext
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, TimeSpent, is_timeout_or_cancellation
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.event_loop import current_loop
from cqox.resilience.runtime.queueing import seconds_in_queues
from cqox.resilience.runtime.ranges import Covered

__all__ = ["CallPermit", "CircuitAdmission", "SharedPermit", "TimedPermit", "check_probe"]

# A lease outlives its call: the outcome of a call that ends exactly at its timeout must still count.
_LEASE_MARGIN = 1.0


class CircuitAdmission:
    """Admission of the calls of one stage, or of a block, to one circuit."""

    __slots__ = ("_circuit", "_facts", "_gate", "standing")

    def __init__(self, circuit: Circuit, facts: StageContext | None, gate: Gate) -> None:
        """Args:
        circuit: the shared state.
        facts: facts of the stage, None for a block.
        gate: the breaker, which says what it rejects.
        """
        self._circuit = circuit
        self.standing = circuit.standing
        self._facts = facts
        self._gate = gate

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """See `Admission.admit`."""
        circuit = self._circuit
        timed, standing = circuit.timed, self.standing.permit
        if timed is not None:
            return timed(circuit.clock.now())
        if standing is not None:
            return standing
        retry_after = circuit.turn_away(circuit.clock.checked_now())
        if retry_after is not None:
            rejection = CircuitOpen(circuit.name, retry_after=retry_after)
            if events.listeners:
                self._gate.say_refused(rejection, circuit.clock.now)
            # As `Gate.refuse` does, without its frame: a refusal must cost little when there are many.
            try:
                raise rejection
            finally:
                rejection.__context__ = None
                del rejection
        if circuit.settings.probe is not None and circuit.may_be_half_open():
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
        if not isinstance(phase, Closed):
            return CallPermit(circuit, phase, lease, now), phase, lease
        shared = SharedPermit(circuit, phase, settings)
        if settings.slow_call_seconds is None:
            circuit.share(shared, None, phase, settings)
            return shared, phase, None
        timed = partial(TimedPermit, shared, settings.slow_call_seconds)
        circuit.share(None, timed, phase, settings)
        return timed(now), phase, None

    def _refused(self, retry_after: float, now: float) -> Permit:
        circuit = self._circuit
        if not circuit.observing:
            self._gate.refuse(circuit.refuse(retry_after), circuit.clock.now)
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
    """

    __slots__ = ("count", "failure_if")

    phase: Closed

    def __init__(self, circuit: Circuit, phase: Closed, settings: CircuitSettings) -> None:
        super().__init__(circuit, phase)
        self.count = circuit.totals.quiet.add
        self.failure_if = settings.failure_if

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
            circuit.leave(phase, None, Outcome.SUCCESS, now, False)

    def _leave(self, outcome: Outcome) -> None:
        circuit = self._circuit
        circuit.leave(self.phase, None, outcome, circuit.clock.checked_now(), False)


class TimedPermit(_CircuitPermit):
    """Permit of one call of a closed circuit that counts slow calls: the clock is read when it begins and ends."""

    __slots__ = ("_seconds", "_shared", "_started")

    def __init__(self, shared: SharedPermit, seconds: float, started: float) -> None:
        """Args:
        shared: what all calls share.
        seconds: duration from which a call is slow.
        started: time at which the call begins.
        """
        # Those of the base class are set here, as every call passes here.
        self._circuit = shared._circuit
        self.phase = shared.phase
        self._shared = shared
        self._seconds = seconds
        self._started = started

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        circuit, shared = self._circuit, self._shared
        if shared.failure_if is not None and self._is_failure(value, shared.failure_if):
            self._leave(Outcome.FAILURE)
            return
        now, phase = circuit.clock.now(), shared.phase
        if now - self._started < self._seconds and now < phase.health.quiet_until and circuit.phase is phase:
            shared.count()
        else:
            self._leave_at(Outcome.SUCCESS, now)

    def _leave(self, outcome: Outcome) -> None:
        self._leave_at(outcome, self._circuit.clock.checked_now())

    def _leave_at(self, outcome: Outcome, now: float) -> None:
        slow = _took_long(self._circuit, self._seconds, self._started, now)
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
    failures = circuit.settings.failures
    if isinstance(error, (ResilienceError, ExceptionGroup)) or not isinstance(failures, tuple):
        counts = _counts_as_failure(failures, error)
    else:
        counts = isinstance(error, failures)
    return Outcome.FAILURE if counts else Outcome.IGNORED


def _counts_as_failure(failures: Covered[BaseException], error: Exception) -> bool:
    if isinstance(error, ResilienceError) and _came_before_the_call(error):
        return False
    if isinstance(error, ExceptionGroup) and not _lists_group_class(failures, error):
        leaves = cast("ExceptionGroup[Exception]", error).exceptions
        return any(_counts_as_failure(failures, leaf) for leaf in leaves)
    return isinstance(error, failures) if isinstance(failures, tuple) else failures(error)


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
