"""One engine behind the gateway: its connections, its circuit and its liveness.

One task for each engine detects that it has stalled: while requests are in flight, it probes the liveness every few
seconds. From the first missed probe on, the engine is chosen last; two missed probes cancel every attempt at it.
"""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import Enum
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
import trio

from cqox.contract.messages import Message
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
    translate,
)
from services.gateway.response_contract import EVENTS
from services.http.statuses import is_success

__all__ = ["Replica"]

_LIVE = Call(method="GET", target=b"/health/live")
_ASK_EVERY_SECONDS = 5.0
_MISS_AFTER_SECONDS = 1.0
_MISSES = 2
_MOMENT_SECONDS = 0.001
_REFUSED_BEHIND = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE})
"""Statuses of an intermediary whose connection was refused, such as a sidecar of Linkerd or Istio."""
_EJECTED_SECONDS = 10.0
_FAILURES_TO_EJECT = 5


class _ProbeResult(Enum):
    """The result of a liveness probe.

    A refused connection does not cancel attempts: a draining engine has closed its listener and still serves requests
    in flight, and the kernel closes the connections of a process that died. The sidecar of a mesh answers instead.
    """

    ALIVE = "alive"
    SILENT = "silent"
    CLOSED = "closed"


class Replica:
    """One engine.

    Attributes:
        url: its URL as configured, followed by its address where the name has several.
        breaker: counts attempts at this engine.
        misses: consecutive liveness probes without an answer; above 0 it is chosen last.
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
        """Number of attempts in flight and of open streams."""
        return self._in_flight

    async def wait_idle(self) -> None:
        """Wait until no attempt is in flight and no stream is open."""
        while self._in_flight:
            self._ended = trio.Event()
            await self._ended.wait()

    async def ask_live(self) -> bool:
        """Return whether the engine answers its liveness probe within a second."""
        return await self._probe() is _ProbeResult.ALIVE

    async def send(self, call: Call) -> Reply:
        """Make one attempt.

        Raises:
            CqoxError: one of `failures`.
        """
        began, seconds = trio.current_time(), remaining()
        with self._counted(), self._watched(seconds):
            return self._judged(call, await self._client.send(call), began, seconds)

    async def begin(self, call: Call) -> Streamed:
        """Make one attempt, up to the headers of a streamed response; the caller closes it.

        Raises:
            CqoxError: one of `failures`; its chunks raise them as well.
        """
        began, seconds = trio.current_time(), remaining()
        with ExitStack() as stack:
            stack.enter_context(self._counted())
            with self._watched(seconds):
                streamed = await self._client.begin(call)
                if not _is_event_stream(streamed, call):
                    return Streamed.of(self._judged(call, await streamed.read_all(), began, seconds))
                self._answered_at = trio.current_time()
            # The stream counts as in flight until it is closed, even while nobody reads its next chunk.
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
                contract=call.contract,
                host=self._host,
            )
        except (EngineBusy, EngineMisdirected):
            self._answered_at = trio.current_time()
            raise
        self._answered_at = trio.current_time()
        return reply

    async def watch(self) -> None:
        """Probe the engine's liveness while requests are in flight, and cancel its attempts once it has stalled."""
        while True:
            if not self._in_flight and not self.misses:
                self._occupied = trio.Event()
                await self._occupied.wait()
            await trio.sleep(_ASK_EVERY_SECONDS if not self.misses else _ASK_EVERY_SECONDS - _MISS_AFTER_SECONDS)
            if not self._in_flight and not self.misses:
                continue
            result = await self._probe()
            if result is _ProbeResult.ALIVE:
                self.misses = 0
            elif result is _ProbeResult.CLOSED:
                self.misses = 1
            else:
                self.misses += 1
            if self.misses >= _MISSES:
                for scope in list(self._waiting):
                    scope.cancel("the engine stopped answering")

    async def _probe(self) -> "_ProbeResult":
        with trio.move_on_after(_MISS_AFTER_SECONDS):
            try:
                reply = await self._client.send(_LIVE)
                if reply.status in _REFUSED_BEHIND and not reply.attributed:
                    return _ProbeResult.CLOSED
                return _ProbeResult.ALIVE if reply.status == HTTPStatus.OK else _ProbeResult.SILENT
            except httpx.ConnectError:
                return _ProbeResult.CLOSED
            except (httpx.TransportError, DeadlineExceeded, AnswerTooLarge):
                return _ProbeResult.SILENT
        return _ProbeResult.SILENT

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
        # Just before the deadline around the call, whose expiry the breaker would count as a failure of the engine.
        began = trio.current_time()
        with trio.CancelScope(deadline=began + max(0.0, seconds - _MOMENT_SECONDS)) as scope:
            self._waiting.add(scope)
            try:
                yield
            except httpx.TransportError as error:
                raise translate(error) from error
            except trio.Cancelled:
                # An event loop that comes back late lets both deadlines expire together, and the outer one wins.
                if trio.current_time() - began >= seconds and self._is_excused(seconds, began):
                    raise EngineOutOfTime from None
                raise
            finally:
                self._waiting.discard(scope)
        if scope.cancelled_caught:
            if trio.current_time() < scope.deadline:
                raise EngineStalled(Message("problems.engine-stalled"))
            if self._is_excused(seconds, began):
                raise EngineOutOfTime
            raise EngineSilent(Message("problems.engine-silent"))

    def _is_excused(self, seconds: float, began: float) -> bool:
        """Return whether an attempt that its deadline ends says nothing about the engine."""
        return seconds < FAIR_SHARE_SECONDS or self._answered_at > began

    async def _chunks(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        while True:
            with self._watched():
                data = await anext(chunks, None)
            if data is None:
                return
            yield data


def _is_event_stream(streamed: Streamed, call: Call) -> bool:
    # Only event streams of the contract are streamed; other responses are short, and are checked when complete.
    if not is_success(streamed.status) or call.contract is None:
        return is_success(streamed.status)
    given = next((value for name, value in streamed.headers if name == b"content-type"), b"").lower()
    return EVENTS in call.contract.get(streamed.status, ()) and given.startswith(EVENTS.encode())
