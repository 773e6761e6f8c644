"""Orders in PostgreSQL behind HTTP: `PUT /orders/{id}` takes a piece from the stock, `GET /orders/{id}` reads an order.

    export ORDERS_DATABASE=postgresql://user@host/name
    python orders_service.py  # creates the tables, with ten books
    hypercorn orders_service:app

- A request has the time of its field `X-Request-Timeout-Ms`, ten seconds at most; PostgreSQL ends a statement with it.
- While the database is away the answer is 503 with `Retry-After`; the service also starts without it.
- A transaction is repeated where PostgreSQL has rolled it back, or its connection was lost before the commit was sent.
- The client chooses the id, so that an order that it sends twice, as after a 503, is one order.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from cqox.resilience import CircuitBreaker, Policy, Timeout, is_transient
from cqox.resilience.adapters.sqlalchemy import transactions
from cqox.resilience.adapters.starlette import install
from cqox.resilience.adapters.transactions import retry_transactions

TABLES = (
    "CREATE TABLE IF NOT EXISTS stock (item text PRIMARY KEY, pieces int NOT NULL CHECK (pieces >= 0))",
    "CREATE TABLE IF NOT EXISTS orders (id uuid PRIMARY KEY, item text NOT NULL REFERENCES stock)",
    "INSERT INTO stock VALUES ('book', 10) ON CONFLICT DO NOTHING",
)

engine = create_async_engine(
    os.environ["ORDERS_DATABASE"].replace("postgresql:", "postgresql+asyncpg:"),
    isolation_level="SERIALIZABLE",
    pool_pre_ping=True,
)
store = transactions(
    engine,
    Policy("orders", retry_transactions(5, lost_connections=True)),
    acquire=Policy("connections", CircuitBreaker("database", recovery_timeout=1.0), Timeout(2.0)),
)


class Order(BaseModel):
    """Order of one piece of an article."""

    item: str


async def take(connection: AsyncConnection, order_id: UUID, item: str) -> bool:
    """Return whether the order stands; of several runs only the last is committed."""
    if await find(connection, order_id) is not None:
        return True
    statement = "UPDATE stock SET pieces = pieces - 1 WHERE item = :item AND pieces > 0"
    taken = await connection.execute(text(statement), {"item": item})
    if taken.rowcount == 0:
        return False
    await connection.execute(text("INSERT INTO orders VALUES (:id, :item)"), {"id": order_id, "item": item})
    return True


async def find(connection: AsyncConnection, order_id: UUID) -> str | None:
    """Return what was ordered, None for an unknown id."""
    found: str | None = await connection.scalar(text("SELECT item FROM orders WHERE id = :id"), {"id": order_id})
    return found


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Close the connections at the end; none is opened before it is needed."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
install(app, max_seconds=10.0)


async def unavailable(request: Request, error: Exception) -> Response:
    """Answer a failure that passes: until the circuit opens it is the driver's own error."""
    if not is_transient(error):
        raise error
    return Response(status_code=503, headers={"Retry-After": "1"})


for kind in (OSError, DBAPIError):
    app.add_exception_handler(kind, unavailable)


@app.put("/orders/{order_id}")
async def put_order(order_id: UUID, order: Order) -> dict[str, str]:
    """Order one piece."""
    if not await store.run(take, order_id, order.item):
        raise HTTPException(409, "sold out")
    return {"id": str(order_id), "item": order.item}


@app.get("/orders/{order_id}")
async def get_order(order_id: UUID) -> dict[str, str]:
    """Read an order."""
    if (item := await store.run(find, order_id)) is None:
        raise HTTPException(404, "unknown order")
    return {"id": str(order_id), "item": item}


async def create_tables() -> None:
    """Create the tables where they are not there yet."""
    async with engine.begin() as connection:
        for statement in TABLES:
            await connection.execute(text(statement))
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(create_tables())
