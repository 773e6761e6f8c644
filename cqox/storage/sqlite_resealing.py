"""Rows of the SQLite store that are encrypted otherwise."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable

from cqox.storage.contracts import Record
from cqox.storage.rows import RESEALED, resealed_values
from cqox.storage.tenant_ids import OfTenant

__all__ = ["SqliteResealing"]


class SqliteResealing(OfTenant, ABC):
    """Rows of the SQLite store that are encrypted otherwise."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    async def reseal(self, old: Record, new: Record, *, document: bytes | None = None) -> bool:
        """Replace a row by one with the same content; return False if it is not as `old` says any more."""
        table, key, columns = RESEALED[type(old)]
        changes = ", ".join(f"{column} = ?" for column in columns)
        unchanged = " AND ".join(f"{column} IS ?" for column in columns)
        # A repetition meets the row as it is to be.
        statement = (
            f"UPDATE {table} SET {changes} WHERE tenant_id = ? AND {key} = ? AND (({unchanged}) OR ({unchanged}))"
        )
        identity = (self._tenant, self._keys.stored(getattr(old, key)))
        values = (*resealed_values(new), *identity, *resealed_values(old), *resealed_values(new))
        return await self._write(lambda connection: connection.execute(statement, values).rowcount == 1)
