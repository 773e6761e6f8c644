"""Controller of a circuit: the lock, the clock, the totals and the outbox of events around its pure states.

Decisions under the lock are made by `state` and `health`. Clocks, predicates, probes and listeners are user code and
run outside of the lock.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from cqox.errors import CircuitOpen
from cqox.resilience.circuit.health import ConsecutiveFailures
from cqox.resilience.circuit.settings import CircuitChanges, CircuitSettings
from cqox.resilience.circuit.state import Closed, Disabled, HalfOpen, Isolated, Lease, Open, Phase
from cqox.resilience.circuit.statistics import CircuitMode, CircuitSnapshot, Outcome, Totals
from cqox.resilience.circuit.window import Window
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
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.runtime.clock import BoundClock

if TYPE_CHECKING:
    from cqox.resilience.circuit.permits import SharedPermit

__all__ = ["Circuit", "Refusal"]


class Refusal:
    """The refusal of a call.

    Attributes:
        retry_after: seconds until the next probe, 0.0 where that is unknown.
    """

    __slots__ = ("retry_after",)

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after


class Circuit:
    """The state that every call through one breaker shares.

    Attributes:
        phase: the current state object; its identity is the generation.
        shared: permit shared by all calls in the current state, None where each call needs its own.
        settings: immutable; replaced as a whole.
        lock: guards phase, totals and their contents.
        outbox: events queued under the lock; call `outbox.deliver()` after releasing it.
    """

    __slots__ = ("clock", "lock", "name", "observing", "outbox", "phase", "settings", "shared", "totals")

    def __init__(self, name: str, settings: CircuitSettings, clock: BoundClock) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock
        self.lock = Lock()
        self.outbox = Outbox()
        self.totals = Totals()
        self.observing = False
        self.phase: Phase = Closed(settings.new_health(self.totals.quiet))
        self.shared: Permit | None = None

    def enter(self, now: float, lease_seconds: float) -> tuple[Phase, Lease | None] | Refusal:
        """Admit a call in the current state, or return a refusal, which is not yet counted."""
        with self.lock:
            phase = self.phase
            if isinstance(phase, Open):
                left = phase.seconds_left(now, self.settings.recovery_timeout)
                if left > 0:
                    return Refusal(left)
                phase = self._half_open(now)
            if isinstance(phase, HalfOpen):
                lease = phase.take(now, lease_seconds, self.settings.half_open_max_calls)
                return (phase, lease) if lease is not None else Refusal(phase.seconds_left(now))
            return Refusal(0.0) if isinstance(phase, Isolated) else (phase, None)

    def share(self, permit: "SharedPermit") -> Permit:
        """Share `permit` between all calls for as long as the state and settings that it was made for last."""
        with self.lock:
            if self.phase is permit.phase and self.settings is permit.settings:
                self.shared = permit
        return permit

    def may_be_half_open(self) -> bool:
        """Return whether the next call may find the circuit half-open."""
        return isinstance(self.phase, Open | HalfOpen)

    def refuse(self, refusal: Refusal) -> CircuitOpen:
        """Count a refusal and build its exception."""
        with self.lock:
            self.totals.rejected += 1
        return CircuitOpen(self.name, retry_after=refusal.retry_after)

    def leave(self, phase: Phase, lease: Lease | None, outcome: Outcome, *, now: float, slow: bool) -> None:
        """Record the outcome of a call that was admitted under `phase`."""
        with self.lock:
            if not self._is_current(phase, lease, now):
                self.totals.stale += 1
                return
            self.totals.count(outcome)
            if lease is None:
                if isinstance(phase, Closed) and outcome in _VERDICTS:
                    self._record(phase, now, failed=outcome is Outcome.FAILURE, slow=slow)
            elif outcome in _VERDICTS:
                self._record_probe(now, failed=outcome is Outcome.FAILURE, slow=slow)
        self.outbox.deliver()

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

    def open(self, now: float, reason: str) -> None:
        """Open the circuit; the caller holds the lock."""
        self._transition_to(Open(now))
        self._emit(CircuitOpened, now, reason=reason, recovery_timeout=self.settings.recovery_timeout)

    def force(self, mode: CircuitMode, now: float) -> None:
        """Enter `mode`. Normal mode closes the circuit in any case; observe-only closes it where it was forced."""
        with self.lock:
            was, observed = self.phase, self.observing
            self.observing = mode is CircuitMode.OBSERVE_ONLY
            if mode is CircuitMode.ISOLATED:
                if not isinstance(was, Isolated):
                    self._transition_to(Isolated())
                    self._emit(CircuitIsolated, now)
            elif mode is CircuitMode.DISABLED:
                if not isinstance(was, Disabled):
                    self._transition_to(Disabled())
                    self._emit(CircuitDisabled, now)
            else:
                self._restart(mode, was, now)
                if self.observing and not observed:
                    self._emit(CircuitObserved, now)
        self.outbox.deliver()

    def reconfigure(self, changes: CircuitChanges) -> None:
        """Change settings and keep the state."""
        with self.lock:
            self.settings = settings = replace(self.settings, **changes)
            if isinstance(self.phase, Closed):
                # In place: the generation stays, so that calls in progress still count.
                self.phase.health = settings.adapt(self.phase.health, self.totals.quiet)
                self.shared = None

    def snapshot(self, now: float) -> CircuitSnapshot:
        """Return the current state and totals."""
        with self.lock:
            phase, totals = self.phase, self.totals
            calls, failures, slow = self._recent(phase, now)
            return CircuitSnapshot(
                name=self.name,
                state=phase.state,
                mode=self._mode(),
                retry_after=self._retry_after(phase, now),
                recent_calls=calls,
                recent_failures=failures,
                recent_slow=slow,
                success=totals.success + totals.quiet.value(),
                failure=totals.failure,
                ignored=totals.ignored,
                cancelled=totals.cancelled,
                rejected=totals.rejected,
                stale=totals.stale,
            )

    def retry_after(self, now: float) -> float:
        """Return the seconds until the next probe, 0.0 where that is unknown."""
        with self.lock:
            phase = self.phase
            if isinstance(phase, HalfOpen) and phase.leases:
                return phase.seconds_left(now)
            return self._retry_after(phase, now)

    def _is_current(self, phase: Phase, lease: Lease | None, now: float) -> bool:
        if self.phase is not phase:
            return False
        return lease is None or (isinstance(phase, HalfOpen) and phase.release(lease, now))

    def _record(self, phase: Closed, now: float, *, failed: bool, slow: bool) -> None:
        if phase.health.record(now, failed, slow) and phase.health.reached():
            self.open(now, phase.health.reason())

    def _record_probe(self, now: float, *, failed: bool, slow: bool) -> None:
        phase = self.phase
        assert isinstance(phase, HalfOpen)
        if failed or slow:
            self.open(now, "a probe failed" if failed else "a probe was slow")
            return
        phase.successes += 1
        if phase.successes >= self.settings.half_open_max_calls:
            self._close(now, "recovered")

    def _half_open(self, now: float) -> HalfOpen:
        phase = self._transition_to(HalfOpen())
        self._emit(CircuitHalfOpened, now)
        return phase

    def _close(self, now: float, reason: str) -> None:
        self._transition_to(Closed(self.settings.new_health(self.totals.quiet)))
        self._emit(CircuitClosed, now, reason=reason)

    def _restart(self, mode: CircuitMode, was: Phase, now: float) -> None:
        if mode is CircuitMode.OBSERVE_ONLY and not isinstance(was, Isolated | Disabled):
            return
        self._transition_to(Closed(self.settings.new_health(self.totals.quiet)))
        if not isinstance(was, Closed):
            self._emit(CircuitClosed, now, reason="reset")

    def _transition_to[P: Phase](self, phase: P) -> P:
        self.phase = phase
        self.shared = None
        return phase

    def _emit(self, event: Callable[..., Event], now: float, **data: object) -> None:
        if self.outbox.wanted:
            self.outbox.put(event(name=self.name, at=now, **data))

    def _mode(self) -> CircuitMode:
        if isinstance(self.phase, Isolated):
            return CircuitMode.ISOLATED
        if isinstance(self.phase, Disabled):
            return CircuitMode.DISABLED
        return CircuitMode.OBSERVE_ONLY if self.observing else CircuitMode.NORMAL

    def _recent(self, phase: Phase, now: float) -> tuple[int, int, int]:
        if not isinstance(phase, Closed):
            return 0, 0, 0
        health = phase.health
        if isinstance(health, Window):
            if not math.isnan(now):
                health.expire(now)
            return health.calls, health.failures, health.slow
        return 0, health.failures if isinstance(health, ConsecutiveFailures) else 0, 0

    def _retry_after(self, phase: Phase, now: float) -> float:
        return phase.seconds_left(now, self.settings.recovery_timeout) if isinstance(phase, Open) else 0.0


_VERDICTS = frozenset({Outcome.SUCCESS, Outcome.FAILURE})
