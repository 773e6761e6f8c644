"""Tables on disk: zstd Parquet with sidecars of JSON: the description, the messages in it, and the findings, if any.

The description is computed once, when a table is read; later readers open small files and no data. The codes of its
sentences and the findings are in files of their own, which CQOx 0.1.0 does not write and does not read.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from cqox.contract import DataFinding
from cqox.contract.messages import Message, collect_messages, restore_messages
from cqox.datasets.recent_columns import RecentColumns
from cqox.datasets.table import Description, Table
from cqox.datasets.typed_columns import OpenTable
from cqox.errors import InvalidRequest

__all__ = [
    "ROW_GROUP", "ColumnsOnDisk", "describe", "findings_file", "load_columns", "messages_file", "open_columns",
    "sidecar", "write_parquet",
]  # fmt: skip

ROW_GROUP = 131_072
"""Rows of a row group of a stored table."""
_CITED = re.compile(r"\(os error (\d+)\)")


def write_parquet(table: Table | OpenTable, path: Path) -> None:
    """Write a table to `path`, and its description to sidecars; the same table gives the same bytes.

    Raises:
        OSError: there is no room for it, or the folder cannot be written to.
    """
    try:
        if isinstance(table, OpenTable):
            table.cells.write_parquet(path, compression_level=1, row_group_size=ROW_GROUP)
        else:
            table.frame.write_parquet(path, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
    except pl.exceptions.PolarsError as error:
        cited = _CITED.search(str(error))
        if cited is None:
            raise
        # polars only cites what the operating system has said.
        raise OSError(int(cited[1]), os.strerror(int(cited[1])), str(path)) from error
    description = table.description.as_dict()
    contents: list[tuple[Path, object]] = [
        (sidecar(path), description),
        (messages_file(path), collect_messages(description)),
    ]
    if table.description.findings:
        findings = [finding.model_dump() for finding in table.description.findings]
        contents.append((findings_file(path), {"findings": findings, "messages": collect_messages(findings)}))
    for place, content in contents:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        place.write_text(text, encoding="utf-8")


def sidecar(path: Path) -> Path:
    """Return the path of the description of the table at `path`."""
    return path.with_name(path.name + ".json")


def messages_file(path: Path) -> Path:
    """Return the path of the messages in the description: JSON pointer to code and parameters."""
    return path.with_name(path.name + ".messages.json")


def findings_file(path: Path) -> Path:
    """Return the path of the findings and their messages; there is no file if there is no finding."""
    return path.with_name(path.name + ".findings.json")


def describe(path: Path) -> Description:
    """Return the description of a stored table.

    If CQOx 0.1.0 stored it, its sentences are strings without codes, and it has no findings.

    Args:
        path: as given to `write_parquet`.
    """
    description = json.loads(sidecar(path).read_text(encoding="utf-8"))
    with suppress(FileNotFoundError):
        restore_messages(description, json.loads(messages_file(path).read_text(encoding="utf-8")))
    return replace(Description.from_dict(description), findings=_findings(path))


def _findings(path: Path) -> tuple[DataFinding, ...]:
    with suppress(FileNotFoundError):
        content = json.loads(findings_file(path).read_text(encoding="utf-8"))
        restore_messages(content["findings"], content["messages"])
        return tuple(DataFinding(**finding) for finding in content["findings"])
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsOnDisk:
    """Columns of a kept table that are read when they are asked for, one at a time: for tables larger than memory.

    Attributes:
        path: where the table is.
        height: its rows, without those left out.
        kept: (rows on disk,) whether each row is kept; None if all are.
        replaced: (height,) columns that are read otherwise than as they are on disk, by name.
    """

    path: Path
    height: int
    kept: pl.Series | None = None
    replaced: Mapping[str, pl.Series] = field(default_factory=dict)
    _recent: RecentColumns = field(init=False, repr=False, compare=False, default_factory=RecentColumns)

    def __getitem__(self, name: str) -> pl.Series:
        """All rows of a column; those read last are kept, up to `RecentColumns.MOST_BYTES`."""
        if name in self.replaced:
            return self.replaced[name]
        found = self._recent.get(name)
        if found is None:
            found = self.load([name])[name]
            self._recent.put(found)
        return found

    def load(self, names: Sequence[str]) -> pl.DataFrame:
        """All rows of some columns, in the order asked for."""
        stored = [name for name in names if name not in self.replaced]
        # A frame without columns has no rows.
        frame = pl.read_parquet(self.path, columns=stored, glob=False) if stored else pl.DataFrame(height=self.height)
        if stored and self.kept is not None:
            frame = frame.filter(self.kept)
        if len(stored) < len(names):
            frame = frame.with_columns(self.replaced[name] for name in names if name in self.replaced)
        return frame[list(names)]

    def batches(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Some columns, row group after row group."""
        if self.replaced.keys() & set(names):
            yield from self.load(names).iter_slices(ROW_GROUP)
            return
        table = pl.scan_parquet(self.path, glob=False).select(names)
        for start in range(0, self.height if self.kept is None else len(self.kept), ROW_GROUP):
            rows = table.slice(start, ROW_GROUP).collect()
            yield rows if self.kept is None else rows.filter(self.kept.slice(start, ROW_GROUP))


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
