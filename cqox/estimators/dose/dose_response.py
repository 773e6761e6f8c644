"""Continuous treatments: the dose-response curve and the average derivative.

Assumes that the dose is as good as random given the covariates (unconditionally, where none are mapped) and positivity
over the range of the curve. Doubly robust: consistent if either model is correctly specified, the outcome as a cubic in
the dose with slopes linear in the covariates, or the dose as normal around a line of these.
"""

import math
from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.dose.curve import Curve, Local, covariance_of_curve, local_lines, plug_in_bandwidth
from cqox.estimators.dose.models import (
    Models,
    basis,
    dose_models,
    dose_sample,
    pseudo_outcomes,
    slope_basis,
    stabilised,
)
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    finite,
    make_estimate,
    no_absorbing,
    pooled_periods,
    varying_outcome,
)
from cqox.estimators.inference.multiplier import banded
from cqox.estimators.inference.standard_errors import influence_se
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS"]

_FAMILY = "dose_response"
_POINTS = 33
_FEWEST = 10
_FIRST = 4_096
_SKEWED = 2.0
_FEW_EFFECTIVE = 0.2
_DETERMINED = 0.5
"""With a higher share of a normal dose's variance explained by covariates, the weights have infinite variance."""


def _average_derivative(plan: Plan) -> Estimate:
    """Return the mean slope of the outcome model, corrected by residuals times the score of the dose's density."""
    models, sample = dose_models(plan), dose_sample(plan)
    frame, weights = models.frame, models.weights
    k, total = models.k, float(weights.sum())
    score = models.deviation / models.variance
    corrected = score * models.residual
    slopes = np.empty(frame.n)

    def work(s: slice) -> Partial:
        x, z = frame.matrix[:k, s], models.dose[s]
        steep = slope_basis(x, z)
        slopes[s] = models.beta @ steep
        return (steep @ weights[s] - basis(x, z) @ (weights[s] * score[s]),)

    (moved,) = frame.rows.total(work)
    value = float(weights @ (slopes + corrected) / total)
    along = models.inverse @ moved / total
    width = models.assignment.at["x"].stop
    by_line = models.inverse_line @ (models.assignment.matrix[:width] @ (weights * models.residual))
    by_line /= -total * models.variance
    by_variance = -float(weights @ corrected) / total / models.variance
    contributions = np.empty(frame.n)

    def contribute(s: slice) -> None:
        deviation = models.deviation[s]
        own = slopes[s] + corrected[s] - value + by_variance * (deviation * deviation - models.variance)
        fitted = (along @ basis(frame.matrix[:k, s], models.dose[s])) * models.residual[s]
        lined = (by_line @ models.assignment.matrix[:width, s]) * deviation
        contributions[s] = weights[s] * (own / total + fitted + lined)

    frame.rows.each(contribute)
    scale = float(frame.scale[frame.column("y")] / frame.scale[frame.column("t")])
    contributions *= scale
    details: dict[str, Json] = {
        "dose_r2": models.r2,
        "correction": float(weights @ corrected / total) * scale,
        "unadjusted": not plan.has("covariates"),
    }
    return make_estimate(
        EstimateId("dose_average_derivative", _FAMILY, "average derivative"), plan, sample, value * scale,
        contributions,
        influence_se(contributions, plan.clusters(sample), plan.settings, name="M-estimation"),
        diagnostics=details, notes=(*frame.notes, *_randomised(plan)), warnings=pooled_periods(plan),
    )  # fmt: skip


def _curve(plan: Plan) -> Estimate:
    models, sample = dose_models(plan), dose_sample(plan)
    frame, settings = models.frame, plan.settings
    t, y = frame.column("t"), frame.column("y")
    stable = stabilised(models)
    order = np.argsort(models.dose, kind="stable")
    curve = Curve(
        order=order, dose=models.dose[order], outcome=pseudo_outcomes(models, stable)[order],
        weights=models.weights[order],
    )  # fmt: skip
    low, first, third, high = _weighted_quantiles(curve, (0.05, 0.25, 0.75, 0.95))
    if not third > first:
        raise UnusableData(Message("dose.one-dose-in-most-rows"))
    bandwidth = plug_in_bandwidth(curve, low, high)
    grid = np.concatenate([np.linspace(low, high, _POINTS), [first, third]])
    lines = local_lines(curve, grid, bandwidth)
    base = _averaging(models)
    # Value, error and covariance of every point, all in the outcome's units.
    scale = float(frame.scale[y])
    clusters = plan.clusters(sample)
    covariance = covariance_of_curve(lines, base[:, order], grid, clusters, order) * scale**2
    values = np.asarray([each.value for each in lines]) * scale + float(frame.centre[y])
    distance = (third - first) * float(frame.scale[t])
    contributions = np.zeros(frame.n)
    for sign, each in ((-1.0, lines[-2]), (1.0, lines[-1])):
        contributions[order[each.start : each.stop]] += sign * each.contributions
    contributions += (third - first) * base[1]
    contributions *= scale / distance
    uncertainty = influence_se(contributions, clusters, settings, name="sandwich")
    doses = grid * float(frame.scale[t]) + float(frame.centre[t])
    details, effective, warnings = _described(plan, models, stable, lines)
    table = banded(
        [
            {
                "dose": float(dose),
                "local_linear": each.line * scale + float(frame.centre[y]),
                "effective_rows": each.effective,
            }
            for dose, each in zip(doses[:-2], lines, strict=False)
        ],
        values[:-2],
        covariance[:-2, :-2],
        alpha=settings.alpha,
        degrees=uncertainty.degrees,
        seed=settings.seed,
    )
    details |= {
        "bandwidth": bandwidth * float(frame.scale[t]),
        "from_dose": float(doses[-2]),
        "to_dose": float(doses[-1]),
        "curve": table["averages"],
        "band_critical_value": table["critical_value"],
    }
    return make_estimate(
        EstimateId("dose_curve", _FAMILY, "slope between the dose's quartiles"), plan, sample,
        float(values[-1] - values[-2]) / distance, contributions, uncertainty, n_effective=effective,
        diagnostics=details, notes=(*frame.notes, *_randomised(plan)), warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _weighted_quantiles(curve: Curve, levels: tuple[float, ...]) -> list[float]:
    reached = np.cumsum(curve.weights)
    places = np.searchsorted(reached, np.asarray(levels) * reached[-1] * (1 - 1e-12))
    return [float(curve.dose[min(int(place), len(reached) - 1)]) for place in places]


def _averaging(models: Models) -> Matrix:
    """Return (2, n) the covariates' contribution to the mean over all rows: at a dose of 0, and per unit of dose."""
    k = models.k
    slopes = np.stack([models.beta[:k], models.beta[k : 2 * k]])
    moved = slopes @ models.frame.matrix[:k] - (slopes @ models.mean)[:, None]
    return np.asarray(moved * models.weights / models.weights.sum())


def _described(
    plan: Plan, models: Models, stable: Vector, lines: list[Local]
) -> tuple[dict[str, Json], float, list[Message]]:
    """Return the overlap diagnostics of the dose, and warnings."""
    weighting = models.weights * stable
    rows = models.frame.n
    effective = min(effective_rows(weighting, rows), float(rows))
    away = models.deviation / math.sqrt(models.variance)
    skewness = float(models.weights @ (away * away * away) / models.weights.sum())
    details: dict[str, Json] = {
        "dose_r2": models.r2,
        "dose_skewness": skewness,
        "ess_share": effective / rows,
        "largest_weight_share": finite(float(weighting.max() / weighting.sum())),
        "smallest_effective_rows": min(each.effective for each in lines),
    }
    warnings = []
    if models.r2 > _DETERMINED:
        warnings.append(Message("dose.explained-by-covariates", share=models.r2, dose=plan.label("treatment")))
    if abs(skewness) > _SKEWED:
        warnings.append(Message("dose.skewed", dose=plan.label("treatment"), skewness=skewness))
    if effective < _FEW_EFFECTIVE * rows:
        warnings.append(Message("dose.poor-overlap", rows=rows, effective_rows=effective))
    return details, effective, warnings


def _randomised(plan: Plan) -> tuple[Message, ...]:
    return () if plan.has("covariates") else (Message("dose.no-covariates"),)


def _rule(plan: Plan, *, distinct: int) -> Message | None:
    sample = dose_sample(plan)
    reason = no_absorbing(plan) or varying_outcome(plan, sample)
    if reason is not None:
        return reason
    doses = plan.treated(sample)
    if float(np.ptp(doses)) == 0:
        return Message("dose.constant-dose", dose=plan.label("treatment"), rows=sample.n)
    found = len(np.unique(doses[:_FIRST]))
    if found < distinct and sample.n > _FIRST:
        found = len(np.unique(doses))
    if found < distinct:
        return Message("dose.few-doses", needed=distinct, dose=plan.label("treatment"), doses=found)
    return None


_ERROR = {
    "average": "M-estimation over the models of outcome and dose",
    "curve": "sandwich of the local fits and of the averaging over covariates; uniform multiplier band",
}

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="dose_average_derivative",
        family=_FAMILY,
        estimand="average derivative",
        summary="Average derivative of the mean outcome by dose: slopes of an outcome model, corrected by residuals "
        "times the score of the dose's density; the dose is as good as random given the covariates.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "weights", "cluster"),
        standard_error=_ERROR["average"],
        paper="Newey and Stoker 1993, Econometrica 61, equation 3.1; Chernozhukov et al. 2022, Econometrica 90",
        doi="10.3982/ECTA18515",
        checked_against="a regression of statsmodels on centred terms; the stacked equations written out",
        laws=CROSS_SECTION_LAWS - {"flip_treatment"} | {"scale_treatment"},
        treatment=frozenset({"continuous"}),
        rule=partial(_rule, distinct=3),
        compute=_average_derivative,
    ),
    Estimator(
        name="dose_curve",
        family=_FAMILY,
        estimand="slope between the dose's quartiles",
        summary="The doubly robust curve of mean outcomes by dose, with a uniform band; the estimate is its mean "
        "slope between the quartiles of the dose, which is as good as random given the covariates.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "weights", "cluster"),
        standard_error=_ERROR["curve"],
        paper="Kennedy, Ma, McHugh and Small 2017, JRSS B 79, section 3; bias corrected by local parabolas",
        doi="10.1111/rssb.12212",
        checked_against="local regressions by statsmodels of pseudo-outcomes written out; Monte-Carlo",
        laws=CROSS_SECTION_LAWS - {"flip_treatment", "half_weights"} | {"scale_treatment"},
        treatment=frozenset({"continuous"}),
        rule=partial(_rule, distinct=_FEWEST),
        compute=_curve,
    ),
)
