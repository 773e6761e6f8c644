"""Spark: the statements go to the cluster of a session."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from cqox.engines.sql import Dialect
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Vector
from cqox.randomness import token_hex

__all__ = ["SparkEngine", "SparkSession"]

_DIALECT = Dialect(
    quoted=lambda name: "`" + name.replace("`", "``") + "`",
    # What a backslash is in a literal depends on a setting of the session.
    word=lambda text: f"cast(X'{text.encode().hex()}' as string)",
    # With an exponent alone it is a decimal by another setting.
    number=lambda value: f"{float(value)!r}D",
    days="cast(unix_date(cast({} as date)) as double)".format,
)


class _DataFrame(Protocol):
    @property
    def columns(self) -> list[str]: ...

    def collect(self) -> Sequence[Sequence[object]]: ...


class _Context(Protocol):
    def addJobTag(self, tag: str) -> None: ...

    def removeJobTag(self, tag: str) -> None: ...

    def cancelJobsWithTag(self, tag: str) -> None: ...


class SparkSession(Protocol):
    """The used part of `pyspark.sql.SparkSession`, from Spark 4 on; one of Spark Connect has no context."""

    @property
    def version(self) -> str:
        """The version of Spark."""
        ...

    @property
    def sparkContext(self) -> _Context:
        """The context of its jobs."""
        ...

    def sql(self, sqlQuery: str) -> _DataFrame:
        """Return what a statement selects."""
        ...


@dataclass(frozen=True, slots=True)
class SparkEngine:
    """A session of Spark.

    Attributes:
        session: the session, which may serve others.
        name: the engine and its version.
        tag: of all that this engine starts.
    """

    session: SparkSession
    name: str
    tag: str
    dialect: Dialect = _DIALECT

    @classmethod
    def of(cls, session: SparkSession) -> Self:
        """Return the engine of a session."""
        return cls(session=session, name=f"spark {session.version}", tag=f"cqox-{token_hex(8)}")

    def cancel(self) -> None:
        """End the jobs that the cluster works on now; `read` raises an error of Spark on its thread."""
        # Not by `interruptTag` of the session, whose tags are those of the calling thread.
        self.session.sparkContext.cancelJobsWithTag(self.tag)

    def read(self, statement: str) -> list[Vector]:
        """Return the columns of an answer as arrays of doubles, NaN where a value is null."""
        checkpoint()
        self.session.sparkContext.addJobTag(self.tag)
        try:
            answer = self.session.sql(statement)
            rows = answer.collect()
        finally:
            self.session.sparkContext.removeJobTag(self.tag)
        return list(np.array(rows, dtype=np.float64).reshape(len(rows), len(answer.columns)).T)
