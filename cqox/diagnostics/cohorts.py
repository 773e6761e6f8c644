"""Who is treated from when on, as a panel shows it."""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators import Codes, Plan, Sample, Vector
from cqox.estimators.panel.repeated_cross_sections import cluster_starts

__all__ = ["Cohorts", "cohorts", "starts_by_row", "timed_sample"]

_MOST_GROUPS = 6
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohorts:
    """Rows sorted into groups that share the start of their treatment.

    Attributes:
        sample: the rows.
        group: (sample.n,) which group a row belongs to.
        labels: of the groups.
        starts: the first treated period of each on the scale of the periods; None where there is none, or several.
        periods: (sample.n,) the period of each row, numbered from 0.
        values: the periods on their numeric scale.
        names: the periods as people write them.
        scale: what the names are: numbers, ISO dates, or words.
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
        """A place on the numeric scale as people write it; by its number where no period is there."""
        at = np.flatnonzero(self.values == value)
        return self.names[at[0]] if len(at) else _written(value, self.scale)


def timed_sample(plan: Plan) -> Sample:
    """The rows with an outcome, a period, and what of treatment and unit is mapped."""
    roles = [role for role in ("treatment", "unit_id", "post") if plan.has(role)]
    return plan.sample("y", *(("time",) if plan.has("time") else ()), *roles)


def starts_by_row(plan: Plan, sample: Sample) -> Vector | None:
    """(sample.n,) first treated period of each row's unit, infinite where it never is; None where none can be told."""
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
        # Beside 'post' the treatment may say who is ever treated rather than who is by now.
        treated = treated & (sample.take(data.post) > 0)
    if len(np.unique(unit)) == sample.n:
        return None
    starts = np.full(int(unit.max(initial=0)) + 1, np.inf)
    np.minimum.at(starts, unit[treated], time[treated])
    return np.asarray(starts[unit])


def _starts_of_clusters(plan: Plan, sample: Sample) -> Vector | None:
    """The same of rows that are seen once, by the clusters that start treatment as a whole, some of them later."""
    data = plan.data
    if data.time is None or data.time_values is None:
        return None
    seen, time = np.unique(sample.take(data.time), return_inverse=True)
    start = cluster_starts(plan.treated(sample) > 0, sample.take(data.clusters[0]), time, len(seen))
    if start is None or not ((start > 0) & (start < len(seen))).any():
        return None
    return np.asarray(np.append(data.time_values[seen], np.inf)[start])


def _written(value: float, scale: str) -> str:
    """A place between periods, such as the start of a treatment that nobody is observed in."""
    if scale == "date" and value == int(value):
        return str(np.datetime64(int(value), "D"))
    return f"{value:.10g}"


def cohorts(plan: Plan) -> Cohorts:
    """The groups of a design over time: by start of treatment, else by arm.

    Raises:
        UnusableData: the data show no time, or nobody's treatment.
    """
    data, sample = plan.data, timed_sample(plan)
    if data.time is None and data.post is None:
        raise UnusableData("Neither 'time' nor 'post' is mapped, so that there is nothing to follow over time.")
    if sample.n == 0:
        raise UnusableData("No row has a value in every role of the panel.")
    timed = _periods(plan, sample)
    starts = starts_by_row(plan, sample)
    if starts is not None:
        return _by_start(timed, starts)
    if data.treatment_kind != "binary":
        raise UnusableData("The treatment has not two levels, so that there are no groups to follow over time.")
    start = None
    if data.post is not None:
        after = timed.values[timed.periods[sample.take(data.post) > 0]]
        start = float(after.min()) if len(after) else None
    group = plan.treated(sample).astype(np.int64)
    return replace(timed, group=group, labels=("untreated", "treated"), starts=(None, start))


def _periods(plan: Plan, sample: Sample) -> Cohorts:
    """The periods of the rows, all of which are in one group."""
    data = plan.data
    scale: Literal["number", "date", "words"] = "number"
    if data.time is not None and data.time_values is not None:
        periods, values = sample.take(data.time), data.time_values
        names = data.time_labels or tuple(f"{value:.10g}" for value in values)
        if data.time_labels is not None:
            scale = "date" if all(_DATE.fullmatch(name) for name in names) else "words"
    else:
        assert data.post is not None
        periods, values, names = sample.take(data.post).astype(np.int64), np.asarray([0.0, 1.0]), ("before", "after")
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
    labels = [f"treated from {timed.name_of(float(levels[at]))}" for at in shown]
    first: list[float | None] = [float(levels[at]) for at in shown]
    if len(shown) < len(finite):
        labels.append(f"{len(finite) - len(shown)} other starts")
        first.append(None)
    if not np.isfinite(levels[-1]):
        place[-1] = len(labels)
        labels.append("never treated")
        first.append(None)
    return replace(timed, group=place[group], labels=tuple(labels), starts=tuple(first))
