"""Facts about reports in the SQLite store."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from cqox import randomness
from cqox.dashboards.views import ViewQuery, ViewRows
from cqox.storage.facts import FORMAT, ReportFacts, Reuse
from cqox.storage.facts_schema import FACTS, ITEMS
from cqox.storage.pages import Page
from cqox.storage.rows import is_text, position
from cqox.storage.sqlite_file import marks
from cqox.storage.tenant_ids import OfTenant, TenantKeys
from cqox.storage.view_sql import CUTOFF, asked, plain_rows, values_of

__all__ = ["SqliteFacts", "insert_facts"]

_FACTS = (
    f"INSERT INTO analysis_facts ({', '.join(FACTS)}, format, tenant_id, dataset_id, outcome, treatment) "
    f"SELECT {marks(len(FACTS) + 1)}, tenant_id, dataset_id, outcome, treatment "
    "FROM reports INDEXED BY reports_of_tenant WHERE tenant_id = ? AND analysis_id = ?"
)
_ITEMS = (
    f"INSERT INTO analysis_items (analysis_id, tenant_id, created_second, place, {', '.join(ITEMS)}) "
    f"VALUES ({marks(len(ITEMS) + 4)})"
)
_REUSES = (
    "INSERT INTO analysis_reuses (analysis_id, tenant_id, day_second, cached, shared, batch) "
    "SELECT analysis_id, tenant_id, ?, ?, ?, ? FROM reports INDEXED BY reports_of_tenant "
    "WHERE tenant_id = ? AND analysis_id = ? "
    "ON CONFLICT (analysis_id, day_second) DO UPDATE SET cached = analysis_reuses.cached + excluded.cached, "
    "shared = analysis_reuses.shared + excluded.shared, batch = excluded.batch "
    "WHERE analysis_reuses.tenant_id = excluded.tenant_id AND analysis_reuses.batch <> excluded.batch"
)


def insert_facts(connection: sqlite3.Connection, keys: TenantKeys, facts: ReportFacts) -> bool:
    """Insert the facts of a stored report that has none; return False if the report is not stored."""
    identity = (keys.tenant_id, keys.stored(facts.analysis_id))
    values = tuple(getattr(facts, name) for name in FACTS[1:])
    if connection.execute(_FACTS, (identity[1], *values, FORMAT, *identity)).rowcount != 1:
        return False
    head = (identity[1], keys.tenant_id, facts.created_second)
    items = ((*head, place, *(getattr(item, name) for name in ITEMS)) for place, item in enumerate(facts.items))
    connection.executemany(_ITEMS, items)
    return True


class SqliteFacts(OfTenant, ABC):
    """Facts about reports in the SQLite store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    async def put_facts(self, facts: ReportFacts) -> bool:
        """Insert or replace the facts of a stored report; return False if the report is not stored."""
        if not is_text(facts.analysis_id):
            return False
        keys = self._keys
        identity = (keys.tenant_id, keys.stored(facts.analysis_id))

        def put(connection: sqlite3.Connection) -> bool:
            for table in ("analysis_facts", "analysis_items"):
                connection.execute(f"DELETE FROM {table} WHERE tenant_id = ? AND analysis_id = ?", identity)
            return insert_facts(connection, keys, facts)

        return await self._write(put)

    async def without_facts(self, *, limit: int, before: str | None = None) -> Page[str]:
        """Return ids of reports that have no facts, or facts of an earlier format, newest first."""
        if not is_text(before):
            return Page(items=[], next=None)
        keys = self._keys
        conditions, values = "", list[object]([keys.tenant_id, keys.tenant_id, FORMAT])
        if before is not None:
            conditions = "AND (reports.created_at, reports.analysis_id) < (?, ?) "
            values += position(before, keys)
        query = (
            "SELECT reports.created_at, reports.analysis_id FROM reports INDEXED BY reports_of_tenant_by_time "
            "LEFT JOIN analysis_facts "
            "ON analysis_facts.tenant_id = ? AND analysis_facts.analysis_id = reports.analysis_id "
            f"WHERE reports.tenant_id = ? AND coalesce(analysis_facts.format, 0) < ? {conditions}"
            "ORDER BY reports.created_at DESC, reports.analysis_id DESC LIMIT ?"
        )
        rows = await self._call(lambda c: c.execute(query, (*values, limit)).fetchall())
        found = [(str(created_at), keys.plain(str(identity))) for created_at, identity in rows]
        return Page(items=[each for _, each in found], next="|".join(found[-1]) if len(found) == limit else None)

    async def count_reuses(self, reuses: Sequence[Reuse]) -> None:
        """Add to the counts of stored reports; those of other reports are dropped."""
        keys, batch = self._keys, randomness.token_hex(8)
        rows = [
            (each.day_second, each.cached, each.shared, batch, keys.tenant_id, keys.stored(each.analysis_id))
            for each in reuses
            if is_text(each.analysis_id)
        ]
        await self._write(lambda c: c.executemany(_REUSES, rows).rowcount)

    async def view_rows(self, query: ViewQuery, *, start: int, end: int, step: int = 1) -> ViewRows:
        """Answer a question to a view."""
        keys, text = self._keys, asked(query)
        values = values_of(query, keys, start=start, end=end, step=step)
        span = {name: values[name] for name in ("tenant", "start", "end")}

        def ask(connection: sqlite3.Connection) -> ViewRows:
            found = connection.execute(CUTOFF, span | {"most_analyses": query.most_analyses}).fetchone()
            since = None if found is None else int(found[0]) + 1
            rows = connection.execute(text, values if since is None else values | {"start": since}).fetchall()
            return ViewRows(rows=plain_rows(query, rows, keys), since=since, is_cut=len(rows) > query.most_rows)

        return await self._call(ask)
