"""Connections to PostgreSQL: a bounded pool, and calls that can be cancelled from outside.

Invariant: a connection with a cancel request returns to the pool only if its query is known to have ended by that
request. Otherwise a late cancel could hit the next query, and the connection is closed. While a cancel request is in
progress the connection cannot be handed to another call.
"""

import logging
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, Self
from weakref import WeakKeyDictionary

import psycopg
from anyio import CapacityLimiter, to_thread
from psycopg.errors import QueryCanceled
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from cqox.certificates import Credentials
from cqox.storage.blocking import Threads
from cqox.storage.pools import PoolUse
from cqox.storage.postgres.tls import PostgresTls
from cqox.storage.postgres.users import PostgresUsers

if TYPE_CHECKING:
    from cqox.vault.database import DatabaseLogins

__all__ = ["EVERY_TENANT", "NO_TENANT", "Connections", "DatabaseConnections"]

type Connection = psycopg.Connection[TupleRow]

NO_TENANT = ""
"""Scope of calls that touch no row of a tenant."""

EVERY_TENANT = "*"
"""Scope of the few calls that touch rows of every tenant; no tenant has this id."""

_CANCEL_SECONDS = 1.0
_SILENT_CANCEL_SECONDS = 0.2
_CONNECT_SECONDS = 5
_FIRST_LOOK_SECONDS = 0.01
_LOOK_SECONDS = 0.1
# The caller reports the pool's warnings, once.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    at: float
    error: Exception


class DatabaseConnections(Protocol):
    """Connections as the store uses them.

    Attributes:
        silent: whether the server counts as silent; set by the store.
    """

    silent: bool

    @property
    def exhausted(self) -> bool:
        """True while every connection is in use."""
        ...

    async def run[T](self, work: Callable[[Connection], T], *, scope: str) -> T:
        """Run `work` with a connection in autocommit mode and return its result."""
        ...

    def use(self) -> PoolUse:
        """Return the utilisation of the pool."""
        ...


class Connections:
    """At most `size` connections to one database, opened on demand.

    Args:
        conninfo: URL or key-value string.
        size: maximum number of connections and of concurrent calls.
        seconds: how long a call waits for a connection.
        statement_seconds: statement timeout of the server, a second limit in addition to the timeout of the call.
        credentials: certificates for connections whose `conninfo` says nothing about TLS.
        logins: users of the database that change; a connection of an earlier one is used for no further call.

    Attributes:
        silent: whether the server counts as silent; set by the store. Calls are then ended without waiting for the
            server to confirm the cancel.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        size: int,
        seconds: float,
        statement_seconds: float,
        credentials: Credentials | None = None,
        logins: "DatabaseLogins | None" = None,
    ) -> None:
        self._seconds = seconds
        self._tls = None if credentials is None else PostgresTls(conninfo, credentials)
        self._users = None if logins is None else PostgresUsers(logins)
        self._statement_seconds = statement_seconds
        self._threads = Threads("postgres", size)
        self._cancels = CapacityLimiter(size)
        self._refusal: _Refusal | None = None
        self._size = size
        self._lent = 0
        self.silent = False
        self._lock = Lock()
        self._scopes = WeakKeyDictionary[Connection, str]()
        self._pool = ConnectionPool[Connection](
            conninfo,
            connection_class=self._connection_class(),
            kwargs={
                "autocommit": True,
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": "cqox",
                "keepalives_idle": 30,
                "tcp_user_timeout": int(1000 * statement_seconds),
            },
            min_size=1,
            max_size=size,
            open=False,
            configure=self._configure,
            # The pool's backoff doubles up to minutes; here every call makes a new attempt.
            reconnect_timeout=0.0,
            name="results",
        )
        if logins is not None:
            # Idle connections of the earlier user are closed at once, those in use when they are returned.
            logins.on_replaced(self._pool.drain)

    @property
    def exhausted(self) -> bool:
        """True while every connection is in use."""
        return self._lent >= self._size

    def open(self) -> None:
        """Start connecting; return at once, also if the server is unreachable."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection; block for up to a second."""
        self._threads.close()
        self._pool.close(timeout=1.0)

    async def run[T](self, work: Callable[[Connection], T], *, scope: str) -> T:
        """Run `work` in a thread with a connection in autocommit mode and return its result.

        A cancellation ends the query on the server.

        Args:
            work: the database operations.
            scope: the tenant whose rows row level security lets them touch, `NO_TENANT` or `EVERY_TENANT`.
        """
        use = _Use(self, self._cancels, scope)
        return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)

    def use(self) -> PoolUse:
        """Return the utilisation of the pool; safe from any thread."""
        lent, held = self._lent, self._pool.get_stats()
        return PoolUse(
            name="postgres",
            used=lent,
            idle=held["pool_available"],
            limit=held["pool_max"],
            waiting=max(0, self._threads.unfinished - lent),
        )

    def acquire(self, abandoned: Callable[[], bool]) -> Connection:
        """Return a connection that was alive a moment ago; `release` it afterwards.

        Raises:
            psycopg.Error: there is none; at once if the server refuses connections and none is in use that could be
                released.
        """
        began, look = monotonic(), _FIRST_LOOK_SECONDS
        while True:
            try:
                connection = self._pool.getconn(timeout=look)
            except PoolTimeout:
                look = _LOOK_SECONDS
                if abandoned():
                    raise
                self._raise_refusal(began)
                if monotonic() - began > self._seconds:
                    raise
                continue
            if _is_alive(connection) and self._is_current(connection):
                with self._lock:
                    self._lent += 1
                return connection
            connection.close()
            self._pool.putconn(connection)

    def _is_current(self, connection: Connection) -> bool:
        return (self._tls is None or self._tls.is_current(connection)) and (
            self._users is None or self._users.is_current(connection)
        )

    def is_withdrawn(self, connection: Connection) -> bool:
        """Close a connection and return True where its user was removed."""
        if self._users is None or not self._users.is_gone(connection):
            return False
        connection.close()
        return True

    def release(self, connection: Connection) -> None:
        """Return the connection to the pool; a closed or broken one is replaced."""
        with self._lock:
            self._lent -= 1
        self._pool.putconn(connection)

    def _raise_refusal(self, since: float) -> None:
        refusal = self._refusal
        if refusal is not None and refusal.at >= since and self._lent == 0:
            raise type(refusal.error)(str(refusal.error))

    def _configure(self, connection: Connection) -> None:
        # Not a start-up option: connection poolers in front of the server reject those.
        milliseconds = int(1000 * self._statement_seconds)
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(milliseconds),))

    def enter(self, connection: Connection, scope: str) -> None:
        """Set the scope of a connection. No call has another one's, since each sets its own before anything else."""
        if self._scopes.get(connection) == scope:
            return
        # Unknown while it is changed, so that the next call sets it where this one fails.
        self._scopes.pop(connection, None)
        connection.execute("SELECT set_config('cqox.tenant', %s, false)", (scope,))
        self._scopes[connection] = scope

    def _connection_class(self) -> type[Connection]:
        connections = self

        class RefusalRecorder(psycopg.Connection[TupleRow]):
            """Records why the server cannot be reached: the pool logs it, and raises only a timeout."""

            @classmethod
            def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:  # noqa: ANN401 - as in the base class
                users, tls, login = connections._users, connections._tls, None
                try:
                    if users is not None:
                        login = users.login()
                        kwargs |= {"user": login.user, "password": login.password}
                    if tls is not None:
                        opened = tls.connect(super().connect, conninfo, kwargs)
                    else:
                        opened = super().connect(conninfo, **kwargs)
                except psycopg.OperationalError as error:
                    connections._refusal = _Refusal(at=monotonic(), error=error)
                    if users is not None and login is not None:
                        users.refused(login, error)
                    raise
                if users is not None and login is not None:
                    users.opened(opened, login)
                return opened

        return RefusalRecorder


class _Use:
    """One call on one connection, which another thread may interrupt."""

    def __init__(self, connections: Connections, cancels: CapacityLimiter, scope: str) -> None:
        self._connections = connections
        self._scope = scope
        self._cancels = cancels
        self._lock = Lock()
        self._ended = Event()
        self._cancelled = False
        self._connection: Connection | None = None

    def run[T](self, work: Callable[[Connection], T]) -> T:
        connection = self._connections.acquire(lambda: self._cancelled)
        cancel_arrived = False
        try:
            with self._lock:
                if self._cancelled:
                    raise PoolTimeout("the caller was cancelled")
                self._connection = connection
            self._connections.enter(connection, self._scope)
            return work(connection)
        except QueryCanceled:
            cancel_arrived = True
            raise
        except (psycopg.ProgrammingError, psycopg.InternalError) as error:
            # Without its permissions a user does not even see the tables.
            if not self._connections.is_withdrawn(connection):
                raise
            # An error of the connection, which is repeated with the next user.
            raise psycopg.OperationalError("the database user was removed") from error
        finally:
            with self._lock:
                if self._connection is not None and self._cancelled and not cancel_arrived:
                    connection.close()
                self._connection = None
            self._ended.set()
            self._connections.release(connection)

    async def interrupt(self) -> None:
        self._cancelled = True
        await to_thread.run_sync(self._interrupt, limiter=self._cancels)

    def _interrupt(self) -> None:
        with self._lock:
            if self._connection is None:
                return
            patience = _SILENT_CANCEL_SECONDS if self._connections.silent else _CANCEL_SECONDS
            try:
                self._connection.cancel_safe(timeout=patience)
            except psycopg.Error:
                patience = 0.0
        if not self._ended.wait(patience):
            with self._lock:
                if self._connection is not None:
                    _shut_down(self._connection)


def _shut_down(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def _is_alive(connection: Connection) -> bool:
    # An idle connection with readable data has nearly always been closed by the server. libpq notices only once it has
    # read the end of file, which may arrive after the server's last message. No round trip.
    try:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0)
    except (OSError, psycopg.Error):
        return False
