"""The adapter for psycopg; transactions of all drivers are tested in `test_transactions`."""

import psycopg_pool
import pytest

from cqox.errors import DeadlineExceeded
from cqox.resilience import CircuitBreaker, Policy, classify, deadline
from cqox.resilience.adapters.psycopg import transactions
from cqox.resilience.adapters.transactions import retry_transactions
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.xdist_group("servers")


def test_the_wait_for_a_connection_ends_at_the_deadline(postgres: Postgres) -> None:
    def never(connection: object) -> None:
        raise AssertionError("there is no connection for it")

    policy = Policy("transactions of psycopg", CircuitBreaker("psycopg", 1), retry_transactions(2, 0.001))
    acquire = Policy("connections of psycopg", CircuitBreaker("connections", 1))
    with psycopg_pool.ConnectionPool(postgres.url, min_size=1, max_size=1, open=False) as pool, pool.connection():
        with deadline(0.05), pytest.raises(DeadlineExceeded) as caught:
            transactions(pool, policy, acquire=acquire).run(never)
    assert isinstance(caught.value.__cause__, psycopg_pool.PoolTimeout)
    # A caller with little time, in a queue of this process, says nothing about the database.
    assert policy.is_settled()
    assert acquire.is_settled()


def test_the_timeout_of_the_pool_is_an_error_of_its_own(postgres: Postgres) -> None:
    policy = Policy("transactions of psycopg", CircuitBreaker("psycopg", 1))
    options = {"min_size": 1, "max_size": 1, "timeout": 0.05}
    with psycopg_pool.ConnectionPool(postgres.url, open=False, **options) as pool, pool.connection():
        with pytest.raises(psycopg_pool.PoolTimeout) as caught:
            transactions(pool, policy).run(lambda connection: None)
    assert classify(caught.value).sent == "never"


def test_a_pool_of_connections_that_commit_each_statement_has_transactions_all_the_same(postgres: Postgres) -> None:
    policy = Policy("transactions of psycopg", retry_transactions(2, 0.001))
    options = {"autocommit": True}
    with psycopg_pool.ConnectionPool(postgres.url, kwargs=options, min_size=1, max_size=1, open=False) as pool:

        def add(connection: object) -> None:
            connection.execute("UPDATE counters SET value = 7 WHERE name = 'a'")  # type: ignore[attr-defined]
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            transactions(pool, policy).run(add)
    assert postgres.execute("SELECT value FROM counters WHERE name = 'a'") == [(0,)]
