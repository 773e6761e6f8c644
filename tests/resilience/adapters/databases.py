"""Each driver behind one interface: its transactions, and statements of one value."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg_pool
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from cqox.resilience.adapters import asyncpg as asyncpg_adapter
from cqox.resilience.adapters import psycopg as psycopg_adapter
from cqox.resilience.adapters import sqlalchemy as sqlalchemy_adapter

__all__ = ["DRIVERS", "SYNC_DRIVERS", "Driver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A pool of one connection.

    Attributes:
        transactions: makes the transactions of the pool from policies.
        value: runs a statement on a connection and returns its only value, None where it has none.
    """

    transactions: Callable[..., Any]
    value: Callable[[Any, str], Any]


@asynccontextmanager
async def _engine(url: str, name: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(
        url.replace("postgresql:", f"postgresql+{name}:"), pool_size=1, max_overflow=0, pool_pre_ping=True
    )
    try:
        yield engine
    finally:
        await engine.dispose()


async def _sqlalchemy_value(connection: Any, statement: str) -> Any:
    result = await connection.execute(sqlalchemy.text(statement))
    return result.scalar() if result.returns_rows else None


@asynccontextmanager
async def sqlalchemy_asyncpg(url: str) -> AsyncIterator[Driver]:
    async with _engine(url, "asyncpg") as engine:
        yield Driver(
            transactions=lambda *args, **options: sqlalchemy_adapter.transactions(engine, *args, **options),
            value=_sqlalchemy_value,
        )


@asynccontextmanager
async def sqlalchemy_psycopg(url: str) -> AsyncIterator[Driver]:
    async with _engine(url, "psycopg") as engine:
        yield Driver(
            transactions=lambda *args, **options: sqlalchemy_adapter.transactions(engine, *args, **options),
            value=_sqlalchemy_value,
        )


@asynccontextmanager
async def sqlalchemy_session(url: str) -> AsyncIterator[Driver]:
    async with _engine(url, "asyncpg") as engine:
        maker: async_sessionmaker[AsyncSession] = async_sessionmaker(engine)
        yield Driver(
            transactions=lambda *args, **options: sqlalchemy_adapter.transactions(maker, *args, **options),
            value=_sqlalchemy_value,
        )


@asynccontextmanager
async def plain_asyncpg(url: str) -> AsyncIterator[Driver]:
    async def value(connection: Any, statement: str) -> Any:
        return await connection.fetchval(statement)

    async with asyncpg.create_pool(url, min_size=0, max_size=1) as pool:
        yield Driver(
            transactions=lambda *args, **options: asyncpg_adapter.transactions(pool, *args, **options), value=value
        )


@asynccontextmanager
async def plain_psycopg(url: str) -> AsyncIterator[Driver]:
    async def value(connection: Any, statement: str) -> Any:
        cursor = await connection.execute(statement)
        row = await cursor.fetchone() if cursor.description else None
        return row and row[0]

    async with psycopg_pool.AsyncConnectionPool(url, min_size=1, max_size=1, open=False) as pool:
        yield Driver(
            transactions=lambda *args, **options: psycopg_adapter.transactions(pool, *args, **options), value=value
        )


@contextmanager
def _sync_engine(url: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), pool_size=1, max_overflow=0)
    try:
        yield engine
    finally:
        engine.dispose()


def _sync_value(connection: Any, statement: str) -> Any:
    result = connection.execute(sqlalchemy.text(statement))
    return result.scalar() if result.returns_rows else None


@contextmanager
def sync_sqlalchemy(url: str) -> Iterator[Driver]:
    with _sync_engine(url) as engine:
        yield Driver(
            transactions=lambda *args, **options: sqlalchemy_adapter.transactions(engine, *args, **options),
            value=_sync_value,
        )


@contextmanager
def sync_session(url: str) -> Iterator[Driver]:
    with _sync_engine(url) as engine:
        maker: sessionmaker[Session] = sessionmaker(engine)
        yield Driver(
            transactions=lambda *args, **options: sqlalchemy_adapter.transactions(maker, *args, **options),
            value=_sync_value,
        )


@contextmanager
def sync_psycopg(url: str) -> Iterator[Driver]:
    def value(connection: Any, statement: str) -> Any:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]

    with psycopg_pool.ConnectionPool(url, min_size=1, max_size=1, open=False) as pool:
        yield Driver(
            transactions=lambda *args, **options: psycopg_adapter.transactions(pool, *args, **options), value=value
        )


DRIVERS: dict[str, Callable[[str], AbstractAsyncContextManager[Driver]]] = {
    "SQLAlchemy on asyncpg": sqlalchemy_asyncpg,
    "SQLAlchemy on psycopg": sqlalchemy_psycopg,
    "sessions of SQLAlchemy": sqlalchemy_session,
    "asyncpg": plain_asyncpg,
    "psycopg": plain_psycopg,
}

SYNC_DRIVERS: dict[str, Callable[[str], AbstractContextManager[Driver]]] = {
    "SQLAlchemy": sync_sqlalchemy,
    "sessions of SQLAlchemy": sync_session,
    "psycopg": sync_psycopg,
}
