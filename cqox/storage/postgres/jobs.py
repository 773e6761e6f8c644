"""Jobs and computation leases in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.contracts import JobRecord
from cqox.storage.rows import ABANDONED_SECONDS, JOB, is_text, job_of, row_of
from cqox.storage.tenant_ids import OfTenant

__all__ = ["PostgresJobs"]

type _Connection = psycopg.Connection[TupleRow]

_JOB_MARKS = ", ".join(["%s"] * 7)


class PostgresJobs(OfTenant, ABC):
    """Jobs and computation leases in the PostgreSQL store, on the clock of the server."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    @abstractmethod
    async def _call_for_all[T](self, work: Callable[[_Connection], T]) -> T:
        """Run work on the leases of every tenant."""

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """Insert or update the job. A final status is never overwritten, except `interrupted`."""
        await self._count(
            f"INSERT INTO jobs ({JOB}, tenant_id, owner, renewed_until) "
            f"VALUES ({_JOB_MARKS}, %s, %s, clock_timestamp() + make_interval(secs => %s)) "
            "ON CONFLICT (job_id) DO UPDATE SET status = excluded.status, finished_at = excluded.finished_at, "
            "analysis_id = excluded.analysis_id, problem = excluded.problem, owner = excluded.owner, "
            "renewed_until = excluded.renewed_until "
            "WHERE jobs.tenant_id = excluded.tenant_id AND jobs.status IN ('running', 'interrupted')",
            *row_of(self._keys.stored_record(job)),
            self._tenant,
            owner,
            seconds,
        )

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        """Renew the leases of the owner's running jobs, of all tenants; return the number of jobs."""
        statement: LiteralString = (
            "/* every tenant */ UPDATE jobs SET renewed_until = clock_timestamp() + make_interval(secs => %s) "
            "WHERE owner = %s AND status = 'running'"
        )
        return await self._call_for_all(lambda c: c.execute(statement, (seconds, owner)).rowcount)

    async def interrupt_jobs(self, owner: str, *, finished_at: str) -> int:
        """Mark the running jobs of the owner as interrupted, of all tenants; return the number of jobs."""
        statement: LiteralString = (
            "/* every tenant */ UPDATE jobs SET status = 'interrupted', finished_at = %s "
            "WHERE owner = %s AND status = 'running'"
        )
        return await self._call_for_all(lambda c: c.execute(statement, (finished_at, owner)).rowcount)

    async def interrupt_job(self, job_id: str, owner: str, *, finished_at: str) -> bool:
        """Mark a running job of the owner as interrupted; return whether this call did."""
        statement: LiteralString = (
            "UPDATE jobs SET status = 'interrupted', finished_at = %s "
            "WHERE tenant_id = %s AND job_id = %s AND owner = %s AND status = 'running'"
        )
        return await self._count(statement, finished_at, self._tenant, self._keys.stored(job_id), owner) == 1

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """Delete jobs that ended long ago; return the number of jobs. A job that has not ended is never deleted."""

        tenant_id = self._tenant

        def retire(connection: _Connection) -> int:
            connection.execute(
                "UPDATE jobs SET status = 'interrupted', finished_at = %s WHERE tenant_id = %s AND status = 'running' "
                "AND renewed_until < clock_timestamp() - make_interval(secs => %s)",
                (now, tenant_id, ABANDONED_SECONDS),
            )
            connection.execute(
                "DELETE FROM turns WHERE tenant_id = %s AND held_until < clock_timestamp()", (tenant_id,)
            )
            return connection.execute(
                "DELETE FROM jobs WHERE tenant_id = %s AND status <> 'running' "
                "AND (coalesce(finished_at, created_at) < %s OR job_id IN "
                "(SELECT job_id FROM jobs WHERE tenant_id = %s AND status <> 'running' "
                "ORDER BY coalesce(finished_at, created_at) DESC, job_id DESC OFFSET %s))",
                (tenant_id, ended_before, tenant_id, most),
            ).rowcount

        return await self._call(retire)

    async def job(self, job_id: str) -> JobRecord | None:
        """Return the job with this id, or None; its status is `interrupted` if its lease has expired."""
        if not is_text(job_id):
            return None
        # The server's clock decides for all engines, independent of their own clocks.
        status: LiteralString = (
            "CASE WHEN status = 'running' AND renewed_until < clock_timestamp() THEN 'interrupted' ELSE status END"
        )
        columns: LiteralString = JOB.replace("status", status)
        query: LiteralString = f"SELECT {columns} FROM jobs WHERE tenant_id = %s AND job_id = %s"
        values = (self._tenant, self._keys.stored(job_id))
        row = await self._call(lambda c: c.execute(query, values, binary=True).fetchone())
        return None if row is None else job_of(row, self._keys)

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute a key; return whether the token holds it now."""
        # The server's clock decides for all engines. Unlike an advisory lock, a row works through connection poolers.
        count = await self._count(
            "INSERT INTO turns AS held (tenant_id, key, token, held_until) "
            "VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s)) ON CONFLICT (key) DO UPDATE SET "
            "token = excluded.token, held_until = excluded.held_until "
            "WHERE held.tenant_id = excluded.tenant_id "
            "AND (held.token = excluded.token OR held.held_until < clock_timestamp())",
            self._tenant,
            self._keys.stored(key),
            token,
            seconds,
        )
        return count == 1

    async def release_turn(self, key: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        statement: LiteralString = "DELETE FROM turns WHERE tenant_id = %s AND key = %s AND token = %s"
        await self._count(statement, self._tenant, self._keys.stored(key), token)

    async def _count(self, statement: LiteralString, *values: object) -> int:
        return await self._call(lambda connection: connection.execute(statement, values).rowcount)
