"""Spillover effects under interference, and a regression with spatially correlated errors.

Exposure mapping assumes that a row's outcome depends on its own treatment and on its exposure to its neighbours'
treatments, by a rule that the request can set. On a network, treatments are independent, with known probabilities or
those of a share or a logit, and inference is design-based. A measured exposure must be as good as random given
treatment and covariates.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.conley import conley_variance, default_bandwidth
from cqox.estimators.inference.least_squares import focus, regress
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
    varying_outcome,
)
from cqox.estimators.inference.standard_errors import Uncertainty, influence_se, regression_se
from cqox.estimators.interference.exposures import Measured, Network, measured, network
from cqox.estimators.nuisance.propensity import score_correction
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS"]

_FAMILY = "interference"
_FEW_ROWS, _RARE = 10, 0.01
_STILL_GROWS, _CHEAP_PAIRS = 1.15, 3_000_000
_CLASSES = (
    Message("interference.untreated-not-exposed"),
    Message("interference.untreated-exposed"),
    Message("interference.treated-not-exposed"),
    Message("interference.treated-exposed"),
)

type Effect = Literal["direct", "spillover", "total"]

_CONTRASTS: dict[Effect, tuple[int, int]] = {"direct": (2, 0), "spillover": (1, 0), "total": (3, 0)}
_ESTIMANDS: dict[Effect, str] = {
    "direct": "direct effect",
    "spillover": "spillover effect",
    "total": "total effect of treatment and exposure",
}


def _exposure(plan: Plan, *, effect: Effect) -> Estimate:
    return _on_network(plan, effect) if plan.has("edges") else _by_measure(plan, effect)


def _on_network(plan: Plan, effect: Effect) -> Estimate:
    found = network(plan)
    y = found.sample.take(plan.data.y)
    centre = float(y.mean())
    plus, minus = _CONTRASTS[effect]
    one, zero = (_mean(y - centre, found, level) for level in (plus, minus))
    variance = (
        _covariance(found, plus, plus, one[1], one[1])
        + _covariance(found, minus, minus, zero[1], zero[1])
        - 2.0 * _covariance(found, plus, minus, one[1], zero[1])
    )
    weights = np.where((found.classes == plus) | (found.classes == minus), 1.0 / _own_chance(found), 0.0)
    uncertainty = Uncertainty(
        standard_error=float(np.sqrt(variance)) if variance > 0 else None,
        method="Aronow-Samii bound",
        degrees=None,
        alternates={"Aronow-Samii bound": float(np.sqrt(max(variance, 0.0)))},
        notes=_other_errors(plan),
    )
    details, warnings = _described(found.classes, _own_chance(found), found.rule, (plus, minus))
    for level in (plus, minus):
        impossible = int(np.sum(found.chances[level] <= 0))
        if impossible:
            warnings.append(
                Message(
                    "interference.impossible-for-rows",
                    impossible=impossible,
                    rows=found.sample.n,
                    exposure_class=_CLASSES[level],
                )
            )
    isolated, unknown = found.left_out
    details |= {
        "left_out_without_neighbours": isolated,
        "left_out_with_unknown_neighbours": unknown,
        "dependent_pairs": len(found.pairs),
        "probabilities": _source(plan, known=found.known),
    }
    return make_estimate(
        EstimateId(f"exposure_{effect}", _FAMILY, _ESTIMANDS[effect]), plan, found.sample, one[0] - zero[0], None,
        uncertainty, n_effective=effective_rows(weights, found.sample.n), diagnostics=details,
        warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _own_chance(found: Network) -> Vector:
    """Return (n,) the probability of each row's own class."""
    return np.asarray(found.chances[found.classes, np.arange(found.sample.n)])


def _mean(y: Vector, found: Network, level: int) -> tuple[float, Vector]:
    """Return the Hajek mean of a class, and the (n,) weighted residuals of its rows; 0 in other rows."""
    weights = _over((found.classes == level).astype(np.float64), found.chances[level])
    mean = float(weights @ y / weights.sum())
    return mean, np.where(found.classes == level, y - mean, 0.0) / weights.sum()


def _covariance(found: Network, k: int, l: int, left: Vector, right: Vector) -> float:  # noqa: E741 - the paper's
    """Return the covariance of two Hajek means, or the variance of one, with bounds for pairs that never co-occur.

    Such a pair adds the squares of both to a variance and subtracts them from a covariance, by Young's inequality. A
    row that cannot be in a class is excluded from its mean, and so from all of its pairs.

    Args:
        found: the network.
        k, l: the classes.
        left, right: (n,) residuals of the rows in them.
    """
    i, j = found.pairs.T
    pi_k, pi_l = found.chances[k], found.chances[l]
    total = 0.0
    for a, b in ((i, j), (j, i)):
        joint = found.joint[k, l] if a is i else found.joint[l, k]
        met = (joint > 0) & (left[a] != 0) & (right[b] != 0)
        p, q = pi_k[a[met]], pi_l[b[met]]
        total += float(np.sum((joint[met] - p * q) / joint[met] * left[a[met]] * right[b[met]] / (p * q)))
        never = (joint <= 0) & (pi_k[a] > 0) & (pi_l[b] > 0)
        bound = _over(left[a[never]] ** 2, pi_k[a[never]]) + _over(right[b[never]] ** 2, pi_l[b[never]])
        total += (1.0 if k == l else -1.0) * float(bound.sum()) / 2.0
    if k == l:
        return total + float(np.sum((1.0 - pi_k) * _over(left, pi_k) ** 2))
    either = (pi_k > 0) & (pi_l > 0)
    return total - float(np.sum((_over(left**2, pi_k) + _over(right**2, pi_l))[either])) / 2.0


def _over(values: Vector, chances: Vector) -> Vector:
    """Return the quotients, 0 where the numerator is: rows outside a class may have probability 0."""
    return np.divide(values, chances, out=np.zeros_like(values), where=values != 0)


def _other_errors(plan: Plan) -> tuple[Message, ...]:
    notes = []
    if plan.settings.se != "auto":
        notes.append(Message("interference.design-based-errors", standard_error=plan.settings.se))
    if plan.data.clusters:
        notes.append(Message("interference.clusters-unused-on-network"))
    return tuple(notes)


def _source(plan: Plan, *, known: bool) -> str:
    if known:
        return "given"
    return "logit" if plan.has("propensity_covariates") else "share"


def _by_measure(plan: Plan, effect: Effect) -> Estimate:
    found = measured(plan)
    sample, classes = found.sample, found.classes
    y = sample.take(plan.data.y)
    y = y - y.mean()
    sampling = plan.weights(sample)
    weights = (1.0 if sampling is None else sampling) / found.chances
    plus, minus = _CONTRASTS[effect]
    moved, means = np.zeros(sample.n), []
    for level, sign in ((plus, 1.0), (minus, -1.0)):
        share = np.where(classes == level, weights, 0.0)
        share /= share.sum()
        means.append(float(share @ y))
        moved += sign * share * (y - means[-1])
    contributions = moved + _fitted(found, moved)
    uncertainty = influence_se(contributions, plan.clusters(sample), plan.settings, name="M-estimation")
    details, warnings = _described(classes, found.chances, found.rule, (plus, minus))
    details["probabilities"] = _source(plan, known=plan.data.pscore is not None)
    independent = () if plan.data.clusters else (Message("interference.rows-independent"),)
    used = np.where((classes == plus) | (classes == minus), weights, 0.0)
    return make_estimate(
        EstimateId(f"exposure_{effect}", _FAMILY, _ESTIMANDS[effect]), plan, sample, means[0] - means[1], contributions,
        uncertainty, n_effective=effective_rows(used, sample.n), diagnostics=details,
        notes=(*found.notes, *independent), warnings=(*warnings, *found.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _fitted(found: Measured, moved: Vector) -> Vector:
    """Return (n,) contributions through the treatment and exposure models; weights are inverse probabilities."""
    own, exposed = found.classes // 2, found.classes % 2
    parts = np.zeros(found.sample.n)
    if found.treatment is not None:
        e = found.treatment.used
        parts += score_correction(found.treatment, own.astype(np.float64), moved * np.where(own > 0, e - 1.0, e))
    for arm, fit in enumerate(found.exposure):
        if fit is None:
            continue
        mine, q = own == arm, fit.used
        h = exposed[mine].astype(np.float64)
        parts[mine] += score_correction(fit, h, moved[mine] * np.where(h > 0, q - 1.0, q))
    return parts


def _described(
    classes: Codes, chances: Vector, rule: Message, compared: tuple[int, int]
) -> tuple[dict[str, Json], list[Message]]:
    counts = np.bincount(classes, minlength=4)
    least = [float(chances[classes == level].min()) if counts[level] else None for level in range(4)]
    details: dict[str, Json] = {
        "exposed_where": rule,
        "rows": {str(name): int(count) for name, count in zip(_CLASSES, counts, strict=True)},
        "smallest_probability": {str(name): value for name, value in zip(_CLASSES, least, strict=True)},
    }
    warnings = []
    for level in compared:
        if counts[level] < _FEW_ROWS:
            warnings.append(Message("interference.few-rows", rows=counts[level], exposure_class=_CLASSES[level]))
        rare = least[level]
        if rare is not None and rare < _RARE:
            warnings.append(Message("interference.rare-class", exposure_class=_CLASSES[level], probability=rare))
    return details, warnings


def _exposure_rule(plan: Plan, *, effect: Effect) -> Message | None:
    if not (plan.has("edges") or plan.has("neighbor_exposure")):
        return Message("interference.no-exposure-mapped")
    reason = no_absorbing(plan)
    if reason is not None:
        return reason
    if plan.has("edges") and plan.has("weights"):
        return Message("interference.no-weights-on-network")
    if not plan.has("edges"):
        reason = two_arms(plan, plan.sample("y", "treatment", "neighbor_exposure"))
        if reason is not None:
            return reason
    found: Network | Measured = network(plan) if plan.has("edges") else measured(plan)
    for level in _CONTRASTS[effect]:
        rows = int(np.sum(found.classes == level))
        if rows < 2:
            return Message(
                "interference.too-few-in-class", rows=rows, exposure_class=_CLASSES[level], exposed_where=found.rule
            )
    return varying_outcome(plan, found.sample)


def _placed(plan: Plan) -> Sample:
    """Return the complete cases of the roles that the spatial regression uses."""

    def make() -> Sample:
        sample = plan.outcome_sample()
        assert plan.data.location is not None
        known = np.isfinite(sample.take(plan.data.location)).all(axis=1)
        if known.all():
            return sample
        index = np.flatnonzero(known) if sample.index is None else sample.index[known]
        return Sample(total=sample.total, n=len(index), index=index)

    return plan.share("placed rows", make)


def _spatial(plan: Plan) -> Estimate:
    sample = _placed(plan)
    assert plan.data.location is not None
    frame = plan.frame("xty", sample)
    regressors = focus(frame, "t", Message("inference.the-treatment-named", treatment=plan.label("treatment")))
    contrast = np.zeros(len(regressors))
    contrast[-1] = 1.0
    clusters = plan.clusters(sample)
    fit = regress(frame, regressors, contrast, clusters=clusters.codes, arm_codes=plan.treated(sample))
    details: dict[str, Json] = {"parameters": fit.parameters}
    if plan.settings.se != "auto":
        uncertainty = regression_se(fit, clusters, plan.settings)
    else:
        location = sample.take(plan.data.location)
        given = plan.settings.conley_bandwidth
        reach = given or default_bandwidth(location, sample.take(plan.data.row_key))
        variance, pairs = conley_variance(fit.contributions, location, reach)
        degrees = sample.n - fit.parameters
        details |= {"bandwidth_km": reach, "pairs_within": pairs, "bandwidth": "given" if given else "by rule"}
        plain = float(fit.contributions @ fit.contributions) * sample.n / degrees
        wider = _wider(fit.contributions, location, reach, variance)
        details["error_at_twice_the_bandwidth"] = wider and wider * float(np.sqrt(variance * sample.n / degrees))
        doubts = () if variance > 0 else (Message("interference.no-positive-variance"),)
        if wider is not None and wider > _STILL_GROWS:
            doubts = (Message("interference.correlated-farther", kilometres=reach, ratio=wider),)
        uncertainty = Uncertainty(
            standard_error=float(np.sqrt(variance * sample.n / degrees)) if variance > 0 else None,
            method="Conley",
            degrees=float(degrees),
            alternates={"HC1": float(np.sqrt(plain))},
            notes=(Message("interference.clusters-unused-by-distance"),) if plan.data.clusters else (),
            warnings=doubts,
        )
    return make_estimate(
        EstimateId("spatial_ols", _FAMILY, "ATE"), plan, sample, fit.value, fit.contributions, uncertainty,
        diagnostics=details, notes=frame.notes, warnings=pooled_periods(plan),
    )  # fmt: skip


def _wider(contributions: Vector, location: Matrix, reach: float, variance: float) -> float | None:
    """Return the ratio of the error at twice the bandwidth; None where that is slow, or not positive."""
    try:
        other, _ = conley_variance(contributions, location, 2.0 * reach, most_pairs=_CHEAP_PAIRS)
    except UnusableData:
        return None
    return float(np.sqrt(other / variance)) if min(other, variance) > 0 else None


def _spatial_rule(plan: Plan) -> Message | None:
    sample = _placed(plan)
    kind = plan.data.treatment_kind
    return no_absorbing(plan) or (two_arms(plan, sample) if kind == "binary" else varying_outcome(plan, sample))


def _entry(effect: Effect, summary: str) -> Estimator:
    rule: Callable[[Plan], Message | None] = partial(_exposure_rule, effect=effect)
    return Estimator(
        name=f"exposure_{effect}",
        family=_FAMILY,
        estimand=_ESTIMANDS[effect],
        summary=summary,
        requires=("y", "treatment"),
        optional=(
            "edges", "neighbor_exposure", "pscore", "covariates", "propensity_covariates", "weights", "cluster",
        ),
        standard_error="Aronow-Samii bound of the design on a network (conservative); M-estimation with a measured "
        "exposure, CRV1 where clusters are mapped",
        paper="Aronow and Samii 2017, Annals of Applied Statistics 11(4), 1912-1947",
        doi="10.1214/16-AOAS1005",
        checked_against="all assignments of a small network enumerated; the stacked equations; Monte-Carlo",
        laws=CROSS_SECTION_LAWS - {"flip_treatment"},
        rule=rule,
        compute=partial(_exposure, effect=effect),
    )  # fmt: skip


ESTIMATORS: tuple[Estimator, ...] = (
    _entry(
        "total",
        "Treated and exposed against neither: Hajek means of the exposure classes. Exposure captures all of how "
        "others' treatments matter.",
    ),
    _entry(
        "direct",
        "Treated against untreated without exposure: Hajek means of the exposure classes.",
    ),
    _entry(
        "spillover",
        "Exposed against not exposed among the untreated: Hajek means of the exposure classes.",
    ),
    Estimator(
        name="spatial_ols",
        family=_FAMILY,
        estimand="ATE",
        summary="Regression on treatment and covariates with Conley standard errors for spatial correlation.",
        requires=("y", "treatment", "latitude", "longitude"),
        optional=("covariates", "weights"),
        standard_error="Conley, all pairs within a great-circle distance, n/(n-k), t(n-k)",
        paper="Conley 1999, Journal of Econometrics 92(1), 1-45",
        doi="10.1016/S0304-4076(98)00084-0",
        checked_against="the double sum over all pairs with haversine distances, and Monte-Carlo",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_spatial_rule,
        compute=_spatial,
    ),
)
