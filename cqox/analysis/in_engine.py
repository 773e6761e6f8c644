"""A table that an engine sums, with a sample of its rows in memory for everything that sums cannot give."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from cqox.analysis import engine_sample
from cqox.analysis.encoding import encoded
from cqox.analysis.engine_sample import EngineSample, Numbers, ReadRows, stored_rows
from cqox.analysis.levels import MAX_LEVELS
from cqox.analysis.mapping import columns_of, names_in
from cqox.analysis.opened import Opened
from cqox.analysis.own_columns import OwnColumns, free_name
from cqox.analysis.prepare import Contrast, prepare
from cqox.analysis.ranges import refuse_out_of_range
from cqox.analysis.row_keys import KEY, KeyFile, key_column, key_files, write_keys
from cqox.analysis.time_roles import time_column
from cqox.contract import Options
from cqox.contract.messages import Message, of
from cqox.datasets import ColumnsOnDisk
from cqox.diagnostics.effect import OVER_TIME, treated_rows_of
from cqox.engines import DuckDBEngine, SourceColumn, SqlMoments
from cqox.engines.place_table import parquet_schema
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators import Estimate, Estimator, Plan, run
from cqox.estimators.by_moments.catalog import BY_MOMENTS, OF_WHOLE_PANELS
from cqox.estimators.by_moments.encoded import NotByMoments, StoredRows
from cqox.estimators.by_moments.layouts import refused_layouts
from cqox.estimators.by_moments.panels import Periods
from cqox.estimators.by_moments.repeated import repeated_rows
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.catalog import reason_against
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Data
from cqox.estimators.numerics.moments import Column, Is, times
from cqox.estimators.panel.did import REPEATED_CELLS, two_way_sample
from cqox.estimators.reasons import depends_on_rows

__all__ = ["CELLS_IN_MEMORY", "InEngine", "in_engine", "many_levels", "wants_engine"]

CELLS_IN_MEMORY = 150_000_000
"""Number of mapped cells up to which `options.engine: auto` analyses in memory."""

_MEMORY_BYTES = 2**29
_TREATMENTS = ("treatment", "dose", "instrument")
"""Roles on which it depends what is compared."""
_WITH_INDICATORS = ("covariates", "propensity_covariates")
"""Roles whose missing values `options.missing` is about."""
_ONE_ROW_PER_CELL = ("did_2x2_block", "twfe")
"""Estimators of units with one row in each period."""
_FORECAST = "interrupted_series_forecast"
_NUMBER = "file_row_number"
"""The column that the engine adds to the table."""


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
    elif opened.rows <= engine_sample.SAMPLE_ROWS:
        why = Message("by_moments.small")
    elif many_levels(opened):
        why = Message("by_moments.fixed-effects")
    elif taken := [name for name in opened.columns if name.lower() == _NUMBER]:
        why = Message("by_moments.column-of-engine", column=taken[0])
    if why is None:
        return True, ()
    return False, () if asked == "auto" else (Message("by_moments.in-memory", engine=asked, why=why),)


def many_levels(opened: Opened) -> bool:
    """Return whether a covariate has so many levels that most rows of a sample would have one of their own."""
    columns = [opened.columns[name] for name in names_in(opened.roles.get("covariates", ()))]
    return any(
        column.dtype in ("enum", "string")
        and 2 * column.distinct * opened.rows > engine_sample.SAMPLE_ROWS * column.count
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
        fold_key: the column of the source from which folds are made, as in memory; None where it has none.
        row: the column of the source with the number of a row.
        read: returns rows by their numbers.
    """

    opened: Opened
    source: SqlMoments
    frame: pl.DataFrame
    rows: int
    by_unit: bool
    fold_key: str | None
    row: str
    read: ReadRows

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
    ) -> tuple[Callable[[Estimator], Estimate], int, frozenset[str], Mapping[str, Message]]:
        """Return the function that gives the estimate of all rows, or that of the sample with a note on why there is no
        other; the number of all rows of the contrast; the estimators whose result the passes over these gave; and of
        them the reasons by name where all rows do not support the estimate.

        Args:
            contrast: the contrast.
            number: its place among the contrasts.
            plan: the plan of the sample.
            chosen: the estimators to run.
        """
        mapped = {each.name for each in chosen if all(plan.has(role) for role in each.requires)}
        here = self.opened
        try:
            roles = encoded(
                self.source, self.frame, here.columns, here.roles, self._options(), contrast=number,
                fold_key=self.fold_key, units_repeat=self._units_repeat(),
                amount=contrast.data.treatment_kind == "continuous",
                beyond={name for name, column in here.columns.items() if column.distinct > MAX_LEVELS},
                stored=StoredRows(number=Column(self.row), read=partial(self._arrays, number)),
            )  # fmt: skip
        except NotByMoments as error:
            names = self._asked(chosen, plan, mapped)
            return partial(self._estimate, plan, dict.fromkeys(names, error)), contrast.data.n, frozenset(), {}
        tables = Tables(roles, plan)
        if any(each.family in OVER_TIME and each.name in mapped for each in chosen):
            _count_treated(tables, has_own_scale=self._has_own_scale())
        able = [each for each in chosen if each.name in mapped]
        refused = _of_repeated_rows(tables, able) | refused_layouts(tables, able)
        names = [name for name in self._asked(chosen, plan, mapped) if name not in refused]
        found = refused | run_rounds(tables, {name: partial(BY_MOMENTS[name], tables) for name in names})
        series = found.get("interrupted_series")
        if isinstance(series, UnusableData) and _FORECAST in mapped:
            # What is no series has no forecast either.
            found[_FORECAST] = series
        summed = frozenset(name for name, each in found.items() if isinstance(each, Estimate | UnusableData))
        against = {name: of(each.detail) for name, each in found.items() if isinstance(each, UnusableData)}
        return partial(self._estimate, plan, found), roles.source.count(), summed, against

    def _has_own_scale(self) -> bool:
        """Return whether periods are numbers or dates, as they are stored."""
        raw = self.frame[str(self.opened.roles["time"])] if "time" in self.opened.roles else None
        if raw is None or not (raw.dtype.is_numeric() or raw.dtype == pl.Date):
            return False
        return time_column(self.frame, self.opened.roles).dtype == raw.dtype

    def _options(self) -> Options:
        """Return the options, without indicators of missing values where no covariate has one."""
        here = self.opened
        names = [name for role in _WITH_INDICATORS for name in names_in(here.roles.get(role, ()))]
        if any(here.columns[name].missing for name in names):
            return here.options
        return here.options.model_copy(update={"missing": "listwise"})

    def _asked(self, chosen: Sequence[Estimator], plan: Plan, mapped: Collection[str]) -> list[str]:
        """Return the estimators of which an estimate of all rows is to be tried."""
        return [each.name for each in chosen if each.name in BY_MOMENTS and self._is_asked(each, plan, mapped)]

    def _is_asked(self, estimator: Estimator, plan: Plan, mapped: Collection[str]) -> bool:
        """Return whether an estimate of all rows is to be tried."""
        if estimator.name in OF_WHOLE_PANELS:
            kinds = estimator.treatment if "treatment" in estimator.requires else (plan.data.treatment_kind,)
            return estimator.name in mapped and plan.data.treatment_kind in kinds
        return reason_against(estimator, plan) is None

    def _arrays(self, contrast: int, numbers: Numbers, wanted: Collection[str]) -> Data:
        """Return the arrays of some roles of some rows of a contrast.

        Unless they are all rows, they are prepared next to the sample, in which every level of a column occurs.
        """
        here = self.opened
        roles = {role: names for role, names in here.roles.items() if role in wanted or role in _TREATMENTS}
        names = columns_of(roles)
        frames = [] if len(numbers) == self.rows else [self.frame.select(names)]
        for start in range(0, len(numbers), engine_sample.SAMPLE_ROWS):
            checkpoint()
            frames.append(self.read(numbers[start : start + engine_sample.SAMPLE_ROWS], names).select(names))
        # Columns to match by may not be among those of the roles.
        options = here.options.model_copy(update={"match_exact": None})
        data = prepare(pl.concat(frames), here.columns, roles, options).contrasts[contrast].data
        return data.rows(np.arange(data.n - len(numbers), data.n))

    def _units_repeat(self) -> bool | None:
        """Return whether some unit has several rows in the whole table; None where that must be asked."""
        if "unit_id" not in self.opened.roles:
            return None
        unit = self.opened.columns[str(self.opened.roles["unit_id"])]
        return False if unit.distinct == unit.count else None

    def _estimate(self, plan: Plan, found: Mapping[str, Estimate | Exception], estimator: Estimator) -> Estimate:
        name, whole = estimator.name, found.get(estimator.name)
        if isinstance(whole, Estimate):
            # Diagnostics add contributions of rows to what is of the rows of the plan, which are the sample.
            return replace(whole, influence=None)
        if isinstance(whole, UnusableData):
            # A sample says nothing of what all rows do not support.
            return Estimate(
                name=name, family=estimator.family, estimand=estimator.estimand, status="skipped",
                reason=of(whole.detail),
            )  # fmt: skip
        return self._of_sample(run(estimator, plan), whole)

    def _of_sample(self, sampled: Estimate, whole: Exception | None) -> Estimate:
        rows, of_all = self.frame.height, self.rows
        if sampled.estimate is None:
            if sampled.reason is None or not depends_on_rows(sampled.reason):
                return sampled
            why = Message("by_moments.sampled-skipped", rows=rows, of=of_all, reason=sampled.reason)
            return replace(sampled, reason=why)
        why = whole.why if isinstance(whole, NotByMoments) else Message("by_moments.not-summed")
        note = Message("by_moments.sampled", rows=rows, of=of_all, why=why)
        notes = sampled.diagnostics.get("notes", [])
        return replace(
            sampled, diagnostics={**sampled.diagnostics, "notes": [note, *(notes if isinstance(notes, list) else [])]}
        )


def _of_repeated_rows(tables: Tables, chosen: Sequence[Estimator]) -> dict[str, Estimate | Exception]:
    """Return the estimators that do not apply because units of all rows have several rows in one period.

    The plan of the sample learns whether they have, for the choice of the primary estimate.
    """
    plan, names = tables.pilot, [each for each in chosen if each.name in _ONE_ROW_PER_CELL]
    if not names or plan.has("fixed_effects") or tables.encoded.time is None:
        return {}
    rows = repeated_rows(tables, "y", "treatment", "unit_id", "time", "covariates")
    reason = None if rows is None else Message("panel.repeated-rows-or-fixed-effects", rows=rows)
    plan.share(REPEATED_CELLS, lambda: reason, two_way_sample(plan))
    if reason is None:
        return {}
    return {each.name: UnusableData(reason) for each in names if reason_against(each, plan) == reason}


def _count_treated(tables: Tables, *, has_own_scale: bool) -> None:
    """Give the plan of the sample the numbers of all treated rows, over which an effect adds up to a total.

    Args:
        tables: the shared computations.
        has_own_scale: True if the periods of the rows are on the scale of the plan's `time_values`.
    """
    encoded, pilot = tables.encoded, tables.pilot
    if pilot.data.post is not None:
        after = _rows_after(tables, has_own_scale=has_own_scale)
        pilot.share(treated_rows_of("interrupted_series"), lambda: after)
    if encoded.treatment is not None and tables.binary:
        known = tables.complete("y", "treatment", "post").source
        rows = known.where(Is(times(encoded.treatment, encoded.post), "=", 1.0)).count()
        pilot.share(treated_rows_of("did"), lambda: rows)


def _rows_after(tables: Tables, *, has_own_scale: bool) -> int | Message:
    """Return the number of all rows after the intervention, or why it is not known."""
    encoded, data = tables.encoded, tables.pilot.data
    if encoded.post is not None:
        return tables.complete("y", "post").source.where(Is(encoded.post, "=", 1.0)).count()
    if data.time is None or data.time_values is None or data.intervention_time is None:
        return Message("effect.treated-rows-unknown")
    rows = tables.complete("y", "time")
    if has_own_scale and encoded.time is not None:
        return rows.source.where(Is(encoded.time, ">=", data.intervention_time)).count()
    try:
        periods = Periods.of(tables, rows, treated=False)
    except NotByMoments as error:
        return Message("effect.rows-after-unknown", why=error.why)
    places = np.unique(rows.pilot.take(data.time))
    if len(places) != len(periods.values):
        return Message("effect.rows-after-unknown", why=Message("by_moments.periods-of-sample"))
    return int(periods.rows[data.time_values[places] >= data.intervention_time].sum())


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
    with tempfile.TemporaryDirectory(prefix="cqox-spill-", dir=folder) as spill, ExitStack() as stack:
        # An encrypted table is a link to a nameless file, of which nothing may be written in plain text.
        sealed = opened.path.is_symlink()
        keys = key_files(opened, None if sealed else Path(spill), stack)
        engine = DuckDBEngine.opened(
            memory_bytes=_MEMORY_BYTES, threads=threads, spill=None if sealed else Path(spill),
            files=[opened.path.absolute(), *(each.path for each in keys)], after_read=after_read,
        )  # fmt: skip
        try:
            placed = _sampled(opened, engine)
            yield _keyed(placed, opened, engine, keys) if keys else placed
        finally:
            engine.close()


def _sampled(opened: Opened, engine: DuckDBEngine) -> InEngine:
    files, own = engine.files([opened.path.absolute()], numbered=True), OwnColumns.of(opened.columns)
    # The engine has one column more, the number of the row.
    theirs = dict(zip(parquet_schema(opened.path), engine.names(files), strict=False))
    columns = {name: replace(column, name=theirs.get(name, name)) for name, column in _columns(opened).items()}
    number, key = SourceColumn(name=_NUMBER, kind="number key"), key_column(opened)
    columns[own.row], columns[own.row_key] = replace(number, kind="number"), number
    if key is not None:
        columns[own.fold_key] = replace(key, name=theirs[key.name])
    source = SqlMoments(engine=engine, table=files, columns=columns)
    refuse_out_of_range(opened.columns, opened.roles, source)
    read = partial(stored_rows, opened.path)
    rows, by_unit = EngineSample(
        opened=opened, source=source, own=own, read=read, about=engine_sample.SAMPLE_ROWS
    ).rows()  # fmt: skip
    sample = read(rows)
    table = ColumnsOnDisk(path=opened.path, height=sample.height, replaced={each.name: each for each in sample})
    return InEngine(
        opened=replace(opened, read=replace(opened.read, table=table)),
        source=source,
        frame=sample.select(columns_of(opened.roles)),
        rows=opened.rows,
        by_unit=by_unit,
        fold_key=None if key is None else own.fold_key,
        row=own.row,
        read=read,
    )


def _columns(opened: Opened) -> dict[str, SourceColumn]:
    kinds = {"int64": "number", "float64": "number", "date": "day", "datetime": "day"}
    return {
        name: SourceColumn(name=name, kind=kinds.get(column.dtype, "word"), floating=column.dtype == "float64")  # type: ignore[arg-type]
        for name, column in opened.columns.items()
    }


def _keyed(placed: InEngine, opened: Opened, engine: DuckDBEngine, keys: Sequence[KeyFile]) -> InEngine:
    """Return the request with keys of folds that are made here, next to the columns of the table."""
    write_keys(opened, keys)
    source, name = placed.source, OwnColumns.of(opened.columns).fold_key
    column = SourceColumn(name=free_name("fold key", engine.names(source.table)), kind="fold key")
    paired = engine.row_by_row(source.table, [each.path for each in keys], KEY, column.name)
    source = replace(source, columns={**source.columns, name: column}, paired={name: paired})
    return replace(placed, source=source, fold_key=name)
