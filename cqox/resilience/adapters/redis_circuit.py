"""A circuit breaker that several processes share over Redis.

Admission reads local state. Only a call that finds the circuit half-open asks Redis, for a permit that expires.
"""

from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Self

from anyio import TASK_STATUS_IGNORED, from_thread
from anyio.abc import TaskStatus

from cqox.resilience.adapters.circuit_sharing import (
    CircuitSharing,
    CircuitSharingLost,
    CircuitSharingRestored,
    Sharing,
    Ticket,
    Verdict,
)
from cqox.resilience.adapters.redis_script import RedisScripts, ThreadedRedis
from cqox.resilience.adapters.shared_circuit import SharedCircuit
from cqox.resilience.circuit import CircuitBreaker, CircuitSnapshot, FailureRate
from cqox.resilience.circuit.admission import CircuitAdmission
from cqox.resilience.circuit.permits import CallPermit
from cqox.resilience.circuit.settings import Failures
from cqox.resilience.circuit.state import Lease, Phase
from cqox.resilience.circuit.statistics import Outcome
from cqox.resilience.pipeline.part import Gate, StageContext
from cqox.resilience.pipeline.permit import Admission, Permit
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.clock import Clock, TimeSource
from cqox.resilience.runtime.event_loop import task_or_loop
from cqox.resilience.runtime.ranges import Seconds, check_seconds
from cqox.tasks import open_task_group

__all__ = [
    "CircuitSharingLost",
    "CircuitSharingRestored",
    "RedisCircuitBreaker",
    "RedisScripts",
    "SharedCircuitSnapshot",
    "Sharing",
    "ThreadedRedis",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCircuitSnapshot(CircuitSnapshot):
    """Snapshot of a circuit and of its exchange with other processes.

    Attributes:
        sharing: whether it is shared at the moment.
        generation: the last shared generation that is known, 0 for none.
    """

    sharing: Sharing
    generation: int


class RedisCircuitBreaker(CircuitBreaker):
    """A circuit breaker whose openings, closings and probes are those of all processes with the same name.

    Each process counts failures by itself. While a task runs `share`, an opening reaches the others within `refresh`
    seconds, and of all processes together at most `half_open_max_calls` calls probe at once, each with a lease by the
    time of Redis. Where Redis does not answer within `redis_timeout` seconds, the circuit decides by itself, with
    permits of this process, until Redis answers again. Without such a task it is a `CircuitBreaker`.
    """

    __slots__ = ("_sharing",)

    _circuit: SharedCircuit

    def __init__(
        self,
        name: str,
        redis: RedisScripts,
        failure_threshold: int = 5,
        recovery_timeout: Seconds = 60.0,
        half_open_max_calls: int = 1,
        *,
        probe_timeout: Seconds | None = None,
        failures: Failures = (Exception,),
        failure_if: Callable[..., bool] | None = None,
        failure_rate: FailureRate | None = None,
        redis_key: str = "",
        redis_timeout: Seconds = 0.25,
        refresh: Seconds = 1.0,
        clock: Clock | TimeSource | None = None,
        key: str | None = None,
    ) -> None:
        """Make a closed circuit, which is local until `share` runs.

        Args:
            name: see `CircuitBreaker`.
            redis: client that runs scripts: a `redis.asyncio.Redis` on asyncio, a `ThreadedRedis` on Trio and asyncio.
            failure_threshold: see `CircuitBreaker`, as for the settings that follow.
            recovery_timeout: that of the process which opens the circuit holds for all.
            half_open_max_calls: probes of all processes together. It must be the same in each.
            probe_timeout: see `CircuitBreaker`.
            failures: see `CircuitBreaker`.
            failure_if: see `CircuitBreaker`.
            failure_rate: see `CircuitBreaker`.
            redis_key: prefix of its two keys in Redis; `cqox:` and the name by default.
            redis_timeout: seconds that Redis has for an answer, above 0; a caller waits no longer.
            refresh: seconds between looks at the shared state, above 0.
            clock: see `CircuitBreaker`.
            key: see `CircuitBreaker`.

        Raises:
            ValueError: a setting is out of its range.
            TypeError: `redis` is no client that runs scripts.
        """
        if not callable(getattr(redis, "eval", None)):
            raise TypeError(f"redis must be a client, such as redis.asyncio.Redis(...), not {redis!r}")
        super().__init__(
            name,
            failure_threshold,
            recovery_timeout,
            half_open_max_calls,
            probe_timeout,
            failures=failures,
            failure_if=failure_if,
            failure_rate=failure_rate,
            clock=clock,
            key=key,
        )
        settings, bound = self._circuit.settings, self._circuit.clock
        self._circuit = SharedCircuit(name, settings, bound)  # pyright: ignore[reportIncompatibleVariableOverride]
        self._sharing = CircuitSharing(
            self._circuit,
            redis,
            redis_key or f"cqox:{name}",
            timeout=check_seconds("redis_timeout", redis_timeout, zero=False),
            refresh=check_seconds("refresh", refresh, zero=False),
        )

    async def share(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Share the circuit until this task is cancelled: `await task_group.start(breaker.share)`.

        It has started once the shared state is known, or Redis is found to be away. A cancellation hands over what is
        queued, for at most one `redis_timeout`, and leaves a local circuit.

        Raises:
            RuntimeError: another task shares it.
        """
        await self._sharing.run(task_status=task_status)

    @asynccontextmanager
    async def shared(self) -> AsyncGenerator[Self]:
        """Share the circuit inside of a block: `async with breaker.shared():`."""
        failed: Exception | None = None
        async with open_task_group("shared circuit") as group:
            await group.start(self.share)
            try:
                yield self
            except Exception as error:  # noqa: BLE001 - raised below: the group would wrap it
                failed = error
            group.cancel_scope.cancel()
        if failed is not None:
            raise failed

    @property
    def kind(self) -> str:
        """The kind of part in events and metrics: a circuit breaker."""
        return CircuitBreaker.__name__

    @property
    def sharing(self) -> Sharing:
        """Its relation to the circuits of other processes at the moment."""
        return self._sharing.status

    def snapshot(self) -> SharedCircuitSnapshot:
        """Return the current state, the lifetime totals and how it is shared."""
        local = super().snapshot()
        values = {field.name: getattr(local, field.name) for field in fields(local)}
        return SharedCircuitSnapshot(**values, sharing=self._sharing.status, generation=self._sharing.generation)

    def for_key(self, key: Hashable) -> Self:
        """Raise TypeError: the circuits of keys are not shared."""
        raise TypeError(f"circuit breaker {self.name} is shared over Redis, which keys of a policy cannot be")

    def admission(self, facts: StageContext) -> Admission:
        """See `Gate.admission`."""
        super().admission(facts)
        return _SharedAdmission(self._circuit, facts, self, self._sharing)

    def _block_admission(self) -> CircuitAdmission:
        return _SharedAdmission(self._circuit, None, self, self._sharing)


class _SharedAdmission(CircuitAdmission):
    """Admission that asks for a shared permit where the circuit is half-open."""

    __slots__ = ("_sharing",)

    _circuit: SharedCircuit

    def __init__(
        self,
        circuit: SharedCircuit,
        facts: StageContext | None,
        gate: Gate,
        sharing: CircuitSharing,
    ) -> None:
        super().__init__(circuit, facts, gate)
        self._sharing = sharing

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """See `Admission.admit`."""
        if self._sharing.status is Sharing.SHARED and self._circuit.may_be_half_open():
            return None
        return super().admit(deadline)

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        """Ask for a shared permit, for at most the timeout of Redis; a cancellation gives the local one back."""
        seconds = self._lease_seconds(deadline)
        permit, phase, lease = self._enter(seconds)
        if lease is None or self._sharing.status is not Sharing.SHARED:
            return permit
        if not self._may_ask(phase, lease, here=self._sharing.is_here):
            return self._refused(self._wait(), self._circuit.clock.checked_now())
        try:
            granted = await self._sharing.acquire(seconds)
        except BaseException:
            self._circuit.give_back(phase, lease)
            raise
        return self._decided(granted, permit, phase, lease, seconds)

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        """Synchronous twin of `admit_waiting`; a thread that runs an event loop cannot ask, and is rejected."""
        seconds = self._lease_seconds(deadline)
        permit, phase, lease = self._enter(seconds)
        if lease is None or self._sharing.status is not Sharing.SHARED:
            return permit
        if not self._may_ask(phase, lease, here=task_or_loop() is None):
            return self._refused(self._wait(), self._circuit.clock.checked_now())
        try:
            granted = from_thread.run(self._sharing.acquire, seconds, token=self._sharing.home)
        except RuntimeError:  # the event loop has ended, or ends
            granted = None
        except BaseException:
            self._circuit.give_back(phase, lease)
            raise
        return self._decided(granted, permit, phase, lease, seconds)

    def _may_ask(self, phase: Phase, lease: Lease, *, here: bool) -> bool:
        """Return whether Redis is asked; where it is not, the local permit is given back."""
        if here and self._wait() <= 0:
            return True
        self._circuit.give_back(phase, lease)
        return False

    def _wait(self) -> float:
        return max(0.0, self._sharing.refused_for(self._circuit.clock.checked_now()))

    def _decided(
        self, granted: Ticket | float | None, permit: Permit, phase: Phase, lease: Lease, seconds: float
    ) -> Permit:
        circuit = self._circuit
        now = circuit.clock.checked_now()
        if granted is None:
            return permit
        if isinstance(granted, Ticket):
            return _SharedProbe(circuit, phase, lease, now, self._sharing, granted)
        circuit.give_back(phase, lease)
        if circuit.may_be_half_open():
            return self._refused(granted, now)
        return self._enter(seconds)[0]


class _SharedProbe(CallPermit):
    """Permit of a probe that other processes know: its outcome moves the state through Redis."""

    __slots__ = ("_sharing", "_ticket")

    _circuit: SharedCircuit
    _lease: Lease

    def __init__(
        self,
        circuit: SharedCircuit,
        phase: Phase,
        lease: Lease,
        started: float,
        sharing: CircuitSharing,
        ticket: Ticket,
    ) -> None:
        super().__init__(circuit, phase, lease, started)
        self._sharing = sharing
        self._ticket = ticket

    def _leave(self, outcome: Outcome) -> None:
        now = self._circuit.clock.checked_now()
        failed = outcome is Outcome.FAILURE or (outcome is Outcome.SUCCESS and self._was_slow(now))
        verdict = Verdict.RELEASE
        if self._circuit.settle_probe(self.phase, self._lease, outcome, now):
            if failed:
                verdict = Verdict.FAILURE
            elif outcome is Outcome.SUCCESS:
                verdict = Verdict.SUCCESS
        self._sharing.conclude(self._ticket, self.phase, verdict)
