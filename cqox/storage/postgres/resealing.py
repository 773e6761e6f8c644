"""Rows of the PostgreSQL store that are encrypted otherwise."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composable, Identifier

from cqox.storage.contracts import Record, StoredReport
from cqox.storage.rows import RESEALED, resealed_values
from cqox.storage.tenant_ids import OfTenant

__all__ = ["PostgresResealing"]

type _Connection = psycopg.Connection[TupleRow]


class PostgresResealing(OfTenant, ABC):
    """Rows of the PostgreSQL store that are encrypted otherwise."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def reseal(self, old: Record, new: Record, *, document: bytes | None = None) -> bool:
        """Replace a row by one with the same content; return False if it is not as `old` says any more."""
        table, key, columns = RESEALED[type(old)]
        changes: list[Composable] = [SQL("{} = %s").format(Identifier(column)) for column in columns]
        after = resealed_values(new)
        if isinstance(new, StoredReport):
            changes.append(SQL("document = %s::jsonb"))
            after.append(None if document is None else document.decode())
        # A retry after a lost answer meets the row as it is to be.
        unchanged = [SQL("{} IS NOT DISTINCT FROM %s").format(Identifier(column)) for column in columns]
        statement = SQL(
            "UPDATE {table} SET {changes} WHERE tenant_id = %s AND {key} = %s AND (({unchanged}) OR ({unchanged}))"
        ).format(
            table=Identifier(table),
            changes=SQL(", ").join(changes),
            key=Identifier(key),
            unchanged=SQL(" AND ").join(unchanged),
        )
        identity = (self._tenant, self._keys.stored(getattr(old, key)))
        values = (*after, *identity, *resealed_values(old), *resealed_values(new))
        return await self._call(lambda connection: connection.execute(statement, values).rowcount == 1)
