"""The states of a circuit: small types, pure, handed their time.

    Closed ──bound reached──▶ Open ──recovery over, next call──▶ HalfOpen ──as many successes as permits──▶ Closed
                               ▲                                     │
                               └───────────────one failure───────────┘
    Isolated, Disabled: forced from outside, left by `reset` alone

Each entry into a state makes a new object. That object is the generation: a result whose call was admitted under
another one is stale.
"""

from enum import StrEnum
from typing import Final

from cqox.resilience.circuit.health import Health

__all__ = ["CircuitState", "Closed", "Disabled", "HalfOpen", "Isolated", "Lease", "Open", "Phase"]

# Sums of floats: a clock that was moved by 0.1 s ten times must have reached 1 s.
_ROUNDING: Final = 1e-9


class CircuitState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    """They do. A disabled circuit says this too."""
    OPEN = "open"
    """They do not, until the recovery timeout is over and a call has tested it. An isolated circuit says this too."""
    HALF_OPEN = "half_open"
    """Probes do."""


class Phase:
    """One stay in one state."""

    __slots__ = ()
    state: CircuitState


class Closed(Phase):
    """Lets every call through and watches its health."""

    __slots__ = ("health",)
    state = CircuitState.CLOSED

    def __init__(self, health: Health) -> None:
        self.health = health


class Open(Phase):
    """Refuses calls since `opened_at`."""

    __slots__ = ("opened_at",)
    state = CircuitState.OPEN

    def __init__(self, opened_at: float) -> None:
        self.opened_at = opened_at

    def seconds_left(self, now: float, recovery_timeout: float) -> float:
        """Seconds until a probe may go through; 0.0 where it may."""
        left = self.opened_at + recovery_timeout - now
        return left if left > _ROUNDING else 0.0


class Lease:
    """A probe's permit, which its holder loses at `expires_at`."""

    __slots__ = ("expires_at",)

    def __init__(self, expires_at: float) -> None:
        self.expires_at = expires_at


class HalfOpen(Phase):
    """Lets so many probes through at a time, and counts their successes."""

    __slots__ = ("leases", "successes")
    state = CircuitState.HALF_OPEN

    def __init__(self) -> None:
        self.leases: list[Lease] = []
        self.successes = 0

    def take(self, now: float, seconds: float, permits: int) -> Lease | None:
        """A lease for `seconds`; None where all `permits` are out."""
        self.leases = [lease for lease in self.leases if lease.expires_at - now > _ROUNDING]
        if len(self.leases) >= permits:
            return None
        lease = Lease(now + seconds)
        self.leases.append(lease)
        return lease

    def release(self, lease: Lease, now: float) -> bool:
        """End a lease; False where it had already been lost."""
        if lease not in self.leases:
            return False
        self.leases.remove(lease)
        return lease.expires_at - now > _ROUNDING

    def seconds_left(self, now: float) -> float:
        """Seconds until the first lease is lost."""
        return max(0.0, min(lease.expires_at for lease in self.leases) - now)


class Isolated(Phase):
    """Refuses every call."""

    __slots__ = ()
    state = CircuitState.OPEN


class Disabled(Phase):
    """Lets every call through, whatever happens."""

    __slots__ = ()
    state = CircuitState.CLOSED
