"""Admission of calls to a circuit: directly where it is closed, and as a probe or after one where it is half-open."""

import inspect
import math
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from types import CoroutineType

from cqox.errors import CircuitOpen
from cqox.resilience.circuit.permits import CallPermit, SharedPermit, TimedCalls
from cqox.resilience.circuit.settings import Probe
from cqox.resilience.circuit.state import Circuit, Closed, Lease, Phase
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.events import CallRejected, ProbeFailed
from cqox.resilience.pipeline.part import Gate, StageContext
from cqox.resilience.pipeline.permit import Permit, TimeSpent, is_timeout_or_cancellation
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.event_loop import current_loop

__all__ = ["CircuitAdmission", "check_probe"]

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
        standing, grant = self.standing.permit, self.standing.grant
        if standing is not None:
            return standing
        if grant is not None:
            return grant.permit(grant.now())
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
        scope = loop.new_scope(deadline=loop.time() + seconds)
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
        if settings.slow_call_seconds is None:
            shared = SharedPermit(circuit, phase, settings)
            circuit.share(phase, settings, shared, None)
            return shared, phase, None
        grant = TimedCalls(circuit, phase, settings)
        circuit.share(phase, settings, None, grant)
        return grant.permit(now), phase, None

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
