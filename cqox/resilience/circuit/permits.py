"""What calls hold while they are inside a circuit, and how their ends are judged."""

import asyncio
import math
from typing import Final, cast

from cqox.errors import DeadlineExceeded, Rejected
from cqox.resilience._ambient import TIMER_SLACK, Ambient
from cqox.resilience._part import Facts
from cqox.resilience._permit import NO_RESULT, Permit
from cqox.resilience.circuit.controller import Circuit
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.state import Closed, Lease, Phase
from cqox.resilience.circuit.statistics import Outcome

__all__ = ["CallPermit", "SharedPermit", "judge", "longest_fair_share"]

longest_fair_share: Final = 1.0
"""Seconds after which a call had a fair chance, however long it might have taken."""


class SharedPermit(Permit):
    """The permit of every call while a circuit is closed and nothing is to be remembered for a single one."""

    __slots__ = ("_circuit", "phase")

    def __init__(self, circuit: Circuit, phase: Closed) -> None:
        self._circuit = circuit
        self.phase = phase

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        circuit = self._circuit
        if circuit.settings.failure_if is not None and is_failure(circuit.settings, value):
            circuit.leave(self.phase, None, Outcome.FAILURE, now=circuit.clock.checked_now(), slow=False)
            return
        circuit.succeed_closed(self.phase, circuit.clock.now() if self.phase.health.needs_time else 0.0)

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        circuit = self._circuit
        outcome = judge(circuit.settings, error)
        circuit.leave(self.phase, None, outcome, now=circuit.clock.checked_now(), slow=False)

    def stands(self) -> bool:
        """See `Permit.stands`."""
        return self._circuit.phase is self.phase


class CallPermit(Permit):
    """The permit of one call: a probe, one under a deadline, or one whose duration matters."""

    __slots__ = ("_circuit", "_deadline", "_facts", "_lease", "_phase", "_started", "single_attempt")

    def __init__(
        self,
        circuit: Circuit,
        phase: Phase,
        lease: Lease | None,
        started: float,
        deadline: Ambient | None,
        facts: Facts | None,
    ) -> None:
        self._circuit = circuit
        self._phase = phase
        self._lease = lease
        self._started = started
        self._deadline = deadline
        self._facts = facts
        self.single_attempt = lease is not None

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        circuit = self._circuit
        failed = circuit.settings.failure_if is not None and is_failure(circuit.settings, value)
        if not failed and self._lease is None and circuit.settings.slow_call_seconds is None:
            phase = self._phase
            if isinstance(phase, Closed):
                circuit.succeed_closed(phase, circuit.clock.now() if phase.health.needs_time else 0.0)
                return
        self._leave(Outcome.FAILURE if failed else Outcome.SUCCESS, circuit.clock.checked_now())

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        now = self._circuit.clock.checked_now()
        try:
            outcome = judge(self._circuit.settings, error)
        except BaseException:
            self._leave(Outcome.IGNORED, now)
            raise
        if self._deadline is not None and _is_end_of_time(error) and outcome is not Outcome.IGNORED:
            outcome = self._judge_end_of_time(error, self._deadline, outcome, now)
        self._leave(outcome, now)

    def stands(self) -> bool:
        """See `Permit.stands`."""
        return self._circuit.phase is self._phase

    def _leave(self, outcome: Outcome, now: float) -> None:
        threshold = self._circuit.settings.slow_call_seconds
        slow = threshold is not None and now - self._started >= threshold
        self._circuit.leave(self._phase, self._lease, outcome, now=now, slow=slow)

    def _judge_end_of_time(self, error: BaseException, deadline: Ambient, outcome: Outcome, now: float) -> Outcome:
        """The time of the caller ran out: a failure of the dependency if that had its fair share of it."""
        timeouts = (deadline.attempt_seconds, math.inf if self._facts is None else self._facts.attempt_timeout)
        fair_share = min(min(timeouts) / 2, longest_fair_share)
        had_it = now - self._started >= fair_share - TIMER_SLACK
        if isinstance(error, DeadlineExceeded):
            return outcome if had_it else Outcome.IGNORED
        return Outcome.FAILURE if had_it and deadline.passed(deadline.clock()) else outcome


def judge(settings: CircuitSettings, error: BaseException) -> Outcome:
    """What the end of a call says about the dependency, time apart."""
    if not isinstance(error, Exception):
        return Outcome.CANCELLED
    # Nothing was tried: neither a part further in that refused, nor time that was up before, is the dependency's doing.
    if isinstance(error, Rejected) or (isinstance(error, DeadlineExceeded) and error.before_call):
        return Outcome.IGNORED
    failures = settings.failures
    counted = isinstance(error, failures) if isinstance(failures, tuple) else failures(error)
    return Outcome.FAILURE if counted else Outcome.IGNORED


def is_failure(settings: CircuitSettings, value: object) -> bool:
    """Whether a returned value is a failure by `failure_if`."""
    return settings.failure_if is not None and value is not NO_RESULT and settings.failure_if(value)


def _is_end_of_time(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_end_of_time, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    if isinstance(error, asyncio.CancelledError | DeadlineExceeded):
        return True
    # Trio is never imported here: its one cancellation class is known by its name.
    kind = type(error)
    return kind.__name__ == "Cancelled" and kind.__module__.partition(".")[0] == "trio"
