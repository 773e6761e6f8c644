"""A circuit whose half-open state belongs to several processes: others decide when it opens again or closes.

Pure, but for the lock; `circuit_sharing` exchanges the state.
"""

from cqox.resilience.circuit.state import Circuit, Closed, HalfOpen, Lease, Open, Phase
from cqox.resilience.circuit.statistics import Outcome

__all__ = ["SharedCircuit"]

_ELSEWHERE = "opened in another process"


class SharedCircuit(Circuit):
    """The local state of a circuit that several processes share."""

    __slots__ = ()

    def adopt(self, now: float, *, probe_in: float | None) -> Phase:
        """Enter the shared state, unless an operator has forced one here.

        Args:
            now: the time of this circuit's clock.
            probe_in: seconds until a probe may pass; None where the shared circuit is closed.

        Returns:
            The state that it is in now.
        """
        with self.lock:
            if self.phase.mode is None:
                if probe_in is not None:
                    recovery = self.settings.recovery_timeout
                    # The recovery of the process that opened it counts: only its end is of interest here.
                    opened = Open(now + probe_in - recovery)
                    self._transition_to(opened, now, reason=_ELSEWHERE, recovery_timeout=probe_in)
                elif not isinstance(self.phase, Closed):
                    self._close(now, "recovered")
            phase = self.phase
        self.outbox.deliver()
        return phase

    def give_back(self, phase: Phase, lease: Lease) -> None:
        """Take back the permit of a call that was not made, which counts as nothing."""
        with self.lock:
            if isinstance(phase, HalfOpen) and lease in phase.leases:
                phase.leases.remove(lease)

    def settle_probe(self, phase: Phase, lease: Lease, outcome: Outcome, now: float) -> bool:
        """Count the outcome of a probe without moving the state; return whether its permit was still valid."""
        with self.lock:
            current = self._is_current(phase, lease, now)
            self.totals.count(outcome if current else Outcome.STALE)
            return current

    def record_probe(self, phase: Phase, now: float, *, failed: bool) -> None:
        """Move the state by the outcome of a settled probe, where nobody else will."""
        with self.lock:
            if self.phase is phase and isinstance(phase, HalfOpen):
                if failed:
                    self.open(now, "a probe failed")
                else:
                    phase.successes += 1
                    if phase.successes >= self.settings.half_open_max_calls:
                        self._close(now, "recovered")
        self.outbox.deliver()
