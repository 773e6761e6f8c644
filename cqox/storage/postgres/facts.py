"""Facts about reports in the PostgreSQL store."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox import randomness
from cqox.dashboards.views import ViewQuery, ViewRows
from cqox.storage.facts import FORMAT, ReportFacts, Reuse
from cqox.storage.facts_schema import FACTS, ITEMS
from cqox.storage.pages import Page
from cqox.storage.rows import is_text, position
from cqox.storage.tenant_ids import OfTenant, TenantKeys
from cqox.storage.view_sql import CUTOFF, asked, plain_rows, values_of

__all__ = ["PostgresFacts", "insert_facts"]

type _Connection = psycopg.Connection[TupleRow]

_PLACES = "(analysis_id, tenant_id, created_second, place, " + ", ".join(ITEMS) + ")"
_ITEM_MARKS = f"({', '.join(['%s'] * (len(ITEMS) + 4))})"
_AT_ONCE = 1_000
"""Items of one statement, which takes at most 65,535 parameters."""

# The report is locked until the commit, so that a deletion finds the facts.
_FACTS: LiteralString = (
    f"INSERT INTO analysis_facts ({', '.join(FACTS)}, format, tenant_id, dataset_id, outcome, treatment) "
    f"SELECT {', '.join(['%s'] * (len(FACTS) + 1))}, tenant_id, dataset_id, outcome, treatment "
    "FROM reports WHERE tenant_id = %s AND analysis_id = %s FOR KEY SHARE"
)
_REUSES: LiteralString = (
    "INSERT INTO analysis_reuses (analysis_id, tenant_id, day_second, cached, shared, batch) "
    "SELECT analysis_id, tenant_id, %s, %s, %s, %s FROM reports WHERE tenant_id = %s AND analysis_id = %s "
    "FOR KEY SHARE ON CONFLICT (analysis_id, day_second) DO UPDATE SET "
    "cached = analysis_reuses.cached + excluded.cached, shared = analysis_reuses.shared + excluded.shared, "
    "batch = excluded.batch "
    "WHERE analysis_reuses.tenant_id = excluded.tenant_id AND analysis_reuses.batch <> excluded.batch"
)
_NAMED = re.compile(r":(\w+)")


def insert_facts(connection: _Connection, keys: TenantKeys, facts: ReportFacts) -> bool:
    """Insert the facts of a stored report that has none; return False if the report is not stored.

    Args:
        connection: in a transaction.
        keys: of the tenant.
        facts: the facts.
    """
    identity = (keys.tenant_id, keys.stored(facts.analysis_id))
    values = tuple(getattr(facts, name) for name in FACTS[1:])
    if connection.execute(_FACTS, (identity[1], *values, FORMAT, *identity)).rowcount != 1:
        return False
    head = (identity[1], keys.tenant_id, facts.created_second)
    for first in range(0, len(facts.items), _AT_ONCE):
        items = facts.items[first : first + _AT_ONCE]
        marks = ", ".join([_ITEM_MARKS] * len(items))
        statement: LiteralString = f"INSERT INTO analysis_items {_PLACES} VALUES {marks}"
        rows = [(*head, first + place, *(getattr(item, name) for name in ITEMS)) for place, item in enumerate(items)]
        connection.execute(statement, [value for row in rows for value in row])
    return True


class PostgresFacts(OfTenant, ABC):
    """Facts about reports in the PostgreSQL store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def put_facts(self, facts: ReportFacts) -> bool:
        """Insert or replace the facts of a stored report; return False if the report is not stored."""
        if not is_text(facts.analysis_id):
            return False
        keys = self._keys
        identity = (keys.tenant_id, keys.stored(facts.analysis_id))

        def put(connection: _Connection) -> bool:
            with connection.transaction():
                connection.execute("DELETE FROM analysis_facts WHERE tenant_id = %s AND analysis_id = %s", identity)
                connection.execute("DELETE FROM analysis_items WHERE tenant_id = %s AND analysis_id = %s", identity)
                return insert_facts(connection, keys, facts)

        return await self._call(put)

    async def without_facts(self, *, limit: int, before: str | None = None) -> Page[str]:
        """Return ids of reports that have no facts, or facts of an earlier format, newest first."""
        if not is_text(before):
            return Page(items=[], next=None)
        keys = self._keys
        conditions: LiteralString = ""
        values = list[object]([keys.tenant_id, keys.tenant_id, FORMAT])
        if before is not None:
            conditions = "AND (reports.created_at, reports.analysis_id) < (%s, %s) "
            values += position(before, keys)
        query: LiteralString = (
            "SELECT reports.created_at, reports.analysis_id FROM reports LEFT JOIN analysis_facts "
            "ON analysis_facts.tenant_id = %s AND analysis_facts.analysis_id = reports.analysis_id "
            f"WHERE reports.tenant_id = %s AND coalesce(analysis_facts.format, 0) < %s {conditions}"
            "ORDER BY reports.created_at DESC, reports.analysis_id DESC LIMIT %s"
        )
        rows = await self._call(lambda c: c.execute(query, (*values, limit)).fetchall())
        found = [(str(created_at), keys.plain(str(identity))) for created_at, identity in rows]
        return Page(items=[each for _, each in found], next="|".join(found[-1]) if len(found) == limit else None)

    async def count_reuses(self, reuses: Sequence[Reuse]) -> None:
        """Add to the counts of stored reports; those of other reports are dropped.

        A row names the call that has changed it last, so that a retry after a lost answer recognises what it has added.
        """
        keys, batch = self._keys, randomness.token_hex(8)

        def count(connection: _Connection) -> None:
            with connection.transaction():
                for each in sorted(reuses, key=lambda reuse: reuse.analysis_id):
                    counts = (each.day_second, each.cached, each.shared, batch)
                    if is_text(each.analysis_id):
                        connection.execute(_REUSES, (*counts, keys.tenant_id, keys.stored(each.analysis_id)))

        await self._call(count)

    async def view_rows(self, query: ViewQuery, *, start: int, end: int, step: int = 1) -> ViewRows:
        """Answer a question to a view."""
        keys, text = self._keys, _of_postgres(asked(query))
        values = values_of(query, keys, start=start, end=end, step=step)
        span = {name: values[name] for name in ("tenant", "start", "end")}

        def ask(connection: _Connection) -> ViewRows:
            cut = connection.execute(_of_postgres(CUTOFF), span | {"most_analyses": query.most_analyses})
            found = cut.fetchone()
            since = None if found is None else int(found[0]) + 1
            rows = connection.execute(text, values if since is None else values | {"start": since}).fetchall()
            return ViewRows(rows=plain_rows(query, rows, keys), since=since, is_cut=len(rows) > query.most_rows)

        return await self._call(ask)


def _of_postgres(statement: str) -> LiteralString:
    return _NAMED.sub(r"%(\1)s", statement)
