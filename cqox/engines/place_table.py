"""A table in place as a worker reads it: by sums, and some of its rows.

The columns that a request maps are cast to the types of stored tables, under names that are safe in every engine.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.postgres_engine import DIALECT as POSTGRES
from cqox.engines.remote_engine import RemoteEngine, texts_of
from cqox.engines.sql_moments import Engine
from cqox.errors import InvalidRequest, UnusableData
from cqox.sources import NULL

__all__ = [
    "DUCKDB_CASTS",
    "NOTATION",
    "TYPES",
    "Ask",
    "Kind",
    "PlaceTable",
    "check_reserved",
    "check_years",
    "kind_of_partition",
    "parquet_schema",
    "parquet_table",
    "partition_cast",
    "postgres_table",
    "read_numbered",
    "unusable_dates",
    "words_of",
]

type Ask = Callable[[Mapping[str, object]], bytes]
type Kind = Literal["whole", "real", "word", "day", "moment"]
TYPES: dict[Kind, pl.DataType] = {
    "whole": pl.Int64(), "real": pl.Float64(), "word": pl.String(), "day": pl.Date(), "moment": pl.Datetime("us"),
}  # fmt: skip

_POSTGRES_CASTS = {
    "whole": "{}::bigint", "real": "nullif({}::float8, 'NaN'::float8)", "word": '{}::text collate "C"',
    # The times `infinity` and `-infinity` are missing.
    "day": "(case when isfinite({0}) then {0}::date end)",
    "moment": "(case when isfinite({0}) then {0}::timestamp end)",
    "zoned": "(case when isfinite({0}) then {0} at time zone 'UTC' end)",
}  # fmt: skip
DUCKDB_CASTS = {
    "whole": "cast({} as bigint)", "real": "cast({} as double)", "word": "cast({} as varchar)",
    "day": "cast({} as date)", "moment": "make_timestamp(epoch_us({}))",
}  # fmt: skip
NOTATION = "notation"
"""The type of columns of text that statements cannot read."""
_TID = 65_536
"""More rows than a page of PostgreSQL has."""
_RESERVED = ("file_row_number", "file_index")
"""Columns of DuckDB by which rows are numbered."""
_ROW, _PATH = "\0", "\0path"
"""No column has these names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceTable:
    """A table in place.

    Attributes:
        engine: sums its rows.
        raw: what follows `from` to read it as it is.
        kinds: name to kind of every column that can be used.
        others: name to type of the columns that cannot.
        row: the number of a row.
        casts: name to the text of a column in the type that its kind is stored in.
        infinite: the text that is true where a real number is infinite.
        words: returns the answer of a statement as texts, None where a value is null.
        read: returns columns of the rows with some ascending numbers; of all rows without.
        codes: names of the columns of words that are made of digits and are no numbers.
    """

    engine: Engine
    raw: str
    kinds: Mapping[str, Kind]
    others: Mapping[str, str]
    row: str
    casts: Mapping[str, str]
    infinite: str
    words: Callable[[str], list[tuple[str | None, ...]]]
    read: Callable[[NDArray[np.int64] | None, Sequence[str]], pl.DataFrame]
    codes: frozenset[str] = frozenset()

    def count(self) -> int:
        """Return the number of rows."""
        (rows,) = self.engine.read(f"select count(*) from {self.raw}")
        return int(rows[0])

    def columns(self, names: Sequence[str]) -> tuple[str, Mapping[str, str]]:
        """Return what follows `from` to read some columns and the number of the row, and the name of each in it.

        Raises:
            InvalidRequest: a column is of a type that cannot be used, or of none.
        """
        for name, dtype in ((name, self.others[name]) for name in names if name in self.others):
            refused = {
                str(pl.Null): Message("sources.no-value", column=name),
                NOTATION: Message("sources.csv-notation", column=name),
            }.get(dtype, Message("sources.unusable-type", column=name, type=dtype))
            raise InvalidRequest(refused, field="mapping")
        aliases = {name: f"v{number}" for number, name in enumerate(names)}
        picked = [f"{self.casts[name]} as {alias}" for name, alias in aliases.items()]
        return f"(select {', '.join([*picked, f'{self.row} as rownumber'])} from {self.raw}) s", aliases

    def infinities(self, name: str) -> int:
        """Return the number of rows in which a column is infinite."""
        if self.kinds[name] != "real":
            return 0
        infinite = self.infinite.format(self.casts[name])
        (rows,) = self.engine.read(f"select count(case when {infinite} then 1 end) from {self.raw}")
        return int(rows[0])

    def without_infinities(self, name: str) -> "PlaceTable":
        """Return the table in which a column of real numbers is missing where it is infinite."""
        cast = self.casts[name]
        finite = f"(case when not ({self.infinite.format(cast)}) then {cast} end)"

        def read(rows: NDArray[np.int64] | None, names: Sequence[str]) -> pl.DataFrame:
            found = self.read(rows, names)
            whole = pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
            return found.with_columns(whole) if name in names else found

        return replace(self, casts={**self.casts, name: finite}, read=read)


def postgres_table(table: str, after_read: Callable[[], None], ask: Ask) -> PlaceTable:
    """Return a table on a PostgreSQL server, which answers the questions of `cqox.sources.PostgresSession`."""
    found = json.loads(ask({"schema": table}))
    kinds = {name: kind for name, kind, _ in found["columns"] if kind}
    engine = RemoteEngine(
        name=found["engine"], dialect=POSTGRES, run=lambda text: ask({"sums": text}), after_read=after_read
    )
    stored: dict[str, Kind] = {name: "moment" if kind == "zoned" else kind for name, kind in kinds.items()}
    casts = {name: _POSTGRES_CASTS[kind].format(POSTGRES.quoted(name)) for name, kind in kinds.items()}

    def read(rows: NDArray[np.int64] | None, names: Sequence[str]) -> pl.DataFrame:
        listed = ", ".join(casts[name] for name in names)
        where = ""
        if rows is not None:
            places = ",".join(f'"({row // _TID},{row % _TID})"' for row in rows.tolist())
            where = f" where ctid = any('{{{places}}}'::tid[])"
        return _from_csv(ask({"rows": f"select {listed} from {found['table']}{where}"}), names, stored)

    return PlaceTable(
        engine=engine,
        raw=found["table"],
        kinds=stored,
        others={name: kind for name, mine, kind in found["columns"] if not mine},
        row=f"((ctid::text::point)[0] * {_TID} + (ctid::text::point)[1])::bigint",
        casts=casts,
        infinite="{} in ('Infinity'::float8, '-Infinity'::float8)",
        words=lambda text: texts_of(ask({"rows": text})),
        read=read,
    )


def unusable_dates(column: str) -> UnusableData:
    """Return the error of a column with dates beyond those of Python."""
    return UnusableData(Message("sources.unusable-dates", column=column), field="mapping")


def check_years(frame: pl.DataFrame) -> None:
    """Refuse rows with dates beyond those of Python.

    Raises:
        UnusableData: a column has some.
    """
    for each in frame.select(pl.selectors.temporal()):
        years = each.dt.year()
        if not years.is_between(MINYEAR, MAXYEAR).all():
            raise unusable_dates(each.name)


def words_of(engine: DuckDBEngine, statement: str) -> list[tuple[str | None, ...]]:
    """Return the answer of a statement as texts, None where a value is null."""
    found = engine.connection.execute(statement).fetchall()
    return [tuple(None if cell is None else str(cell) for cell in row) for row in found]


def read_numbered(
    engine: DuckDBEngine,
    raw: str,
    row: str,
    casts: Mapping[str, str],
    kinds: Mapping[str, Kind],
    rows: NDArray[np.int64] | None,
    names: Sequence[str],
) -> pl.DataFrame:
    """Return columns of rows by the engine itself, in the order of their numbers.

    Args:
        engine: reads them.
        raw: what follows `from`.
        row: the number of a row.
        casts: as of `PlaceTable`.
        kinds: as of `PlaceTable`.
        rows: the numbers; all rows if None.
        names: the columns.

    Raises:
        UnusableData: a column has dates beyond those of Python.
    """
    listed = ", ".join(f"{casts[name]} as v{place}" for place, name in enumerate(names))
    statement = f"select {listed}, {row} as rownumber from {raw}"
    if rows is not None:
        wanted = "create or replace temp table wanted as select unnest($1::bigint[]) as n"
        engine.connection.execute(wanted, [rows.tolist()]).fetchall()
        statement = f"select s.* from ({statement}) s semi join wanted on s.rownumber = wanted.n"
    kept = ", ".join(f"v{place}" for place in range(len(names)))
    found = pl.DataFrame(engine.connection.sql(f"select {kept} from ({statement}) order by rownumber"))
    frame = pl.DataFrame(
        [
            found[f"v{place}"].alias(name).cast(TYPES[kinds[name]]).fill_nan(None)
            if kinds[name] == "real"
            else found[f"v{place}"].alias(name).cast(TYPES[kinds[name]])
            for place, name in enumerate(names)
        ]
    )
    check_years(frame)
    return frame


def _from_csv(content: bytes, names: Sequence[str], kinds: Mapping[str, Kind]) -> pl.DataFrame:
    if not content:
        return pl.DataFrame(schema={name: TYPES[kinds[name]] for name in names})
    texts = pl.read_csv(
        BytesIO(content), has_header=False, new_columns=list(names), null_values=NULL, infer_schema=False,
    )  # fmt: skip
    reads = {
        "day": lambda column: column.str.to_date("%Y-%m-%d", strict=False),
        "moment": lambda column: column.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False),
    }
    typed = texts.select(
        reads.get(kinds[name], lambda column, to=TYPES[kinds[name]]: column.cast(to))(pl.col(name)) for name in names
    )
    for name in names:
        if typed[name].null_count() > texts[name].null_count():
            raise unusable_dates(name)
    return typed


def parquet_table(paths: Sequence[Path], engine: DuckDBEngine, partitions: Sequence[pl.Series] = ()) -> PlaceTable:
    """Return the table in Parquet files.

    Args:
        paths: the files.
        engine: reads them.
        partitions: columns that are in the names of folders, with a value for each file; those that the files have
            themselves are left out.

    Raises:
        UnusableData: a file has other columns than the first, or a column has a name that the engine would mistake for
            another.
    """
    scanned = pl.scan_parquet(list(paths), glob=False, hive_partitioning=False, include_file_paths=_PATH)
    schema = parquet_schema(paths[0])
    _check_schemas(paths, schema)
    partitions = [column for column in partitions if column.name not in schema]
    scanned = scanned.with_columns(_of_file(column, paths) for column in partitions)
    _check_names(paths, list(schema), [column.name for column in partitions])
    heights = [pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() for path in paths]
    starts = np.cumsum([0, *heights[:-1]]).tolist()
    raw = engine.files(paths, numbered=True)
    # Names that differ in case alone are one name to DuckDB, which numbers all but the first.
    theirs = dict(zip(schema, engine.names(raw), strict=False))
    kinds = {name: kind for name, dtype in schema.items() if (kind := _kind(dtype)) is not None}
    quoted = engine.dialect.quoted
    casts = {name: DUCKDB_CASTS[kind].format(quoted(theirs[name])) for name, kind in kinds.items()}
    in_names = {column.name: kind_of_partition(column) for column in partitions}
    return PlaceTable(
        engine=engine,
        raw=raw,
        kinds={**kinds, **in_names},
        others={name: str(dtype) for name, dtype in schema.items() if name not in kinds},
        row=f"list_extract([{', '.join(map(str, starts))}], cast(file_index as bigint) + 1) + file_row_number",
        casts={**casts, **{column.name: partition_cast(column) for column in partitions}},
        infinite="isinf({})",
        words=partial(words_of, engine),
        read=partial(_read_parquet, scanned, {**kinds, **in_names}),
    )


def kind_of_partition(column: pl.Series) -> Kind:
    """Return the kind of a column that is in the names of folders."""
    return "whole" if column.dtype == pl.Int64 else "day" if column.dtype == pl.Date else "word"


def partition_cast(column: pl.Series) -> str:
    """Return the text of a column that is in the names of folders, in DuckDB, by the number of a row's file."""
    values = ("null" if each is None else "'" + str(each).replace("'", "''") + "'" for each in column)
    sql = {"whole": "bigint", "day": "date", "word": "varchar"}[kind_of_partition(column)]
    return f"list_extract(cast([{', '.join(values)}] as {sql}[]), cast(file_index as bigint) + 1)"


def parquet_schema(path: Path) -> Mapping[str, pl.DataType]:
    """Return the types of the columns of a Parquet file, whose name is no pattern."""
    return pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema()


def _of_file(column: pl.Series, paths: Sequence[Path]) -> pl.Expr:
    names = [str(path) for path in paths]
    return pl.col(_PATH).replace_strict(names, column, return_dtype=column.dtype).alias(column.name)


def _check_schemas(paths: Sequence[Path], schema: Mapping[str, pl.DataType]) -> None:
    """Refuse files whose columns are not those of the first, in whatever order."""
    for path in paths[1:]:
        own = parquet_schema(path)
        for name in [*schema, *own]:
            here, there = own.get(name), schema.get(name)
            if here is None or there is None:
                without, having = (path, paths[0]) if here is None else (paths[0], path)
                raise UnusableData(
                    Message("sources.column-absent", file=without.name, other=having.name, column=name), field="table"
                )
            if here != there:
                found = Message(
                    "sources.column-types", file=path.name, first=paths[0].name, column=name, type=str(here),
                    other=str(there),
                )  # fmt: skip
                raise UnusableData(found, field="table")


def _check_names(paths: Sequence[Path], names: Sequence[str], others: Sequence[str]) -> None:
    """Refuse names that DuckDB has for itself, and those that it would mistake for each other between files."""
    folded = [name.casefold() for name in names]
    check_reserved([*names, *others])
    for name, plain in zip(names, folded, strict=True):
        # Between files, DuckDB finds columns by their names in whatever case.
        if folded.count(plain) > 1 and any(list(parquet_schema(path)) != list(names) for path in paths):
            raise UnusableData(Message("sources.same-but-for-case", column=name), field="table")


def check_reserved(names: Sequence[str]) -> None:
    """Refuse columns by whose names DuckDB numbers rows and files.

    Raises:
        UnusableData: there is one.
    """
    for name in names:
        if name.casefold() in _RESERVED:
            raise UnusableData(Message("sources.reserved-column", column=name), field="table")


def _read_parquet(
    scanned: pl.LazyFrame, kinds: Mapping[str, Kind], rows: NDArray[np.int64] | None, names: Sequence[str]
) -> pl.DataFrame:
    table = scanned.select(_cast(pl.col(name), scanned.collect_schema()[name], kinds[name]) for name in names)
    if rows is not None:
        # Of the rows before the first and behind the last, nothing is decoded.
        first, behind = (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)
        wanted = pl.LazyFrame({_ROW: pl.Series(rows, dtype=pl.UInt32)})
        table = (
            table.slice(first, behind - first)
            .with_row_index(_ROW, offset=first)
            .join(wanted, on=_ROW, how="semi")
            .drop(_ROW)
        )
    found = table.collect(engine="streaming")
    check_years(found)
    return found


def _cast(column: pl.Expr, dtype: pl.DataType, kind: Kind) -> pl.Expr:
    if kind == "moment":
        zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else column
    cast = column.cast(TYPES[kind])
    return cast.fill_nan(None) if kind == "real" else cast


def _kind(dtype: pl.DataType) -> Kind | None:
    if dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum):
        return "word"
    if dtype == pl.Date:
        return "day"
    if dtype == pl.Datetime:
        return "moment"
    if dtype.is_integer() and dtype not in (pl.UInt64, pl.Int128):
        return "whole"
    return "real" if dtype.is_numeric() else None
