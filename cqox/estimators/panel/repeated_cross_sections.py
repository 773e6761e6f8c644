"""Repeated cross-sections: rows of different units in each period, sorted by the start of treatment.

A row belongs to the cohort in which its group starts treatment, in any period: by `cohort`, else by the mapped clusters
whose rows start treatment, else by `post` with a treatment that marks the ever-treated.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Vector
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.panel.cohorts import (
    Staggered,
    centred,
    cohorts_of,
    complete_sample,
    narrowed,
    periods_of,
)
from cqox.estimators.panel.onsets import onsets
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["Sections", "are_sections", "cluster_starts", "sections"]

_NOTE = Message("panel.rows-as-units")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections(Staggered):
    """Outcomes of rows, each a unit of its own; sorted by cohort and then by period.

    Attributes:
        position: (units,) the position of each row in the sample.
        y: (units,) outcomes, centred and divided by `scale`.
        period: (units,) the period of each.
        bounds: (cohorts, periods + 1) the first row of each cohort and period, and the end of the last.
    """

    word = Message("panel.row")
    words = Message("panel.rows")

    position: NDArray[np.intp]
    y: Vector
    period: Codes
    bounds: NDArray[np.intp]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The (cohorts, periods) row counts."""
        return np.diff(self.bounds, axis=1).astype(np.int64)

    def inside(self, cohort: int, period: int) -> slice:
        """Return the slice of a cohort's rows in a period."""
        low, high = self.bounds[cohort, period : period + 2].tolist()
        return slice(low, high)

    def until(self, periods: int) -> Self:
        """Return the rows of the first periods alone, in which the last-treated cohort counts as untreated."""
        kept = np.flatnonzero(self.period < periods)
        code = np.repeat(np.arange(len(self.cohorts)), [cohort.size for cohort in self.cohorts])[kept]
        each = (*(cohort.onset for cohort in self.cohorts[:-1]), self.comparison_onset)
        before = np.zeros(self.sample.n, dtype=np.bool_)
        before[self.position[kept]] = True
        sample, place = narrowed(self.sample, before)
        return replace(
            self,
            sample=sample,
            position=place[self.position[kept]],
            y=self.y[kept],
            period=self.period[kept],
            bounds=_bounds(code, self.period[kept], periods),
            weights=self.weights[kept],
            cohorts=cohorts_of(code, each, self.weights[kept]),
            values=self.values[:periods],
            steps=self.steps[:periods],
            labels=self.labels[:periods],
        )

    @property
    def first_rows(self) -> NDArray[np.intp]:
        """(units,) the position in the sample of each."""
        return self.position

    def of_units(self, codes: Codes) -> Codes | None:
        """Return the (units,) codes from those of the sample's rows."""
        return np.asarray(codes[self.position])


def are_sections(plan: Plan) -> bool:
    """Return whether no unit identifier repeats."""
    return not plan.units_repeat


def sections(plan: Plan) -> Sections:
    """Return the cross-sections of a request, laid out at first use.

    Raises:
        UnusableData: no role defines the start of treatment of a row's group, or none starts after the first period.
    """
    return plan.share("staggered sections", lambda: _laid_out(plan))


def _laid_out(plan: Plan) -> Sections:
    sample = complete_sample(plan)
    time, values, labels = periods_of(plan, sample)
    notes = [_NOTE]
    found = onsets(values, labels, _starts(plan, sample, time, values, notes))
    notes += found.notes
    code = found.code
    early = found.early(plan.settings.anticipation)
    if early.any():
        notes.append(Message("panel.rows-treated-from-first-period", rows=int(early.sum())))
        sample, _ = narrowed(sample, ~early)
        code, time = code[~early], time[~early]
    if not (code < len(found.each) - 1).any():
        raise UnusableData(Message("panel.no-row-treated-later"))
    order = _sorted(code, time, len(values))
    y, scale = centred(plan, sample)
    weights = plan.weights(sample)
    weights = np.ones(sample.n) if weights is None else weights[order]
    return Sections(
        sample=sample, position=order.astype(np.intp), y=y[order], period=time[order], scale=scale,
        bounds=_bounds(code[order], time[order], len(values)), weights=weights,
        cohorts=cohorts_of(code[order], found.each, weights), values=values, steps=found.steps,
        labels=labels, notes=tuple(notes),
    )  # fmt: skip


def _sorted(code: Codes, period: Codes, periods: int) -> NDArray[np.intp]:
    """Return (rows,) their order by start, then by period, stable."""
    key = code * periods + period
    # Narrow integers use radix sort, which is several times as fast.
    return np.argsort(key.astype(np.min_scalar_type(int(key.max(initial=0)))), kind="stable")


def _bounds(code: Codes, period: Codes, periods: int) -> NDArray[np.intp]:
    """Return (cohorts, periods + 1) bounds of rows sorted by start and then by period."""
    levels, first = np.unique(code, return_index=True)
    ends = [*first[1:].tolist(), len(code)]
    places = np.arange(periods + 1)
    inside = [low + np.searchsorted(period[low:high], places) for low, high in zip(first.tolist(), ends, strict=True)]
    return np.asarray(np.stack(inside) if len(levels) else np.empty((0, periods + 1)), dtype=np.intp)


def _starts(plan: Plan, sample: Sample, time: Codes, values: Vector, notes: list[Message]) -> Vector:
    """Return (rows,) the first treated period of each row's group on the scale of the values, infinite if none."""
    data = plan.data
    if data.cohort is not None:
        cohort = sample.take(data.cohort)
        return np.where(np.isnan(cohort), np.inf, cohort)
    treated, endless = plan.treated(sample) > 0, np.append(values, np.inf)
    if data.post is not None:
        return endless[_from_post(plan, treated, sample.take(data.post) > 0, time, len(values))]
    if not data.clusters:
        raise UnusableData(_start_unknown(plan))
    name = next(iter(data.names.get("cluster", ())), "cluster")
    start = cluster_starts(treated, sample.take(data.clusters[0]), time, len(values))
    if start is None:
        raise UnusableData(Message("panel.groups-partly-treated", cluster=name))
    notes.append(Message("panel.start-of-group", cluster=name))
    return endless[start]


def _start_unknown(plan: Plan) -> Message:
    treatment = plan.label("treatment")
    if plan.has("unit_id"):
        return Message("panel.start-unknown-single-rows", unit_id=plan.label("unit_id"), treatment=treatment)
    return Message("panel.start-unknown", treatment=treatment)


def _from_post(plan: Plan, treated: NDArray[np.bool_], after: NDArray[np.bool_], time: Codes, periods: int) -> Codes:
    """Return (rows,) the position of the start of a treatment that marks the ever-treated; the number of periods
    where there is none."""
    start = int(time[after].min()) if after.any() else periods
    if ((time >= start) != after).any():
        raise UnusableData(Message("panel.post-varies-within-period", post=plan.label("post")))
    if not (treated & ~after).any():
        raise UnusableData(
            Message("panel.no-row-treated-before-post", treatment=plan.label("treatment"), post=plan.label("post"))
        )
    return np.where(treated, start, periods).astype(np.int64)


def cluster_starts(treated: NDArray[np.bool_], clusters: Codes, time: Codes, periods: int) -> Codes | None:
    """Return (rows,) the position of the start of treatment in clusters whose rows start it together.

    Args:
        treated: (rows,) current treatment.
        clusters: (rows,) codes.
        time: (rows,) periods, numbered without gaps.
        periods: number of periods.

    Returns:
        The first period for clusters that are never seen without treatment, the number of periods for those that are
        never seen with it; None where some cluster does not start as a whole, or ends again.
    """
    codes, count = compress(clusters)
    first = np.full(count, periods)
    np.minimum.at(first, codes[treated], time[treated])
    if (treated != (time >= first[codes])).any():
        return None
    seen_before = np.zeros(count, dtype=np.bool_)
    seen_before[codes[~treated]] = True
    return np.where(seen_before, first, 0)[codes].astype(np.int64)
