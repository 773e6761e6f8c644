"""The Redis cache of one engine on a simulated server: real keys, encodings, circuit and timeouts."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import redis
from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from cqox.storage.policy import RECOVERY_SECONDS
from cqox.storage.pools import PoolUse
from cqox.storage.redis import RedisCache
from cqox.storage.sealing import Sealing
from services.simulation.stores.cache_server import CacheServer
from services.simulation.stores.server import CallFault, Link

__all__ = ["CachePool", "open_cache"]

_SOCKET_SECONDS = 0.5


class CachePool:
    """At most `size` connections of one engine to a simulated server, and its client.

    A call that gets no answer in half a second fails, and its connection is closed. A cancelled call ends within that
    time, as a thread on a socket would. A call whose connection has ended is repeated once.

    Args:
        server: the server.
        client: name of the engine, by which the server can cut it off.
        size: maximum number of connections and of concurrent calls.
    """

    def __init__(self, server: CacheServer, client: str, *, size: int) -> None:
        self._server = server
        self._client = client
        self._deaths = server.deaths(client)
        self._size = size
        self._places = anyio.Semaphore(size)
        self._idle = deque[Link]()
        self._used = 0
        self._waiting = 0

    def use(self) -> PoolUse:
        """Return the utilisation of the pool."""
        return PoolUse(name="redis", used=self._used, idle=len(self._idle), limit=self._size, waiting=self._waiting)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._server.disconnect(self._idle.pop())

    async def run[T](self, call: Callable[[], T], *, interrupt: Callable[[], Awaitable[None]]) -> T:
        """Make a call of the client and return its result.

        Args:
            call: uses the server.
            interrupt: not awaited: the timeout of the socket ends the call.

        Raises:
            redis.RedisError: as by redis-py.
        """
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        self._used += 1
        try:
            try:
                return await self._shielded(call)
            except redis.ConnectionError:
                return await self._shielded(call)
        finally:
            self._used -= 1
            self._places.release()

    async def _shielded[T](self, call: Callable[[], T]) -> T:
        try:
            with CancelScope(shield=True):
                result = await self._attempt(call)
        finally:
            await checkpoint_if_cancelled()
        return result

    async def _attempt[T](self, call: Callable[[], T]) -> T:
        link = None
        try:
            with anyio.fail_after(_SOCKET_SECONDS):
                link = await self._connected()
            with anyio.fail_after(_SOCKET_SECONDS):
                return await self._exchange(link, call)
        except TimeoutError:
            if link is not None:
                self._abandon(link, call)
            raise redis.TimeoutError("Timeout reading from socket") from None
        finally:
            if link is not None and link.is_open:
                self._idle.append(link)

    async def _connected(self) -> Link:
        while self._idle:
            # redis-py reads the end of file of an idle connection before it uses it.
            if (link := self._idle.pop()).is_open:
                return link
        await self._server.travel(self._client)
        made = self._server.connect(self._client, deaths=self._deaths)
        if made is None:
            raise redis.ConnectionError("Connection refused.")
        return made

    async def _exchange[T](self, link: Link, call: Callable[[], T]) -> T:
        server, fault = self._server, self._server.draw()
        await server.travel(self._client)
        await server.until_served(link)
        if fault in (CallFault.DIES_BEFORE, CallFault.UNDONE):
            server.disconnect(link)
        if not link.is_open:
            raise redis.ConnectionError("Connection closed by server.")
        result = server.perform(call, fault=fault)
        await server.travel(self._client)
        if fault in (CallFault.DIES_AFTER, CallFault.DIES_MIDWAY):
            server.disconnect(link)
        if not link.is_open:
            raise redis.ConnectionError("Connection closed by server.")
        return result

    def _abandon[T](self, link: Link, call: Callable[[], T]) -> None:
        """Close a connection whose answer did not come; a frozen server may have received the command."""
        server = self._server

        def late() -> None:
            with suppress(redis.RedisError):
                call()

        if server.is_frozen and server.is_reachable(self._client) and server.rng.random() < 0.5:
            server.postpone(late)
        server.disconnect(link)


class _Client:
    """The commands of the cache, carried out at once: the pool has brought them to the server."""

    def __init__(self, server: CacheServer) -> None:
        self._server = server

    def get(self, name: bytes, /) -> bytes | None:
        return self._server.get(name)

    def set(self, name: bytes, value: bytes, /, *, px: int) -> None:
        self._server.set(name, value, px=px)

    def delete(self, *names: bytes) -> int:
        return self._server.delete(*names)

    def eval(self, script: str, numkeys: int, /, *keys_and_args: bytes | str) -> int:
        return self._server.eval(script, numkeys, *keys_and_args)

    def ping(self) -> bool:
        return True


@asynccontextmanager
async def open_cache(
    server: CacheServer,
    *,
    client: str,
    size: int = 8,
    ttl_seconds: float = 86_400.0,
    recovery_seconds: float = RECOVERY_SECONDS,
    sealing: Sealing | None = None,
) -> AsyncIterator[RedisCache]:
    """Open the Redis cache of one engine on this server, also while it is stopped.

    Args:
        server: the server.
        client: name of the engine.
        size: maximum number of connections.
        ttl_seconds: time to live of a report.
        recovery_seconds: how long the circuit stays open before a probe.
        sealing: encryption of the values; none by default.
    """
    pool = CachePool(server, client, size=size)
    cache = RedisCache(
        _Client(server),
        pool,
        pool.use,
        ttl_seconds=ttl_seconds,
        recovery_seconds=recovery_seconds,
        sealing=sealing,
    )
    try:
        yield cache
    finally:
        pool.close()
