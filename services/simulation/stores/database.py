"""The PostgreSQL store of one engine on a simulated server: real statements, retries, circuit and timeouts."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import psycopg
from anyio import CancelScope
from psycopg.rows import TupleRow

from cqox.storage.policy import RECOVERY_SECONDS
from cqox.storage.pools import PoolUse
from cqox.storage.postgres import PostgresStore
from services.simulation.stores.database_server import DatabaseServer, connection_lost
from services.simulation.stores.server import CallFault, Link

__all__ = ["DatabasePool", "open_database"]

type _Connection = psycopg.Connection[TupleRow]

_CONNECT_SECONDS = 5.0
_CANCEL_SECONDS = 1.0
_SILENT_CANCEL_SECONDS = 0.2
_MOST_STATEMENTS = 4


class DatabasePool:
    """At most `size` connections of one engine to a simulated server, opened on demand, first come first served.

    A cancelled call has happened, has not, or happens once a frozen server resumes: the server may have received it
    before the request to cancel it. Its connection returns to the pool only if that request has ended the query.

    Args:
        server: the server.
        client: name of the engine, by which the server can cut it off.
        size: maximum number of connections and of concurrent calls.

    Attributes:
        silent: whether the server counts as silent; set by the store.
    """

    def __init__(self, server: DatabaseServer, client: str, *, size: int) -> None:
        self._server = server
        self._client = client
        self._deaths = server.deaths(client)
        self._size = size
        self._places = anyio.Semaphore(size)
        self._idle = deque[Link]()
        self._lent = 0
        self._waiting = 0
        self.silent = False

    @property
    def exhausted(self) -> bool:
        """True while every connection is in use."""
        return self._lent >= self._size

    def use(self) -> PoolUse:
        """Return the utilisation of the pool."""
        return PoolUse(name="postgres", used=self._lent, idle=len(self._idle), limit=self._size, waiting=self._waiting)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._server.disconnect(self._idle.pop())

    async def run[T](self, work: Callable[[_Connection], T], *, scope: str) -> T:
        """Run `work` with a connection in autocommit mode and return its result.

        Raises:
            psycopg.Error: as by PostgreSQL.
        """
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            self._lent += 1
            link = await self._connected()
            try:
                return await self._exchange(link, work)
            finally:
                if link.is_open:
                    self._idle.append(link)
        finally:
            self._lent -= 1
            self._places.release()

    async def _connected(self) -> Link:
        while self._idle:
            # A connection that the server has closed meanwhile is noticed without a round trip.
            if (link := self._idle.pop()).is_open:
                return link
        with anyio.move_on_after(_CONNECT_SECONDS):
            await self._server.travel(self._client)
            made = self._server.connect(self._client, deaths=self._deaths)
            if made is None:
                raise psycopg.OperationalError("connection failed: Connection refused")
            try:
                await self._server.until_served(made)
                await self._server.travel(self._client)
            except BaseException:
                self._server.disconnect(made)
                raise
            if not made.is_open:
                raise connection_lost()
            return made
        raise psycopg.errors.ConnectionTimeout("connection timeout expired")

    async def _exchange[T](self, link: Link, work: Callable[[_Connection], T]) -> T:
        server, fault = self._server, self._server.draw()
        try:
            await server.travel(self._client)
            await server.until_served(link)
        except anyio.get_cancelled_exc_class():
            await self._cancel(link, work)
            raise
        if fault is CallFault.DIES_BEFORE:
            server.disconnect(link)
        if not link.is_open:
            raise connection_lost()
        statements = server.rng.randint(1, _MOST_STATEMENTS) if fault is CallFault.DIES_MIDWAY else None
        outcome = _outcome(partial(server.perform, link, work, statements=statements, fault=fault))
        try:
            await server.travel(self._client)
        except BaseException:
            # The query has ended; the request to cancel it could hit the next one.
            server.disconnect(link)
            raise
        if fault in (CallFault.DIES_AFTER, CallFault.DIES_MIDWAY):
            server.disconnect(link)
        if not link.is_open:
            raise connection_lost()
        return outcome()

    async def _cancel[T](self, link: Link, work: Callable[[_Connection], T]) -> None:
        """End a call that has been sent, and may have been received."""
        server = self._server
        if not (link.is_open or link.is_abandoned):
            return
        if server.is_reachable(self._client) and server.rng.random() < 0.5:
            # It came before the request to cancel it, or some of its statements did.
            if server.is_frozen:
                server.postpone(partial(_late, server, link, work, 1))
            else:
                _late(server, link, work, server.rng.randint(1, _MOST_STATEMENTS))
                server.disconnect(link)
        with CancelScope(shield=True):
            with anyio.move_on_after(_SILENT_CANCEL_SECONDS if self.silent else _CANCEL_SECONDS) as waited:
                await server.until_served(link)
                if link.is_open:
                    await server.travel(self._client)
            if waited.cancelled_caught:
                server.disconnect(link)


@asynccontextmanager
async def open_database(
    server: DatabaseServer,
    *,
    client: str,
    size: int = 8,
    seconds: float = 10.0,
    recovery_seconds: float = RECOVERY_SECONDS,
) -> AsyncIterator[PostgresStore]:
    """Open the PostgreSQL store of one engine on this server, also while it is stopped.

    Args:
        server: the server.
        client: name of the engine.
        size: maximum number of connections.
        seconds: timeout of one call.
        recovery_seconds: how long the circuit stays open before a probe.
    """
    pool = DatabasePool(server, client, size=size)
    store = PostgresStore(
        pool,
        seconds=seconds,
        recovery_seconds=recovery_seconds,
        insertion_id=lambda: f"{server.rng.getrandbits(128):032x}",
    )
    try:
        yield store
    finally:
        pool.close()


def _outcome[T](call: Callable[[], T]) -> Callable[[], T]:
    """Make a call, and return what returns its result or raises its error."""
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - handed on unchanged
        failure = error

        def fail() -> T:
            raise failure

        return fail
    return lambda: result


def _late[T](server: DatabaseServer, link: Link, work: Callable[[_Connection], T], statements: int) -> None:
    """Carry out the first statements of a call whose client waits for no answer."""
    with suppress(psycopg.Error):
        server.perform(link, work, statements=statements)
