"""How long and how often the gateway tries its engines: everything between a route and a replica.

Each kind of call has a policy of its own, so that a slow one cannot starve another; an operator finds them in the
registry under the names of the functions that they go around. Outermost first:

    deadline     of the whole call, set by the route: the service's, or the client's where that is shorter
    shed         the less critical are refused before the rest
    bulkhead     so many at once and so many waiting; of uploads, those whose bytes flow (`upload_places`)
    breaker      counts requests, not attempts; tested by the liveness probe, never by a user's request
    retry        where the request is safe to repeat: with jitter, a budget, Retry-After, and another engine if there is
    attempt      one replica, watched while it computes (`replicas`)
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import structlog
import trio

from cqox.errors import DeadlineExceeded, EngineUnavailable
from cqox.resilience import (
    CircuitBreaker,
    CircuitClosed,
    CircuitHalfOpened,
    CircuitOpened,
    Criticality,
    Event,
    Policy,
    Retry,
    RetryBudget,
    Shed,
    deadline,
    registry,
)
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.tasks import open_task_group
from services.gateway.engine_client import Call, Reply, Streamed
from services.gateway.failures import EngineBusy, EngineFailed, EngineOutOfTime, EngineSilent, worth_another_try
from services.gateway.replica import Replica
from services.gateway.replicas import Replicas
from services.gateway.upload_places import UploadPlace, UploadPlaces

__all__ = ["READ_SECONDS", "EnginePolicies"]

_log = structlog.stdlib.get_logger("cqox.gateway")

READ_SECONDS = 30.0
"""Deadline of what computes nothing, in seconds."""

_PROBE_SECONDS = 2.0
_SHARES = {Criticality.SHEDDABLE: 0.5, Criticality.SHEDDABLE_PLUS: 0.75, Criticality.CRITICAL: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """How many calls of one kind run at once, and how many more may wait."""

    running: int
    queued: int


class _EngineBudget(RetryBudget):
    """A budget that an operator finds in the registry."""

    def setting_names(self) -> frozenset[str]:
        """See `Part.setting_names`."""
        return frozenset({"ratio", "floor_per_second"})


class EnginePolicies:
    """Calls of the engines, by what they may cost.

    Every method raises `ServiceError` where no engine can be reached, all fail or are lost, `Rejected` where a
    policy let nothing through, and `DeadlineExceeded` where the time is up; any other answer of an engine is returned
    as it is. A cancellation cancels the engine's work.

    Args:
        replicas: the engines.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        budget = _EngineBudget(name="engine retry budget")
        registry.add(budget.name, budget)

        def retry(name: str, base_delay: float) -> Retry:
            return Retry(
                3,
                base_delay=base_delay,
                exceptions=worth_another_try,
                budget=budget,
                idempotent=True,
                name=name,
            )

        many = _Room(running=64, queued=128)
        analyze = self._policy("_call_engine_analyze", many, retry("_call_engine_analyze", 1.0))
        read = self._policy("_call_engine_read", many, retry("_call_engine_read", 0.2))
        upload = self._policy("_call_engine_upload", None)
        stream = self._policy("_call_engine_stream", many, retry("_call_engine_stream", 1.0))
        # The registry holds them weakly.
        self._policies = (analyze, read, upload, stream)
        self._budget = budget
        self._places = UploadPlaces("_call_engine_upload", running=8, queued=16, shares=_SHARES)
        self._analyze = analyze(replicas.send)
        self._read = read(replicas.send)
        self._find = read(replicas.find)
        self._upload = upload(replicas.send)
        self._begin = stream(replicas.begin)
        self._begin_found = stream(replicas.begin_found)

    def _policy(self, name: str, room: _Room | None, *retry: Retry) -> Policy:
        breaker = CircuitBreaker(
            name,
            failure_threshold=5,
            recovery_timeout=60.0,
            failures=(EngineUnavailable,),
            probe=self._any_lives,
            probe_timeout=_PROBE_SECONDS,
            key=f"{name} breaker",
        )
        breaker.subscribe(_log_transition)
        if room is None:
            return Policy(name, breaker, *retry)
        shed = Shed(room.running + room.queued, shares=_SHARES, name=name)
        return Policy(name, shed, Bulkhead(room.running, room.queued, name=name), breaker, *retry)

    async def analyze(self, call: Call, *, seconds: float) -> Reply:
        """Run an analysis within `seconds`."""
        with deadline(seconds):
            return await _answered(self._analyze(call, []), seconds)

    async def read(self, call: Call, *, seconds: float = READ_SECONDS) -> Reply:
        """Ask for what is there already, or takes moments to make, within `seconds`."""
        with deadline(seconds):
            return await _answered(self._read(call, []), seconds)

    async def find(self, call: Call, *, seconds: float = READ_SECONDS) -> Reply:
        """Ask for what only one of the engines knows of, within `seconds`."""
        with deadline(seconds):
            return await _answered(self._find(call), seconds)

    def upload_place(self) -> UploadPlace:
        """The place of an upload that is about to arrive; whoever sees it stall has it left."""
        return self._places.place()

    async def upload(self, call: Call, *, seconds: float, place: UploadPlace | None = None) -> Reply:
        """Hand a file on while it arrives; it can be sent once only. `seconds` count from the last byte sent."""
        place = place or self.upload_place()
        try:
            with trio.move_on_after(seconds) as scope:

                def moved() -> None:
                    scope.deadline = trio.current_time() + seconds

                if isinstance(call.content, bytes):
                    await place.take()
                    return await _answered(self._upload(call, []), seconds)
                async with AsyncExitStack() as stack:
                    if isinstance(call.content, AsyncGenerator):
                        await stack.enter_async_context(aclosing(call.content))
                    content = await stack.enter_async_context(aclosing(await place.admitted(call.content, moved)))
                    return await _answered(self._upload(replace(call, content=content), []), seconds)
            raise DeadlineExceeded(seconds)
        finally:
            place.leave()

    def analyze_bit_by_bit(self, call: Call, *, seconds: float) -> AbstractAsyncContextManager[Streamed]:
        """Run an analysis and follow it; see `follow`. Once it has begun, the engine keeps to `seconds`."""
        return self._stream(lambda: self._begin(call, []), seconds)

    def follow(self, call: Call, *, seconds: float = READ_SECONDS) -> AbstractAsyncContextManager[Streamed]:
        """Follow what only one of the engines knows of: a context manager with an answer that comes bit by bit.

        It must begin within `seconds`; then it has no deadline but the client's patience.
        """
        return self._stream(lambda: self._begin_found(call), seconds)

    async def ping(self) -> None:
        """Nothing, if an engine lives."""
        if not await self._any_lives():
            count = len(self._replicas.all())
            raise EngineUnavailable(
                "The engine does not answer." if count == 1 else f"None of {count} engines answers."
            )

    @asynccontextmanager
    async def _stream(self, begin: Callable[[], Awaitable[Streamed]], seconds: float) -> AsyncIterator[Streamed]:
        with deadline(seconds), _deadline_told(seconds):
            try:
                streamed = await begin()
            except (EngineBusy, EngineOutOfTime) as error:
                if error.reply is None:
                    raise
                streamed = Streamed.of(error.reply)
        # A listener holds no place: the engine bounds those of a job, and connections are what bounds them all.
        try:
            yield streamed
        finally:
            await streamed.close()

    async def _any_lives(self) -> bool:
        replicas = self._replicas.all()
        if len(replicas) == 1:
            return await replicas[0].ask_live()
        alive: list[Replica] = []
        async with open_task_group("liveness") as group:

            async def ask(replica: Replica) -> None:
                if await replica.ask_live():
                    alive.append(replica)
                    group.cancel_scope.cancel()

            for replica in replicas:
                group.start_soon(ask, replica)
        return bool(alive)


async def _answered(call: Awaitable[Reply], seconds: float) -> Reply:
    with _deadline_told(seconds):
        try:
            return await call
        except EngineBusy as error:
            return error.reply
        except EngineOutOfTime as error:
            if error.reply is None:
                raise
            return error.reply
        except EngineFailed as error:
            if error.reply.status != 504:
                raise
            return error.reply


@contextmanager
def _deadline_told(seconds: float) -> Iterator[None]:
    # What the end of the time says about the engine is for the circuits; the client is told that it has ended.
    try:
        yield
    except (EngineOutOfTime, EngineSilent):
        raise DeadlineExceeded(seconds) from None


def _log_transition(event: Event) -> None:
    match event:
        case CircuitOpened():
            _log.warning("circuit %s opened: %s; next probe in %g s", event.name, event.reason, event.recovery_timeout)
        case CircuitHalfOpened():
            _log.info("circuit %s is being tested", event.name)
        case CircuitClosed():
            _log.info("circuit %s closed: %s", event.name, event.reason)
        case _:
            pass
