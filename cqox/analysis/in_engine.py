"""A table that an engine sums, with a sample of its rows in memory for everything that sums cannot give.

The sample is chosen by a hash of the unit, so that it is the same in every run; by a hash of the row's number where no
unit is mapped, where units are few, or where their sizes are so uneven that the sample would be far from its size.
Every level of a mapped column occurs in it: where a rare one would not, its last row is added.
"""

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.analysis.encoding import KEY, encoded
from cqox.analysis.levels import MAX_LEVELS
from cqox.analysis.mapping import columns_of, names_in
from cqox.analysis.opened import Opened
from cqox.analysis.prepare import Contrast
from cqox.analysis.ranges import refuse_out_of_range
from cqox.contract.messages import Message, of
from cqox.datasets import Column as Described
from cqox.datasets import ColumnsOnDisk
from cqox.engines import DuckDBEngine, SourceColumn, SqlMoments
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators import Estimate, Estimator, Plan
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.catalog import reason_against
from cqox.estimators.numerics.moments import Column, Expr, Fold, Is, Known, Moments, linear, times

__all__ = ["CELLS_IN_MEMORY", "SAMPLE_ROWS", "InEngine", "in_engine", "wants_engine"]

CELLS_IN_MEMORY = 150_000_000
"""Number of mapped cells up to which `options.engine: auto` analyses in memory."""

SAMPLE_ROWS = 200_000
"""Rows of the sample, about."""

_MEMORY_BYTES = 2**29
_STEPS = 250
_FIRST_DRAW, _SECOND_DRAW = 10**6, 10**6 + 1
"""Numbers of splits that no request has, for the hash that chooses the sample."""

_ROW, _ROW_KEY, _NUMBER = "row number", "row key", "file_row_number"
_FEWEST_OF_ARM = 50
"""Rows of an arm below which the sample gets more of it."""
_FEWEST_UNITS = 100
"""Expected number of units below which the sample is of rows: few units say little of the others."""


def wants_engine(opened: Opened) -> tuple[bool, tuple[Message, ...]]:
    """Return whether an engine is to sum the table, and a note where one was asked for and is not used.

    Raises:
        InvalidRequest: the engine that was asked for is not installed.
    """
    asked = opened.options.engine
    if asked == "memory" or (asked == "auto" and opened.rows * len(columns_of(opened.roles)) <= CELLS_IN_MEMORY):
        return False, ()
    if find_spec("duckdb") is None:
        if asked == "auto":
            return False, ()
        raise InvalidRequest(Message("by_moments.not-installed", engine=asked), field="options.engine")
    table, why = opened.read.table, None
    if table.kept is not None or table.replaced:
        why = Message("by_moments.remedied")
    elif opened.rows <= SAMPLE_ROWS:
        why = Message("by_moments.small")
    elif _many_levels(opened):
        why = Message("by_moments.fixed-effects")
    elif taken := [name for name in opened.columns if name.lower() == _NUMBER]:
        why = Message("by_moments.column-of-engine", column=taken[0])
    if why is None:
        return True, ()
    return False, () if asked == "auto" else (Message("by_moments.in-memory", engine=asked, why=why),)


def _many_levels(opened: Opened) -> bool:
    """Return whether a covariate has so many levels that most rows of a sample would have one of their own."""
    columns = [opened.columns[name] for name in names_in(opened.roles.get("covariates", ()))]
    return any(
        column.dtype in ("enum", "string") and 2 * column.distinct * opened.rows > SAMPLE_ROWS * column.count
        for column in columns
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InEngine:
    """A request whose table an engine sums.

    Attributes:
        opened: the request with the sample in place of the table.
        source: all rows.
        frame: the mapped columns of the sample.
        rows: number of all rows.
        by_unit: True if the sample is of whole units.
        keyed: True if folds are made from units, as in memory.
    """

    opened: Opened
    source: Moments
    frame: pl.DataFrame
    rows: int
    by_unit: bool
    keyed: bool

    @property
    def note(self) -> Message:
        """The note on which rows the results are from."""
        key: object = Message("by_moments.the-row-number")
        if self.by_unit:
            role = next(role for role in ("cluster", "unit_id") if role in self.opened.roles)
            key = names_in(self.opened.roles[role])[0]
        return Message(
            "by_moments.in-engine", of=self.rows, rows=self.frame.height, engine=self.source.name, key=key
        )  # fmt: skip

    def estimates(
        self, contrast: Contrast, number: int, plan: Plan, chosen: Sequence[Estimator]
    ) -> tuple[Callable[[Estimate], Estimate], int]:
        """Return the function that replaces an estimate of the sample by that of all rows, or notes why there is none;
        and the number of all rows of the contrast.

        Args:
            contrast: the contrast.
            number: its place among the contrasts.
            plan: the plan of the sample.
            chosen: the estimators to run.
        """
        names = [each.name for each in chosen if each.name in BY_MOMENTS and reason_against(each, plan) is None]
        mapped = {each.name for each in chosen if all(plan.has(role) for role in each.requires)}
        here = self.opened
        try:
            roles = encoded(
                self.source, self.frame, here.columns, here.roles, here.options, contrast=number, keyed=self.keyed,
                units_repeat=self._units_repeat(), amount=contrast.data.treatment_kind == "continuous",
                beyond={name for name, column in here.columns.items() if column.distinct > MAX_LEVELS},
            )  # fmt: skip
        except NotByMoments as error:
            return partial(self._replaced, dict.fromkeys(names, error), mapped), contrast.data.n
        tables = Tables(roles, plan)
        found = run_rounds(tables, {name: partial(BY_MOMENTS[name], tables) for name in names})
        return partial(self._replaced, found, mapped), roles.source.count()

    def _units_repeat(self) -> bool | None:
        """Return whether some unit has several rows in the whole table; None where that must be asked."""
        if "unit_id" not in self.opened.roles:
            return None
        unit = self.opened.columns[str(self.opened.roles["unit_id"])]
        return False if unit.distinct == unit.count else None

    def _replaced(
        self, found: Mapping[str, Estimate | Exception], mapped: Collection[str], sampled: Estimate
    ) -> Estimate:
        whole = found.get(sampled.name)
        if isinstance(whole, Estimate):
            return whole
        rows, of_all = self.frame.height, self.rows
        if sampled.estimate is None:
            if sampled.reason is None or sampled.name not in mapped:
                return sampled
            # Every role is there: it is the rows of the sample that do not support it.
            why = Message("by_moments.sampled-skipped", rows=rows, of=of_all, reason=sampled.reason)
            return replace(sampled, reason=why)
        if isinstance(whole, UnusableData):
            note = Message("by_moments.sampled-refused", rows=rows, of=of_all, reason=of(whole.detail))
        else:
            why = whole.why if isinstance(whole, NotByMoments) else Message("by_moments.not-summed")
            note = Message("by_moments.sampled", rows=rows, of=of_all, why=why)
        notes = sampled.diagnostics.get("notes", [])
        return replace(
            sampled, diagnostics={**sampled.diagnostics, "notes": [note, *(notes if isinstance(notes, list) else [])]}
        )


@contextmanager
def in_engine(opened: Opened, *, threads: int, after_read: Callable[[], None]) -> Iterator[InEngine]:
    """Sum the table of a request by DuckDB inside the context.

    Args:
        opened: the request.
        threads: of the engine.
        after_read: called after each pass over the table.

    Raises:
        ModuleNotFoundError: DuckDB is not installed.
    """
    folder = opened.path.absolute().parent
    with tempfile.TemporaryDirectory(prefix="cqox-spill-", dir=folder) as spill:
        # An encrypted table is a link to a nameless file, of which nothing may be written in plain text.
        sealed = opened.path.is_symlink()
        engine = DuckDBEngine.opened(
            memory_bytes=_MEMORY_BYTES, threads=threads, spill=None if sealed else Path(spill),
            files=[opened.path.absolute()], after_read=after_read,
        )  # fmt: skip
        try:
            yield _sampled(opened, engine)
        finally:
            engine.close()


def _sampled(opened: Opened, engine: DuckDBEngine) -> InEngine:
    files = engine.files([opened.path.absolute()], numbered=True)
    # The engine has one column more, the number of the row.
    theirs = dict(zip(pl.read_parquet_schema(opened.path), engine.names(files), strict=False))
    columns = {
        name: replace(column, name=theirs.get(column.name, column.name)) for name, column in _columns(opened).items()
    }
    source = SqlMoments(engine=engine, table=files, columns=columns)
    refuse_out_of_range(opened.columns, opened.roles, source)
    rows, by_unit = _rows_of_sample(opened, source)
    sample = _read(opened.path, rows)
    table = ColumnsOnDisk(path=opened.path, height=sample.height, replaced={each.name: each for each in sample})
    return InEngine(
        opened=replace(opened, read=replace(opened.read, table=table)),
        source=source,
        frame=sample.select(columns_of(opened.roles)),
        rows=opened.rows,
        by_unit=by_unit,
        keyed=_key_column(opened) is not None,
    )


def _columns(opened: Opened) -> dict[str, SourceColumn]:
    kinds = {"int64": "number", "float64": "number", "date": "day", "datetime": "day"}
    found = {
        name: SourceColumn(name=name, kind=kinds.get(column.dtype, "word"), floating=column.dtype == "float64")  # type: ignore[arg-type]
        for name, column in opened.columns.items()
    }
    found[_ROW] = SourceColumn(name=_NUMBER, kind="number")
    found[_ROW_KEY] = SourceColumn(name=_NUMBER, kind="number key")
    found[KEY] = _key_column(opened) or found[_ROW_KEY]
    return found


def _key_column(opened: Opened) -> SourceColumn | None:
    """Return the column from which folds are made, as in memory; None where it has no portable key."""
    mapped = next((opened.roles[role] for role in ("cluster", "unit_id") if role in opened.roles), None)
    if mapped is None or opened.options.folds_version == 1:
        return None
    column = opened.columns[names_in(mapped)[0]]
    match column.dtype:
        case "float64":
            return None
        case "int64":
            return SourceColumn(name=column.name, kind="number key")
        case "date":
            return SourceColumn(name=column.name, kind="date key")
        case "datetime":
            return SourceColumn(name=column.name, kind="moment key")
        case _:
            return SourceColumn(name=column.name, kind="word key")


def _rows_of_sample(opened: Opened, source: Moments) -> tuple[NDArray[np.int64], bool]:
    """Return the ascending numbers of the rows of the sample, and whether it is of whole units."""
    steps = -(-SAMPLE_ROWS * _STEPS * _STEPS // opened.rows)
    key = _key_column(opened)
    by_unit = key is not None and opened.columns[key.name].distinct * steps >= _FEWEST_UNITS * _STEPS * _STEPS
    if by_unit:
        drawn = source.where(Is(_draw(KEY, opened), "<", float(steps))).count()
        by_unit = SAMPLE_ROWS <= 2 * drawn <= 3 * SAMPLE_ROWS
    draw = _draw(KEY if by_unit else _ROW_KEY, opened)
    chosen = source.fetch({"row": Column(_ROW)}, draw, steps)["row"].astype(np.int64)
    return np.unique(np.concatenate([chosen, _rare(opened, source, chosen)])), by_unit


def _draw(key: str, opened: Opened) -> Expr:
    """Return a number from 0 to `_STEPS`² - 1 of each row, equal for equal keys."""
    first, second = (Fold(Column(key), opened.options.seed, split, _STEPS) for split in (_FIRST_DRAW, _SECOND_DRAW))
    return linear([(float(_STEPS), first), (1.0, second)])


def _rare(opened: Opened, source: Moments, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a row of each level of a mapped column that does not occur in the chosen rows.

    Levels are those of words and codes, and the values of an outcome or a treatment that has few in the sample.
    """
    seen = _read(opened.path, chosen, columns_of(opened.roles))
    conditions: list[Expr] = []
    found: list[int] = []
    for name in seen.columns:
        column = opened.columns[name]
        there = seen[name].drop_nulls().unique().to_list()
        if column.distinct <= MAX_LEVELS and column.levels:
            texts = {str(level) for level in there}
            missed = [level for level in column.levels if level not in texts]
            conditions += [Is(Column(name), "=", _value(level, column)) for level in missed]
        elif column.is_number and name in _compared(opened) and len(there) < min(column.distinct, MAX_LEVELS + 1):
            found += _unseen(source, name, there)
    found += [row for name in _compared(opened) for row in _of_rare_arms(opened, source, seen[name])]
    if conditions:
        # The row number counts from 1 here, so that 0 says that there is none.
        places = [times(each, linear([(1.0, Column(_ROW))], 1.0)) for each in conditions]
        found += [int(place) - 1 for place in source.sums([], places).largest if place > 0]
    return np.asarray(found, dtype=np.int64)


def _of_rare_arms(opened: Opened, source: Moments, seen: pl.Series) -> list[int]:
    """Return more rows of each level of the treatment of which the sample has too few for an estimate."""
    column, found = opened.columns[seen.name], list[int]()
    if seen.name != opened.roles.get("treatment") or not column.levels:
        return found
    drawn = {str(level): rows for level, rows in seen.drop_nulls().value_counts().iter_rows()}
    for level, rows in zip(column.levels, column.level_counts, strict=True):
        if drawn.get(level, 0) < min(rows, _FEWEST_OF_ARM):
            below = -(-4 * _FEWEST_OF_ARM * _STEPS * _STEPS // rows)
            own = source.where(Is(Column(seen.name), "=", _value(level, column)))
            found += own.fetch({"row": Column(_ROW)}, _draw(_ROW_KEY, opened), below)["row"].astype(int).tolist()
    return found


def _compared(opened: Opened) -> set[str]:
    return {str(opened.roles[role]) for role in ("y", "reward", "treatment", "dose") if role in opened.roles}


def _unseen(source: Moments, name: str, there: Sequence[float]) -> list[int]:
    """Return the last rows of some of the numbers that a column has beyond those of the sample."""
    found: list[int] = []
    others = source.where(Known((Column(name),)))
    for value in there:
        others = others.where(linear([(-1.0, Is(Column(name), "=", float(value)))], 1.0))
    while len(there) + len(found) <= MAX_LEVELS:
        row, value = others.sums([], [Column(_ROW), Column(name)]).largest
        if np.isnan(row):
            break
        found.append(int(others.where(Is(Column(name), "=", float(value))).sums([], [Column(_ROW)]).largest[0]))
        others = others.where(Is(Column(name), "<", float(value)))
    return found


def _value(level: str, column: Described) -> float | str:
    return float(level) if column.dtype in ("int64", "float64") else level


def _read(path: Path, rows: NDArray[np.int64], names: Sequence[str] | None = None) -> pl.DataFrame:
    """Return some rows of the stored table, by their ascending numbers."""
    table = pl.scan_parquet(path, glob=False)
    if names is not None:
        table = table.select(names)
    wanted = pl.LazyFrame({_ROW: pl.Series(rows, dtype=pl.UInt32)})
    return table.with_row_index(_ROW).join(wanted, on=_ROW, how="semi").drop(_ROW).collect(engine="streaming")
