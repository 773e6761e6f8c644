"""One engine behind the gateway: its connections, its circuit, and whether it still answers.

An engine that stops answering is noticed by one task for each: while it has requests to answer, its liveness is asked
for every few seconds. From the first miss on it is the last choice; two misses end every attempt that waits for it.
"""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import Enum
from urllib.parse import urlsplit

import httpx
import trio

from cqox.errors import DeadlineExceeded, EngineUnavailable
from cqox.resilience import CircuitBreaker, remaining
from services.gateway.engine_client import AnswerTooLarge, Call, EngineClient, Reply, Streamed
from services.gateway.failures import (
    FAIR_SHARE_SECONDS,
    EngineBusy,
    EngineMisdirected,
    EngineOutOfTime,
    EngineSilent,
    EngineStalled,
    checked,
    lost,
)
from services.gateway.response_contract import EVENTS

__all__ = ["Replica"]

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


class Replica:
    """One engine.

    Attributes:
        url: where it is, as it was set; with its address, where the name has several.
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
        self._host = urlsplit(url.partition(" ")[0]).hostname or ""
        self._in_flight = 0
        self._waiting: set[trio.CancelScope] = set()
        self._occupied = trio.Event()
        self._ended = trio.Event()
        self._answered_at = -math.inf

    @property
    def in_flight(self) -> int:
        """Attempts that wait for it, and streams of it that are open."""
        return self._in_flight

    async def wait_idle(self) -> None:
        """Wait until nothing waits for it and no stream of it is open."""
        while self._in_flight:
            self._ended = trio.Event()
            await self._ended.wait()

    async def ask_live(self) -> bool:
        """Whether it answers its liveness probe within a second."""
        return await self._probe() is _Sign.ALIVE

    async def send(self, call: Call) -> Reply:
        """One attempt.

        Raises:
            CqoxError: one of `failures`.
        """
        began, seconds = trio.current_time(), remaining()
        with self._counted(), self._watched(seconds):
            return self._judged(call, await self._client.send(call), began, seconds)

    async def begin(self, call: Call) -> Streamed:
        """One attempt, up to the head of an answer that comes bit by bit; the caller closes it.

        Raises:
            CqoxError: one of `failures`, as its chunks do.
        """
        began, seconds = trio.current_time(), remaining()
        with ExitStack() as stack:
            stack.enter_context(self._counted())
            with self._watched(seconds):
                streamed = await self._client.begin(call)
                if not _flows(streamed, call):
                    return Streamed.of(self._judged(call, await streamed.whole(), began, seconds))
                self._answered_at = trio.current_time()
            # The stream counts until it is closed, whether somebody waits for its next chunk or not.
            open_until = stack.pop_all()
        chunks = self._chunks(streamed.chunks)

        async def close() -> None:
            with open_until:
                try:
                    await chunks.aclose()
                finally:
                    await streamed.close()

        return replace(streamed, chunks=chunks, close=close)

    def _judged(self, call: Call, reply: Reply, began: float, seconds: float) -> Reply:
        try:
            checked(
                reply,
                seconds=seconds,
                answers_others=self._answered_at > began,
                promise=call.promise,
                host=self._host,
            )
        except (EngineBusy, EngineMisdirected):
            self._answered_at = trio.current_time()
            raise
        self._answered_at = trio.current_time()
        return reply

    async def watch(self) -> None:
        """Notice that the engine has stalled, for as long as this task runs."""
        while True:
            if not self._in_flight and not self.misses:
                self._occupied = trio.Event()
                await self._occupied.wait()
            await trio.sleep(_ASK_EVERY_SECONDS if not self.misses else _ASK_EVERY_SECONDS - _MISS_AFTER_SECONDS)
            if not self._in_flight and not self.misses:
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
            except (httpx.TransportError, DeadlineExceeded, AnswerTooLarge):
                return _Sign.SILENT
        return _Sign.SILENT

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._in_flight += 1
        self._occupied.set()
        try:
            yield
        finally:
            self._in_flight -= 1
            self._ended.set()

    @contextmanager
    def _watched(self, seconds: float = math.inf) -> Iterator[None]:
        # A moment before the deadline around the call, which would be taken for a verdict on the engine.
        began = trio.current_time()
        with trio.CancelScope(deadline=began + max(0.0, seconds - _MOMENT_SECONDS)) as scope:
            self._waiting.add(scope)
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


def _flows(streamed: Streamed, call: Call) -> bool:
    # What has been promised bit by bit is handed on so; anything else is short, and judged whole.
    if streamed.status >= 300 or call.promise is None:
        return streamed.status < 300
    given = next((value for name, value in streamed.headers if name == b"content-type"), b"").lower()
    return EVENTS in call.promise.get(streamed.status, ()) and given.startswith(EVENTS.encode())
