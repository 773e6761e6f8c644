"""Tenants and API keys in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.identities import ApiKeyRecord, TenantRecord, TenantRetention
from cqox.storage.postgres.row_security import finish
from cqox.storage.rows import API_KEY, RETENTION, TENANT, is_text, key_of, retention_of, row_of, row_of_key, tenant_of
from cqox.storage.tenant_ids import DEFAULT_TENANT, check_tenant_id

__all__ = ["PostgresIdentities"]

type _Connection = psycopg.Connection[TupleRow]

_INSERT_TENANT: LiteralString = f"INSERT INTO tenants ({TENANT}) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
_INSERT_KEY: LiteralString = (
    f"INSERT INTO api_keys ({API_KEY}) SELECT {', '.join(['%s'] * 10)} FROM tenants WHERE tenant_id = %s "
    "ON CONFLICT DO NOTHING"
)


class PostgresIdentities(ABC):
    """Tenants and API keys in the PostgreSQL store. A retried call returns the same as a single one."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def put_tenant(self, record: TenantRecord) -> bool:
        """Insert the tenant, or replace name and erasure of the one with its id; return whether it was inserted."""
        check_tenant_id(record.tenant_id)
        was_there: list[bool] = []

        def put(connection: _Connection) -> bool:
            if record.tenant_id != DEFAULT_TENANT:
                # Now rather than at its first call, so that its creation fails where that cannot be done.
                finish(connection)
            # Selected first: after an attempt whose answer was lost, its own row would look like another's.
            query = "SELECT 1 FROM tenants WHERE tenant_id = %s"
            was_there.append(connection.execute(query, (record.tenant_id,)).fetchone() is not None)
            if connection.execute(_INSERT_TENANT, row_of(record)).rowcount == 1:
                return True
            statement = "UPDATE tenants SET name = %s, erased_at = %s WHERE tenant_id = %s"
            connection.execute(statement, (record.name, record.erased_at, record.tenant_id))
            return len(was_there) > 1 and not was_there[0]

        return await self._call(put)

    async def tenant(self, tenant_id: str) -> TenantRecord | None:
        """Return the tenant with this id, or None."""
        if not is_text(tenant_id):
            return None
        query: LiteralString = f"SELECT {TENANT} FROM tenants WHERE tenant_id = %s"
        row = await self._call(lambda c: c.execute(query, (tenant_id,)).fetchone())
        return None if row is None else tenant_of(row)

    async def tenants(self) -> Sequence[TenantRecord]:
        """Return every tenant, erased ones included, by id."""
        query: LiteralString = f"SELECT {TENANT} FROM tenants ORDER BY tenant_id"
        return [tenant_of(row) for row in await self._call(lambda c: c.execute(query).fetchall())]

    async def retention(self, tenant_id: str) -> TenantRetention:
        """Return how long a tenant keeps what it has; nothing is set for an unknown one."""
        if not is_text(tenant_id):
            return TenantRetention()
        query: LiteralString = f"SELECT {RETENTION} FROM tenants WHERE tenant_id = %s"
        row = await self._call(lambda c: c.execute(query, (tenant_id,)).fetchone())
        return retention_of(row)

    async def put_retention(self, tenant_id: str, periods: TenantRetention) -> bool:
        """Set how long a tenant keeps what it has; return False if it is not stored."""
        statement: LiteralString = (
            "UPDATE tenants SET keep_reports_days = %s, keep_datasets_days = %s, keep_jobs_days = %s "
            "WHERE tenant_id = %s"
        )
        values = (periods.reports, periods.datasets, periods.jobs, tenant_id)
        return is_text(tenant_id) and await self._call(lambda c: c.execute(statement, values).rowcount == 1)

    async def put_key(self, record: ApiKeyRecord) -> bool:
        """Insert the key; return False if another one has its id, or if its tenant is not stored."""
        values = (*row_of_key(record), record.tenant_id)
        query: LiteralString = f"SELECT {API_KEY} FROM api_keys WHERE key_id = %s"

        def put(connection: _Connection) -> bool:
            if connection.execute(_INSERT_KEY, values).rowcount == 1:
                return True
            row = connection.execute(query, (record.key_id,)).fetchone()
            return row is not None and key_of(row) == record

        return await self._call(put)

    async def key(self, key_id: str) -> ApiKeyRecord | None:
        """Return the key with this id, also one that is expired or revoked, or None."""
        if not is_text(key_id):
            return None
        query: LiteralString = f"SELECT {API_KEY} FROM api_keys WHERE key_id = %s"
        row = await self._call(lambda c: c.execute(query, (key_id,)).fetchone())
        return None if row is None else key_of(row)

    async def keys(self, tenant_id: str) -> Sequence[ApiKeyRecord]:
        """Return the keys of a tenant, newest first."""
        if not is_text(tenant_id):
            return []
        query: LiteralString = f"SELECT {API_KEY} FROM api_keys WHERE tenant_id = %s ORDER BY created_at DESC, key_id"
        return [key_of(row) for row in await self._call(lambda c: c.execute(query, (tenant_id,)).fetchall())]

    async def revoke_key(self, tenant_id: str, key_id: str, *, at: str) -> bool:
        """Revoke a key of a tenant; return False if the tenant has no such key, or it was revoked at another time."""
        if not is_text(tenant_id, key_id):
            return False
        statement: LiteralString = (
            "UPDATE api_keys SET revoked_at = %s "
            "WHERE tenant_id = %s AND key_id = %s AND (revoked_at IS NULL OR revoked_at = %s)"
        )
        return await self._call(lambda c: c.execute(statement, (at, tenant_id, key_id, at)).rowcount == 1)

    async def delete_keys(self, tenant_id: str) -> int:
        """Delete all keys of a tenant, so that they are unknown; return their number."""
        gone = list[int]()

        def delete(connection: _Connection) -> int:
            # After an attempt whose answer was lost, the next one finds none.
            gone.append(connection.execute("DELETE FROM api_keys WHERE tenant_id = %s", (tenant_id,)).rowcount)
            return max(gone)

        return await self._call(delete)

    async def used_key(self, key_id: str, *, on: str) -> None:
        """Record the day of the last use of a key, unless a later one is recorded."""
        statement: LiteralString = (
            "UPDATE api_keys SET last_used_on = %s WHERE key_id = %s AND (last_used_on IS NULL OR last_used_on < %s)"
        )
        if is_text(key_id):
            await self._call(lambda c: c.execute(statement, (on, key_id, on)))
