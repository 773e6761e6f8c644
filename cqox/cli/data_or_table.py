"""The data of a command line, or the table in place of a server that it names."""

from collections.abc import Sequence
from typing import Annotated

import typer

from cqox.cli.arguments import source_of
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.sources import Source

__all__ = ["SourceOption", "TableOption", "data_or_table"]

_SOURCE_HELP = (
    "In place of DATA, a source of the server whose table is analysed where it is; needs --table and --server. "
    "`cqox sources` lists them."
)

SourceOption = Annotated[str | None, typer.Option("--source", metavar="NAME", help=_SOURCE_HELP)]
"""The flag `--source` of a command that takes a table in place."""

TableOption = Annotated[str | None, typer.Option("--table", metavar="NAME", help="One of the tables of --source.")]
"""The flag `--table` of a command that takes a table in place."""


def data_or_table(
    data: str | None,
    *,
    query: str | None,
    read_options: Sequence[str],
    source: str | None,
    table: str | None,
    server: str | None,
) -> Source | None:
    """Return the data; None for a table in place.

    Args:
        data: a file, a folder or an address; for a server also a data set that it has.
        query: a query on the database at that address.
        read_options: options of reading the file.
        source: source of a table in place.
        table: one of its tables.
        server: address of the server that computes.

    Raises:
        InvalidRequest: data and a table in place are given, or neither, or what does not go with one of them.
    """
    named = [name for name in (source, table) if name is not None]
    if (data is None) != bool(named):
        raise InvalidRequest(Message("terminal.data-or-table"), field="--source" if named else "DATA")
    if data is not None:
        return source_of(data, query)
    if len(named) == 1:
        raise InvalidRequest(Message("terminal.source-with-table"), field="--table" if source else "--source")
    for flag, given in (("--query", query), ("--read", read_options)):
        if given:
            raise InvalidRequest(Message("terminal.source-without-flag", flag=flag), field=flag)
    if server is None:
        raise InvalidRequest(Message("terminal.source-needs-server"), field="--server")
    return None
