"""Row level security of the PostgreSQL store: a second wall between tenants, behind the conditions of each statement.

It is switched on with the first second tenant, or on request; earlier releases set no tenant and refuse the database
from then on. It binds the owner of the tables too (`FORCE`), but no superuser and no role with BYPASSRLS.
"""

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier

from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.storage.postgres.schema import TENANT_TABLES, locked, migrate
from cqox.storage.schema import FINISHED, FINISHING

__all__ = ["enter", "finish", "passing_role", "void_wall"]

type _Connection = psycopg.Connection[TupleRow]

_WALL = SQL("""
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
    DROP POLICY IF EXISTS tenant ON {table};
    CREATE POLICY tenant ON {table} USING (tenant_id = current_setting('cqox.tenant', true))
        WITH CHECK (tenant_id = current_setting('cqox.tenant', true));
""")

# The few statements on rows of every tenant say so by a setting that no tenant has. They renew and end leases of jobs,
# and look up the tenant of a share link; no other table has such a policy.
_LEASES = SQL("""
    DROP POLICY IF EXISTS every_tenant ON jobs;
    CREATE POLICY every_tenant ON jobs FOR SELECT USING (current_setting('cqox.tenant', true) = '*');
    DROP POLICY IF EXISTS every_lease ON jobs;
    CREATE POLICY every_lease ON jobs FOR UPDATE USING (current_setting('cqox.tenant', true) = '*');
    DROP POLICY IF EXISTS every_tenant ON shares;
    CREATE POLICY every_tenant ON shares FOR SELECT USING (current_setting('cqox.tenant', true) = '*');
""")

_SUPERSEDED = SQL("""
    DROP INDEX IF EXISTS reports_by_time, reports_by_dataset, reports_by_question, jobs_by_time;
""")

_IS_FINISHED = "SELECT 1 FROM cqox_migrations WHERE number = %s"


def finish(connection: _Connection) -> int:
    """Switch row level security on; return 0 where it is on already. Earlier releases refuse the database from then on.

    Args:
        connection: in autocommit mode, of the owner of the tables.

    Raises:
        StoreUnavailable: the role does not own the tables.
    """
    migrate(connection)
    try:
        return _finish(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreUnavailable(Message("storage.no-owner", reason=str(error).partition("\n")[0])) from error


def _finish(connection: _Connection) -> int:
    with locked(connection):
        if connection.execute(_IS_FINISHED, (FINISHED,)).fetchone() is not None:
            return 0
        for table in TENANT_TABLES:
            connection.execute(_WALL.format(table=Identifier(table)))
        connection.execute(_LEASES)
        connection.execute(_SUPERSEDED)
        if connection.info.server_version >= 150_000:
            # Otherwise the view would read with the rights of its owner.
            connection.execute("ALTER VIEW estimates SET (security_invoker = true)")
        connection.execute("INSERT INTO cqox_migrations (number, name) VALUES (%s, %s)", (FINISHED, FINISHING))
        return 1


def enter(connection: _Connection, *, tenant_id: str) -> None:
    """Register a tenant unless it is registered; the first one but `default` switches row level security on."""
    if connection.execute(_IS_FINISHED, (FINISHED,)).fetchone() is None:
        finish(connection)
    connection.execute(
        "INSERT INTO tenants (tenant_id, name, created_at) VALUES "
        """(%s, %s, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')) ON CONFLICT DO NOTHING""",
        (tenant_id, tenant_id),
    )


def passing_role(connection: _Connection) -> str | None:
    """Return why row level security cannot apply to the role of a connection; None where it can."""
    role = connection.execute(
        "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert role is not None
    name, is_superuser, bypasses = role
    if is_superuser or bypasses:
        attribute = "SUPERUSER" if is_superuser else "BYPASSRLS"
        return Message("storage.role-passes-wall", role=str(name), attribute=attribute)
    return None


def void_wall(connection: _Connection) -> str | None:
    """Return why row level security keeps no tenant from the rows of another; None where it does."""
    role = passing_role(connection)
    if role is not None:
        return role
    open_tables = connection.execute(
        "SELECT relname FROM pg_class WHERE oid = ANY(%s::regclass[]) AND NOT (relrowsecurity AND relforcerowsecurity)",
        (list(TENANT_TABLES),),
    ).fetchall()
    if open_tables:
        return Message("storage.tables-without-wall", tables=sorted(str(table) for (table,) in open_tables))
    if connection.info.server_version < 150_000:
        return Message("storage.view-passes-wall")
    return None
