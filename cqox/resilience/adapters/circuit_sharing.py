"""Exchange of the state of a circuit with other processes through Redis: transitions, permits of probes, and outages.

Everything runs on the event loop of the task that shares the circuit. What is local is kept by `shared_circuit`.
"""

import logging
import math
import os
import uuid
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from weakref import WeakSet

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from anyio.lowlevel import EventLoopToken

from cqox.resilience.adapters.redis_script import Answer, RedisScripts, UnfitClient, answer_of
from cqox.resilience.adapters.shared_circuit import SharedCircuit
from cqox.resilience.circuit.state import Closed, Open, Phase
from cqox.resilience.pipeline.events import Event, emit
from cqox.resilience.pipeline.waiter import TaskWaiter, running_loop
from cqox.resilience.runtime.criticality import Criticality

__all__ = ["CircuitSharing", "CircuitSharingLost", "CircuitSharingRestored", "Sharing", "Ticket", "Verdict"]

_MOST_RELEASES = 256
_log = logging.getLogger("cqox.resilience")


class Sharing(StrEnum):
    """Relation of a circuit to those of other processes."""

    LOCAL = "local"
    """No task shares it."""
    SHARED = "shared"
    DEGRADED = "degraded"
    """Redis does not answer in time: the circuit decides by itself."""


class Verdict(StrEnum):
    """Outcome of a probe, for the other processes."""

    SUCCESS = "success"
    FAILURE = "failure"
    RELEASE = "release"
    """None: a cancelled or ignored call, or one whose permit had expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitSharingLost(Event):
    """Redis does not answer: the circuit decides by itself, with permits of this process.

    Attributes:
        error: what Redis or its client answered, or a `TimeoutError`.
    """

    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitSharingRestored(Event):
    """Redis answers again: the circuit is shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A shared permit of a probe: the generation that granted it, and its token."""

    generation: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    ticket: Ticket
    phase: Phase
    verdict: Verdict


class CircuitSharing:
    """The exchange of one circuit.

    Attributes:
        status: how it is shared at the moment.
        generation: the last shared generation that is known, 0 for none.
    """

    def __init__(
        self, circuit: SharedCircuit, redis: RedisScripts, key: str, *, timeout: float, refresh: float
    ) -> None:
        """Args:
        circuit: the local state.
        redis: runs the script.
        key: prefix of its keys in Redis.
        timeout: seconds that Redis has for an answer.
        refresh: seconds between looks at the shared state.
        """
        self.status = Sharing.LOCAL
        self.generation = 0
        self._circuit = circuit
        self._redis = redis
        # The braces put both keys into one slot of a cluster.
        self._keys = (f"{{{key}}}:circuit", f"{{{key}}}:probes")
        self._timeout = timeout
        self._refresh = refresh
        self._ended: deque[_Ended] = deque()
        # Leases that ended while Redis was away: given back before they expire.
        self._releases: deque[_Ended] = deque(maxlen=_MOST_RELEASES)
        # The local state object that others know; another one has still to be published.
        self._synchronized: Phase | None = None
        self._refused_until = -math.inf
        self._home: EventLoopToken | None = None
        self._waiter: TaskWaiter | None = None

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Share the circuit until it is cancelled; started once the shared state is known or Redis is away.

        A cancellation hands outcomes that are still queued to Redis, for at most one timeout.

        Raises:
            RuntimeError: another task shares it.
        """
        if self._home is not None:
            raise RuntimeError(f"circuit breaker {self._circuit.name} is shared by another task already")
        self._home = running_loop()
        _shared_here.add(self)
        self._waiter = TaskWaiter(Criticality.CRITICAL)
        self._synchronized = self._circuit.phase if isinstance(self._circuit.phase, Closed) else None
        unsubscribe = self._circuit.outbox.subscribe(lambda _: self._wake())
        try:
            await self._synchronize()
            task_status.started()
            while True:
                with anyio.move_on_after(self._refresh):
                    await self._waiter.wait()
                self._waiter = TaskWaiter(Criticality.CRITICAL)
                await self._synchronize()
        finally:
            unsubscribe()
            with anyio.move_on_after(self._timeout, shield=True):
                await self._deliver()
            self.status, self._home, self._waiter = Sharing.LOCAL, None, None
            self._conclude_locally()
            self._releases.clear()

    def stay_with_parent(self) -> None:
        """Leave a local circuit in a forked process: its task and its leases are those of the parent."""
        self.status, self._home, self._waiter = Sharing.LOCAL, None, None
        self._ended.clear()
        self._releases.clear()

    @property
    def is_here(self) -> bool:
        """True on the event loop that shares the circuit."""
        return running_loop() == self._home

    @property
    def home(self) -> EventLoopToken | None:
        """The event loop that shares the circuit."""
        return self._home

    def refused_for(self, now: float) -> float:
        """Return the seconds until another permit is worth asking for, at most 0 where it is now."""
        return self._refused_until - now

    async def acquire(self, seconds: float) -> Ticket | float | None:
        """Ask for the permit of a probe.

        A cancellation leaves at most a lease, which is released or expires.

        Args:
            seconds: how long the permit is valid.

        Returns:
            The permit; the seconds after which another may be free; None where Redis does not answer.
        """
        token, expected = uuid.uuid4().hex, self.generation
        answer = await self._ask(token, seconds)
        # A closing that was learned while this answer was under way is none of these.
        unknown = self._circuit.may_be_half_open() and self.generation in (0, expected)
        if unknown and answer is not None and answer.probe_in is None and answer.generation == self.generation:
            # This circuit has opened, or Redis has lost its data: the others learn it now.
            answer = await self._call("open", str(self.generation), "0")
            if answer is not None and answer.granted:
                self.generation = answer.generation
                answer = await self._ask(token, seconds)
        if answer is None:
            return None
        if answer.granted and answer.generation == self.generation:
            return Ticket(generation=answer.generation, token=token)
        self._adopt(answer)
        wait = max(answer.probe_in or 0.0, answer.wait)
        self._refused_until = self._circuit.clock.checked_now() + min(wait, self._refresh)
        return wait

    async def _ask(self, token: str, seconds: float) -> Answer | None:
        expected = self.generation
        permits = str(self._circuit.settings.half_open_max_calls)
        try:
            answer = await self._call("acquire", str(expected), token, _milliseconds(seconds), permits)
        except BaseException:
            # It may have been granted; the answer went to nobody.
            self.conclude(Ticket(generation=expected, token=token), self._circuit.phase, Verdict.RELEASE)
            raise
        if answer is not None and not answer.generation:
            self.generation = 0
        return answer

    def conclude(self, ticket: Ticket, phase: Phase, verdict: Verdict) -> None:
        """Queue the outcome of a probe; safe from any thread.

        Args:
            ticket: its shared permit.
            phase: local state in which it was admitted.
            verdict: its outcome.
        """
        self._ended.append(_Ended(ticket=ticket, phase=phase, verdict=verdict))
        if self.status is Sharing.SHARED:
            self._wake()
        else:
            self._conclude_locally()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            waiter.wake()

    async def _synchronize(self) -> None:
        """Hand over outcomes and a local transition, and take over the shared state."""
        await self._deliver()
        phase = self._circuit.phase
        moved = phase.mode is None and phase is not self._synchronized
        if moved and isinstance(phase, Open | Closed) and not await self._publish(phase):
            return  # a Redis that only reads would be found and lost again each time
        answer = await self._call("read", str(self.generation))
        if answer is not None:
            self._adopt(answer)
        await self._deliver()  # what waited for Redis to come back

    async def _publish(self, phase: Open | Closed) -> bool:
        """Hand over a local transition; return False where Redis does not answer."""
        if isinstance(phase, Closed):
            answer = await self._call("close", str(self.generation))
        else:
            now, recovery = self._circuit.clock.checked_now(), self._circuit.settings.recovery_timeout
            left = phase.seconds_left(now, recovery)
            answer = await self._call("open", str(self.generation), _milliseconds(left))
        if answer is None:
            return False
        if answer.granted:
            self.generation, self._synchronized = answer.generation, phase
        else:
            self._adopt(answer)
        return True

    async def _deliver(self) -> None:
        settings = self._circuit.settings
        while self.status is Sharing.SHARED and (self._ended or self._releases):
            # Taken out for the time of the call: another thread may conclude the others locally meanwhile.
            ended, answer = (self._ended or self._releases).popleft(), None
            try:
                answer = await self._call(
                    "conclude",
                    str(ended.ticket.generation),
                    ended.ticket.token,
                    ended.verdict,
                    str(settings.half_open_max_calls),
                    _milliseconds(settings.recovery_timeout),
                )
            finally:
                if answer is None:
                    self._ended.appendleft(ended)
            if answer is None:
                break
            self._refused_until = -math.inf
            self._adopt(answer)
        if self.status is not Sharing.SHARED:
            self._conclude_locally()

    def _conclude_locally(self) -> None:
        while self._ended:
            ended = self._ended.popleft()
            self._releases.append(replace(ended, verdict=Verdict.RELEASE))
            if ended.verdict is not Verdict.RELEASE:
                now = self._circuit.clock.checked_now()
                self._circuit.record_probe(ended.phase, now, failed=ended.verdict is Verdict.FAILURE)

    def _adopt(self, answer: Answer) -> None:
        """Take over a newer shared state; where Redis has lost its data, hand over the local one again."""
        if answer.generation == self.generation or 0 < answer.generation < self.generation:
            return
        if answer.generation == 0:
            self.generation, self._synchronized = 0, None
            return
        self.generation = answer.generation
        self._refused_until = -math.inf
        now = self._circuit.clock.checked_now()
        self._synchronized = self._circuit.adopt(now, probe_in=answer.probe_in)

    async def _call(self, operation: str, *arguments: str) -> Answer | None:
        """Run an operation; None where Redis does not answer in time, which degrades the circuit."""
        try:
            with anyio.fail_after(self._timeout):
                answer = await answer_of(self._redis, self._keys, operation, *arguments)
        except UnfitClient:
            raise
        except Exception as error:  # noqa: BLE001 - the client may be of any library, and its answer none of the script
            self._degrade(error)
            return None
        if self.status is not Sharing.SHARED:
            lost, self.status = self.status is Sharing.DEGRADED, Sharing.SHARED
            if lost:
                emit(CircuitSharingRestored(name=self._circuit.name, at=self._circuit.clock.peek()))
        return answer

    def _degrade(self, error: Exception) -> None:
        if self.status is not Sharing.DEGRADED:
            self.status = Sharing.DEGRADED
            _log.warning("circuit breaker %s is not shared any more: %r", self._circuit.name, error)
            emit(CircuitSharingLost(name=self._circuit.name, at=self._circuit.clock.peek(), error=error))


def _milliseconds(seconds: float) -> str:
    return str(math.ceil(1000 * seconds))


_shared_here: WeakSet[CircuitSharing] = WeakSet()


def _after_fork() -> None:
    for sharing in list(_shared_here):
        sharing.stay_with_parent()


if hasattr(os, "register_at_fork"):
    # Otherwise a half-open circuit would refuse every call of the child, which has no task that could ask Redis.
    os.register_at_fork(after_in_child=_after_fork)
