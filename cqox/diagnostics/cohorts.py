"""Treatment cohorts of a panel: units grouped by the period in which treatment starts."""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators import Codes, Plan, Sample, Vector
from cqox.estimators.panel.repeated_cross_sections import cluster_starts

__all__ = ["Cohorts", "cohorts", "starts_by_row", "timed_sample", "treatment_stays"]

_MOST_GROUPS = 6
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohorts:
    """Rows grouped by treatment cohort.

    Attributes:
        sample: the rows.
        group: (sample.n,) index of the cohort of each row.
        labels: name of each cohort.
        starts: first treated period of each cohort on the scale of `values`; None for never treated or pooled cohorts.
        periods: (sample.n,) index of the period of each row, from 0.
        values: periods on their numeric scale.
        names: periods as written in the data.
        scale: kind of the names: numbers, ISO dates or words.
    """

    sample: Sample
    group: Codes
    labels: tuple[str, ...]
    starts: tuple[float | None, ...]
    periods: Codes
    values: Vector
    names: tuple[str, ...]
    scale: Literal["number", "date", "words"]

    def name_of(self, value: float) -> str:
        """Return the name of the period at a value of the numeric scale; the number itself if no period is there."""
        at = np.flatnonzero(self.values == value)
        return self.names[at[0]] if len(at) else _written(value, self.scale)


def timed_sample(plan: Plan) -> Sample:
    """Return the rows with an outcome, a period, and the treatment and unit if mapped."""
    roles = [role for role in ("treatment", "unit_id", "post") if plan.has(role)]
    return plan.sample("y", *(("time",) if plan.has("time") else ()), *roles)


def starts_by_row(plan: Plan, sample: Sample) -> Vector | None:
    """Return the (sample.n,) first treated period of each row's unit, inf if never treated; None if not determined."""
    data = plan.data
    if data.time is None or data.time_values is None:
        return None
    if data.cohort is not None:
        cohort = sample.take(data.cohort)
        return np.where(np.isnan(cohort), np.inf, cohort)
    if data.treatment_kind == "binary" and not plan.units_repeat and data.clusters and data.post is None:
        return _starts_of_clusters(plan, sample)
    if data.unit is None or data.treatment_kind != "binary":
        return None
    unit, time, treated = sample.take(data.unit), data.time_values[sample.take(data.time)], plan.treated(sample) > 0
    if data.post is not None:
        # With 'post' mapped the treatment may mark the ever treated rather than the currently treated.
        treated = treated & (sample.take(data.post) > 0)
    if len(np.unique(unit)) == sample.n:
        return None
    starts = np.full(int(unit.max(initial=0)) + 1, np.inf)
    np.minimum.at(starts, unit[treated], time[treated])
    return np.asarray(starts[unit])


def treatment_stays(plan: Plan) -> bool:
    """Return whether no unit is treated less than in the period before."""
    data = plan.data
    if data.unit is None or data.time is None or data.treatment is None:
        return True
    rows = np.flatnonzero((data.unit >= 0) & (data.time >= 0) & ~np.isnan(data.treatment))
    rows = rows[np.lexsort((data.time[rows], data.unit[rows]))]
    same = data.unit[rows[1:]] == data.unit[rows[:-1]]
    return bool((data.treatment[rows[1:]] >= data.treatment[rows[:-1]])[same].all())


def _starts_of_clusters(plan: Plan, sample: Sample) -> Vector | None:
    """Return the first treated period for repeated cross-sections whose clusters start treatment as a whole."""
    data = plan.data
    if data.time is None or data.time_values is None:
        return None
    seen, time = np.unique(sample.take(data.time), return_inverse=True)
    start = cluster_starts(plan.treated(sample) > 0, sample.take(data.clusters[0]), time, len(seen))
    if start is None or not ((start > 0) & (start < len(seen))).any():
        return None
    return np.asarray(np.append(data.time_values[seen], np.inf)[start])


def _written(value: float, scale: str) -> str:
    """Format a value between periods, such as a treatment start in which no unit is observed."""
    if scale == "date" and value == int(value):
        return str(np.datetime64(int(value), "D"))
    return f"{value:.10g}"


def cohorts(plan: Plan) -> Cohorts:
    """Return the groups of a design over time: treatment cohorts, or arms if starts are not determined.

    Raises:
        UnusableData: no time is mapped, or no treatment is.
    """
    data, sample = plan.data, timed_sample(plan)
    if data.time is None and data.post is None:
        raise UnusableData(Message("diagnostics.no-time-dimension"))
    if sample.n == 0:
        raise UnusableData(Message("diagnostics.no-complete-panel-row"))
    timed = _periods(plan, sample)
    starts = starts_by_row(plan, sample)
    if starts is not None:
        return _by_start(timed, starts)
    if data.treatment_kind != "binary":
        raise UnusableData(Message("diagnostics.no-cohorts"))
    start = None
    if data.post is not None:
        after = timed.values[timed.periods[sample.take(data.post) > 0]]
        start = float(after.min()) if len(after) else None
    group = plan.treated(sample).astype(np.int64)
    return replace(
        timed, group=group, labels=(Message("cohorts.untreated"), Message("cohorts.treated")), starts=(None, start)
    )


def _periods(plan: Plan, sample: Sample) -> Cohorts:
    """Return the periods of the rows with a single group."""
    data = plan.data
    scale: Literal["number", "date", "words"] = "number"
    if data.time is not None and data.time_values is not None:
        periods, values = sample.take(data.time), data.time_values
        names = data.time_labels or tuple(f"{value:.10g}" for value in values)
        if data.time_labels is not None:
            scale = "date" if all(_DATE.fullmatch(name) for name in names) else "words"
    else:
        assert data.post is not None
        periods, values, names = (
            sample.take(data.post).astype(np.int64),
            np.asarray([0.0, 1.0]),
            (Message("diagnostics.before"), Message("diagnostics.after")),
        )
        scale = "words"
    group = np.zeros(sample.n, dtype=np.int64)
    return Cohorts(
        sample=sample,
        group=group,
        labels=("",),
        starts=(None,),
        periods=periods,
        values=values,
        names=names,
        scale=scale,
    )


def _by_start(timed: Cohorts, starts: Vector) -> Cohorts:
    levels, group, rows = np.unique(starts, return_inverse=True, return_counts=True)
    finite = np.flatnonzero(np.isfinite(levels))
    largest = finite[np.argsort(-rows[finite], kind="stable")[:_MOST_GROUPS]]
    shown = np.sort(largest)
    place: NDArray[np.int64] = np.full(len(levels), len(shown), dtype=np.int64)
    place[shown] = np.arange(len(shown))
    labels: list[str] = [Message("cohorts.treated-from", start=timed.name_of(float(levels[at]))) for at in shown]
    first: list[float | None] = [float(levels[at]) for at in shown]
    if len(shown) < len(finite):
        labels.append(Message("cohorts.other-starts", starts=len(finite) - len(shown)))
        first.append(None)
    if not np.isfinite(levels[-1]):
        place[-1] = len(labels)
        labels.append(Message("cohorts.never-treated"))
        first.append(None)
    return replace(timed, group=place[group], labels=tuple(labels), starts=tuple(first))
