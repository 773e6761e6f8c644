"""DuckDB in this process: tables in files, larger than memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from cqox.engines.sql import Dialect
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Vector

if TYPE_CHECKING:
    import duckdb

__all__ = ["DuckDBEngine", "quoted_path"]

_OF_PATTERNS = "*?["
_DIALECT = Dialect(
    total="fsum",
    days="(epoch_us(cast({} as timestamp)) / 86400000000e0)".format,
    moment_number="epoch_us(cast({} as timestamp))".format,
    word_key="cast(concat('0x', substr(md5({}), 1, 15)) as bigint)".format,
    # The sums of one group must fit into a block; beyond, DuckDB 2.0 divides by zero and ends the process.
    most_values=4_000,
    # Not by isnan or nullif: the statistics of Parquet files leave NaN out, and DuckDB takes from them that there is
    # none (duckdb issue 25521).
    without_nan=lambda text: f"(case when isfinite({text}) then {text} end)",
)


@dataclass(frozen=True, slots=True)
class DuckDBEngine:
    """A connection to a database in memory, which reads files and spills to disk.

    Attributes:
        connection: of this engine alone.
        name: the engine and its version.
        after_read: called after each statement, to report progress.
    """

    connection: "duckdb.DuckDBPyConnection"
    name: str
    dialect: Dialect = _DIALECT
    after_read: Callable[[], None] = lambda: None

    @classmethod
    def opened(
        cls,
        *,
        memory_bytes: int,
        threads: int,
        spill: Path | None,
        folders: Sequence[Path] = (),
        files: Sequence[Path] = (),
        ordered: bool = False,
        after_read: Callable[[], None] = lambda: None,
    ) -> Self:
        """Start the engine.

        Args:
            memory_bytes: memory that its tables and groups may take; beyond, it spills.
            threads: number of its threads.
            spill: folder for what does not fit, in plain text; made where it does not exist. None for tables that are
                kept encrypted: what does not fit is then an error.
            folders: whose files statements may read.
            files: that statements may read too, by themselves or by links.
            ordered: whether rows keep the order of their files.
            after_read: called after each statement.

        Raises:
            ModuleNotFoundError: DuckDB is not installed.
        """
        import duckdb

        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{max(memory_bytes // 2**20, 1)}MiB",
            "threads": threads,
            "temp_directory": "" if spill is None else str(spill),
            "preserve_insertion_order": ordered,
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
        }
        connection = duckdb.connect(config=settings)
        # It would write to the standard output of the caller.
        connection.execute("set enable_progress_bar = false")
        ours = [*folders, *([] if spill is None else [spill])]
        connection.execute(f"set allowed_directories = [{_both([f'{folder}/' for folder in ours])}]")
        connection.execute(f"set allowed_paths = [{_both(map(str, files))}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        return cls(connection=connection, name=f"duckdb {duckdb.__version__}", after_read=after_read)

    def files(self, paths: Sequence[Path], *, numbered: bool = False) -> str:
        """Return what follows `from` to read Parquet files as one table.

        Args:
            paths: the files.
            numbered: add the column `file_row_number`, from 0 in each file.
        """
        listed, number = _listed(paths), str(numbered).lower()
        # Of a file at `year=2024/a.parquet`, DuckDB would otherwise make a column `year`, in place of one of the file.
        options = f"can_have_nan = true, hive_partitioning = false, file_row_number = {number}"
        return f"read_parquet([{listed}], {options})"

    def files_by_identity(self, paths: Sequence[Path], columns: Mapping[int, tuple[str, str]]) -> str:
        """Return what follows `from` to read Parquet files whose columns are found by the `field_id` of their schemas.

        A column that a file does not have is missing there. `file_index` and `file_row_number` count from 0.

        Args:
            paths: the files.
            columns: number to the name and the type of the column, in their order.
        """
        listed = ", ".join(
            f"{number}: {{name: '{name}', type: '{kind}', default_value: null}}"
            for number, (name, kind) in columns.items()
        )
        options = "can_have_nan = true, hive_partitioning = false, file_row_number = true"
        return f"read_parquet([{_listed(paths)}], schema = map {{{listed}}}, {options})"

    def top_columns(self, paths: Sequence[Path]) -> list[list[tuple[str, str | None, int | None]]]:
        """Return name, type and `field_id` of the columns of Parquet files; a column of columns has no type."""
        statement = f"select file_name, name, type, field_id, num_children from parquet_schema([{_listed(paths)}])"
        found: dict[str, list[tuple[str, str | None, int | None]]] = {str(path): [] for path in paths}
        # Depth first, each column before those in it: how many are still to come, of the innermost column first.
        left: dict[str, list[int]] = {}
        for file, name, kind, number, children in self.connection.execute(statement).fetchall():
            depth = left.setdefault(file, [])
            while depth and depth[-1] == 0:
                depth.pop()
            if depth:
                depth[-1] -= 1
                if len(depth) == 1:
                    found[file].append((name, kind, number))
            depth.append(children or 0)
        return list(found.values())

    def heights(self, paths: Sequence[Path]) -> list[int]:
        """Return the number of rows of Parquet files."""
        statement = f"select file_name, num_rows from parquet_file_metadata([{_listed(paths)}])"
        found = {str(file): int(rows) for file, rows in self.connection.execute(statement).fetchall()}
        return [found[str(path)] for path in paths]

    def row_by_row(self, table: str, paths: Sequence[Path], column: str, name: str) -> str:
        """Return what follows `from` to read a table with a column of Parquet files next to it, row by row.

        One thread reads both, in their order.

        Args:
            table: what follows `from`; Parquet files.
            paths: the files, whose rows in this order are those of the table.
            column: of the files.
            name: of it in the result; no column of the table may have it, in whatever case.
        """
        quoted = self.dialect.quoted
        pairs = f"{table} as l positional join {self.files(paths)} as r"
        return f"(select l.*, r.{quoted(column)} as {quoted(name)} from {pairs}) as p"

    def names(self, table: str) -> list[str]:
        """Return the names under which statements reach the columns of a table, in its order.

        Args:
            table: what follows `from`.
        """
        # Names that differ in case alone are one name to DuckDB, which numbers all but the first.
        return [str(row[0]) for row in self.connection.execute(f"describe select * from {table}").fetchall()]

    def close(self) -> None:
        """End the engine and remove what it spilled."""
        self.connection.close()

    def read(self, statement: str) -> list[Vector]:
        """Return the columns of an answer as arrays of doubles, NaN where a value is null.

        Raises:
            MemoryError: groups do not fit into memory, and may not be spilled.
        """
        import duckdb

        checkpoint()
        try:
            found: Mapping[str, object] = self.connection.execute(statement).fetchnumpy()
        except duckdb.OutOfMemoryException as error:
            raise MemoryError(str(error)) from error
        self.after_read()
        return [_doubles(column) for column in found.values()]


def quoted_path(path: Path) -> str:
    """Return the text of a path in a statement, where it stands for the file of this name alone and is no pattern."""
    return _literal(_no_pattern(str(path)))


def _no_pattern(path: str) -> str:
    if not any(each in path for each in _OF_PATTERNS):
        return path
    # In a path without them, a backslash is itself.
    escaped = {"\\": "\\\\", **{each: f"[{each}]" for each in _OF_PATTERNS}}
    return "".join(escaped.get(each, each) for each in path)


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(quoted_path(path) for path in paths)


def _both(paths: Iterable[str]) -> str:
    """Return paths as they are and as statements have them: the engine compares the former and the latter."""
    return ", ".join(_literal(form) for path in paths for form in dict.fromkeys((path, _no_pattern(path))))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _doubles(column: object) -> Vector:
    values = np.ma.asarray(column).astype(np.float64)
    return np.asarray(np.ma.filled(values, np.nan), dtype=np.float64)
