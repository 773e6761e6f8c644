"""Deletions and expiry queries of the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.contracts import JobRecord, JobStatus
from cqox.storage.pages import Page
from cqox.storage.rows import JOB, is_text, page_of_jobs, position
from cqox.storage.tenant_ids import OfTenant

__all__ = ["PostgresRetention"]

type _Connection = psycopg.Connection[TupleRow]

_ENDED: LiteralString = "(status <> 'running' OR renewed_until < clock_timestamp())"
# A volatile clock would keep the planner from reading a page in index order.
_STATUS: LiteralString = (
    "CASE WHEN status = 'running' AND renewed_until < statement_timestamp() "
    "THEN 'interrupted' ELSE status END AS status"
)


class PostgresRetention(OfTenant, ABC):
    """Deletions and expiry queries of the PostgreSQL store. A retried call returns the same as a single one."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    @property
    def on_server(self) -> bool:
        """True."""
        return True

    @property
    def epoch(self) -> int:
        """0: the database outlives this process."""
        return 0

    @property
    def deletions(self) -> int:
        """0: deletions are not announced."""
        return 0

    async def stored(self, analysis_ids: Sequence[str]) -> frozenset[str]:
        """Return the subset of the ids that are stored."""
        keys, ids = self._keys, [self._keys.stored(each) for each in analysis_ids if is_text(each)]
        query: LiteralString = "SELECT analysis_id FROM reports WHERE tenant_id = %s AND analysis_id = ANY(%s)"
        rows = await self._call(lambda c: c.execute(query, (keys.tenant_id, ids)).fetchall())
        return frozenset(keys.plain(str(row[0])) for row in rows)

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        """Delete reports with their annotations and share links; return the ids of those that existed."""
        keys, ids = self._keys, [self._keys.stored(each) for each in analysis_ids if is_text(each)]
        those = (keys.tenant_id, ids)
        gone: dict[str, None] = {}

        def delete(connection: _Connection) -> list[str]:
            # Existing ids are selected first: after an attempt whose answer was lost, RETURNING would be empty.
            query = "SELECT analysis_id FROM reports WHERE tenant_id = %s AND analysis_id = ANY(%s)"
            there = connection.execute(query, those).fetchall()
            gone.update(dict.fromkeys(keys.plain(str(row[0])) for row in there))
            with connection.transaction():
                connection.execute("DELETE FROM reports WHERE tenant_id = %s AND analysis_id = ANY(%s)", those)
                # After the reports: an annotation that was being inserted locks its report until it can be seen here.
                connection.execute("DELETE FROM annotations WHERE tenant_id = %s AND analysis_id = ANY(%s)", those)
                connection.execute("DELETE FROM shares WHERE tenant_id = %s AND analysis_id = ANY(%s)", those)
            return list(gone)

        return await self._call(delete)

    async def expired_reports(self, *, before: str, limit: int) -> Sequence[str]:
        """Return ids of reports computed before a time, oldest first, unless a job that ended since refers to them."""
        query: LiteralString = (
            "SELECT analysis_id FROM reports WHERE tenant_id = %s AND created_at < %s AND NOT EXISTS "
            "(SELECT 1 FROM jobs WHERE jobs.tenant_id = reports.tenant_id AND jobs.analysis_id = reports.analysis_id "
            "AND coalesce(finished_at, jobs.created_at) >= %s) ORDER BY created_at, analysis_id LIMIT %s"
        )
        keys, values = self._keys, (self._tenant, before, before, limit)
        return [keys.plain(str(row[0])) for row in await self._call(lambda c: c.execute(query, values).fetchall())]

    async def jobs(
        self,
        *,
        dataset_id: str | None = None,
        status: JobStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Page[JobRecord]:
        """Return jobs, newest first, with the same status as `job`."""
        if not is_text(dataset_id, before):
            return Page(items=[], next=None)
        keys = self._keys
        conditions: LiteralString = "tenant_id = %s"
        values = list[object]([keys.tenant_id])
        if dataset_id is not None:
            conditions += " AND dataset_id = %s"
            values.append(keys.stored(dataset_id))
        if status is not None:
            conditions += " AND status = %s"
            values.append(status)
        if before is not None:
            conditions += " AND (created_at, job_id) < (%s, %s)"
            values += position(before, keys)
        columns: LiteralString = JOB.replace("status", _STATUS)
        query: LiteralString = (
            f"SELECT {JOB} FROM (SELECT {columns}, tenant_id FROM jobs) AS known WHERE {conditions} "
            "ORDER BY created_at DESC, job_id DESC LIMIT %s"
        )
        rows = await self._call(lambda c: c.execute(query, (*values, limit + 1), binary=True).fetchall())
        return page_of_jobs(rows, limit, keys)

    async def delete_job(self, job_id: str) -> bool:
        """Delete the record of a job that is not running; return whether this call did."""
        if not is_text(job_id):
            return False
        ended: LiteralString = f"FROM jobs WHERE tenant_id = %s AND job_id = %s AND {_ENDED}"
        identity = (self._tenant, self._keys.stored(job_id))
        was_there: list[bool] = []

        def delete(connection: _Connection) -> bool:
            # Selected first, as for reports.
            there: LiteralString = f"SELECT 1 {ended}"
            was_there.append(connection.execute(there, identity).fetchone() is not None)
            statement: LiteralString = f"DELETE {ended}"
            connection.execute(statement, identity)
            return any(was_there)

        return await self._call(delete)

    async def delete_jobs_of(self, dataset_id: str) -> int:
        """Delete the records of all jobs on a data set that are not running; return their number."""
        if not is_text(dataset_id):
            return 0
        ended: LiteralString = f"FROM jobs WHERE tenant_id = %s AND dataset_id = %s AND {_ENDED}"
        those = (self._tenant, self._keys.stored(dataset_id))
        gone = set[str]()

        def delete(connection: _Connection) -> int:
            # Selected first, as for reports.
            there: LiteralString = f"SELECT job_id {ended}"
            gone.update(str(row[0]) for row in connection.execute(there, those).fetchall())
            statement: LiteralString = f"DELETE {ended}"
            connection.execute(statement, those)
            return len(gone)

        return await self._call(delete)
