"""How long and how often the gateway tries its engines: everything between a route and a replica.

Each kind of call has a policy of its own, so that a slow one cannot starve another; an operator finds them in the
registry under the names of the functions that they go around. Outermost first:

    deadline     of the whole call, set by the route: the service's, or the client's where that is shorter
    bulkhead     so many at once and so many waiting, the less critical refused first
    breaker      counts requests, not attempts; tested by the liveness probe, never by a user's request
    retry        where the request is safe to repeat: with jitter, a budget, Retry-After, and another engine if there is
    attempt      one replica, watched while it computes (`replicas`)
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from cqox.errors import DeadlineExceeded, EngineUnavailable
from cqox.resilience import CircuitBreaker, Policy, Retry, RetryBudget, deadline
from cqox.resilience.bulkhead import Bulkhead
from cqox.tasks import open_task_group
from services.gateway.engine_client import Call, Reply, Streamed
from services.gateway.failures import EngineBusy, EngineFailed, worth_another_try
from services.gateway.replicas import Replica, Replicas

__all__ = ["EnginePolicies"]

_READ_SECONDS = 30.0
_PROBE_SECONDS = 2.0


class EnginePolicies:
    """Calls of the engines, by what they may cost.

    Every method raises `EngineUnavailable` where no engine can be reached, all fail or are lost, `Rejected` where a
    policy let nothing through, and `DeadlineExceeded` where the time is up; any other answer of an engine is returned
    as it is. A cancellation cancels the engine's work.

    Args:
        replicas: the engines.
        analysis_seconds: the deadline of what computes.
    """

    def __init__(self, replicas: Replicas, *, analysis_seconds: float) -> None:
        self._replicas = replicas
        self._analysis_seconds = analysis_seconds
        budget = RetryBudget(name="engine")
        self._analyze = self._policy("_call_engine_analyze", running=64, queued=128, base_delay=1.0, budget=budget)
        self._read = self._policy("_call_engine_read", running=64, queued=64, base_delay=0.2, budget=budget)
        self._upload = self._policy("_call_engine_upload", running=8, queued=16)
        self._streams = Policy("_stream_engine", Bulkhead(128, name="_stream_engine"))

    def _policy(
        self,
        name: str,
        *,
        running: int,
        queued: int,
        base_delay: float | None = None,
        budget: RetryBudget | None = None,
    ) -> Policy:
        bulkhead = Bulkhead(running, queued, name=name)
        breaker = CircuitBreaker(
            name,
            failure_threshold=5,
            recovery_timeout=60.0,
            failures=(EngineUnavailable,),
            probe=self._any_lives,
            probe_timeout=_PROBE_SECONDS,
            key=f"{name} breaker",
        )
        if base_delay is None:
            return Policy(name, bulkhead, breaker)
        retry = Retry(
            3,
            base_delay=base_delay,
            exceptions=worth_another_try,
            budget=budget,
            idempotent=True,
            idempotency_key=True,
            name=name,
        )
        return Policy(name, bulkhead, breaker, retry)

    async def analyze(self, call: Call, *, seconds: float | None = None) -> Reply:
        """Run an analysis, within `seconds` where the client says how long it waits."""
        return await self._within(seconds or self._analysis_seconds, self._analyze, call)

    async def read(self, call: Call) -> Reply:
        """Ask for what is there already, or takes moments to make."""
        return await self._within(_READ_SECONDS, self._read, call)

    async def find(self, call: Call) -> Reply:
        """Ask for what only one of the engines knows of."""
        with deadline(_READ_SECONDS):
            return await self._answered(self._read.call(self._replicas.send_to_any, call))

    async def upload(self, call: Call) -> Reply:
        """Hand a file on while it arrives; it can be sent once only. The time counts from the last byte sent."""
        with trio.move_on_after(self._analysis_seconds) as scope:

            async def watched(content: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
                async for data in content:
                    yield data
                    scope.deadline = trio.current_time() + self._analysis_seconds

            if not isinstance(call.content, bytes):
                call = replace(call, content=watched(call.content))
            tried: list[Replica] = []
            return await self._answered(self._upload.call(self._replicas.send, call, tried))
        raise DeadlineExceeded(self._analysis_seconds)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Streamed]:
        """Follow an answer that comes bit by bit; it has no deadline but the client's patience."""
        async with self._streams.part(Bulkhead), self._replicas.stream(call) as streamed:
            yield streamed

    async def ping(self) -> None:
        """Nothing, if an engine lives."""
        if not await self._any_lives():
            count = len(self._replicas.all())
            raise EngineUnavailable(
                "The engine does not answer." if count == 1 else f"None of {count} engines answers."
            )

    async def _within(self, seconds: float, policy: Policy, call: Call) -> Reply:
        tried: list[Replica] = []
        with deadline(seconds):
            return await self._answered(policy.call(self._replicas.send, call, tried))

    async def _answered(self, call: Awaitable[Reply]) -> Reply:
        try:
            return await call
        except EngineBusy as error:
            return error.response
        except EngineFailed as error:
            if error.response.status == 504:
                return error.response
            raise

    async def _any_lives(self) -> bool:
        alive: list[Replica] = []

        async def ask(replica: Replica) -> None:
            if await replica.ask_live():
                alive.append(replica)

        async with open_task_group("liveness") as group:
            for replica in self._replicas.all():
                group.start_soon(ask, replica)
        return bool(alive)
