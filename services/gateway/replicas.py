"""The engines behind the gateway: which one takes an attempt, and which are left alone for a while.

Each has a circuit of its own, which counts attempts: one that keeps failing is ejected and comes back by a probe. Where
all are ejected, all are tried again, so that a wrong verdict can never make an outage.

An engine that stops answering is noticed by one task for each: while it has requests to answer, its liveness is asked
for every few seconds. From the first miss on it is the last choice; two misses end every attempt that waits for it.
"""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from enum import Enum, IntEnum
from typing import Self

import httpx
import structlog
import trio

from cqox.errors import CircuitOpen, DeadlineExceeded, EngineUnavailable
from cqox.resilience import CircuitBreaker, remaining
from cqox.tasks import TaskGroup, open_task_group
from services.gateway.engine_client import Call, EngineClient, Reply, Streamed
from services.gateway.failures import (
    FAIR_SHARE_SECONDS,
    EngineBusy,
    EngineFailed,
    EngineOutOfTime,
    EngineSilent,
    EngineStalled,
    EngineUnasked,
    EngineUnreached,
    checked,
    lost,
)
from services.http.hop import SECOND_HAND

__all__ = ["Replica", "Replicas"]

_log = structlog.stdlib.get_logger("cqox.gateway")

_SECOND_HAND = SECOND_HAND.lower().encode()
_LIVE = Call(method="GET", target=b"/health/live")
_ASK_EVERY_SECONDS = 5.0
_MISS_AFTER_SECONDS = 1.0
_MISSES = 2
_MOMENT_SECONDS = 0.001
_EJECTED_SECONDS = 10.0
_FAILURES_TO_EJECT = 5


class _Sign(Enum):
    """What a liveness probe has found.

    A refused connection is no reason to give an attempt up: an engine that drains has closed its door and still works
    on what it has, and the connections of one that died are closed by its kernel.
    """

    ALIVE = "alive"
    SILENT = "silent"
    CLOSED = "closed"


class _Worth(IntEnum):
    """What an engine's answer says of something that one of the engines holds."""

    UNKNOWN = 0
    ELSEWHERE = 1
    SECOND_HAND = 2
    FIRST_HAND = 3


class Replica:
    """One engine.

    Attributes:
        url: where it is.
        breaker: counts its attempts.
        misses: liveness probes in a row that it left unanswered; above 0 it is the last choice.
    """

    def __init__(self, url: str, client: EngineClient) -> None:
        self.url = url
        self.breaker = CircuitBreaker(
            f"engine {url}",
            failure_threshold=_FAILURES_TO_EJECT,
            recovery_timeout=_EJECTED_SECONDS,
            failures=(EngineUnavailable,),
            probe=self.ask_live,
            probe_timeout=_MISS_AFTER_SECONDS,
        )
        self.misses = 0
        self._client = client
        self._waiting: set[trio.CancelScope] = set()
        self._occupied = trio.Event()
        self._answered_at = -math.inf

    @property
    def in_flight(self) -> int:
        """Attempts and streams that wait for it."""
        return len(self._waiting)

    async def ask_live(self) -> bool:
        """Whether it answers its liveness probe within a second."""
        return await self._probe() is _Sign.ALIVE

    async def send(self, call: Call) -> Reply:
        """One attempt.

        Raises:
            CqoxError: one of `failures`.
        """
        began, seconds = trio.current_time(), remaining()
        with self._watched(seconds):
            return self._judged(await self._client.send(call), began, seconds)

    async def begin(self, call: Call) -> Streamed:
        """One attempt, up to the head of an answer that comes bit by bit; the caller closes it.

        Raises:
            CqoxError: one of `failures`, as its chunks do.
        """
        began, seconds = trio.current_time(), remaining()
        with self._watched(seconds):
            streamed = await self._client.begin(call)
            if streamed.status >= 400:
                return Streamed.of(self._judged(await streamed.whole(), began, seconds))
            self._answered_at = trio.current_time()
        chunks = self._chunks(streamed.chunks)

        async def close() -> None:
            try:
                await chunks.aclose()
            finally:
                await streamed.close()

        return replace(streamed, chunks=chunks, close=close)

    def _judged(self, reply: Reply, began: float, seconds: float) -> Reply:
        try:
            checked(reply, seconds=seconds, answers_others=self._answered_at > began)
        except EngineFailed:
            raise
        except EngineBusy:
            self._answered_at = trio.current_time()
            raise
        self._answered_at = trio.current_time()
        return reply

    async def watch(self) -> None:
        """Notice that the engine has stalled, for as long as this task runs."""
        while True:
            if not self._waiting and not self.misses:
                self._occupied = trio.Event()
                await self._occupied.wait()
            await trio.sleep(_ASK_EVERY_SECONDS if not self.misses else _ASK_EVERY_SECONDS - _MISS_AFTER_SECONDS)
            if not self._waiting and not self.misses:
                continue
            sign = await self._probe()
            if sign is _Sign.ALIVE:
                self.misses = 0
            elif sign is _Sign.CLOSED:
                self.misses = 1
            else:
                self.misses += 1
            if self.misses >= _MISSES:
                for scope in list(self._waiting):
                    scope.cancel("the engine stopped answering")

    async def _probe(self) -> "_Sign":
        with trio.move_on_after(_MISS_AFTER_SECONDS):
            try:
                return _Sign.ALIVE if (await self._client.send(_LIVE)).status == 200 else _Sign.SILENT
            except httpx.ConnectError:
                return _Sign.CLOSED
            except (httpx.TransportError, DeadlineExceeded):
                return _Sign.SILENT
        return _Sign.SILENT

    @contextmanager
    def _watched(self, seconds: float = math.inf) -> Iterator[None]:
        # A moment before the deadline around the call, which would be taken for a verdict on the engine.
        began = trio.current_time()
        with trio.CancelScope(deadline=began + max(0.0, seconds - _MOMENT_SECONDS)) as scope:
            self._waiting.add(scope)
            self._occupied.set()
            try:
                yield
            except httpx.TransportError as error:
                raise lost(error) from error
            finally:
                self._waiting.discard(scope)
        if scope.cancelled_caught:
            if trio.current_time() < scope.deadline:
                raise EngineStalled("The engine stopped answering while it had a request to answer.")
            if seconds < FAIR_SHARE_SECONDS or self._answered_at > began:
                raise EngineOutOfTime
            raise EngineSilent("The engine answered nobody until the time was up.")

    async def _chunks(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        while True:
            with self._watched():
                data = await anext(chunks, None)
            if data is None:
                return
            yield data


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

        An engine that took nothing of it costs no attempt: the next one is asked at once. Where all refuse for load,
        that is the answer: they are well, and the client knows best whether to come back.

        Args:
            call: what to ask.
            tried: engines that have had an attempt of this request; those asked are added.

        Raises:
            CqoxError: one of `failures`.
        """
        try:
            return await self._attempt(Replica.send, call, tried)
        except EngineBusy as error:
            if error.draining:
                raise
            return error.reply

    async def begin(self, call: Call, tried: list[Replica]) -> Streamed:
        """The same for an answer that comes bit by bit; the caller closes it."""
        try:
            return await self._attempt(Replica.begin, call, tried)
        except EngineBusy as error:
            if error.draining:
                raise
            return Streamed.of(error.reply)

    async def find(self, call: Call) -> Reply:
        """What the engine answers that knows best: for what only one of them holds, such as a job.

        All are asked until one knows it at first hand. Next best is what another one has it recorded as.

        Raises:
            CqoxError: one of `failures`; no engine knew of it, and this one could not be asked.
        """
        return await self._search(Replica.send, call)

    async def begin_found(self, call: Call) -> Streamed:
        """The same for an answer that comes bit by bit; the caller closes it."""
        return await self._search(Replica.begin, call)

    async def _attempt[Answer](
        self, ask: Callable[[Replica, Call], Awaitable[Answer]], call: Call, tried: list[Replica]
    ) -> Answer:
        untouched: EngineBusy | EngineUnreached | None = None
        for replica in self._by_load(tried):
            if untouched is not None and (replica in tried or not _can_be_sent_again(call, untouched)):
                raise untouched
            try:
                async with replica.breaker:
                    tried.append(replica)
                    return await ask(replica, call)
            except CircuitOpen as error:
                if error.policy != replica.breaker.name:
                    raise
            except (EngineBusy, EngineUnreached) as error:
                untouched = error
                if len(self._replicas) > 1:
                    _log.warning("%s took nothing: %s", replica.url, error)
        if untouched is not None:
            raise untouched
        replica = self._by_load(tried)[0]
        tried.append(replica)
        return await ask(replica, call)

    async def _search[Answer: (Reply, Streamed)](
        self, ask: Callable[[Replica, Call], Awaitable[Answer]], call: Call
    ) -> Answer:
        best: Answer | None = None
        failure: Exception | None = None
        try:
            for replica in self._by_load(()):
                try:
                    answer = await ask(replica, call)
                except (EngineBusy, EngineUnavailable) as error:
                    failure = error
                    continue
                lesser: Answer | None = answer
                if best is None or _worth(answer) > _worth(best):
                    best, lesser = answer, best
                if isinstance(lesser, Streamed):
                    await lesser.close()
                if _worth(best) is _Worth.FIRST_HAND:
                    return best
            if best is not None and (failure is None or _worth(best) is _Worth.SECOND_HAND):
                return best
            assert failure is not None
            raise failure if best is None else EngineUnasked(failure) from failure
        except BaseException:
            if isinstance(best, Streamed):
                with trio.CancelScope(shield=True):
                    await best.close()
            raise

    def _by_load(self, tried: Collection[Replica]) -> list[Replica]:
        # The turn breaks ties, so that engines with nothing to do take turns.
        self._turn += 1
        count = len(self._replicas)
        order = [self._replicas[(self._turn + offset) % count] for offset in range(count)]
        return sorted(order, key=lambda replica: (replica in tried, replica.misses > 0, replica.in_flight))

    def _watch(self, group: TaskGroup) -> None:
        for replica in self._replicas:
            group.start_soon(replica.watch, name=f"liveness of {replica.url}")


def _worth(answer: Reply | Streamed) -> _Worth:
    if answer.status == 404:
        return _Worth.UNKNOWN
    if answer.status == 409:
        return _Worth.ELSEWHERE
    return _Worth.SECOND_HAND if any(name == _SECOND_HAND for name, _ in answer.headers) else _Worth.FIRST_HAND


def _can_be_sent_again(call: Call, failure: EngineBusy | EngineUnreached) -> bool:
    # A stream can be sent once, and has been begun wherever there was a connection.
    return isinstance(call.content, bytes) or isinstance(failure, EngineUnreached)
