"""Columns that were read last, within a bound of memory."""

from collections import OrderedDict
from threading import Lock
from typing import ClassVar

import polars as pl

__all__ = ["RecentColumns"]


class RecentColumns:
    """Keeps the columns that were used last; safe from any thread.

    Each check of an analysis goes through the columns once, so that without it a table of many short columns is read
    several times, and nearly all of the time is that of opening the file.

    Attributes:
        MOST_BYTES: how much is kept; a larger column is not.
    """

    MOST_BYTES: ClassVar[int] = 128 * 2**20

    def __init__(self) -> None:
        self._columns = OrderedDict[str, pl.Series]()
        self._bytes = 0
        self._lock = Lock()

    def get(self, name: str) -> pl.Series | None:
        """Return the column of this name, or None if it is not kept."""
        with self._lock:
            found = self._columns.get(name)
            if found is not None:
                self._columns.move_to_end(name)
            return found

    def put(self, column: pl.Series) -> None:
        """Keep a column, in place of those that were used least recently."""
        size = int(column.estimated_size())
        if size > self.MOST_BYTES:
            return
        with self._lock:
            if column.name in self._columns:
                return
            self._columns[column.name] = column
            self._bytes += size
            while self._bytes > self.MOST_BYTES:
                _, gone = self._columns.popitem(last=False)
                self._bytes -= int(gone.estimated_size())
