"""The table in place of a task, opened where it is: on a server, or in files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets import partition_column
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.place_csv import csv_table, faults_named
from cqox.engines.place_table import Ask, PlaceTable, parquet_table, postgres_table
from cqox.errors import SourceDown, UnreadableFile

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
            `partitions` by name, and whether they are the caller's `own`.
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
    files = place.get("files")
    if not isinstance(files, list):
        yield postgres_table(str(place["table"]), after_read, ask)
        return
    import duckdb

    is_text, types = place.get("format") == "csv", place.get("types")
    partitions = place.get("partitions")
    by_name = partitions if isinstance(partitions, dict) else {}
    columns = [partition_column(name, values) for name, values in by_name.items()]
    paths = [Path(str(each)) for each in files]
    engine = DuckDBEngine.opened(
        memory_bytes=_MEMORY_BYTES, threads=threads, spill=folder, files=paths, ordered=is_text, after_read=after_read
    )
    try:
        if is_text:
            with faults_named(paths, engine):
                yield csv_table(paths, engine, types if isinstance(types, dict) else {}, columns)
        else:
            yield parquet_table(paths, engine, columns)
    except (duckdb.IOException, duckdb.InvalidInputException, OSError, pl.exceptions.PolarsError) as error:
        if place.get("own"):
            raise _unreadable(str(place["table"]), paths, error) from error
        raise SourceDown(Message("sources.down", source=source, reason=type(error).__name__)) from error
    finally:
        engine.close()


def _unreadable(table: str, paths: Sequence[Path], error: Exception) -> UnreadableFile:
    """Return the error of a caller's own files, with the name of the one that is at fault where that can be found."""
    wrong = next((path for path in paths if path.suffix in _PARQUET and not _is_parquet(path)), None)
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UnreadableFile(
        Message("sources.own-files", table=table, reason=reason if wrong is None else f"{wrong.name}: {reason}")
    )


def _is_parquet(path: Path) -> bool:
    try:
        pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError):
        return False
    return True
