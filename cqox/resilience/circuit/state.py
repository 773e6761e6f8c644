"""States of a circuit: small pure types; time is an argument.

    Closed ──threshold────▶ Open ──recovery over, next call──▶ HalfOpen ──as many successes as permits──▶ Closed
                               ▲                                     │
                               └───────────────one failure───────────┘
    Isolated, Disabled: forced by an operator, left only by `reset`

Each transition creates a new state object. The object is the generation: the outcome of a call that was admitted under
another object is stale.
"""

from enum import StrEnum
from typing import Final

from cqox.resilience.circuit.health import Health

__all__ = ["CircuitState", "Closed", "Disabled", "HalfOpen", "Isolated", "Lease", "Open", "Phase"]

# Rounding of sums: a clock advanced ten times by 0.1 s must have reached 1 s.
_ROUNDING: Final = 1e-9


class CircuitState(StrEnum):
    """State of a circuit."""

    CLOSED = "closed"
    """Calls pass. A disabled circuit reports this too."""
    OPEN = "open"
    """Calls are rejected until the recovery timeout is over. An isolated circuit reports this too."""
    HALF_OPEN = "half_open"
    """Probes pass."""


class Phase:
    """One visit to a state, from its entry to the next transition."""

    __slots__ = ()
    state: CircuitState


class Closed(Phase):
    """Closed: every call passes and its outcome is recorded."""

    __slots__ = ("health",)
    state = CircuitState.CLOSED

    def __init__(self, health: Health) -> None:
        self.health = health


class Open(Phase):
    """Open: calls are rejected since `opened_at`."""

    __slots__ = ("opened_at",)
    state = CircuitState.OPEN

    def __init__(self, opened_at: float) -> None:
        self.opened_at = opened_at

    def seconds_left(self, now: float, recovery_timeout: float) -> float:
        """Return the seconds until a probe may pass; 0.0 where it may pass now."""
        left = self.opened_at + recovery_timeout - now
        return left if left > _ROUNDING else 0.0


class Lease:
    """Permit of a probe that expires at `expires_at`."""

    __slots__ = ("expires_at",)

    def __init__(self, expires_at: float) -> None:
        self.expires_at = expires_at


class HalfOpen(Phase):
    """Half-open: a limited number of concurrent probes pass and their successes are counted."""

    __slots__ = ("leases", "successes")
    state = CircuitState.HALF_OPEN

    def __init__(self) -> None:
        self.leases: list[Lease] = []
        self.successes = 0

    def take(self, now: float, seconds: float, permits: int) -> Lease | None:
        """Take a lease for `seconds`; return None where all `permits` are taken."""
        self.leases = [lease for lease in self.leases if lease.expires_at - now > _ROUNDING]
        if len(self.leases) >= permits:
            return None
        lease = Lease(now + seconds)
        self.leases.append(lease)
        return lease

    def release(self, lease: Lease, now: float) -> bool:
        """Release a lease; return False where it had already expired."""
        if lease not in self.leases:
            return False
        self.leases.remove(lease)
        return lease.expires_at - now > _ROUNDING

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the first lease expires."""
        return max(0.0, min(lease.expires_at for lease in self.leases) - now)


class Isolated(Phase):
    """Isolated: every call is rejected."""

    __slots__ = ()
    state = CircuitState.OPEN


class Disabled(Phase):
    """Disabled: every call passes and no outcome changes the state."""

    __slots__ = ()
    state = CircuitState.CLOSED
