"""Falsification tests of a regression discontinuity: manipulation of the score, covariate continuity, and sensitivity
to the bandwidth and to the rows next to the cutoff (donut).
"""

from collections.abc import Callable, Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.binned_means import binned_means
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan, Vector, catalog, run
from cqox.estimators.rd.heaping import heap_at_cutoff
from cqox.estimators.rd.outcome_study import fuzzy_study, sharp_study
from cqox.estimators.rd.running_variable import compliance, score_of
from cqox.estimators.rd.study import Study, study

__all__ = ["discontinuity"]

_TIMES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Multiples of the bandwidths at which the effect is re-estimated."""

_LEFT_OUT = (0.01, 0.025, 0.05, 0.1)
"""Shares of the rows within the bandwidth, nearest first, that the donut estimates leave out."""

_MOST_COVARIATES = 20
_MOST_CELLS = 10_000_000
_TEST = "rd_density_test"


def discontinuity(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return `manipulation` and, if an effect was estimated, `covariates`, `bandwidths`, `donut` and `means`.

    Each may be an object with `reason` alone.

    Raises:
        UnusableData: no score and cutoff are mapped.
    """
    if not (plan.has("running") and plan.has("cutoff")):
        raise UnusableData(Message("diagnostics.no-cutoff"))
    found: dict[str, Json] = {"manipulation": _manipulation(plan, estimates)}
    names = {estimate.name for estimate in estimates if estimate.estimate is not None}
    if "rd_local_linear" in names:
        of, sign = sharp_study(plan), compliance(plan).sign
    elif "rd_fuzzy" in names:
        of, sign = fuzzy_study(plan), 1.0
    else:
        return {**found, "reason": Message("diagnostics.no-discontinuity")}
    return {
        "of": "rd_local_linear" if "rd_local_linear" in names else "rd_fuzzy",
        **found,
        "covariates": _or_reason(lambda: _covariates(plan, of)),
        "bandwidths": _or_reason(lambda: _bandwidths(plan, of, sign)),
        "donut": _or_reason(lambda: _donut(plan, of, sign)),
        "means": _or_reason(lambda: binned_means(plan, of)),
    }


def _or_reason(make: Callable[[], Json]) -> Json:
    try:
        return make()
    except UnusableData as error:
        return {"reason": error.detail}


def _manipulation(plan: Plan, estimates: Sequence[Estimate]) -> Json:
    """Return the density test, run here if it was not requested, and the heaping test of a score with mass points."""
    heap = _heap(plan)
    tested = next((estimate for estimate in estimates if estimate.name == _TEST), None)
    if tested is None:
        tested = run(next(entry for entry in catalog() if entry.name == _TEST), plan)
    if tested.estimate is None:
        return {"reason": tested.reason, "heap": heap}
    diagnostics = tested.diagnostics
    return {
        "statistic": diagnostics["t_jackknife"],
        "p_value": number(tested.p_value),
        "density_below": diagnostics["density_below"],
        "density_above": diagnostics["density_above"],
        "bandwidths": diagnostics["bandwidths"],
        "rows": diagnostics["N_h"],
        "heap": heap,
        "curves": diagnostics["curves"],
        "bars": diagnostics["bars"],
        "warnings": list(tested.warnings),
    }


def _heap(plan: Plan) -> Json:
    crossing, sample = compliance(plan), plan.sample("running")
    score = score_of(plan, sample, strict=crossing.strict)
    found = heap_at_cutoff(score, below=crossing.sign < 0)
    if found is None or plan.data.running is None:
        return {"reason": Message("diagnostics.no-mass-points")}
    nearest = sample.take(plan.data.running)[score.rows[0 if crossing.sign < 0 else 1][0]]
    return {
        "value": float(nearest) if found.rows[1] else plan.data.cutoff,
        "rows": list(found.rows),
        "step": found.step * score.unit,
        "curvature": found.curvature,
        "p_value": found.p_value,
    }


def _covariates(plan: Plan, of: Study) -> Json:
    """Estimate each covariate's jump at its own bandwidth; the smallest p-value gets a Bonferroni correction.

    Raises:
        UnusableData: no covariate is mapped, or none varies around the cutoff.
    """
    if not plan.has("covariates"):
        raise UnusableData(Message("diagnostics.continuity-needs-covariates"))
    labels, sample = plan.labels("covariates"), of.sample
    most = max(1, min(_MOST_COVARIATES, _MOST_CELLS // max(sample.n, 1)))
    rows: list[Json] = []
    values: list[float] = []
    for column in range(min(len(labels), most)):
        jump = _jump(plan, of, sample.take(plan.data.covariates[:, column]))
        rows.append({"covariate": labels[column], **jump})
        if isinstance(value := jump.get("p_value"), float):
            values.append(value)
    if not values:
        raise UnusableData(Message("diagnostics.no-covariate-at-cutoff"))
    return {
        "tested": len(values),
        "not_tested": len(labels) - len(values),
        "smallest_p_value": min(values),
        "adjusted_p_value": min(1.0, min(values) * len(values)),
        "jumps": rows,
    }


def _jump(plan: Plan, of: Study, values: Vector) -> dict[str, Json]:
    if np.ptp(values) == 0:
        return {"reason": Message("diagnostics.constant")}
    try:
        found = study(plan, of.sample, values, strict=compliance(plan).strict)
    except UnusableData as error:
        return {"reason": error.detail}
    return {**found.effect(found.jump).json(plan.settings.alpha), "h": found.bandwidths.h * found.score.unit}


def _bandwidths(plan: Plan, of: Study, sign: float) -> Json:
    """Return the estimate at multiples of both bandwidths."""
    rows: list[Json] = []
    for times in _TIMES:
        try:
            found = of.at(times=times)
            row: dict[str, Json] = {
                "h": found.h * of.score.unit, "N_h": list(found.within_h),
                **of.effect(found, sign).json(plan.settings.alpha),
            }  # fmt: skip
        except UnusableData as error:
            row = {"reason": error.detail}
        rows.append({"times": times, **row})
    return rows


def _donut(plan: Plan, of: Study, sign: float) -> Json:
    """Return donut estimates: without the rows next to the cutoff, or without a heap at it, at the same bandwidths."""
    near = np.sort(
        np.concatenate([side.distance[:count] for side, count in zip(of.sides, of.jump.within_h, strict=True)])
    )
    rows: list[Json] = []
    # Shares whose radius falls within one heap leave out the same rows.
    radii = dict.fromkeys(float(near[max(int(np.ceil(share * len(near))) - 1, 0)]) for share in _LEFT_OUT)
    for radius in radii:
        left_out = int(np.searchsorted(near, radius, side="right"))
        row: dict[str, Json] = {"radius": radius * of.score.unit, "rows_left_out": left_out}
        try:
            row |= of.effect(of.at(beyond=radius), sign).json(plan.settings.alpha)
        except UnusableData as error:
            row["reason"] = error.detail
        rows.append(row)
    return rows
