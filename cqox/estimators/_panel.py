"""A panel laid out once, periods by units, units sorted by the first period in which they are treated.

What the staggered designs share: who is treated from when on, which rows cannot be used and why, and the outcome as a
matrix. Nothing is estimated here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators._absorb import compress
from cqox.estimators._calendar import counted
from cqox.estimators._result import varying_outcome
from cqox.estimators._sample import Sample, listed
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.plan import Plan

__all__ = ["Cohort", "Panel", "row_positions", "staggered_panel"]

_MOST_CELLS, _MOST_GAPS = 4_000_000, 4
"""A panel may be laid out with so many cells, or with so many for each row that there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The units whose treatment starts in one period.

    Attributes:
        start: that period's position; the number of periods for units that are not treated within them.
        units: their place among the units of the panel.
        mass: the sum of their weights.
    """

    start: int
    units: slice
    mass: float

    @property
    def size(self) -> int:
        """How many units there are."""
        return len(range(self.units.start, self.units.stop))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Outcomes by period and unit.

    Attributes:
        sample: the rows used.
        position: (periods, units) the place of each unit's row in the sample; of any row where there is none.
        present: (periods, units) whether there is a row; None where none is missing.
        y: (periods, units) outcomes, centred and divided by `scale`; 0 where there is no row.
        scale: units of y in one unit of the matrix.
        cohorts: from the earliest start to the latest, the untreated last.
        weights: (units,) sampling weights, of a unit's first row where they change.
        changing_weights: (periods, units) where they do, 0 where there is no row.
        values: (periods,) the periods on their numeric scale.
        labels: what people call the periods of `values`, in their order; empty where that is their number.
        steps: (periods,) whole steps of the periods from the first, in which time since treatment is counted.
        notes: what was left out, each a sentence.
    """

    sample: Sample
    position: NDArray[np.intp]
    present: NDArray[np.bool_] | None
    y: Matrix
    scale: float
    cohorts: tuple[Cohort, ...]
    weights: Vector
    changing_weights: Matrix | None
    values: Vector
    steps: Codes
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def called(self, period: int) -> str:
        """What people call a period."""
        return self.labels[period] if self.labels else f"{self.values[period]:.10g}"

    @property
    def periods(self) -> int:
        """How many periods there are."""
        return len(self.y)

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.y.shape[1])

    @property
    def treated(self) -> tuple[Cohort, ...]:
        """The cohorts that are treated within the periods."""
        return tuple(cohort for cohort in self.cohorts if cohort.start < self.periods)

    def last_before(self, start: int, anticipation: int) -> int:
        """The last period before a start that anticipation does not touch; -1 where there is none."""
        return int(np.searchsorted(self.steps, int(self.steps[start]) - anticipation)) - 1

    def until(self, periods: int) -> "Panel":
        """The panel of the first periods alone; units treated later count as untreated."""
        before = np.zeros(self.sample.n, dtype=np.bool_)
        kept, present = self.position[:periods], None if self.present is None else self.present[:periods]
        before[kept if present is None else kept[present]] = True
        sample, place = _narrowed(self.sample, before)
        start = np.repeat([cohort.start for cohort in self.cohorts], [cohort.size for cohort in self.cohorts])
        return replace(
            self,
            sample=sample,
            position=place[kept],
            present=present,
            y=self.y[:periods],
            cohorts=_cohorts(np.minimum(start, periods), self.weights),
            changing_weights=None if self.changing_weights is None else self.changing_weights[:periods],
            values=self.values[:periods],
            steps=self.steps[:periods],
            labels=self.labels[:periods],
        )


def staggered_panel(plan: Plan) -> Panel:
    """The panel of a request, laid out at the first use.

    Raises:
        UnusableData: there is none: units repeat within a period, their treatment ends again or has two starts, or the
            data show no treatment that starts after the first period.
    """
    return plan.share("staggered panel", lambda: _laid_out(plan))


def _laid_out(plan: Plan) -> Panel:
    data = plan.data
    sample = _complete(plan)
    if data.unit is None or data.time is None or data.time_values is None:
        raise UnusableData("It needs the roles 'unit_id' and 'time'.")
    unit, units = compress(sample.take(data.unit))
    codes = sample.take(data.time)
    seen = np.flatnonzero(np.bincount(codes))
    values = data.time_values[seen]
    labels = tuple(data.time_labels[at] for at in seen) if data.time_labels else ()
    time, periods = compress(codes)
    if units == sample.n:
        raise UnusableData(f"Every unit '{plan.label('unit_id')}' has a single row, so that no change can be seen.")
    if units * periods > max(_MOST_CELLS, _MOST_GAPS * sample.n):
        raise UnusableData(
            f"{units} units by {periods} periods are too many to lay out for {sample.n} rows; take longer periods."
        )
    position = row_positions(sample, time * units + unit, periods, units)
    missing = sample.n < units * periods
    present = position >= 0 if missing else None
    start = _starts(plan, sample, unit, position, present, values)
    steps = _steps(values, labels)
    first = np.searchsorted(steps, steps[0] + plan.settings.anticipation, side="right")
    early = start < first
    order = np.argsort(start, kind="stable")
    order = order[~early[order]]
    notes: list[str] = []
    if early.any():
        notes.append(
            f"Left out: {int(early.sum())} unit{'' if early.sum() == 1 else 's'} treated from the first period on, "
            "which show no outcome without treatment."
        )
        sample, place = _narrowed(sample, ~early[unit])
        position = place[position]
    if not (start[order] < periods).any():
        raise UnusableData("No unit is treated after the first period, so that there is no change to look at.")
    panel = _filled(plan, sample, position[:, order], None if present is None else present[:, order], start[order],
                    values, steps, notes)  # fmt: skip
    return replace(panel, labels=labels)


def _complete(plan: Plan) -> Sample:
    """The rows with all that a staggered design needs."""
    data = plan.data
    design = ["cohort"] if data.cohort is not None else ["treatment", "post"]
    if data.cohort is None and data.treatment is None:
        raise UnusableData("It needs 'cohort', the first treated period of each unit, or 'treatment' over time.")
    if data.cohort is None and data.treatment_kind != "binary":
        raise UnusableData(
            f"It needs a treatment of two levels, or 'cohort'; '{plan.label('treatment')}' is {data.treatment_kind}."
        )
    # A missing cohort says that the unit is never treated.
    sample = plan.sample("y", "unit_id", "time", "covariates", *(role for role in design if role != "cohort"))
    reason = varying_outcome(plan, sample)
    if reason is not None:
        raise UnusableData(reason)
    return sample


def row_positions(sample: Sample, cell: NDArray[np.int64], periods: int, units: int) -> NDArray[np.intp]:
    """(periods, units) the row of each unit in each period, -1 where there is none.

    Raises:
        UnusableData: a unit has several rows in one period.
    """
    position = np.full(periods * units, -1, dtype=np.intp)
    rows = np.arange(sample.n)
    position[cell] = rows
    repeated = np.flatnonzero(position[cell] != rows)
    if len(repeated):
        raise UnusableData(
            f"Some units have several rows in one period (rows {_numbered(sample, repeated)} repeat a later one); keep "
            "one row for each unit and period."
        )
    return position.reshape(periods, units)


def _numbered(sample: Sample, rows: NDArray[np.intp]) -> str:
    return listed([str(int(row if sample.index is None else sample.index[row]) + 1) for row in rows])


def _starts(
    plan: Plan,
    sample: Sample,
    unit: Codes,
    position: NDArray[np.intp],
    present: NDArray[np.bool_] | None,
    values: Vector,
) -> Codes:
    """(units,) position of the first treated period, the number of periods where there is none."""
    data, (periods, units) = plan.data, position.shape
    if data.cohort is not None:
        cohort = sample.take(data.cohort)
        cohort = np.where(np.isnan(cohort), np.inf, cohort)
        first = np.empty(units)
        first[unit] = cohort
        other = np.flatnonzero(first[unit] != cohort)
        if len(other):
            raise UnusableData(
                f"'{plan.label('cohort')}' changes within some units (rows {_numbered(sample, other)}); it must be one "
                "first treated period for each unit."
            )
        return np.searchsorted(values, first).astype(np.int64)
    status = plan.treated(sample)
    if data.post is not None:
        # Beside 'post' the treatment may say who is ever treated rather than who is by now.
        status = status * sample.take(data.post)
    on = status[position] > 0
    if present is not None:
        on &= present
    start = np.where(on.any(axis=0), on.argmax(axis=0), periods)
    again = (np.arange(periods)[:, None] >= start) & ~on
    if present is not None:
        again &= present
    if again.any():
        raise UnusableData(
            f"Treatment ends again in some units (rows {_numbered(sample, np.sort(position[again]))}); it needs units "
            "that stay treated."
        )
    return np.asarray(start, dtype=np.int64)


def _steps(values: Vector, labels: Sequence[str]) -> Codes:
    """Whole steps from the first period: of years or months that skip some, the years or months; of days and of other
    scales, one each."""
    periods = counted(values, labels or None)
    whole = periods.whole
    if whole is None:
        if labels or not (values == np.floor(values)).all() or np.ptp(values) > 2**50:
            return np.arange(len(values), dtype=np.int64)
        whole = values.astype(np.int64)
    gaps = np.diff(whole)
    unit = math.gcd(*gaps.tolist()) if len(gaps) else 1
    return np.concatenate([[0], np.cumsum(gaps // max(unit, 1))]).astype(np.int64)


def _narrowed(sample: Sample, kept: NDArray[np.bool_]) -> tuple[Sample, NDArray[np.intp]]:
    """The sample of some of its rows, and (n,) each old row's new place."""
    index = np.flatnonzero(kept)
    place = np.cumsum(kept) - 1
    full = index if sample.index is None else sample.index[index]
    return Sample(total=sample.total, n=len(index), index=full), place.astype(np.intp)


def _cohorts(start: Codes, weights: Vector) -> tuple[Cohort, ...]:
    levels, first, sizes = np.unique(start, return_index=True, return_counts=True)
    return tuple(
        Cohort(start=level, units=slice(at, at + size), mass=float(weights[at : at + size].sum()))
        for level, at, size in zip(levels.tolist(), first.tolist(), sizes.tolist(), strict=True)
    )


def _filled(
    plan: Plan,
    sample: Sample,
    position: NDArray[np.intp],
    present: NDArray[np.bool_] | None,
    start: Codes,
    values: Vector,
    steps: Codes,
    notes: Sequence[str],
) -> Panel:
    y = sample.take(plan.data.y)
    centre = float(y.mean())
    y = y - centre
    scale = max(float(y.max()), -float(y.min())) or 1.0
    y /= scale
    wide = y[position]
    if present is not None:
        wide[~present] = 0.0
    weights, changing = np.ones(len(start)), None
    sampling = plan.weights(sample)
    if sampling is not None:
        spread = sampling[position]
        weights = spread[0] if present is None else spread[present.argmax(axis=0), np.arange(len(start))]
        same = spread == weights if present is None else (spread == weights) | ~present
        if not same.all():
            changing = spread if present is None else np.where(present, spread, 0.0)
    return Panel(
        sample=sample, position=position, present=present, y=wide, scale=scale, cohorts=_cohorts(start, weights),
        weights=weights, changing_weights=changing, values=values, steps=steps, notes=tuple(notes),
    )  # fmt: skip
