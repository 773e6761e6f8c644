"""A panel as matrices of periods by units, units sorted by the first period in which they are treated.

It holds the treatment starts, the exclusions with their reasons, and the outcomes. Nothing is estimated here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.panel.cohorts import (
    Staggered,
    centred,
    cohorts_of,
    complete_sample,
    narrowed,
    periods_of,
)
from cqox.estimators.panel.onsets import Onsets, onsets
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample, listed

__all__ = ["REPEATED_LATER", "Panel", "row_positions", "staggered_panel"]

REPEATED_LATER = "rows repeated later"
"""Key of the reason, shared by a plan for a sample, why units have several rows in one period."""

_MOST_CELLS, _MOST_GAPS = 4_000_000, 4
"""Maximum number of cells of a panel, in total or per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel(Staggered):
    """Outcomes by period and unit.

    Attributes:
        position: (periods, units) the position of each unit's row in the sample; of any row where there is none.
        present: (periods, units) True where there is a row; None where none is missing.
        y: (periods, units) outcomes, centred and divided by `scale`; 0 where there is no row.
        changing_weights: (periods, units) time-varying weights, 0 where there is no row.
    """

    word = Message("panel.unit")
    words = Message("panel.units")

    position: NDArray[np.intp]
    present: NDArray[np.bool_] | None
    y: Matrix
    changing_weights: Matrix | None

    def until(self, periods: int) -> Self:
        """Return the panel of the first periods alone, in which the last-treated cohort counts as untreated."""
        before = np.zeros(self.sample.n, dtype=np.bool_)
        kept, present = self.position[:periods], None if self.present is None else self.present[:periods]
        before[kept if present is None else kept[present]] = True
        sample, place = narrowed(self.sample, before)
        return replace(
            self,
            sample=sample,
            position=place[kept],
            present=present,
            y=self.y[:periods],
            cohorts=(*self.cohorts[:-1], replace(self.cohorts[-1], onset=self.comparison_onset)),
            changing_weights=None if self.changing_weights is None else self.changing_weights[:periods],
            values=self.values[:periods],
            steps=self.steps[:periods],
            labels=self.labels[:periods],
        )

    @property
    def first_rows(self) -> NDArray[np.intp]:
        """(units,) the position in the sample of each unit's first row."""
        if self.present is None:
            return np.asarray(self.position[0])
        return np.asarray(self.position[self.present.argmax(axis=0), np.arange(self.units)])

    def of_units(self, codes: Codes) -> Codes | None:
        """Return the (units,) codes from those of the sample's rows; None if some unit has several codes."""
        first = codes[self.first_rows]
        same = codes[self.position] == first
        if self.present is not None:
            same |= ~self.present
        return first if same.all() else None


def staggered_panel(plan: Plan) -> Panel:
    """Return the panel of a request, laid out at first use.

    Raises:
        UnusableData: there is none: units repeat within a period, their treatment ends again or has two starts, or no
            treatment starts after the first period.
    """
    return plan.share("staggered panel", lambda: _laid_out(plan))


def _laid_out(plan: Plan) -> Panel:
    sample = complete_sample(plan, "unit_id")
    if plan.data.unit is None:
        raise UnusableData(Message("panel.needs-unit-and-time"))
    unit, units = compress(sample.take(plan.data.unit))
    time, values, labels = periods_of(plan, sample)
    periods = len(values)
    if units == sample.n:
        raise UnusableData(Message("panel.single-rows", unit_id=plan.label("unit_id")))
    if units * periods > max(_MOST_CELLS, _MOST_GAPS * sample.n):
        raise UnusableData(Message("panel.too-many-gaps", units=units, periods=periods, rows=sample.n))
    position = row_positions(plan, sample, time * units + unit, periods, units)
    missing = sample.n < units * periods
    present = position >= 0 if missing else None
    found = onsets(values, labels, _starts(plan, sample, unit, position, present, values))
    early = found.early(plan.settings.anticipation)
    order = np.argsort(found.code, kind="stable")
    order = order[~early[order]]
    notes = list(found.notes)
    if early.any():
        notes.append(Message("panel.units-treated-from-first-period", units=int(early.sum())))
        sample, place = narrowed(sample, ~early[unit])
        position = place[position]
    if not (found.code[order] < len(found.each) - 1).any():
        raise UnusableData(Message("panel.no-unit-treated-later"))
    panel = _filled(plan, sample, position[:, order], None if present is None else present[:, order],
                    replace(found, code=found.code[order]), values, notes)  # fmt: skip
    return replace(panel, labels=labels)


def row_positions(plan: Plan, sample: Sample, cell: NDArray[np.int64], periods: int, units: int) -> NDArray[np.intp]:
    """Return (periods, units) the row of each unit in each period, -1 where there is none.

    Args:
        plan: the request's plan; that of a sample of a table shares under `REPEATED_LATER` the reason of all rows.
        sample: the rows.
        cell: (n,) period times `units` plus unit.
        periods: number of periods.
        units: number of units.

    Raises:
        UnusableData: a unit has several rows in one period.
    """
    position = np.full(periods * units, -1, dtype=np.intp)
    rows = np.arange(sample.n)
    position[cell] = rows
    repeated = np.flatnonzero(position[cell] != rows)
    own = None
    if len(repeated):
        own = Message("panel.repeated-rows-or-cluster", rows=_numbered(sample, repeated))
    reason = plan.share(REPEATED_LATER, lambda: own, sample)
    if reason is not None:
        raise UnusableData(reason)
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
) -> Vector:
    """Return (units,) the first treated period on the scale of the values, infinite where there is none."""
    data, (periods, units) = plan.data, position.shape
    if data.cohort is not None:
        cohort = sample.take(data.cohort)
        cohort = np.where(np.isnan(cohort), np.inf, cohort)
        first = np.empty(units)
        first[unit] = cohort
        other = np.flatnonzero(first[unit] != cohort)
        if len(other):
            raise UnusableData(
                Message("panel.cohort-changes", cohort=plan.label("cohort"), rows=_numbered(sample, other))
            )
        return first
    status = plan.treated(sample)
    if data.post is not None:
        # With 'post' mapped, the treatment may mark ever-treated units rather than current treatment.
        status = status * sample.take(data.post)
    on = status[position] > 0
    if present is not None:
        on &= present
    start = np.where(on.any(axis=0), on.argmax(axis=0), periods)
    again = (np.arange(periods)[:, None] >= start) & ~on
    if present is not None:
        again &= present
    if again.any():
        rows = _numbered(sample, np.sort(position[again]))
        raise UnusableData(Message("panel.treatment-ends-in-rows", rows=rows))
    return np.append(values, np.inf)[start]


def _filled(
    plan: Plan,
    sample: Sample,
    position: NDArray[np.intp],
    present: NDArray[np.bool_] | None,
    found: Onsets,
    values: Vector,
    notes: Sequence[Message],
) -> Panel:
    y, scale = centred(plan, sample)
    wide = y[position]
    if present is not None:
        wide[~present] = 0.0
    weights, changing = np.ones(len(found.code)), None
    sampling = plan.weights(sample)
    if sampling is not None:
        spread = sampling[position]
        weights = spread[0] if present is None else spread[present.argmax(axis=0), np.arange(len(found.code))]
        same = spread == weights if present is None else (spread == weights) | ~present
        if not same.all():
            changing = spread if present is None else np.where(present, spread, 0.0)
    return Panel(
        sample=sample, position=position, present=present, y=wide, scale=scale, values=values, steps=found.steps,
        cohorts=cohorts_of(found.code, found.each, weights), weights=weights, changing_weights=changing,
        notes=tuple(notes),
    )  # fmt: skip
