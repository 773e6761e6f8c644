"""The table in place of a task, opened where it is: on a server, or in files."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import polars as pl

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.datasets import partition_column
from cqox.engines.csv_encodings import utf8_files
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.place_csv import csv_table, faults_named
from cqox.engines.place_table import Ask, PlaceTable, parquet_schema, parquet_table, postgres_table
from cqox.errors import SourceDown, UnreadableFile, UnusableData
from cqox.sources import iceberg_table

__all__ = ["opened_table"]

_MEMORY_BYTES = 2**29
_PARQUET = (".parquet", ".pq")


@contextmanager
def opened_table(
    place: Mapping[str, object], folder: Path, *, threads: int, after_read: Callable[[], None], ask: Ask
) -> Iterator[PlaceTable]:
    """Open the table of a task.

    Args:
        place: `source` and `table`, and of a table in files `files`, their `format`, the stated `types` of columns, the
            `partitions` by name, and whether they are the caller's `own`; of an Iceberg table `format`, its own
            `folder`, and its `snapshot`.
        folder: for what does not fit into memory.
        threads: of an engine in this process.
        after_read: called after each pass over the table.
        ask: answers the questions of `cqox.sources.PostgresSession`, for a table on a server.

    Raises:
        SourceDown: it cannot be read.
        UnreadableFile: the same of the caller's own files, with the words of the engine.
        UnusableData: a file has other columns or other values than the table.
    """
    source = str(place["source"])
    if place.get("format") == "iceberg":
        with _iceberg(place, folder, threads=threads, after_read=after_read) as table:
            yield table
        return
    files = place.get("files")
    if not isinstance(files, list):
        yield postgres_table(str(place["table"]), after_read, ask)
        return
    is_text, types = place.get("format") == "csv", place.get("types")
    partitions = place.get("partitions")
    by_name = partitions if isinstance(partitions, dict) else {}
    columns = [partition_column(name, values) for name, values in by_name.items()]
    paths = [Path(str(each)) for each in files]
    try:
        with utf8_files(paths, folder) if is_text else nullcontext(paths) as ours:
            engine = DuckDBEngine.opened(
                memory_bytes=_MEMORY_BYTES, threads=threads, spill=folder, files=ours, ordered=is_text,
                after_read=after_read,
            )  # fmt: skip
            with closing(engine):
                if not is_text:
                    yield parquet_table(ours, engine, columns)
                    return
                with faults_named(ours, engine, folder):
                    yield csv_table(ours, engine, types if isinstance(types, dict) else {}, columns)
    except _failures() as error:
        if place.get("own"):
            raise _unreadable(str(place["table"]), paths, error) from error
        raise SourceDown(Message("sources.down", source=source, reason=type(error).__name__)) from error


@contextmanager
def _iceberg(
    place: Mapping[str, object], folder: Path, *, threads: int, after_read: Callable[[], None]
) -> Iterator[PlaceTable]:
    # They need pyiceberg, which is an extra.
    from cqox.engines.iceberg_files import snapshot_files
    from cqox.engines.place_iceberg import iceberg_place_table

    paths: Sequence[Path] = ()
    try:
        snapshot = iceberg_table(Path(str(place["folder"])), str(place["snapshot"]))
        files = snapshot_files(snapshot)
        if not files.data:
            raise UnusableData(Message("sources.iceberg-empty", table=snapshot.folder.name), field="table")
        paths = [*(each.path for each in files.data), *(each.path for each in files.deletes)]
        engine = DuckDBEngine.opened(
            memory_bytes=_MEMORY_BYTES, threads=threads, spill=folder, files=paths, after_read=after_read
        )
        with closing(engine):
            yield iceberg_place_table(snapshot, files, engine)
    except _failures() as error:
        gone = next((path for path in paths if not path.exists()), None)
        if gone is not None:
            raise SourceDown(
                Message("sources.iceberg-gone", table=str(place["table"]), file=shortened(gone.name))
            ) from error
        if place.get("own"):
            raise _unreadable(str(place["table"]), paths, error) from error
        raise SourceDown(Message("sources.down", source=str(place["source"]), reason=type(error).__name__)) from error


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors of files that cannot be read."""
    import duckdb

    # For a file that is gone, the engine looks into a folder of its name, which it may not.
    return (
        duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException, duckdb.PermissionException,
        OSError, pl.exceptions.PolarsError,
    )  # fmt: skip


def _unreadable(table: str, paths: Sequence[Path], error: Exception) -> UnreadableFile:
    """Return the error of a caller's own files, with the name of the one that is at fault where that can be found."""
    gone = next((path for path in paths if not path.exists()), None)
    if gone is not None:
        return UnreadableFile(
            Message("sources.own-files", table=table, reason=f"{gone.name}: {os.strerror(errno.ENOENT)}")
        )
    wrong = next((path for path in paths if path.suffix in _PARQUET and not _is_parquet(path)), None)
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UnreadableFile(
        Message("sources.own-files", table=table, reason=reason if wrong is None else f"{wrong.name}: {reason}")
    )


def _is_parquet(path: Path) -> bool:
    try:
        parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError):
        return False
    return True
