"""Falsification tests of a regression discontinuity: manipulation of the score, covariate continuity, placebo cutoffs,
the first stage, and sensitivity to the bandwidth, the order and the rows next to the cutoff (donut).
"""

from collections.abc import Callable, Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.binned_means import binned_means
from cqox.diagnostics.cutoff_first_stage import first_stage
from cqox.diagnostics.cutoff_specification import at_bandwidths, curvature, donut
from cqox.diagnostics.json_values import number
from cqox.diagnostics.placebo_cutoffs import placebo_cutoffs
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan, Sample, Vector, catalog, run
from cqox.estimators.numerics.detection import detectable_ratio
from cqox.estimators.rd.heaping import heap_at_cutoff
from cqox.estimators.rd.outcome_study import fuzzy_study, sharp_study
from cqox.estimators.rd.running_variable import compliance, score_of
from cqox.estimators.rd.study import Study, study

__all__ = ["discontinuity", "jump_p_value"]

_MOST_COVARIATES = 20
_MOST_CELLS = 10_000_000
_TEST = "rd_density_test"
_LEVEL = 0.05


def discontinuity(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return `manipulation` and, if an effect was estimated, `covariates`, `placebo_cutoffs`, `bandwidths`,
    `curvature`, `donut`, `means` and, where it is fuzzy, `first_stage`.

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
        "placebo_cutoffs": _or_reason(lambda: placebo_cutoffs(plan, of)),
        "bandwidths": _or_reason(lambda: at_bandwidths(plan, of, sign)),
        "curvature": _or_reason(lambda: curvature(plan, of, sign)),
        "donut": _or_reason(lambda: donut(plan, of, sign)),
        **({"first_stage": first_stage(plan, of)} if "rd_local_linear" not in names else {}),
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
        "detectable_share": _detectable(tested),
        "bandwidths": diagnostics["bandwidths"],
        "rows": diagnostics["N_h"],
        "heap": heap,
        "curves": diagnostics["curves"],
        "bars": diagnostics["bars"],
        "warnings": list(tested.warnings),
    }


def _detectable(tested: Estimate) -> Json:
    """Return the jump that the density test detects with 80% power, as a share of the mean density at the cutoff."""
    below, above = tested.diagnostics["density_below"], tested.diagnostics["density_above"]
    if not isinstance(below, float) or not isinstance(above, float) or tested.standard_error is None:
        return None
    mean = (below + above) / 2
    return number(detectable_ratio(_LEVEL, None) * tested.standard_error / mean) if mean > 0 else None


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


def jump_p_value(plan: Plan, values: Vector) -> float | None:
    """Return the p-value of a column's jump at the cutoff, at its own bandwidth; None where it cannot be tested.

    Args:
        plan: of a design with a score and a cutoff.
        values: (n,) the column, NaN where missing.
    """
    sample = plan.sample("running")
    known = np.isfinite(sample.take(values))
    rows = np.flatnonzero(known) if sample.index is None else sample.index[known]
    if not len(rows) or np.ptp(values[rows]) == 0:
        return None
    kept = Sample(total=sample.total, n=len(rows), index=rows)
    try:
        # In a plan of its own: what is shared of a sample stays in memory as long as its plan.
        found = study(Plan(plan.data, plan.settings), kept, values[rows], strict=compliance(plan).strict)
    except UnusableData:
        return None
    value = found.effect(found.jump).json(plan.settings.alpha).get("p_value")
    return value if isinstance(value, float) else None


def _jump(plan: Plan, of: Study, values: Vector) -> dict[str, Json]:
    if np.ptp(values) == 0:
        return {"reason": Message("diagnostics.constant")}
    try:
        found = study(plan, of.sample, values, strict=compliance(plan).strict)
    except UnusableData as error:
        return {"reason": error.detail}
    return {**found.effect(found.jump).json(plan.settings.alpha), "h": found.bandwidths.h * found.score.unit}
