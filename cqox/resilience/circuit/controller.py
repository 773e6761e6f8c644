"""The thin shell around the states: one lock, the clock, the totals, and the events on their way out.

What is decided under the lock is decided by `state` and `health`. Clocks, predicates, probes and listeners are the
user's code and run outside of it.
"""

import math
from threading import Lock

from cqox.errors import CircuitOpen
from cqox.resilience._clock import BoundClock
from cqox.resilience._events import (
    CircuitClosed,
    CircuitDisabled,
    CircuitHalfOpened,
    CircuitIsolated,
    CircuitObserved,
    CircuitOpened,
    Outbox,
)
from cqox.resilience.circuit.health import ConsecutiveFailures, RateOverWindow
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.state import Closed, Disabled, HalfOpen, Isolated, Lease, Open, Phase
from cqox.resilience.circuit.statistics import CircuitMode, CircuitSnapshot, Outcome, Totals

__all__ = ["Circuit", "Refusal"]


class Refusal:
    """Why a call is not let in.

    Attributes:
        retry_after: seconds until the next probe, 0.0 where that is unknown.
    """

    __slots__ = ("retry_after",)

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after


class Circuit:
    """The state that every call through one breaker shares.

    Attributes:
        phase: the stay in the present state; its identity is the generation.
        settings: replaced as a whole, never changed.
        lock: guards phase, totals and what they hold.
        outbox: events that were caused under the lock; call `outbox.deliver()` after releasing it.
    """

    __slots__ = ("clock", "lock", "name", "observing", "outbox", "phase", "settings", "totals")

    def __init__(self, name: str, settings: CircuitSettings, clock: BoundClock) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock
        self.lock = Lock()
        self.outbox = Outbox()
        self.totals = Totals()
        self.observing = False
        self.phase: Phase = Closed(settings.new_health())

    def enter(self, now: float, lease_seconds: float) -> tuple[Phase, Lease | None] | Refusal:
        """Let a call in under the present state, or say why not; a refusal is not yet counted."""
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

    def may_be_testing(self) -> bool:
        """True where the next call may find the circuit half-open."""
        return isinstance(self.phase, Open | HalfOpen)

    def refuse(self, refusal: Refusal) -> CircuitOpen:
        """Count a refusal and make its exception."""
        with self.lock:
            self.totals.rejected += 1
        return CircuitOpen(self.name, retry_after=refusal.retry_after)

    def leave(self, phase: Phase, lease: Lease | None, outcome: Outcome, *, now: float, slow: bool) -> None:
        """Take the outcome of a call that was let in under `phase`."""
        with self.lock:
            if not self._is_current(phase, lease, now):
                self.totals.stale += 1
                return
            self.totals.count(outcome)
            if lease is None:
                if isinstance(phase, Closed) and outcome in _VERDICTS:
                    self._watch(phase, now, failed=outcome is Outcome.FAILURE, slow=slow)
            elif outcome in _VERDICTS:
                self._conclude(now, failed=outcome is Outcome.FAILURE, slow=slow)
        self.outbox.deliver()

    def conclude_probe(self, phase: Phase, lease: Lease, *, now: float, failed: bool) -> None:
        """Take the outcome of a `probe`, which is no call and is not counted as one."""
        with self.lock:
            if self._is_current(phase, lease, now):
                if failed:
                    self._open(now, "the probe failed")
                else:
                    self._close(now, "recovered")
        self.outbox.deliver()

    def give_back(self, phase: Phase, lease: Lease, now: float) -> None:
        """A `probe` was cancelled, and the call that waited for it with it."""
        with self.lock:
            current = self._is_current(phase, lease, now)
            self.totals.count(Outcome.CANCELLED if current else Outcome.STALE)

    def succeed_closed(self, phase: Closed, now: float) -> None:
        """The common end of a common call, without a detour: success, not slow, admitted while closed."""
        with self.lock:
            if self.phase is not phase:
                self.totals.stale += 1
                return
            self.totals.success += 1
            if not phase.health.record(now, False, False):
                return
            self._open(now, phase.health.reason())
        self.outbox.deliver()

    def force(self, mode: CircuitMode, now: float) -> None:
        """Enter `mode`. Normal and observing leave a forced state for a closed one; normal starts anew in any case."""
        with self.lock:
            was, observed = self.phase, self.observing
            self.observing = mode is CircuitMode.OBSERVE_ONLY
            if mode is CircuitMode.ISOLATED:
                self.phase = was if isinstance(was, Isolated) else Isolated()
                if self.phase is not was and self.outbox.wanted:
                    self.outbox.put(CircuitIsolated(name=self.name, at=now))
            elif mode is CircuitMode.DISABLED:
                self.phase = was if isinstance(was, Disabled) else Disabled()
                if self.phase is not was and self.outbox.wanted:
                    self.outbox.put(CircuitDisabled(name=self.name, at=now))
            else:
                self._start_anew(mode, was, now)
                if self.observing and not observed and self.outbox.wanted:
                    self.outbox.put(CircuitObserved(name=self.name, at=now))
        self.outbox.deliver()

    def reconfigure(self, settings: CircuitSettings) -> None:
        """Go on with other settings in the same state."""
        with self.lock:
            self.settings = settings
            if isinstance(self.phase, Closed):
                # In place: the generation stays, so that calls under way still count.
                self.phase.health = settings.adapt(self.phase.health)
                self.phase.shared = None

    def snapshot(self, now: float) -> CircuitSnapshot:
        """State and totals at one moment."""
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
                success=totals.success,
                failure=totals.failure,
                ignored=totals.ignored,
                cancelled=totals.cancelled,
                rejected=totals.rejected,
                stale=totals.stale,
            )

    def retry_after(self, now: float) -> float:
        """Seconds until the next probe, 0.0 where that is unknown."""
        with self.lock:
            phase = self.phase
            if isinstance(phase, HalfOpen) and phase.leases:
                return phase.seconds_left(now)
            return self._retry_after(phase, now)

    def _is_current(self, phase: Phase, lease: Lease | None, now: float) -> bool:
        if self.phase is not phase:
            return False
        return lease is None or (isinstance(phase, HalfOpen) and phase.give_back(lease, now))

    def _watch(self, phase: Closed, now: float, *, failed: bool, slow: bool) -> None:
        if phase.health.record(now, failed, slow):
            self._open(now, phase.health.reason())

    def _conclude(self, now: float, *, failed: bool, slow: bool) -> None:
        phase = self.phase
        assert isinstance(phase, HalfOpen)
        if failed or slow:
            self._open(now, "a probe failed" if failed else "a probe was slow")
            return
        phase.successes += 1
        if phase.successes >= self.settings.half_open_max_calls:
            self._close(now, "recovered")

    def _open(self, now: float, reason: str) -> None:
        self.phase = Open(now)
        if self.outbox.wanted:
            recovery = self.settings.recovery_timeout
            self.outbox.put(CircuitOpened(name=self.name, at=now, reason=reason, recovery_timeout=recovery))

    def _half_open(self, now: float) -> HalfOpen:
        self.phase = phase = HalfOpen()
        if self.outbox.wanted:
            self.outbox.put(CircuitHalfOpened(name=self.name, at=now))
        return phase

    def _close(self, now: float, reason: str) -> None:
        self.phase = Closed(self.settings.new_health())
        if self.outbox.wanted:
            self.outbox.put(CircuitClosed(name=self.name, at=now, reason=reason))

    def _start_anew(self, mode: CircuitMode, was: Phase, now: float) -> None:
        if mode is CircuitMode.OBSERVE_ONLY and not isinstance(was, Isolated | Disabled):
            return
        self.phase = Closed(self.settings.new_health())
        if not isinstance(was, Closed) and self.outbox.wanted:
            self.outbox.put(CircuitClosed(name=self.name, at=now, reason="reset"))

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
        if isinstance(health, RateOverWindow):
            if not math.isnan(now):
                health.window.expire(now)
            return health.window.calls, health.window.failures, health.window.slow
        return 0, health.failures if isinstance(health, ConsecutiveFailures) else 0, 0

    def _retry_after(self, phase: Phase, now: float) -> float:
        return phase.seconds_left(now, self.settings.recovery_timeout) if isinstance(phase, Open) else 0.0


_VERDICTS = frozenset({Outcome.SUCCESS, Outcome.FAILURE})
