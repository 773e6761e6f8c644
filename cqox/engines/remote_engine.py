"""An engine that this process cannot reach: somebody else runs its statements."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO

import numpy as np

from cqox.engines.sql import Dialect
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Vector
from cqox.sources import NULL

__all__ = ["RemoteEngine", "texts_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEngine:
    """The statements of an engine in another process.

    Attributes:
        name: the engine and its version.
        dialect: the dialect of its statements.
        run: returns the answer to a statement as doubles: the number of columns, then row after row, NaN where a value
            is null.
        after_read: called after each statement, to report progress.
    """

    name: str
    dialect: Dialect
    run: Callable[[str], bytes]
    after_read: Callable[[], None] = lambda: None

    def read(self, statement: str) -> list[Vector]:
        """Return the columns of an answer as arrays of doubles, NaN where a value is null."""
        checkpoint()
        values = np.frombuffer(self.run(statement), dtype=np.float64)
        self.after_read()
        return list(np.ascontiguousarray(values[1:].reshape(-1, int(values[0])).T))


def texts_of(content: bytes) -> list[tuple[str | None, ...]]:
    """Return the rows of an answer in CSV as texts, None where a value is null."""
    rows = csv.reader(StringIO(content.decode(), newline=""))
    return [tuple(None if cell == NULL else cell for cell in row) for row in rows]
