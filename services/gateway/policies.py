"""Resilience policies around the gateway's calls of its engines, from the route down to the replica.

Each kind of call has a policy of its own, so that a slow kind cannot starve another. The registry lists them under the
names of the functions that they wrap. Outermost first:

    deadline     of the whole call, set by the route: the service's, or the client's where that is shorter
    shed         rejects less critical requests of a tenant first
    bulkhead     bounds concurrent and queued calls, shared fairly by tenants; of uploads, those whose bytes flow
                 (`upload_places`)
    breaker      counts requests, not attempts; probed by the liveness check, never by a user's request
    retry        for idempotent requests: with jitter, a budget, Retry-After, and another engine where there is one
    attempt      one replica, whose liveness is watched meanwhile (`replicas`)
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, replace
from http import HTTPStatus

import structlog
import trio

from cqox.contract.messages import Message
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
from cqox.resilience.limits.fair_bulkhead import FairBulkhead
from cqox.resilience.runtime.caller import current_caller
from cqox.tasks import open_task_group
from services.gateway.engine_client import Call, Reply, Streamed
from services.gateway.failures import (
    EngineBusy,
    EngineFailed,
    EngineMisdirected,
    EngineOutOfTime,
    EngineSilent,
    is_retryable,
)
from services.gateway.replica import Replica
from services.gateway.replicas import Replicas
from services.gateway.upload_places import UploadPlace, UploadPlaces

__all__ = ["READ_SECONDS", "EnginePolicies"]

_log = structlog.stdlib.get_logger("cqox.gateway")

READ_SECONDS = 30.0
"""Deadline of requests that run no analysis, in seconds."""

_PROBE_SECONDS = 2.0
_SHARES = {Criticality.SHEDDABLE: 0.5, Criticality.SHEDDABLE_PLUS: 0.75, Criticality.CRITICAL: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Capacity:
    """Bounds on the concurrent and queued calls of one kind."""

    running: int
    queued: int


class _EngineBudget(RetryBudget):
    """A retry budget that is listed in the registry."""

    def setting_names(self) -> frozenset[str]:
        """See `Part.setting_names`."""
        return frozenset({"ratio", "floor_per_second"})


class EnginePolicies:
    """Calls of the engines, each kind under its own policy.

    Every method raises `ServiceError` where no engine is reachable or all fail, `Rejected` where a policy rejects the
    call, and `DeadlineExceeded` where the deadline passes; any other response of an engine is returned unchanged.
    Cancellation cancels the engine's work.

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
                exceptions=is_retryable,
                budget=budget,
                idempotent=True,
                name=name,
            )

        many = _Capacity(running=64, queued=128)
        analyze = self._policy("_call_engine_analyze", many, retry("_call_engine_analyze", 1.0))
        read = self._policy("_call_engine_read", many, retry("_call_engine_read", 0.2))
        upload = self._policy("_call_engine_upload", None)
        stream = self._policy("_call_engine_stream", many, retry("_call_engine_stream", 1.0))
        # The registry holds only weak references.
        self._policies = (analyze, read, upload, stream)
        self._budget = budget
        self._places = UploadPlaces("_call_engine_upload", running=8, queued=16, shares=_SHARES)
        self._analyze = analyze(replicas.send)
        self._read = read(replicas.send)
        self._find = read(replicas.find)
        self._upload = upload(replicas.send)
        self._ingest = upload(replicas.find)
        self._append = upload(replicas.send_to_holder)
        self._begin = stream(replicas.begin)
        self._find_stream = stream(replicas.find_stream)

    def _policy(self, name: str, room: _Capacity | None, *retry: Retry) -> Policy:
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
        bulkhead = FairBulkhead(room.running, room.queued, name=name)
        shed = Shed(room.running + room.queued, shares=_SHARES, load=bulkhead.load, name=name)
        return Policy(name, shed, bulkhead, breaker, *retry)

    async def analyze(self, call: Call, *, seconds: float) -> Reply:
        """Run an analysis within `seconds`."""
        with deadline(seconds):
            return await _answered(self._analyze(call, []), seconds)

    async def read(self, call: Call, *, seconds: float = READ_SECONDS) -> Reply:
        """Send a request that any engine can answer without an analysis, within `seconds`."""
        with deadline(seconds):
            return await _answered(self._read(call, []), seconds)

    async def read_each(self, call: Call, *, seconds: float) -> list[Reply | None]:
        """Ask every engine at once, each once, within `seconds`; None for one that does not answer.

        What they say about themselves counts for no circuit: a question that none may miss is not one of these.
        """
        replicas = self._replicas.all()
        replies: list[Reply | None] = [None] * len(replicas)

        async def ask(number: int, replica: Replica) -> None:
            with (
                trio.move_on_after(seconds),
                suppress(EngineBusy, EngineMisdirected, EngineUnavailable, DeadlineExceeded),
            ):
                with deadline(seconds), _as_deadline_exceeded(seconds):
                    replies[number] = await replica.send(call)

        async with open_task_group("ask engines") as group:
            for number, replica in enumerate(replicas):
                group.start_soon(ask, number, replica, name="ask an engine")
        return replies

    async def find(self, call: Call, *, seconds: float = READ_SECONDS) -> Reply:
        """Send a request for a resource that only one engine holds, within `seconds`."""
        with deadline(seconds):
            return await _answered(self._find(call), seconds)

    def upload_place(self, tenant: str | None = None) -> UploadPlace:
        """Return a slot for an upload of a tenant, not taken yet; the reader of the body releases it during a stall."""
        return self._places.place(current_caller() if tenant is None else tenant)

    async def upload(self, call: Call, *, seconds: float, place: UploadPlace | None = None) -> Reply:
        """Forward a file while it arrives, without retries. `seconds` count from the last byte sent."""
        return await self._flow(call, lambda call: self._upload(call, []), seconds, place or self.upload_place())

    async def append(self, call: Call, question: Call, *, seconds: float, place: UploadPlace) -> Reply:
        """Forward a piece of an upload as `upload` does, to the engine that holds the upload.

        Args:
            call: the piece.
            question: the request by which an engine says whether it holds the upload.
            seconds: from the last byte sent.
            place: slot of an upload.
        """
        return await self._flow(call, lambda call: self._append(call, question), seconds, place)

    async def _flow(
        self, call: Call, send: Callable[[Call], Awaitable[Reply]], seconds: float, place: UploadPlace
    ) -> Reply:
        try:
            with trio.move_on_after(seconds) as scope:

                def moved() -> None:
                    scope.deadline = trio.current_time() + seconds

                if isinstance(call.content, bytes):
                    await place.take()
                    return await _answered(send(call), seconds)
                async with AsyncExitStack() as stack:
                    if isinstance(call.content, AsyncGenerator):
                        await stack.enter_async_context(aclosing(call.content))
                    content = await stack.enter_async_context(aclosing(await place.admitted(call.content, moved)))
                    return await _answered(send(replace(call, content=content)), seconds)
            raise DeadlineExceeded(seconds)
        finally:
            place.leave()

    async def ingest(self, call: Call, *, seconds: float) -> Reply:
        """Have an engine read a file that it holds, within `seconds`; takes the slot of an upload."""
        place = self.upload_place()
        try:
            with deadline(seconds):
                await place.take()
                return await _answered(self._ingest(call), seconds)
        finally:
            place.leave()

    def analyze_stream(self, call: Call, *, seconds: float) -> AbstractAsyncContextManager[Streamed]:
        """Run an analysis and stream its events; see `follow`. After the headers, the engine enforces `seconds`."""
        return self._stream(lambda: self._begin(call, []), seconds)

    def follow(self, call: Call, *, seconds: float = READ_SECONDS) -> AbstractAsyncContextManager[Streamed]:
        """Stream events of a resource that only one engine holds, as a context manager.

        The response must begin within `seconds`; the stream itself has no deadline.
        """
        return self._stream(lambda: self._find_stream(call), seconds)

    async def ping(self) -> None:
        """Raise `EngineUnavailable` unless an engine passes its liveness probe."""
        if not await self._any_lives():
            count = len(self._replicas.all())
            raise EngineUnavailable(
                Message("problems.engine-does-not-answer")
                if count == 1
                else Message("problems.no-engine-answers", count=count)
            )

    @asynccontextmanager
    async def _stream(self, begin: Callable[[], Awaitable[Streamed]], seconds: float) -> AsyncIterator[Streamed]:
        with deadline(seconds), _as_deadline_exceeded(seconds):
            try:
                streamed = await begin()
            except (EngineBusy, EngineOutOfTime) as error:
                if error.reply is None:
                    raise
                streamed = Streamed.of(error.reply)
        # A stream holds no slot: the engine bounds the listeners of a job, and the connection limit bounds them all.
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
    with _as_deadline_exceeded(seconds):
        try:
            return await call
        except EngineBusy as error:
            return error.reply
        except EngineOutOfTime as error:
            if error.reply is None:
                raise
            return error.reply
        except EngineFailed as error:
            if error.reply.status != HTTPStatus.GATEWAY_TIMEOUT:
                raise
            return error.reply


@contextmanager
def _as_deadline_exceeded(seconds: float) -> Iterator[None]:
    # The circuits have counted the error by its type; the client receives a deadline error in any case.
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
