"""The question of a command line about data: the same of `analyze` and `preview`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cqox.cli.data_or_table import data_or_table
from cqox.contract.messages import Language
from cqox.sources import Source

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The arguments of a command line.

    Attributes:
        data: a file, a folder or an address; for a server also a data set that it has. None for a table in place.
        server: address of the server that computes; None for this machine.
        token_file: file with the token for it; None for that of the environment.
        source: source of a table in place; None for data.
        table: one of its tables.
        query: a query on the database at that address; None for the data themselves.
        roles: values by role name, one string for each use of the flag.
        options: options of the analysis as `name=value` strings.
        read_options: options of reading the file as `name=value` strings.
        as_json: print what the HTTP interface answers instead of tables.
        language: language of the sentences.
    """

    data: str | None
    server: str | None
    token_file: Path | None
    source: str | None
    table: str | None
    query: str | None
    roles: Mapping[str, Sequence[str]]
    options: Sequence[str]
    read_options: Sequence[str]
    as_json: bool
    language: Language

    def data_or_table(self) -> Source | None:
        """Return the data; None for a table in place.

        Raises:
            InvalidRequest: data and a table in place are given, or neither, or what does not go with one of them.
        """
        return data_or_table(
            self.data, query=self.query, read_options=self.read_options, source=self.source, table=self.table,
            server=self.server,
        )  # fmt: skip
