"""ClickHouse: the statements go to the server that has the table, or to ClickHouse in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from cqox.engines.sql import Dialect
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Vector

if TYPE_CHECKING:
    import httpx

__all__ = ["ClickHouseEngine"]

_SETTINGS = {
    # A column of the table may be called as one of the statement.
    "prefer_column_name_to_alias": 1,
    # The largest value of no rows is missing, not 0.
    "aggregate_functions_null_for_empty": 1,
    # Hundreds of sums are many words.
    "max_ast_elements": 1_000_000,
    "max_expanded_ast_elements": 10_000_000,
}
_MOST_BYTES = 2**24

_DIALECT = Dialect(
    quoted=lambda name: '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"',
    word=lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'",
    # Not by `cast`, which refuses nulls.
    double="toFloat64({})".format,
    truth="toFloat64({})".format,
    # Not by `Date`, which begins in 1970.
    days="toFloat64(toInt32(toDate32({})))".format,
    without_nan="(case when isNaN({0}) then null else {0} end)".format,
    word_key="toInt64(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5({}), 1, 8))), 4))".format,
    total="sumKahan",
)


@dataclass(frozen=True, slots=True)
class ClickHouseEngine:
    """A connection to ClickHouse.

    Attributes:
        run: returns the bytes that answer a statement, which names their format; errors pass through.
        name: the engine and its version.
    """

    run: Callable[[str], bytes]
    name: str
    dialect: Dialect = _DIALECT

    @classmethod
    def opened(cls, run: Callable[[str], bytes]) -> Self:
        """Return the engine, after one statement.

        Args:
            run: returns the bytes that answer a statement: `over_http` of a server, or for `chdb` in this process
                `lambda statement: session.query(statement).bytes()`.
        """
        return cls(run=run, name=f"clickhouse {run('select version() format TSVRaw').decode().strip()}")

    @classmethod
    def over_http(cls, client: "httpx.Client", address: str, *, statement_seconds: float) -> Self:
        """Return the engine of a server, whose statements only read, and end where the client goes away.

        Args:
            client: with the headers of the user (`X-ClickHouse-User`, `X-ClickHouse-Key`) and a timeout that is longer
                than a statement may take.
            address: of its HTTP interface, as `https://host:8443/?database=name`.
            statement_seconds: after which the server ends a statement.

        Raises:
            httpx.HTTPError: there is no server, or it refuses.
        """
        import httpx

        # With readonly=2, statements change settings and nothing else.
        parameters = {
            "readonly": 2,
            "cancel_http_readonly_queries_on_client_close": 1,
            "max_execution_time": statement_seconds,
            "max_query_size": _MOST_BYTES,
            # Else an error in the midst of an answer comes with the status of success.
            "wait_end_of_query": 1,
        }

        url = httpx.URL(address).copy_merge_params(parameters)

        def run(statement: str) -> bytes:
            response = client.post(url, content=statement.encode())
            response.raise_for_status()
            return response.content

        return cls.opened(run)

    def read(self, statement: str) -> list[Vector]:
        """Return the columns of an answer as arrays of doubles, NaN where a value is null."""
        checkpoint()
        settings = ", ".join(f"{name} = {value}" for name, value in _SETTINGS.items())
        answer = self.run(f"{statement} settings {settings} format ArrowStream")
        if not answer:
            return []
        return [_doubles(column) for column in pl.read_ipc_stream(BytesIO(answer)).iter_columns()]


def _doubles(column: pl.Series) -> Vector:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()
