"""The adapter for SQLAlchemy; transactions of all drivers are tested in `test_transactions`."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import StaticPool

from cqox.errors import DeadlineExceeded
from cqox.resilience import Policy, deadline
from cqox.resilience.adapters.sqlalchemy import transactions
from cqox.resilience.adapters.transactions import retry_transactions
from cqox.resilience.testing import FakeClock
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.xdist_group("servers")


@pytest.fixture
def policy() -> Policy:
    return Policy("transactions of SQLAlchemy", retry_transactions(3, 0.001))


@pytest.fixture
def engine(postgres: Postgres) -> Iterator[Engine]:
    engine = sqlalchemy.create_engine(postgres.url.replace("postgresql:", "postgresql+psycopg:"))
    yield engine
    engine.dispose()


def timeout_of(connection: Connection) -> int:
    shown = connection.exec_driver_sql("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
    return int(str(shown.scalar()))


def test_each_statement_gets_what_is_left_and_none_begins_after_the_deadline(engine: Engine, policy: Policy) -> None:
    clock = FakeClock()
    seen: list[int] = []

    def work(connection: Connection) -> None:
        seen.append(timeout_of(connection))
        clock.advance(4.0)
        seen.append(timeout_of(connection))
        clock.advance(7.0)
        seen.append(timeout_of(connection))

    with deadline(10.0, clock=clock):
        with pytest.raises(DeadlineExceeded):
            transactions(engine, policy).run(work)
    assert seen == [10_000, 6_000]
    # The limit was that of the transaction alone.
    with engine.connect() as connection:
        assert timeout_of(connection) == 0


def test_a_savepoint_can_be_rolled_back_under_a_deadline(engine: Engine, policy: Policy) -> None:
    def work(connection: Connection) -> object:
        with pytest.raises(sqlalchemy.exc.DBAPIError), connection.begin_nested():
            connection.exec_driver_sql("SELECT 1 / 0")
        return connection.exec_driver_sql("SELECT 7").scalar()

    with deadline(30.0):
        assert transactions(engine, policy).run(work) == 7


def test_an_engine_that_commits_each_statement_is_refused(engine: Engine, policy: Policy) -> None:
    calls = 0

    def work(connection: Connection) -> None:
        nonlocal calls
        calls += 1

    with pytest.raises(ValueError, match="AUTOCOMMIT"):
        transactions(engine.execution_options(isolation_level="AUTOCOMMIT"), policy).run(work)
    assert calls == 0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_async_engine_that_commits_each_statement_is_refused(postgres: Postgres, policy: Policy) -> None:
    async def work(connection: AsyncConnection) -> None:
        raise AssertionError("it must not be called")

    url = postgres.url.replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    with pytest.raises(ValueError, match="AUTOCOMMIT"):
        await transactions(engine, policy).run(work)
    await engine.dispose()


def test_other_databases_have_transactions_without_a_statement_timeout(policy: Policy) -> None:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)

    def count(connection: Connection) -> object:
        return connection.exec_driver_sql("SELECT 1").scalar()

    with deadline(30.0):
        assert transactions(engine, policy).run(count) == 1
    engine.dispose()


def test_a_synchronous_engine_needs_no_greenlet() -> None:
    program = """
import sys
sys.modules["greenlet"] = None
import sqlalchemy
from cqox.resilience import Policy
from cqox.resilience.adapters.sqlalchemy import transactions
from cqox.resilience.adapters.transactions import retry_transactions
engine = sqlalchemy.create_engine("sqlite://")
print(transactions(engine, Policy("p", retry_transactions())).run(lambda c: c.exec_driver_sql("SELECT 7").scalar()))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.stdout.strip() == "7", finished.stderr
