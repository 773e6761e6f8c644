"""A table in CSV files that stay where they are.

Every cell is read as text and cast in each pass, so that a value that is not of its column's kind ends the pass and
says where it is. Kinds are stated by the operator, or those of the first rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from cqox.contract.messages import Message
from cqox.datasets import MISSING_WORDS, name_columns
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

_SAMPLE_ROWS = 20_000
_AT_ONCE = 100
_FILE = "cqox:file"
"""Column of the path of a row's file."""
_ROW = "row_number() over () - 1"
"""Of a row: the engine reads the files in their order, one row after the other, where a statement needs this number."""
_FAULT = "cqox-fault"
"""Begins the error of a value that is not of its column's kind."""
_SEPARATOR = "\x1f"
_TEXT = "nullif(trim({}), '')"
# What DuckDB casts beyond these is another number than the text says, such as 2 of '1.5' as a whole one.
_VALUES: Mapping[Kind, str] = {
    "whole": "(case when regexp_full_match({0}, '[+-]?[0-9]+') then try_cast({0} as bigint) end)",
    "real": "(case when not contains({0}, '_') then try_cast({0} as double) end)",
    "day": "(case when regexp_full_match({0}, '[0-9]{{4}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}') "
    "then try_cast({0} as date) end)",
    "moment": "(case when regexp_full_match({0}, '[0-9]{{4}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}"
    "([ T][0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?)?Z?') "
    "then try_cast(rtrim({0}, 'Z') as timestamp) end)",
}


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
    text = _reading(paths[0], engine)
    names = _header(paths, engine)
    # Names that differ in case alone are one name to DuckDB, so that it gets others.
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    # With the names, no statement looks at the files before it reads them.
    given = f"auto_detect = false, columns = {{{columns}}}"
    _check_first_lines(paths, engine, names, f"{_dialect(paths[0], engine)}, {given}")
    raw = _scan(paths, f"{text}, {given}")
    cells = {name: _TEXT.format(f"c{place}") for place, name in enumerate(names)}
    kinds = _kinds(engine, raw, cells, {name: kind for name, kind in types.items() if name in names})
    casts = {name: _cast(name, cells[name], kind, engine) for name, kind in kinds.items()}
    for column in partitions:
        if column.name not in kinds:
            kinds[column.name], casts[column.name] = kind_of_partition(column), partition_cast(column)
    return PlaceTable(
        engine=engine,
        raw=raw,
        kinds=kinds,
        others={},
        row=_ROW,
        casts=casts,
        infinite="isinf({})",
        words=partial(words_of, engine),
        read=partial(read_numbered, engine, raw, _ROW, casts, kinds),
    )


@contextmanager
def faults_named(paths: Sequence[Path], engine: DuckDBEngine) -> Iterator[None]:
    """Raise the errors of a pass over CSV files as those of the file and the column that are wrong.

    Raises:
        UnusableData: a value is not of its column's kind, or a file is no CSV of this table.
    """
    import duckdb

    try:
        yield
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        _, found, said = str(error).partition(_FAULT)
        if found:
            _, file, kind, column = said.split(_SEPARATOR, 3)
            raise UnusableData(
                Message("sources.csv-value", file=Path(file).name, column=column, kind=kind), field="mapping"
            ) from error
        for path in paths:
            _check_file(path, engine)
        raise


def _check_file(path: Path, engine: DuckDBEngine) -> None:
    """Refuse a file whose rows cannot be divided into the cells of its header."""
    import duckdb

    try:
        rows = _scan([path], f"{_reading(path, engine)}, all_varchar = true")
        engine.connection.execute(f"select count(columns(*)) from {rows}").fetchall()
    except duckdb.Error as error:
        raise UnusableData(Message("sources.csv-file", file=path.name), field="table") from error


def _reading(path: Path, engine: DuckDBEngine) -> str:
    """Return the options that a file is read with: those that its first rows show."""
    missing = ", ".join(_literal(word) for word in ("", *MISSING_WORDS))
    return f"{_dialect(path, engine)}, header = true, nullstr = [{missing}], filename = {_literal(_FILE)}"


def _dialect(path: Path, engine: DuckDBEngine) -> str:
    (found,) = engine.connection.execute(
        f"select delimiter, quote, escape from sniff_csv({quoted_path(path)}, header = true, all_varchar = true)"
    ).fetchall()
    # Where the first rows quote nothing, later ones may.
    delimiter, quote, escape = ('"' if each in (None, "", "(empty)") else str(each) for each in found)
    return (
        f"hive_partitioning = false, delim = {_literal(delimiter)}, quote = {_literal(quote)}, "
        f"escape = {_literal(escape)}"
    )


def _scan(paths: Sequence[Path], options: str) -> str:
    return f"read_csv([{', '.join(quoted_path(path) for path in paths)}], {options})"


def _header(paths: Sequence[Path], engine: DuckDBEngine) -> list[str]:
    """Return the names of the columns, which all files have in the same order; those that an upload would have."""
    import duckdb

    first: list[str] = []
    # The files are read as the first is.
    dialect = _dialect(paths[0], engine)
    for path in paths:
        cells = _scan([path], f"{dialect}, header = false, skip = 0, all_varchar = true")
        try:
            rows = engine.connection.execute(f"select * from {cells} limit 1").fetchall()
        except duckdb.InvalidInputException as error:
            raise UnusableData(Message("sources.csv-file", file=path.name), field="table") from error
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
        if first != names or second == names:
            raise UnusableData(Message("sources.csv-first-line", file=path.name), field="table")


def _first_row(path: Path, engine: DuckDBEngine, reading: str) -> list[str]:
    """Return the first row as names of columns; none where there is no such row."""
    import duckdb

    try:
        rows = engine.connection.execute(f"select * from {_scan([path], reading)} limit 1").fetchall()
    except duckdb.InvalidInputException:
        return []
    headers, _ = name_columns([cell or "" for row in rows for cell in row])
    return [header.name for header in headers]


def _kinds(engine: DuckDBEngine, raw: str, texts: Mapping[str, str], stated: Mapping[str, object]) -> dict[str, Kind]:
    """Return the kinds of the columns: those that are stated, and what every value of the first rows is."""
    sample = f"(select * from {raw} limit {_SAMPLE_ROWS}) s"
    unknown = [name for name in texts if name not in stated]
    found: dict[str, Kind] = dict(stated)  # type: ignore[arg-type]
    for name, kind in _seen(engine, sample, texts, unknown).items():
        if kind is not None:
            found[name] = kind
    # Of columns that are empty in the first rows, all rows are looked at.
    late = [name for name in unknown if name not in found]
    found |= {name: kind or "word" for name, kind in _seen(engine, raw, texts, late).items()}
    return {name: found[name] for name in texts}


def _seen(engine: DuckDBEngine, rows: str, texts: Mapping[str, str], names: Sequence[str]) -> dict[str, Kind | None]:
    """Return what all values of some columns are; None where there is no value."""
    seen: dict[str, Kind | None] = {}
    for start in range(0, len(names), _AT_ONCE):
        block = names[start : start + _AT_ONCE]
        asked = [
            f"count({value})"
            for name in block
            for value in (texts[name], *(form.format(texts[name]) for form in _VALUES.values()))
        ]
        counts = np.array([column[0] for column in engine.read(f"select {', '.join(asked)} from {rows}")])
        for name, (values, *fitting) in zip(block, counts.reshape(len(block), -1), strict=True):
            fits = [kind for kind, number in zip(_VALUES, fitting, strict=True) if number == values]
            seen[name] = None if values == 0 else [*fits, "word"][0]
    return seen


def _cast(name: str, text: str, kind: Kind, engine: DuckDBEngine) -> str:
    if kind == "word":
        return text
    parts = [_literal(part) for part in (_FAULT, kind, name)]
    separator, file = _literal(_SEPARATOR), engine.dialect.quoted(_FILE)
    fault = f"error(concat_ws({separator}, {parts[0]}, {file}, {parts[1]}, {parts[2]}))"
    return f"(case when {text} is not null then coalesce({_VALUES[kind].format(text)}, {fault}) end)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
