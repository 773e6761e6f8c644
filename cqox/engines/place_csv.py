"""A table in CSV files that stay where they are.

Every cell is read as text and cast in each pass, so that a value that is not of its column's kind ends the pass and
says where it is. Kinds are stated by the operator, or those of all rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets import name_columns
from cqox.datasets.reading import SEPARATOR_LINE
from cqox.engines.csv_encodings import delimiter_of, first_line, refuse_as_read
from cqox.engines.csv_kinds import FAULT, SEPARATOR, csv_kinds, tidy_text
from cqox.engines.duckdb_engine import DuckDBEngine, quoted_path
from cqox.engines.place_table import (
    Kind,
    PlaceTable,
    kind_of_partition,
    partition_cast,
    read_numbered,
    words_of,
)
from cqox.errors import UnusableData

__all__ = ["csv_table", "faults_named"]

_LEAST_TITLED = 3
_FILE = "cqox:file"
"""Column of the path of a row's file."""
_ROW = "row_number() over () - 1"
"""Of a row: the engine reads the files in their order, one row after the other, where a statement needs this number."""


def csv_table(
    paths: Sequence[Path], engine: DuckDBEngine, types: Mapping[str, object], partitions: Sequence[pl.Series] = ()
) -> PlaceTable:
    """Return the table in CSV files.

    Args:
        paths: the files; a file has the same header as the first.
        engine: keeps the order of rows.
        types: name to kind of columns that the operator states.
        partitions: columns that are in the names of folders, with a value for each file; those that the files have
            themselves are left out.

    Raises:
        UnusableData: a file has another header, or values that are not of the kinds of their columns.
    """
    text = _reading(paths[0])
    names = _header(paths, engine)
    # Names that differ in case alone are one name to DuckDB, so that it gets others.
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    # With the names, no statement looks at the files before it reads them.
    given = f"auto_detect = false, columns = {{{columns}}}"
    _check_first_lines(paths, engine, names, f"{_dialect(paths[0])}, {given}")
    tidy = ", ".join(f"{tidy_text(f'c{place}')} as c{place}" for place in range(len(names)))
    raw = f"(select {tidy}, file_index, {engine.dialect.quoted(_FILE)} from {_scan(paths, f'{text}, {given}')}) r"
    cells = {name: f"c{place}" for place, name in enumerate(names)}
    stated: dict[str, Kind] = {name: kind for name, kind in types.items() if name in names}  # type: ignore[misc]
    found = csv_kinds(engine, raw, cells, stated, file=_FILE)
    kinds, casts = found.kinds, found.casts
    for column in partitions:
        if column.name not in names:
            kinds[column.name], casts[column.name] = kind_of_partition(column), partition_cast(column)
    return PlaceTable(
        engine=engine,
        raw=raw,
        kinds=kinds,
        others=found.others,
        codes=frozenset(found.codes),
        row=_ROW,
        casts=casts,
        infinite="isinf({})",
        words=partial(words_of, engine),
        read=partial(read_numbered, engine, raw, _ROW, casts, kinds),
    )


@contextmanager
def faults_named(paths: Sequence[Path], engine: DuckDBEngine, folder: Path) -> Iterator[None]:
    """Raise the errors of a pass over CSV files as those of the file and the column that are wrong.

    Args:
        paths: the files.
        engine: has read them.
        folder: for what is needed meanwhile.

    Raises:
        UnreadableFile: the only file is not UTF-8, or its rows are not like its header, as when it is read.
        UnusableData: a value is not of its column's kind, or a file is no CSV of this table.
    """
    try:
        with _faults_named(paths, engine):
            yield
    except _NoCsv as error:
        if len(paths) == 1:
            refuse_as_read(paths[0], folder)
        raise UnusableData(error.detail, field=error.field) from error


class _NoCsv(UnusableData):
    """A file cannot be divided into the cells of its header."""


@contextmanager
def _faults_named(paths: Sequence[Path], engine: DuckDBEngine) -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        _, found, said = str(error).partition(FAULT)
        if found:
            _, file, kind, value, column = said.split(SEPARATOR, 4)
            message = Message("sources.csv-value", file=Path(file).name, column=column, kind=kind, value=value)
            raise UnusableData(message, field="mapping") from error
        for path in paths:
            _check_file(path, engine)
        raise


def _check_file(path: Path, engine: DuckDBEngine) -> None:
    """Refuse a file whose rows cannot be divided into the cells of its header."""
    import duckdb

    try:
        rows = _scan([path], f"{_reading(path)}, all_varchar = true")
        engine.connection.execute(f"select count(columns(*)) from {rows}").fetchall()
    except duckdb.Error as error:
        raise _NoCsv(Message("sources.csv-file", file=path.name), field="table") from error


def _reading(path: Path) -> str:
    """Return the options that a file is read with: those that its first rows show."""
    return f"{_dialect(path)}, header = true, filename = {_literal(_FILE)}"


def _dialect(path: Path) -> str:
    return f"hive_partitioning = false, delim = {_literal(delimiter_of(path))}, quote = '\"', escape = '\"'"


def _scan(paths: Sequence[Path], options: str) -> str:
    return f"read_csv([{', '.join(quoted_path(path) for path in paths)}], {options})"


def _header(paths: Sequence[Path], engine: DuckDBEngine) -> list[str]:
    """Return the names of the columns, which all files have in the same order; those that an upload would have."""
    import duckdb

    first: list[str] = []
    # The files are read as the first is.
    dialect = _dialect(paths[0])
    for path in paths:
        cells = _scan([path], f"{dialect}, header = false, skip = 0, all_varchar = true")
        try:
            rows = engine.connection.execute(f"select * from {cells} limit 1").fetchall()
        except duckdb.InvalidInputException as error:
            raise _NoCsv(Message("sources.csv-file", file=path.name), field="table") from error
        headers, _ = name_columns([cell or "" for row in rows for cell in row])
        names = [header.name for header in headers]
        first = first or names
        if names != first:
            different = next((name for name in [*names, *first] if (name in names) != (name in first)), first[0])
            raise UnusableData(
                Message("sources.csv-header", file=path.name, first=paths[0].name, column=different), field="table"
            )
    return first


def _check_first_lines(paths: Sequence[Path], engine: DuckDBEngine, names: Sequence[str], reading: str) -> None:
    """Refuse files that have something before the names of the columns: it would be read in their place.

    To find these names, DuckDB skips empty lines and what it takes for comments; without that, an empty line is a
    header, but no row.
    """

    for path in paths:
        first, second = (_first_row(path, engine, f"{reading}, header = {header}") for header in ("false", "true"))
        if first != names or second == names or _is_title(path, names):
            raise UnusableData(Message("sources.csv-first-line", file=path.name), field="table")


def _is_title(path: Path, names: Sequence[str]) -> bool:
    """Return whether the first line is a title of one cell, or says the delimiter; neither is a header."""
    line = first_line(path)
    alone = len(names) >= _LEAST_TITLED and all(name == f"column_{at}" for at, name in enumerate(names[1:], start=2))
    return alone or SEPARATOR_LINE.match(line) is not None


def _first_row(path: Path, engine: DuckDBEngine, reading: str) -> list[str]:
    """Return the first row as names of columns; none where there is no such row."""
    import duckdb

    try:
        rows = engine.connection.execute(f"select * from {_scan([path], reading)} limit 1").fetchall()
    except duckdb.InvalidInputException:
        return []
    headers, _ = name_columns([cell or "" for row in rows for cell in row])
    return [header.name for header in headers]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
