"""Tables that stay where they are, which a server's operator has named and a request names in place of data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cqox.client.connection import Call, Connection
from cqox.client.requests import segment
from cqox.contract import PlaceColumn, PlaceColumns, SourceListing, SourceSummary
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["TableInPlace", "columns", "data_or_table", "sources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInPlace:
    """A table of a source of the server.

    Attributes:
        source: name of the source.
        table: one of its tables.
    """

    source: str
    table: str

    def named(self) -> Mapping[str, str]:
        """Return the members of a request that name it."""
        return {"source": self.source, "table": self.table}


def data_or_table(data: object, source: str | None, table: str | None) -> object:
    """Return the data of a call, or the table in place that it names instead.

    Raises:
        InvalidRequest: both are given, or neither, or a source without a table, or a table without a source.
    """
    if source is None and table is None:
        if data is None:
            raise InvalidRequest(Message("client.one-of-both"), field="data")
        return data
    if data is not None:
        raise InvalidRequest(Message("client.one-of-both"), field="source")
    if source is None:
        raise InvalidRequest(Message("client.table-without-source"), field="source")
    if table is None:
        raise InvalidRequest(Message("client.source-without-table", source=source), field="table")
    return TableInPlace(source=source, table=table)


async def sources(connection: Connection) -> Sequence[SourceSummary]:
    """Return the sources that the operator of the server has named."""
    answer = await connection.send(Call(method="GET", path="/api/sources"))
    return answer.model(SourceListing).sources


async def columns(connection: Connection, source: str, table: str) -> Sequence[PlaceColumn]:
    """Return the columns of a table in place, those that cannot be analysed last.

    Raises:
        NotFound: there is no such source or table for the caller; `choices` are those that there are.
    """
    path = f"/api/sources/{segment(source)}/columns"
    answer = await connection.send(Call(method="GET", path=path, query={"table": table}))
    return answer.model(PlaceColumns).columns
