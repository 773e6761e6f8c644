"""The engines behind the gateway: which one takes an attempt, and which are left alone for a while.

Each has a circuit of its own, which counts attempts: one that keeps failing is ejected and comes back by a probe. Where
all are ejected, all are tried again, so that a wrong verdict can never make an outage.

An engine that stops answering is noticed by one task for each: while it has requests to answer, its liveness is asked
for every few seconds, and two misses end every attempt that waits for it.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

import httpx
import trio

from cqox.errors import CircuitOpen, EngineUnavailable
from cqox.resilience import CircuitBreaker
from cqox.tasks import TaskGroup, open_task_group
from services.gateway.engine_client import Call, EngineClient, Reply, Streamed
from services.gateway.failures import EngineBusy, EngineLost, EngineStalled, checked, lost

__all__ = ["Replica", "Replicas"]

_LIVE = Call(method="GET", target=b"/health/live")
_ASK_EVERY_SECONDS = 5.0
_MISS_AFTER_SECONDS = 1.0
_MISSES = 2
_EJECTED_SECONDS = 10.0
_FAILURES_TO_EJECT = 5


class Replica:
    """One engine.

    Attributes:
        url: where it is.
        breaker: counts its attempts.
        in_flight: attempts that wait for it.
    """

    def __init__(self, url: str, client: EngineClient) -> None:
        self.url = url
        self.client = client
        self.breaker = CircuitBreaker(
            f"engine {url}",
            failure_threshold=_FAILURES_TO_EJECT,
            recovery_timeout=_EJECTED_SECONDS,
            failures=(EngineUnavailable,),
            probe=self.ask_live,
            probe_timeout=_MISS_AFTER_SECONDS,
        )
        self._attempts: set[trio.CancelScope] = set()
        self._occupied = trio.Event()

    @property
    def in_flight(self) -> int:
        """Attempts that wait for it."""
        return len(self._attempts)

    async def ask_live(self) -> bool:
        """Whether it answers its liveness probe within a second."""
        with trio.move_on_after(_MISS_AFTER_SECONDS):
            try:
                return (await self.client.send(_LIVE)).status == 200
            except httpx.TransportError:
                return False
        return False

    async def send(self, call: Call) -> Reply:
        """One attempt.

        Raises:
            EngineBusy, EngineFailed, EngineLost, EngineStalled: see `failures`.
        """
        with trio.CancelScope() as scope:
            self._attempts.add(scope)
            self._occupied.set()
            try:
                return checked(await self.client.send(call))
            except httpx.TransportError as error:
                raise lost(error) from error
            finally:
                self._attempts.discard(scope)
        raise EngineStalled("The engine stopped answering while it had a request to answer.")

    async def watch(self) -> None:
        """Notice that the engine has stalled, for as long as this task runs."""
        misses = 0
        while True:
            if not self._attempts:
                misses, self._occupied = 0, trio.Event()
                await self._occupied.wait()
            await trio.sleep(_ASK_EVERY_SECONDS if not misses else _ASK_EVERY_SECONDS - _MISS_AFTER_SECONDS)
            misses = 0 if not self._attempts or await self.ask_live() else misses + 1
            if misses >= _MISSES:
                misses = 0
                for scope in list(self._attempts):
                    scope.cancel("the engine stopped answering")


class Replicas:
    """All engines. Open them with `Replicas.open`."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = tuple(replicas)
        self._turn = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, urls: Sequence[str]) -> AsyncIterator[Self]:
        """Clients of the engines at these addresses; leaving the block closes their connections."""
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(EngineClient.open(url)) for url in urls]
            replicas = cls([Replica(url, client) for url, client in zip(urls, clients, strict=True)])
            async with open_task_group("liveness", detached=True) as group:
                replicas._watch(group)
                yield replicas
                group.cancel_scope.cancel()

    def all(self) -> tuple[Replica, ...]:
        """Every engine."""
        return self._replicas

    async def send(self, call: Call, tried: list[Replica]) -> Reply:
        """One attempt, at the engine with the least to do among those that were not tried yet and are not ejected.

        Args:
            call: what to ask.
            tried: engines that have had an attempt of this request; the one chosen is added.

        Raises:
            EngineBusy, EngineFailed, EngineLost, EngineStalled: see `failures`.
        """
        for replica in self._by_load(tried):
            try:
                async with replica.breaker:
                    tried.append(replica)
                    return await replica.send(call)
            except CircuitOpen as error:
                if error.policy != replica.breaker.name:
                    raise
        replica = self._by_load(tried)[0]
        tried.append(replica)
        return await replica.send(call)

    async def send_to_any(self, call: Call) -> Reply:
        """What the first engine answers that knows of it: for what only one of them holds, such as a job.

        Raises:
            EngineBusy, EngineFailed, EngineLost, EngineStalled: see `failures`; where no engine knew of it.
        """
        unknown: Reply | None = None
        failure: Exception | None = None
        for replica in self._by_load(()):
            try:
                reply = await replica.send(call)
            except (EngineBusy, EngineUnavailable) as error:
                failure = error
                continue
            if reply.status != 404:
                return reply
            unknown = reply
        if unknown is not None and failure is None:
            return unknown
        if failure is not None:
            raise failure
        raise EngineLost("There is no engine.")

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Streamed]:
        """An answer whose body comes bit by bit, from the first engine that knows of what is asked.

        Raises:
            EngineLost: no engine could be reached.
        """
        failure = EngineLost("There is no engine.")
        replicas = self._by_load(())
        for number, replica in enumerate(replicas):
            async with AsyncExitStack() as stack:
                try:
                    streamed = await stack.enter_async_context(replica.client.stream(call))
                except httpx.TransportError as error:
                    failure = lost(error)
                    continue
                if streamed.status == 404 and number + 1 < len(replicas):
                    continue
                yield streamed
                return
        raise failure

    def _by_load(self, tried: Collection[Replica]) -> list[Replica]:
        # The turn breaks ties, so that engines with nothing to do take turns.
        self._turn += 1
        count = len(self._replicas)
        order = [self._replicas[(self._turn + offset) % count] for offset in range(count)]
        return sorted(order, key=lambda replica: (replica in tried, replica.in_flight))

    def _watch(self, group: TaskGroup) -> None:
        for replica in self._replicas:
            group.start_soon(replica.watch, name=f"liveness of {replica.url}")
