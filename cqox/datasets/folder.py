"""Files that are parts of one table, joined to one file."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.partition_columns import partition_column
from cqox.errors import UnreadableFile

__all__ = ["join_files"]

_PARQUET = (".parquet", ".pq")
_BOM = b"\xef\xbb\xbf"


def join_files(
    files: Sequence[Path], target: Path, *, is_text: bool, partitions: Mapping[str, Sequence[str | None]]
) -> None:
    """Write the rows of all files, in their order, to one file.

    Columns of Parquet and Arrow files are matched by name; one that a file lacks is missing there.

    Args:
        files: at least one: Parquet and Arrow files, or delimited text with the same header line.
        target: the file to make.
        is_text: whether they are text.
        partitions: name to value for each file of the columns that are in the names of folders; a column of that name
            in a file stays. None in text.

    Raises:
        UnreadableFile: a file cannot be read, or their columns do not fit.
    """
    if is_text:
        _join_text(files, target)
    else:
        columns = [partition_column(name, values) for name, values in partitions.items()]
        _join_columnar(files, columns, target)


def _join_columnar(files: Sequence[Path], columns: Sequence[pl.Series], target: Path) -> None:
    frames = []
    for number, path in enumerate(files):
        try:
            is_parquet = path.suffix.lower() in _PARQUET
            # Not by its own partitions, of which a folder above all files may be one.
            frame = (
                pl.read_parquet(path, glob=False, hive_partitioning=False)
                if is_parquet
                else pl.scan_ipc(path, glob=False, hive_partitioning=False).collect()
            )
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreadableFile(Message("datasets.file-of-folder", file=path.name, reason=reason)) from error
        absent = [column for column in columns if column.name not in frame.columns]
        frames.append(frame.with_columns(pl.lit(each[number], dtype=each.dtype).alias(each.name) for each in absent))
    try:
        joined = pl.concat(frames, how="diagonal_relaxed", rechunk=False)
    except pl.exceptions.PolarsError as error:
        raise UnreadableFile(Message("datasets.columns-of-folder", reason=str(error).splitlines()[0])) from error
    joined.write_ipc(target, compression="uncompressed")


def _join_text(files: Sequence[Path], target: Path) -> None:
    first = files[0]
    with target.open("xb") as into:
        header: bytes | None = None
        for path in files:
            with path.open("rb") as source:
                line = source.readline()
                own = line.removeprefix(_BOM).rstrip(b"\r\n")
                if header is None:
                    header = own
                    into.write(line)
                elif own != header:
                    raise UnreadableFile(Message("datasets.headers-of-folder", one=first.name, other=path.name))
                if not line.endswith(b"\n"):
                    continue
                shutil.copyfileobj(source, into)
                if into.tell() and not _ends_in_newline(path):
                    into.write(b"\n")


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
