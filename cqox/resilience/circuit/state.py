"""The state machine of a circuit: states as small pure types, and the lock, totals and events around them.

    Closed ──threshold────▶ Open ──recovery over, next call──▶ HalfOpen ──as many successes as permits──▶ Closed
                               ▲                                     │
                               └───────────────one failure───────────┘
    Isolated, Disabled: forced by an operator, left only by `reset`

Each transition creates a new state object. The object is the generation: the outcome of a call that was admitted under
another object is stale. Clocks, predicates, probes and listeners are user code and run outside of the lock.
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from threading import Lock
from typing import Any, Final, cast

from cqox.errors import CircuitOpen
from cqox.resilience.circuit.health import Health
from cqox.resilience.circuit.refusal import ROUNDING, OpenUntil
from cqox.resilience.circuit.settings import CircuitChanges, CircuitSettings
from cqox.resilience.circuit.statistics import CircuitMode, CircuitSnapshot, CircuitState, Outcome, Totals
from cqox.resilience.pipeline.events import (
    CircuitClosed,
    CircuitDisabled,
    CircuitHalfOpened,
    CircuitIsolated,
    CircuitObserved,
    CircuitOpened,
    Event,
    Outbox,
)
from cqox.resilience.pipeline.permit import Permit, StandingPermit, TimedGrant
from cqox.resilience.runtime.clock import BoundClock

__all__ = ["Circuit", "Closed", "HalfOpen", "Lease", "Open", "Phase"]


class Phase:
    """One visit to a state, from its entry to the next transition."""

    __slots__ = ()
    state: CircuitState
    mode: CircuitMode | None = None
    """The mode of a state that an operator forced."""


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
        return left if left > ROUNDING else 0.0


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
        self.leases = [lease for lease in self.leases if lease.expires_at - now > ROUNDING]
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
        return lease.expires_at - now > ROUNDING

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the first lease expires; 0.0 where there is none."""
        return max(0.0, min((lease.expires_at for lease in self.leases), default=now) - now)


class Isolated(Phase):
    """Isolated: every call is rejected."""

    __slots__ = ()
    state = CircuitState.OPEN
    mode = CircuitMode.ISOLATED


class Disabled(Phase):
    """Disabled: every call passes and no outcome changes the state."""

    __slots__ = ()
    state = CircuitState.CLOSED
    mode = CircuitMode.DISABLED


_EVENTS: Final[dict[type[Phase], Callable[..., Event]]] = {
    Closed: CircuitClosed,
    Open: CircuitOpened,
    HalfOpen: CircuitHalfOpened,
    Isolated: CircuitIsolated,
    Disabled: CircuitDisabled,
}
_FORCED: Final[dict[CircuitMode, type[Phase]]] = {CircuitMode.ISOLATED: Isolated, CircuitMode.DISABLED: Disabled}


class Circuit:
    """The state that every call through one breaker shares.

    Attributes:
        phase: the current state object; its identity is the generation.
        standing: what it says to every call, as long as the current state and settings last.
        settings: immutable; replaced as a whole.
        lock: guards phase, totals and their contents.
        outbox: events queued under the lock; call `outbox.deliver()` after releasing it.
        key: key of the policy, None without one.
        origin: the circuit whose settings and mode it began with, None for one without a key.
    """

    __slots__ = (
        "clock",
        "key",
        "lock",
        "name",
        "observing",
        "origin",
        "outbox",
        "phase",
        "settings",
        "standing",
        "totals",
    )

    def __init__(
        self,
        name: str,
        settings: CircuitSettings,
        clock: BoundClock,
        *,
        outbox: Outbox | None = None,
        key: Hashable = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock
        self.lock = Lock()
        self.outbox = outbox or Outbox()
        self.key = key
        self.origin: Circuit | None = None
        self.totals = Totals()
        self.observing = False
        self.phase: Phase = Closed(settings.new_health(self.totals.quiet))
        self.standing = StandingPermit()

    def turn_away(self, now: float) -> float | None:
        """Reject a call, and count that, where the circuit is open or isolated and enforces it.

        Returns:
            The seconds until the next probe, 0.0 where they are unknown; None where the call may try to enter.
        """
        with self.lock:
            phase = self.phase
            if isinstance(phase, Open):
                left = phase.seconds_left(now, self.settings.recovery_timeout)
                if left <= 0:
                    return None
            elif isinstance(phase, Isolated):
                left = 0.0
            else:
                return None
            if self.observing:
                return None
            self.totals.rejected += 1
            if isinstance(phase, Open) and self.clock.is_certain:
                self.standing.refusal = OpenUntil(self.name, self.clock.now, now + left, self.totals)
            return left

    def enter(self, now: float, lease_seconds: float) -> tuple[Phase, Lease | None] | float:
        """Admit a call in the current state.

        Returns:
            The state and the lease of a probe; for a rejection, which is not yet counted, the seconds until the next
            probe, 0.0 where they are unknown.
        """
        with self.lock:
            phase = self.phase
            if isinstance(phase, Open):
                left = phase.seconds_left(now, self.settings.recovery_timeout)
                if left > 0:
                    return left
                phase = self._transition_to(HalfOpen(), now)
            if isinstance(phase, HalfOpen):
                lease = phase.take(now, lease_seconds, self.settings.half_open_max_calls)
                return phase.seconds_left(now) if lease is None else (phase, lease)
            return 0.0 if isinstance(phase, Isolated) else (phase, None)

    def share(self, phase: Phase, settings: CircuitSettings, permit: Permit | None, grant: TimedGrant | None) -> None:
        """Grant all calls `permit`, or let `grant` admit them, as long as the given state and settings last."""
        with self.lock:
            if self.phase is phase and self.settings is settings:
                self.standing.permit, self.standing.grant = permit, grant

    def may_be_half_open(self) -> bool:
        """Return whether the next call may find the circuit half-open."""
        return isinstance(self.phase, Open | HalfOpen)

    def refuse(self, retry_after: float) -> CircuitOpen:
        """Count a rejection and build its exception."""
        with self.lock:
            self.totals.rejected += 1
        return CircuitOpen(self.name, retry_after=retry_after)

    def leave(self, phase: Phase, lease: Lease | None, outcome: Outcome, now: float, slow: bool) -> None:
        """Record the outcome of a call that was admitted under `phase`."""
        with self.lock:
            if self.phase is not phase or (lease is not None and not self._is_current(phase, lease, now)):
                self.totals.stale += 1
                return
            failed = outcome is Outcome.FAILURE
            if failed:
                self.totals.failure += 1
            else:
                self.totals.count(outcome)
            if failed or outcome is Outcome.SUCCESS:
                if isinstance(phase, Closed):
                    if phase.health.record(now, failed, slow) and phase.health.reached():
                        self.open(now, phase.health.reason())
                elif isinstance(phase, HalfOpen) and lease is not None:
                    self._record_probe(phase, now, failed, slow)
        if self.outbox.waiting:
            self.outbox.deliver()

    def open(self, now: float, reason: str) -> None:
        """Open at `now`; the caller holds the lock, and delivers the outbox after releasing it."""
        self._transition_to(Open(now), now, reason=reason, recovery_timeout=self.settings.recovery_timeout)

    def conclude_probe(self, phase: Phase, lease: Lease, *, now: float, failed: bool) -> None:
        """Record the outcome of a `probe`, which is not counted as a call."""
        with self.lock:
            if self._is_current(phase, lease, now):
                if failed:
                    self.open(now, "the probe failed")
                else:
                    self._close(now, "recovered")
        self.outbox.deliver()

    def release(self, phase: Phase, lease: Lease, now: float, *, hung: bool) -> None:
        """Release the lease of a cancelled `probe` and its waiting call; a probe that `hung` counts as failed."""
        with self.lock:
            current = self._is_current(phase, lease, now)
            self.totals.count(Outcome.CANCELLED if current else Outcome.STALE)
            if current and hung:
                self.open(now, "the probe was still under way at the deadline")
        self.outbox.deliver()

    def force(self, mode: CircuitMode, now: float) -> None:
        """Enter `mode`. Normal mode closes the circuit in any case; observe-only closes it where it was forced."""
        with self.lock:
            observed, self.observing = self.observing, mode is CircuitMode.OBSERVE_ONLY
            self.standing.refusal = None
            forced = _FORCED.get(mode)
            if forced is not None:
                if not isinstance(self.phase, forced):
                    self._transition_to(forced(), now)
            elif not self.observing or self.phase.mode is not None:
                self._close(now, "reset")
            if self.observing and not observed and self.outbox.wanted:
                self.outbox.put(CircuitObserved(name=self.name, key=self.key, at=now))
        self.outbox.deliver()

    def mode(self) -> CircuitMode:
        """Return the mode that an operator set, normal by default."""
        return self.phase.mode or (CircuitMode.OBSERVE_ONLY if self.observing else CircuitMode.NORMAL)

    def twin(self, clock: BoundClock, key: Hashable) -> "Circuit":
        """Return the circuit of a key in the mode of this one; both have the same listeners."""
        twin = Circuit(self.name, self.settings, clock, outbox=self.outbox, key=key)
        twin.origin = self
        twin.observing = self.observing
        forced = _FORCED.get(self.mode())
        if forced is not None:
            twin.phase = forced()
        return twin

    def is_settled(self) -> bool:
        """Return whether it is in normal mode or that of its origin, and closed if it is not isolated."""
        mode = self.mode()
        expected = CircuitMode.NORMAL if self.origin is None else self.origin.mode()
        return mode is expected and (mode is CircuitMode.ISOLATED or self.phase.state is CircuitState.CLOSED)

    def reconfigure(self, changes: CircuitChanges) -> None:
        """Change settings and keep the state."""
        with self.lock:
            self.settings = settings = replace(self.settings, **cast("dict[str, Any]", changes))
            if isinstance(self.phase, Closed):
                # In place: the generation stays, so that calls in progress still count.
                self.phase.health = settings.adapt(self.phase.health, self.totals.quiet)
            self.standing.clear()

    def snapshot(self, now: float) -> CircuitSnapshot:
        """Return the current state and totals."""
        with self.lock:
            phase, totals = self.phase, self.totals
            calls, failures, slow = phase.health.recent(now) if isinstance(phase, Closed) else (0, 0, 0)
            return CircuitSnapshot(
                name=self.name,
                state=phase.state,
                mode=self.mode(),
                retry_after=self._recovery_left(now),
                recent_calls=calls,
                recent_failures=failures,
                recent_slow=slow,
                **{outcome.value: totals.of(outcome) for outcome in Outcome},
            )

    def counts(self) -> dict[str, int]:
        """Return the ended calls by outcome."""
        with self.lock:
            return {outcome.value: self.totals.of(outcome) for outcome in Outcome}

    def retry_after(self, now: float) -> float:
        """Return the seconds until the next probe, 0.0 where that is unknown."""
        with self.lock:
            return self.phase.seconds_left(now) if isinstance(self.phase, HalfOpen) else self._recovery_left(now)

    def _recovery_left(self, now: float) -> float:
        phase = self.phase
        return phase.seconds_left(now, self.settings.recovery_timeout) if isinstance(phase, Open) else 0.0

    def _is_current(self, phase: Phase, lease: Lease | None, now: float) -> bool:
        if self.phase is not phase:
            return False
        return lease is None or (isinstance(phase, HalfOpen) and phase.release(lease, now))

    def _record_probe(self, phase: HalfOpen, now: float, failed: bool, slow: bool) -> None:
        if failed or slow:
            self.open(now, "a probe failed" if failed else "a probe was slow")
            return
        phase.successes += 1
        if phase.successes >= self.settings.half_open_max_calls:
            self._close(now, "recovered")

    def _close(self, now: float, reason: str) -> None:
        self._transition_to(Closed(self.settings.new_health(self.totals.quiet)), now, reason=reason)

    def _transition_to[P: Phase](self, phase: P, now: float, **data: object) -> P:
        """Enter `phase` and queue its event; a closed circuit that is reset starts another generation without one."""
        before, self.phase = self.phase, phase
        if isinstance(before, Closed):
            # Every later success of its calls goes through `leave`, which finds it stale.
            before.health.quiet_until = -math.inf
        self.standing.clear()
        if self.outbox.wanted and type(before) is not type(phase):
            self.outbox.put(_EVENTS[type(phase)](name=self.name, key=self.key, at=now, **data))
        return phase
