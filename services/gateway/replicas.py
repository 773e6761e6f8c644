"""The engines behind the gateway: load balancing, ejection and service discovery.

Each engine has a circuit that counts attempts: an engine that keeps failing is ejected, and a successful probe readmits
it. Where all are ejected, the least loaded is tried anyway, so that false positives cannot cause an outage.

A name with several addresses stands for as many engines and is resolved again every few seconds. An engine whose
address is gone gets no new requests and finishes those in flight; it is readmitted if its address returns first.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from enum import IntEnum
from http import HTTPStatus
from typing import Self, cast

import anyio.abc
import httpx
import structlog
import trio

from cqox.errors import CircuitOpen, EngineUnavailable
from cqox.tasks import TaskGroup, open_task_group
from services.gateway.dns import Resolve, addresses, can_have_several
from services.gateway.engine_client import MAX_ANSWER_BYTES, Call, EngineClient, Reply, Streamed
from services.gateway.failures import EngineBusy, EngineMisdirected, EngineUnasked, EngineUnreached
from services.gateway.replica import Replica
from services.gateway.tls import EngineTls
from services.http.request.propagation import SECOND_HAND
from services.http.statuses import is_server_error

__all__ = ["Replicas"]

_log = structlog.stdlib.get_logger("cqox.gateway")

_SECOND_HAND = SECOND_HAND.lower().encode()
_ASK_NAMES_SECONDS = 5.0
_FIRST_ANSWER_SECONDS = 1.0
_LEAVES_AFTER_SECONDS = 60.0


class _Knowledge(IntEnum):
    """An engine's knowledge of a resource that one engine holds, in ascending order."""

    UNKNOWN = 0
    ELSEWHERE = 1
    UNDECIDED = 2
    SECOND_HAND = 3
    FIRST_HAND = 4


class _Engine:
    """One engine of an upstream.

    Attributes:
        replica: the engine.
        leaving: cancel scope of its removal while its address is gone; None while the address resolves.
        ended: set once its connections may be closed.
    """

    __slots__ = ("ended", "leaving", "replica")

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.leaving: trio.CancelScope | None = None
        self.ended = trio.Event()

    def take_back(self) -> None:
        """Cancel its removal, because its address resolves again."""
        if self.leaving is not None:
            self.leaving.cancel()
            self.leaving = None


class _Upstream:
    """A configured URL and its engines: one for the name, or one for each of its addresses."""

    def __init__(self, url: str, group: TaskGroup, max_answer_bytes: int, tls: EngineTls | None) -> None:
        self._url = url
        self._tls = tls
        self._max_answer_bytes = max_answer_bytes
        self._group = group
        self._resolved = True
        self._engines: dict[str | None, _Engine] = {}

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return tuple(engine.replica for engine in self._engines.values() if engine.leaving is None)

    async def refresh(self, resolve: Resolve, seconds: float = math.inf) -> None:
        """Resolve the name and reconcile the engines with its addresses; keep them where it cannot be resolved."""
        parsed = httpx.URL(self._url)
        found = None
        with trio.move_on_after(seconds):
            try:
                found = await resolve(parsed.host, parsed.port or (443 if parsed.scheme == "https" else 80))
            except Exception as error:  # noqa: BLE001 - the engines stay, however the resolver fails
                if self._resolved:
                    _log.warning("the name of %s cannot be resolved now: %r", self._url, error)
        self._resolved = found is not None
        if found is not None or not self._engines:
            await self.reconcile(found or frozenset())

    async def reconcile(self, found: frozenset[str]) -> None:
        wanted: set[str | None] = set(found or (None,))
        there = {address for address, engine in self._engines.items() if engine.leaving is None}
        if wanted == there:
            return
        if found:
            _log.info("%s is %d engines: %s", self._url, len(found), ", ".join(sorted(found)))
        for address in there - wanted:
            self._engines[address].leaving = leaving = trio.CancelScope()
            self._group.start_soon(self._leave, address, leaving, name="leaving engine")
        for address in sorted(wanted - there, key=str):
            if address in self._engines:
                self._engines[address].take_back()
            else:
                begun = await self._group.start(self._serve, address, name="engine")
                self._engines[address] = cast("_Engine", begun)

    async def _leave(self, address: str | None, leaving: trio.CancelScope) -> None:
        with leaving:
            # A task that has chosen it already may still send a request.
            await trio.sleep(_LEAVES_AFTER_SECONDS)
            await self._engines[address].replica.wait_idle()
            # It may have been readmitted between the end of its last request and here.
            if not leaving.cancel_called:
                self._engines.pop(address).ended.set()

    async def _serve(self, address: str | None, *, task_status: anyio.abc.TaskStatus[_Engine]) -> None:
        name = self._url if address is None else f"{self._url} ({address})"
        opened = EngineClient.open(self._url, address, max_answer_bytes=self._max_answer_bytes, tls=self._tls)
        async with opened as client, open_task_group("liveness") as group:
            engine = _Engine(Replica(name, client))
            group.start_soon(engine.replica.watch, name=f"liveness of {name}")
            task_status.started(engine)
            await engine.ended.wait()
            group.cancel_scope.cancel()


class Replicas:
    """All engines. Open them with `Replicas.open`."""

    def __init__(self, replicas: Sequence[Replica] = ()) -> None:
        self._replicas = tuple(replicas)
        self._upstreams: list[_Upstream] = []
        self._turn = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        urls: Sequence[str],
        *,
        resolve: Resolve = addresses,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        tls: EngineTls | None = None,
    ) -> AsyncIterator[Self]:
        """Open clients of the engines at these URLs; leaving the block closes their connections.

        Args:
            urls: of the engines; a name may stand for several.
            resolve: returns the addresses of a name; called again every five seconds.
            max_answer_bytes: the largest response body that is buffered.
            tls: verifies engines with https; by their names if None.
        """
        replicas = cls()
        by_identity = tls is not None and tls.by_identity
        async with open_task_group("engines", detached=True) as group:
            for url in urls:
                upstream = _Upstream(url, group, max_answer_bytes, tls)
                replicas._upstreams.append(upstream)
                if can_have_several(url, by_identity=by_identity):
                    await upstream.refresh(resolve, _FIRST_ANSWER_SECONDS)
                    group.start_soon(replicas._refresh_periodically, upstream, resolve, name=f"addresses of {url}")
                else:
                    await upstream.reconcile(frozenset())
            replicas._collect()
            yield replicas
            group.cancel_scope.cancel()

    def all(self) -> tuple[Replica, ...]:
        """Return every engine."""
        return self._replicas

    async def send(self, call: Call, tried: list[Replica]) -> Reply:
        """Make one attempt at the least loaded engine that was not tried yet and is not ejected.

        An engine that did not accept the request costs no attempt: the next one is tried at once. Where all shed load,
        their response is returned: they are healthy, and the client decides whether to retry.

        Args:
            call: the request.
            tried: engines that have had an attempt of this request; those tried now are added.

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
        """Make one attempt as `send` does, for a streamed response; the caller closes it."""
        try:
            return await self._attempt(Replica.begin, call, tried)
        except EngineBusy as error:
            if error.draining:
                raise
            return Streamed.of(error.reply)

    async def find(self, call: Call) -> Reply:
        """Query all engines for a resource that only one of them holds, such as a job, and return the best response.

        The search ends at the engine that holds it. The second best response is another engine's record of it.

        Raises:
            CqoxError: one of `failures`; no engine knew the resource, and this one could not be queried.
        """
        return await self._search(Replica.send, call)

    async def send_to_holder(self, call: Call, question: Call) -> Reply:
        """Send a request, which may be a stream, to the engine that holds its resource.

        Args:
            call: the request.
            question: a request that an engine answers with 404 where it does not hold the resource.

        Raises:
            CqoxError: one of `failures`; no engine held the resource, and this one could not be queried.
        """
        if len(self._replicas) == 1:
            return await self.send(call, [])
        failure: Exception | None = None
        answer: Reply | None = None
        for replica in self._by_load(()):
            try:
                answer = await replica.send(question)
            except (EngineBusy, EngineMisdirected, EngineUnavailable) as error:
                failure = error
                continue
            if answer.status != HTTPStatus.NOT_FOUND:
                return await replica.send(call)
        if failure is not None:
            raise EngineUnasked(failure) from failure
        assert answer is not None
        return answer

    async def find_stream(self, call: Call) -> Streamed:
        """Query all engines as `find` does, for a streamed response; the caller closes it."""
        return await self._search(Replica.begin, call)

    async def _attempt[Answer](
        self, ask: Callable[[Replica, Call], Awaitable[Answer]], call: Call, tried: list[Replica]
    ) -> Answer:
        untouched: EngineBusy | EngineMisdirected | EngineUnreached | None = None
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
            except (EngineBusy, EngineMisdirected, EngineUnreached) as error:
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
                except (EngineBusy, EngineMisdirected, EngineUnavailable) as error:
                    failure = error
                    continue
                lesser: Answer | None = answer
                if best is None or _knowledge(answer) > _knowledge(best):
                    best, lesser = answer, best
                if isinstance(lesser, Streamed):
                    await lesser.close()
                if _knowledge(best) is _Knowledge.FIRST_HAND:
                    return best
            if best is not None and (failure is None or _knowledge(best) is _Knowledge.SECOND_HAND):
                return best
            assert failure is not None
            raise failure if best is None else EngineUnasked(failure) from failure
        except BaseException:
            if isinstance(best, Streamed):
                with trio.CancelScope(shield=True):
                    await best.close()
            raise

    def _by_load(self, tried: Collection[Replica]) -> list[Replica]:
        # Round-robin breaks ties between idle engines.
        self._turn += 1
        count = len(self._replicas)
        order = [self._replicas[(self._turn + offset) % count] for offset in range(count)]
        return sorted(order, key=lambda replica: (replica in tried, replica.misses > 0, replica.in_flight))

    async def _refresh_periodically(self, upstream: _Upstream, resolve: Resolve) -> None:
        while True:
            await trio.sleep(_ASK_NAMES_SECONDS)
            await upstream.refresh(resolve)
            self._collect()

    def _collect(self) -> None:
        self._replicas = tuple(replica for upstream in self._upstreams for replica in upstream.replicas)


def _knowledge(answer: Reply | Streamed) -> _Knowledge:
    if answer.status == HTTPStatus.NOT_FOUND:
        return _Knowledge.UNKNOWN
    if answer.status == HTTPStatus.CONFLICT:
        return _Knowledge.ELSEWHERE
    if is_server_error(answer.status):
        return _Knowledge.UNDECIDED
    return _Knowledge.SECOND_HAND if any(name == _SECOND_HAND for name, _ in answer.headers) else _Knowledge.FIRST_HAND


def _can_be_sent_again(call: Call, failure: EngineBusy | EngineMisdirected | EngineUnreached) -> bool:
    # A stream can be sent once, and it has begun wherever there was a connection.
    return isinstance(call.content, bytes) or isinstance(failure, EngineUnreached)
