"""The options of connections that read, on a real server."""

from collections.abc import Iterator

import psycopg
import pytest

from cqox.engines import PostgresEngine
from cqox.sources import Place, PostgresSession, reading_connection, server_name
from cqox.sources.postgres_connection import limit_statements
from tests.servers import Postgres, running

pytestmark = pytest.mark.xdist_group("postgres connection")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running(Postgres()) as started:
        started.execute("create table t (x int)")
        yield started


def setting(connection: psycopg.Connection[tuple[object, ...]], name: str) -> object:
    row = connection.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TimeZone", "UTC"), ("DateStyle", "ISO, MDY"), ("bytea_output", "hex"), ("client_encoding", "UTF8"),
        ("client_connection_check_interval", "1s"), ("idle_in_transaction_session_timeout", "0"),
        ("transaction_read_only", "on"), ("transaction_isolation", "repeatable read"),
    ],
)  # fmt: skip
def test_an_engine_and_a_session_have_the_same_options(server: Postgres, name: str, value: str) -> None:
    engine = PostgresEngine.opened(server.url, statement_seconds=60)
    session = PostgresSession.opened(Place(name="shop", kind="postgres", address=server.url, tables=("public.t",)))
    try:
        assert setting(engine.connection, name) == setting(session._connection, name) == value
        assert engine.name == session.engine == server_name(engine.connection)
        assert engine.name.startswith("postgresql ")
    finally:
        engine.close()
        session.close()


def test_nothing_can_be_written_and_a_statement_has_a_limit(server: Postgres) -> None:
    connection = reading_connection(server.url, statement_seconds=7.5)
    try:
        assert setting(connection, "statement_timeout") == "7500ms"
        limit_statements(connection, 0.0)
        assert setting(connection, "statement_timeout") == "1ms"
        limit_statements(connection, 60.0)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("insert into t values (1)")
    finally:
        connection.close()


def test_a_server_that_is_away_is_an_error_of_the_driver() -> None:
    with pytest.raises(psycopg.OperationalError):
        reading_connection("postgresql://localhost:1/none")
