"""Tables on disk: zstd Parquet with two sidecars of JSON, the description and the messages in it.

The description is computed once, when a table is read; later readers open small files and no data. The codes of its
sentences are in a file of their own, which CQOx 0.1.0 does not write and does not read.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cqox.contract.messages import Message, collect_messages, restore_messages
from cqox.datasets.table import Description, Table
from cqox.errors import InvalidRequest

__all__ = ["ColumnsOnDisk", "describe", "load_columns", "messages_file", "open_columns", "sidecar", "write_parquet"]

_ROW_GROUP = 131_072
_CITED = re.compile(r"\(os error (\d+)\)")


def write_parquet(table: Table, path: Path) -> None:
    """Write a table to `path`, and its description to sidecars; the same table gives the same bytes.

    Raises:
        OSError: there is no room for it, or the folder cannot be written to.
    """
    try:
        table.frame.write_parquet(path, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP)
    except pl.exceptions.PolarsError as error:
        cited = _CITED.search(str(error))
        if cited is None:
            raise
        # polars only cites what the operating system has said.
        raise OSError(int(cited[1]), os.strerror(int(cited[1])), str(path)) from error
    description = table.description.as_dict()
    for place, content in ((sidecar(path), description), (messages_file(path), collect_messages(description))):
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        place.write_text(text, encoding="utf-8")


def sidecar(path: Path) -> Path:
    """Return the path of the description of the table at `path`."""
    return path.with_name(path.name + ".json")


def messages_file(path: Path) -> Path:
    """Return the path of the messages in the description: JSON pointer to code and parameters."""
    return path.with_name(path.name + ".messages.json")


def describe(path: Path) -> Description:
    """Return the description of a stored table; its sentences are strings without codes if CQOx 0.1.0 stored it.

    Args:
        path: as given to `write_parquet`.
    """
    description = json.loads(sidecar(path).read_text(encoding="utf-8"))
    with suppress(FileNotFoundError):
        restore_messages(description, json.loads(messages_file(path).read_text(encoding="utf-8")))
    return Description.from_dict(description)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsOnDisk:
    """Columns of a kept table that are read when they are asked for, one at a time: for tables larger than memory.

    Attributes:
        path: where the table is.
        height: its rows.
    """

    path: Path
    height: int

    def __getitem__(self, name: str) -> pl.Series:
        """All rows of a column."""
        return pl.read_parquet(self.path, columns=[name], glob=False)[name]

    def batches(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Some columns, row group after row group."""
        table = pl.scan_parquet(self.path, glob=False).select(names)
        for start in range(0, self.height, _ROW_GROUP):
            yield table.slice(start, _ROW_GROUP).collect()


def open_columns(path: Path, names: Sequence[str]) -> ColumnsOnDisk:
    """Some columns of a kept table, to be read as they are needed.

    Raises:
        InvalidRequest: a column that the table does not have.
    """
    return ColumnsOnDisk(path=path, height=_checked(path, names).rows)


def load_columns(path: Path, names: Sequence[str]) -> pl.DataFrame:
    """Some columns of a kept table, in the order asked for, all rows.

    Raises:
        InvalidRequest: a column that the table does not have.
    """
    described = _checked(path, names)
    if not names:
        return pl.DataFrame(height=described.rows)
    return pl.read_parquet(path, columns=list(names), glob=False).select(names)


def _checked(path: Path, names: Sequence[str]) -> Description:
    described = describe(path)
    existing = [column.name for column in described.columns]
    for name in names:
        if name not in existing:
            raise InvalidRequest(Message("datasets.no-such-column", columns=existing, name=name), choices=existing)
    return described
