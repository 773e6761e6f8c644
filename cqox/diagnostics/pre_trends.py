"""Pre-trends: differential trends between treated and never treated units before treatment, and their joint test.

Each lead is the change of units treated later, from the last period before their treatment back to an earlier one,
minus the same change of never treated units (Callaway and Sant'Anna 2021, doi 10.1016/j.jeconom.2020.12.001, equation
2.8 with the never treated as comparison group), averaged over cohorts by their numbers of units. Cohorts with a single
treated unit or cluster are excluded, because their between-unit variance is not identified. The joint test is that of
the event study if there is one, so that a report has a single test; otherwise it covers these leads. In repeated
cross-sections the leads also come from the event study. Failing to reject does not prove parallel trends: the smallest
differential trend detectable with 80% power is reported with the test, the last period before treatment is tested by
itself, and the number of periods over which a trend would move the estimate is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.cohorts import starts_by_row, timed_sample
from cqox.diagnostics.event_study import joint_test_before
from cqox.diagnostics.joint_tests import joint_test, supported
from cqox.diagnostics.json_values import number
from cqox.diagnostics.lead_contrasts import differences_from_base, single_contrasts
from cqox.diagnostics.periods_treated import periods_treated
from cqox.errors import UnusableData
from cqox.estimators import Codes, Json, Matrix, Plan, Vector
from cqox.estimators.panel.did_staggered import event_study

__all__ = ["pre_trends"]

_MOST_LEADS = 8
_MOST_CELLS = 40_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """Outcomes by unit and period.

    Attributes:
        y: (units, periods), NaN where a unit was not observed.
        start: (units,) index of the first treated period; the number of periods if never treated.
        clusters: (units,) cluster codes of units.
    """

    y: Matrix
    start: Codes
    clusters: Codes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lead:
    """A lead and the units behind it.

    Attributes:
        step: event time, negative.
        estimate: value of the lead.
        contributions: (units,) influence of each unit on it.
        support: (groups,) contribution of each cohort, and of the never treated last, to its variance under
            homoskedastic units.
        degrees: (groups,) degrees of freedom of each group.
    """

    step: int
    estimate: float
    contributions: Vector
    support: Vector
    degrees: Vector


def pre_trends(plan: Plan) -> dict[str, Json]:
    """Return the leads with their standard errors, their joint test, and the tests of the last period before treatment.

    `periods_before` counts the periods that the joint test compares, the base included.

    Raises:
        UnusableData: there is no panel with never treated units and at least two periods before treatment.
    """
    if not plan.units_repeat:
        sections = _repeated_cross_sections(plan)
        if sections is not None:
            return sections
    panel = _pivot(plan)
    leads = _leads(panel)
    if not leads:
        raise UnusableData(Message("diagnostics.too-few-for-leads-test"))
    estimates = np.asarray([lead.estimate for lead in leads])
    count = int(panel.clusters.max()) + 1
    sums = np.stack([np.bincount(panel.clusters, lead.contributions, count) for lead in leads])
    covariance = sums @ sums.T
    errors = np.sqrt(np.diag(covariance))
    steps: list[Json] = [
        {"lead": lead.step, "estimate": number(value), "standard_error": number(error) if error > 0 else None}
        for lead, value, error in zip(leads, estimates, errors, strict=True)
    ]
    tests = _of_event_study(plan) or _of_leads(leads, estimates, covariance)
    return {"leads": steps, "clusters": count, "periods_treated": _treated(plan), **tests}


def _repeated_cross_sections(plan: Plan) -> dict[str, Json] | None:
    """Return the event study's leads and test for repeated cross-sections; None for panels or without an event study.

    They are changes from the preceding period or differences from the last one before treatment, by `base_period`.
    """
    try:
        study = event_study(plan)
    except UnusableData:
        return None
    found = study.leads
    errors = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))
    steps: list[Json] = [
        {"lead": lead, "estimate": number(value), "standard_error": number(error) if error > 0 else None}
        for lead, value, error in zip(found.events[::-1], found.estimates[::-1], errors[::-1], strict=True)
    ]
    tests = _of_event_study(plan) or {}
    return {"leads": steps, "clusters": study.clusters, "periods_treated": _treated(plan), **tests}


def _treated(plan: Plan) -> dict[str, Json]:
    """Return the mean number of periods to the treated rows; a reason where starts are not determined."""
    try:
        return periods_treated(plan)
    except UnusableData as error:
        return {"reason": error.detail}


def _of_event_study(plan: Plan) -> dict[str, Json] | None:
    """Return the joint test of the event study; None if there is no event study."""
    try:
        study = event_study(plan)
        found = joint_test_before(plan, study)
    except UnusableData:
        return None
    tests = {("tested_leads" if name == "leads" else name): value for name, value in found.items()}
    held, degrees = supported(study.leads.support, study.leads.group_degrees)
    if not held:
        return tests
    from_base = differences_from_base(held) if study.differences else np.eye(held)
    leads = from_base @ study.leads.estimates[-held:]
    covariance = from_base @ study.leads.covariance[-held:, -held:] @ from_base.T
    return {**tests, "periods_before": held + 1, **single_contrasts(leads, covariance, degrees)}


def _of_leads(leads: Sequence[_Lead], estimates: Vector, covariance: Matrix) -> dict[str, Json]:
    # Farthest lead first: the nearest is last and kept longest.
    support = np.stack([lead.support for lead in reversed(leads)], axis=1)
    held, degrees = supported(support, np.stack([lead.degrees for lead in leads]).max(axis=0))
    if not held:
        return {"p_value": None, "reason": Message("diagnostics.too-few-for-joint-test")}
    return {
        "test": Message("diagnostics.test-of-leads"),
        "tested_leads": [lead.step for lead in leads[:held]],
        "left_out": [lead.step for lead in leads[held:]],
        "periods_before": held + 1,
        **joint_test(estimates[:held], covariance[:held, :held], degrees, np.arange(1.0, held + 1)),
        **single_contrasts(estimates[:held][::-1], covariance[:held, :held][::-1, ::-1], degrees),
    }


def _pivot(plan: Plan) -> _Panel:
    data, sample = plan.data, timed_sample(plan)
    starts = starts_by_row(plan, sample)
    if starts is None or data.unit is None or data.time is None or data.time_values is None:
        raise UnusableData(Message("diagnostics.pre-trends-need-panel"))
    levels, unit = np.unique(sample.take(data.unit), return_inverse=True)
    periods, time = np.unique(sample.take(data.time), return_inverse=True)
    if len(levels) * len(periods) > _MOST_CELLS:
        raise UnusableData(Message("diagnostics.panel-too-large", units=len(levels), periods=len(periods)))
    if len(np.unique(unit * len(periods) + time)) < sample.n:
        raise UnusableData(Message("diagnostics.rows-share-period"))
    y = np.full((len(levels), len(periods)), np.nan)
    y[unit, time] = sample.take(data.y)
    first = np.full(len(levels), np.inf)
    first[unit] = starts
    clusters = np.arange(len(levels))
    if data.clusters:
        code = np.zeros(len(levels), dtype=np.int64)
        code[unit] = sample.take(data.clusters[0])
        clusters = np.unique(code, return_inverse=True)[1]
    start = np.searchsorted(data.time_values[periods], first)
    return _Panel(y=y, start=start, clusters=clusters)


def _leads(panel: _Panel) -> list[_Lead]:
    """Return the leads, nearest to treatment first."""
    units, periods = panel.y.shape
    never = panel.start >= periods
    cohorts = np.unique(panel.start[~never]).tolist()
    found = []
    for back in range(2, _MOST_LEADS + 2):
        value, weight, parts = 0.0, 0, np.zeros(units)
        support, degrees = np.zeros(len(cohorts) + 1), np.zeros(len(cohorts) + 1)
        for at, start in enumerate(cohorts):
            if start < back:
                continue
            change = panel.y[:, start - back] - panel.y[:, start - 1]
            seen = ~np.isnan(change)
            own, other = (panel.start == start) & seen, never & seen
            kept = [np.count_nonzero(np.bincount(panel.clusters[rows])) for rows in (own, other)]
            if min(kept) < 2:
                continue
            size = int(np.count_nonzero(panel.start == start))
            weight += size
            for place, rows, sign, count in ((at, own, 1, kept[0]), (-1, other, -1, kept[1])):
                mean = change[rows].mean()
                value += sign * size * mean
                # Degrees-of-freedom correction: residual variances around a mean of n are biased by (n-1)/n.
                parts[rows] += sign * size * (change[rows] - mean) / rows.sum() * np.sqrt(count / (count - 1))
                support[place] += size**2 / count
                degrees[place] = count - 1
        if weight:
            found.append(
                _Lead(step=-back, estimate=value / weight, contributions=parts / weight, support=support / weight**2,
                      degrees=degrees)
            )  # fmt: skip
    return found
