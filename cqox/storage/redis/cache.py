"""Result cache on a Redis server, shared by any number of engines.

A Redis server that is down, slow, full or corrupt makes answers slower and never wrong: failures are logged and count
as a miss.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, Self

import redis
from anyio import CancelScope, CapacityLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from cqox.certificates import Credentials
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import AttemptTimeout, CircuitOpen, Rejected, StoreUnavailable
from cqox.storage.blocking import Threads
from cqox.storage.contracts import StoredReport
from cqox.storage.policy import RECOVERY_SECONDS, store_circuit, store_policy
from cqox.storage.pools import PoolUse
from cqox.storage.redis.address import check_address
from cqox.storage.redis.tls import use_certificates
from cqox.storage.redis.values import DamagedValue, decode, encode
from cqox.storage.sealing import Sealing
from cqox.storage.server_address import ServerAddress
from cqox.storage.tenant_ids import OfTenant
from cqox.threads import run_in_thread

__all__ = ["CLAIM", "RELEASE", "Calls", "Client", "RedisCache"]

CLAIM = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""Script that acquires or renews a lease: key, token and milliseconds."""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
"""Script that releases a lease: key and token."""
_SOCKET_SECONDS = 0.5
_CALL_SECONDS = 2.0
_logger = logging.getLogger("cqox.storage")


class Client(Protocol):
    """The commands of Redis that the cache uses; each raises `redis.RedisError`."""

    def get(self, name: bytes, /) -> bytes | str | None: ...

    def set(self, name: bytes, value: bytes, /, *, px: int) -> object: ...

    def delete(self, *names: bytes) -> object: ...

    def eval(self, script: str, numkeys: int, /, *keys_and_args: bytes | str) -> object: ...

    def ping(self) -> object: ...


class Calls(Protocol):
    """An executor of the client's calls, at most as many at once as it has connections."""

    async def run[T](self, call: Callable[[], T], *, interrupt: Callable[[], Awaitable[None]]) -> T:
        """Make a call and return its result; see `Threads.run`."""
        ...


class RedisCache(OfTenant):
    """Cached reports and leases of all tenants in Redis. Open it with `RedisCache.open`, and bind it by `within`."""

    server: ServerAddress | None = None

    def __init__(
        self,
        client: Client,
        calls: Calls,
        use: Callable[[], PoolUse],
        *,
        ttl_seconds: float = 86_400.0,
        max_bytes: int = 64 * 1024 * 1024,
        recovery_seconds: float = RECOVERY_SECONDS,
        sealing: Sealing | None = None,
    ) -> None:
        """See `open`. `use` returns the utilisation of the pool."""
        self._client = client
        self._calls = calls
        self._use = use
        self._policy = store_policy(store_circuit("redis", recovery_seconds=recovery_seconds), seconds=_CALL_SECONDS)
        # Wrapped once: `Policy.call` builds its pipeline again for every call.
        self._call = self._policy(self._run)
        self._ttl = int(1000 * ttl_seconds)
        self._max_bytes = max_bytes
        self._sealing = sealing or Sealing()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        size: int = 8,
        ttl_seconds: float = 86_400.0,
        max_bytes: int = 64 * 1024 * 1024,
        recovery_seconds: float = RECOVERY_SECONDS,
        credentials: Credentials | None = None,
        sealing: Sealing | None = None,
    ) -> AsyncIterator[Self]:
        """Open the cache on this server, also if it is unreachable; close it on exit.

        Args:
            url: as redis-py reads it, such as `redis://host:6379/0`.
            size: maximum number of connections.
            ttl_seconds: time to live of a report.
            max_bytes: a larger report is not cached, and a larger value is treated as damaged.
            recovery_seconds: how long the circuit stays open before a probe.
            credentials: certificates for `rediss://`, where the URL names none.
            sealing: encryption of the values; none by default.

        Raises:
            ValueError: the URL cannot be read.
        """
        check_address(url)
        client = redis.Redis.from_url(
            url,
            socket_timeout=_SOCKET_SECONDS,
            socket_connect_timeout=_SOCKET_SECONDS,
            max_connections=size,
            # Retry once on a connection that the server has closed meanwhile; not after a timeout.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            client_name="cqox",
        )
        pool = client.connection_pool
        if credentials is not None:
            use_certificates(pool, credentials)
        # The URL may set a lower limit, and redis-py raises if no connection is free.
        limit = min(size, pool.max_connections)
        threads = Threads("redis", limit)

        def use() -> PoolUse:
            (idle, _), (used, _) = pool.get_connection_count()
            waiting = max(0, threads.unfinished - used)
            return PoolUse(name="redis", used=used, idle=idle, limit=limit, waiting=waiting)

        cache = cls(
            client,
            threads,
            use,
            ttl_seconds=ttl_seconds,
            max_bytes=max_bytes,
            recovery_seconds=recovery_seconds,
            sealing=sealing,
        )
        given = pool.connection_kwargs
        socket = given.get("path")
        cache.server = ServerAddress(
            host=str(socket or given.get("host", "localhost")),
            port=None if socket else int(given.get("port", 6379)),
            namespace=str(given.get("db") or 0),
        )
        try:
            yield cache
        finally:
            threads.close()
            with CancelScope(shield=True):
                await run_in_thread(client.close, limiter=CapacityLimiter(1))

    async def get(self, analysis_id: str) -> StoredReport | None:
        """Return the cached report, or None on a miss; a damaged or foreign value is logged and deleted."""
        key, sealing = self._report_key(analysis_id), self._sealing.of(self._tenant)

        def get() -> StoredReport | None:
            try:
                value = self._client.get(key)
                if value is None:
                    return None
                plain = sealing.open(_bytes(value), _context(analysis_id))
                return decode(plain, analysis_id, max_bytes=self._max_bytes)
            except StoreUnavailable as error:
                _logger.warning("The cached value of %s cannot be opened: %s", analysis_id, error)
                return None
            except (DamagedValue, SealBroken, redis.ResponseError) as error:
                if isinstance(error, redis.ResponseError) and "WRONGTYPE" not in str(error):
                    raise
                _logger.warning("The cached value of %s is not a report and was deleted: %s", analysis_id, error)
                self._client.delete(key)
                return None

        return await self._try(get, None)

    async def put(self, report: StoredReport) -> None:
        """Cache the report until its time to live ends; one that is too large is not cached."""
        if len(report.report) + len(report.provenance) + len(report.figures) > self._max_bytes // 2:
            return

        sealing = self._sealing.of(self._tenant)

        def put() -> None:
            try:
                value = sealing.seal(encode(report), _context(report.analysis_id))
            except StoreUnavailable as error:
                _logger.warning("The analysis %s was not cached: %s", report.analysis_id, error)
                return
            self._client.set(self._report_key(report.analysis_id), value, px=self._ttl)

        await self._try(put, None)

    async def discard(self, analysis_id: str) -> None:
        """Remove the report from the cache."""

        def discard() -> None:
            self._client.delete(self._report_key(analysis_id))

        await self._try(discard, None)

    async def erase(self, analysis_ids: Sequence[str]) -> None:
        """Remove these reports from the cache.

        Raises:
            StoreUnavailable: Redis does not answer, so it may still hold them.
        """
        keys = [self._report_key(analysis_id) for analysis_id in analysis_ids]
        if self._keys.is_default:
            # Engines of the previous release read those of theirs.
            keys += [_previous_key(analysis_id) for analysis_id in analysis_ids]

        def erase() -> None:
            self._client.delete(*keys)

        try:
            if keys:
                await self._call(erase)
        except (redis.RedisError, AttemptTimeout, Rejected) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise StoreUnavailable(Message("storage.redis-may-hold-reports", reason=reason)) from error

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute this report; return whether the token holds it now."""

        def claim() -> bool:
            return bool(self._client.eval(CLAIM, 1, self._turn_key(analysis_id), token, str(int(1000 * seconds))))

        return await self._try(claim, True)

    async def release(self, analysis_id: str, *, token: str) -> None:
        """Release the lease if the token holds it."""

        def release() -> None:
            self._client.eval(RELEASE, 1, self._turn_key(analysis_id), token)

        await self._try(release, None)

    async def ping(self) -> None:
        """Check that the cache answers.

        Raises:
            StoreUnavailable: it does not.
        """

        def ping() -> None:
            self._client.ping()

        try:
            await self._call(ping)
        except (redis.RedisError, AttemptTimeout, Rejected) as error:
            raise StoreUnavailable(Message("storage.redis-does-not-answer", reason=str(error))) from error

    def pool_use(self) -> PoolUse:
        """Return the utilisation of the pool; safe from any thread."""
        return self._use()

    def _report_key(self, analysis_id: str) -> bytes:
        return _encoded(f"cqox:2:{self._tenant}:report:{analysis_id}")

    def _turn_key(self, name: str) -> bytes:
        return _encoded(f"cqox:2:{self._tenant}:turn:{name}")

    async def _try[T](self, call: Callable[[], T], otherwise: T) -> T:
        try:
            return await self._call(call)
        except CircuitOpen:
            return otherwise
        except (redis.RedisError, AttemptTimeout, Rejected) as error:
            _logger.warning("The cache is skipped: %s", str(error) or type(error).__name__)
            return otherwise

    async def _run[T](self, call: Callable[[], T]) -> T:
        return await self._calls.run(call, interrupt=_wait_for_socket_timeout)


async def _wait_for_socket_timeout() -> None:
    """Do nothing: the socket timeout soon ends the call, and redis-py then closes the connection."""


def _context(analysis_id: str) -> str:
    return f"cache/{analysis_id}"


def _previous_key(analysis_id: str) -> bytes:
    return _encoded(f"cqox:1:report:{analysis_id}")


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _bytes(value: bytes | str) -> bytes:
    # A client with decode_responses off returns bytes; redis-py's types also allow str.
    return value if isinstance(value, bytes) else value.encode()
