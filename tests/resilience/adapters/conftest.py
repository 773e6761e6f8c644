"""Real servers for the adapters of stores."""

from collections.abc import Iterator

import pytest

from tests.servers import Redis, running
from tests.servers.postgres import Postgres

# A transaction that ends its own backend while it commits, so that no client learns how the commit ended.
_TABLES = """
CREATE TABLE counters (name text PRIMARY KEY, value int NOT NULL);
CREATE TABLE fatal (id int);
CREATE FUNCTION end_backend() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON fatal DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION end_backend();
"""


@pytest.fixture(scope="session")
def adapted_postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all adapters; deadlocks are found at once."""
    server = Postgres()
    try:
        server.start(deadlock_timeout="20ms")
        server.execute(_TABLES)
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres(adapted_postgres: Postgres) -> Postgres:
    """The server with the counters `a` and `b` at 0."""
    adapted_postgres.execute("TRUNCATE counters, fatal")
    adapted_postgres.execute("INSERT INTO counters VALUES ('a', 0), ('b', 0)")
    return adapted_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    """One Redis for the tests of a module."""
    with running(Redis()) as redis:
        yield redis
