"""Sessions of the simulated database, as psycopg offers them."""

from contextlib import suppress

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from cqox.storage.postgres import schema
from cqox.storage.postgres.row_security import finish, passing_role
from services.simulation.stores.database_server import DatabaseServer
from services.simulation.stores.server import CallFault, Link

pytestmark = pytest.mark.anyio

NAMES = "SELECT tenant_id FROM tenants ORDER BY tenant_id"
PUT = "INSERT INTO tenants (tenant_id, name, created_at) VALUES (%s, '', '')"


@pytest.fixture
async def link(server: DatabaseServer) -> Link:
    """A connection to a database with its schema."""
    link = server.connect("engine")
    assert link is not None
    server.perform(link, schema.migrate)
    return link


def names(server: DatabaseServer, link: Link) -> list[str]:
    return [row[0] for row in server.perform(link, lambda c: c.execute(NAMES).fetchall())]


async def test_the_schema_is_migrated_once_and_its_times_are_those_of_the_server(
    server: DatabaseServer, link: Link
) -> None:
    assert server.perform(link, schema.migrate) == 0
    steps = server.perform(link, schema.migration_status)
    assert [step.number for step in steps if step.applied_at is None] == [steps[-1].number]
    assert (steps[0].applied_at or "").startswith("2027-01-15T08:00:")
    assert server.perform(link, finish) == 1
    assert server.perform(link, finish) == 0


async def test_rows_are_counted_and_returned(server: DatabaseServer, link: Link) -> None:
    assert server.perform(link, lambda c: c.execute(PUT, ("a",)).rowcount) == 1
    assert server.perform(link, lambda c: c.execute(NAMES).rowcount) == 2
    query = SQL("DELETE FROM {} WHERE tenant_id = %s RETURNING tenant_id").format(Identifier("tenants"))
    assert server.perform(link, lambda c: c.execute(query, ("a",)).fetchone()) == ("a",)
    assert server.perform(link, lambda c: c.execute(query, ("a",)).fetchone()) is None


async def test_a_nested_transaction_is_undone_alone(server: DatabaseServer, link: Link) -> None:
    def work(connection: psycopg.Connection) -> None:
        with connection.transaction():
            connection.execute(PUT, ("a",))
            with suppress(psycopg.errors.UniqueViolation), connection.transaction():
                connection.execute(PUT, ("b",))
                connection.execute(PUT, ("b",))
            connection.execute(PUT, ("c",))

    server.perform(link, work)
    assert names(server, link) == ["a", "c", "default"]


@pytest.mark.parametrize("statements", range(5))
async def test_a_connection_ends_after_its_statements(server: DatabaseServer, link: Link, statements: int) -> None:
    def work(connection: psycopg.Connection) -> None:
        connection.execute(PUT, ("a",))
        with connection.transaction():
            connection.execute(PUT, ("b",))

    if statements < 4:
        with pytest.raises(psycopg.OperationalError):
            server.perform(link, work, statements=statements)
    else:
        server.perform(link, work, statements=statements)
    assert link.is_open is (statements == 4)
    other = server.connect("other")
    assert other is not None
    kept = {0: [], 1: ["a"], 2: ["a"], 3: ["a"], 4: ["a", "b"]}[statements]
    assert names(server, other) == [*kept, "default"]


async def test_a_fault_meets_one_statement_and_undoes_its_transaction(server: DatabaseServer, link: Link) -> None:
    def work(connection: psycopg.Connection) -> None:
        with connection.transaction():
            connection.execute(NAMES)
            connection.execute(PUT, ("a",))

    for fault, kind in ((CallFault.UNDONE, psycopg.errors.DeadlockDetected), (CallFault.DISK, psycopg.errors.IoError)):
        with pytest.raises(kind):
            server.perform(link, work, fault=fault)
        assert names(server, link) == ["default"]
    server.perform(link, lambda c: c.execute(NAMES), fault=CallFault.DISK)
    assert link.is_open


async def test_errors_are_those_of_psycopg(server: DatabaseServer, link: Link) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        server.perform(link, lambda c: c.execute(PUT, ("default",)))
    with pytest.raises(psycopg.errors.CheckViolation):
        server.perform(
            link,
            lambda c: c.execute("INSERT INTO turns (tenant_id, key, token, held_until) VALUES ('a', 'k', 't', 1)"),
        )
    with pytest.raises(psycopg.ProgrammingError):
        server.perform(link, lambda c: c.execute("SELECT nothing FROM nowhere"))


async def test_the_role_could_be_kept_apart_by_row_level_security(server: DatabaseServer, link: Link) -> None:
    assert server.perform(link, passing_role) is None
