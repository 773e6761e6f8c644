"""Tenants and API keys in the SQLite store."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from cqox.storage.identities import ApiKeyRecord, TenantRecord, TenantRetention
from cqox.storage.rows import API_KEY, RETENTION, TENANT, is_text, key_of, retention_of, row_of, row_of_key, tenant_of
from cqox.storage.sqlite_file import marks
from cqox.storage.sqlite_schema import finish
from cqox.storage.tenant_ids import DEFAULT_TENANT, check_tenant_id

__all__ = ["SqliteIdentities"]

_PUT_KEY = (
    f"INSERT INTO api_keys ({API_KEY}) SELECT {marks(10)} FROM tenants WHERE tenant_id = ? ON CONFLICT DO NOTHING"
)


class SqliteIdentities(ABC):
    """Tenants and API keys in the SQLite store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    async def put_tenant(self, record: TenantRecord) -> bool:
        """Insert the tenant, or replace name and erasure of the one with its id; return whether it was inserted."""
        check_tenant_id(record.tenant_id)

        def put(connection: sqlite3.Connection) -> bool:
            if record.tenant_id != DEFAULT_TENANT:
                finish(connection)
            statement = f"INSERT INTO tenants ({TENANT}) VALUES ({marks(4)}) ON CONFLICT DO NOTHING"
            if connection.execute(statement, row_of(record)).rowcount == 1:
                return True
            statement = "UPDATE tenants SET name = ?, erased_at = ? WHERE tenant_id = ?"
            connection.execute(statement, (record.name, record.erased_at, record.tenant_id))
            return False

        return await self._write(put)

    async def tenant(self, tenant_id: str) -> TenantRecord | None:
        """Return the tenant with this id, or None."""
        if not is_text(tenant_id):
            return None
        query = f"SELECT {TENANT} FROM tenants WHERE tenant_id = ?"
        row = await self._call(lambda c: c.execute(query, (tenant_id,)).fetchone())
        return None if row is None else tenant_of(row)

    async def tenants(self) -> Sequence[TenantRecord]:
        """Return every tenant, erased ones included, by id."""
        query = f"SELECT {TENANT} FROM tenants ORDER BY tenant_id"
        return [tenant_of(row) for row in await self._call(lambda c: c.execute(query).fetchall())]

    async def retention(self, tenant_id: str) -> TenantRetention:
        """Return how long a tenant keeps what it has; nothing is set for an unknown one."""
        if not is_text(tenant_id):
            return TenantRetention()
        query = f"SELECT {RETENTION} FROM tenants WHERE tenant_id = ?"
        row = await self._call(lambda c: c.execute(query, (tenant_id,)).fetchone())
        return retention_of(row)

    async def put_retention(self, tenant_id: str, periods: TenantRetention) -> bool:
        """Set how long a tenant keeps what it has; return False if it is not stored."""
        statement = (
            "UPDATE tenants SET keep_reports_days = ?, keep_datasets_days = ?, keep_jobs_days = ? WHERE tenant_id = ?"
        )
        values = (periods.reports, periods.datasets, periods.jobs, tenant_id)
        return is_text(tenant_id) and await self._write(lambda c: c.execute(statement, values).rowcount == 1)

    async def put_key(self, record: ApiKeyRecord) -> bool:
        """Insert the key; return False if another one has its id, or if its tenant is not stored."""
        values = row_of_key(record)

        def put(connection: sqlite3.Connection) -> bool:
            if connection.execute(_PUT_KEY, (*values, record.tenant_id)).rowcount == 1:
                return True
            row = connection.execute(f"SELECT {API_KEY} FROM api_keys WHERE key_id = ?", (record.key_id,)).fetchone()
            return row is not None and key_of(row) == record

        return await self._write(put)

    async def key(self, key_id: str) -> ApiKeyRecord | None:
        """Return the key with this id, also one that is expired or revoked, or None."""
        if not is_text(key_id):
            return None
        query = f"SELECT {API_KEY} FROM api_keys WHERE key_id = ?"
        row = await self._call(lambda c: c.execute(query, (key_id,)).fetchone())
        return None if row is None else key_of(row)

    async def keys(self, tenant_id: str) -> Sequence[ApiKeyRecord]:
        """Return the keys of a tenant, newest first."""
        if not is_text(tenant_id):
            return []
        query = f"SELECT {API_KEY} FROM api_keys WHERE tenant_id = ? ORDER BY created_at DESC, key_id"
        return [key_of(row) for row in await self._call(lambda c: c.execute(query, (tenant_id,)).fetchall())]

    async def revoke_key(self, tenant_id: str, key_id: str, *, at: str) -> bool:
        """Revoke a key of a tenant; return False if the tenant has no such key, or it was revoked at another time."""
        statement = (
            "UPDATE api_keys SET revoked_at = ? "
            "WHERE tenant_id = ? AND key_id = ? AND (revoked_at IS NULL OR revoked_at = ?)"
        )
        values = (at, tenant_id, key_id, at)
        if not is_text(tenant_id, key_id):
            return False
        return await self._write(lambda c: c.execute(statement, values).rowcount == 1, essential=True)

    async def delete_keys(self, tenant_id: str) -> int:
        """Delete all keys of a tenant, so that they are unknown; return their number."""
        statement = "DELETE FROM api_keys WHERE tenant_id = ?"
        return await self._write(lambda c: c.execute(statement, (tenant_id,)).rowcount, essential=True)

    async def used_key(self, key_id: str, *, on: str) -> None:
        """Record the day of the last use of a key, unless a later one is recorded."""
        statement = (
            "UPDATE api_keys SET last_used_on = ? WHERE key_id = ? AND (last_used_on IS NULL OR last_used_on < ?)"
        )
        if is_text(key_id):
            await self._write(lambda c: c.execute(statement, (on, key_id, on)))
