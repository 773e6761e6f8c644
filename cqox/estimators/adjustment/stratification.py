"""Propensity score stratification: differences of means within strata of the score, averaged over the strata.

Assumes that treatment is as good as random given the covariates of the treatment model, that this model (a logit) is
correctly specified, and that the score is irrelevant within strata: five strata leave about a tenth of its bias.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.adjustment.score_strata import ScoreStrata, group_strata, joined_strata
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
)
from cqox.estimators.inference.standard_errors import influence_se
from cqox.estimators.nuisance.propensity import Propensity, given_probabilities
from cqox.estimators.numerics.ties import tie_groups
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ERROR", "ESTIMATORS", "FAMILY", "WITHIN", "stratum_weights"]

FAMILY = "stratification"
ERROR = "within and between strata"
"""The standard error."""
WITHIN = "within strata"
"""Its alternative, which takes the shares of the strata as known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coded:
    """Rows by stratum.

    Attributes:
        codes: (n,) the stratum of each row.
        strata: the strata.
    """

    codes: NDArray[np.integer]
    strata: ScoreStrata


def _propensity_strata(plan: Plan) -> Estimate:
    sample = plan.propensity_sample()
    propensity, coded = plan.propensity(sample), _coded(plan, sample)
    codes, strata = coded.codes, coded.strata
    t, y, weights = plan.treated(sample), sample.take(plan.data.y), _weights(plan, sample)
    cells = codes * 2 + (t > 0)
    means = np.bincount(cells, weights * y, 2 * strata.count).reshape(-1, 2) / strata.mass
    differences = means[:, 1] - means[:, 0]
    value = float(strata.share @ differences)
    residuals = np.where(t > 0, 1.0, -1.0) * (y - means.ravel()[cells])
    within = weights * residuals * strata.unbiased.ravel()[cells]
    # The average over strata also varies with their sample shares.
    contributions = within + weights / weights.sum() * (differences - value)[codes]
    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name=ERROR, arm_codes=plan.treated(sample)
    )
    alternates = {**uncertainty.alternates, WITHIN: float(np.sqrt(within @ within))}
    treated, control = _arm_weights(coded, t, weights)
    described = strata.described(*_extremes(propensity.used, coded), differences)
    return make_estimate(
        EstimateId("propensity_strata", FAMILY, "ATE"), plan, sample, value, contributions,
        replace(uncertainty, alternates=alternates),
        n_effective=effective_rows(treated, sample.n) + effective_rows(control, sample.n),
        diagnostics={"strata": described, "propensity": _source(propensity)},
        notes=propensity.notes, warnings=(*propensity.warnings, *strata.warnings(), *pooled_periods(plan)),
    )  # fmt: skip


def stratum_weights(plan: Plan) -> tuple[Sample, Vector, Vector]:
    """Return the rows, and the (n,) implied weights of the treated and of the untreated."""
    sample = plan.propensity_sample()
    return sample, *_arm_weights(_coded(plan, sample), plan.treated(sample), _weights(plan, sample))


def _weights(plan: Plan, sample: Sample) -> Vector:
    weights = plan.weights(sample)
    return np.ones(sample.n) if weights is None else weights


def _arm_weights(coded: _Coded, t: Vector, weights: Vector) -> tuple[Vector, Vector]:
    each = weights * coded.strata.to_share.ravel()[coded.codes * 2 + (t > 0)]
    return each * t, each * (1.0 - t)


def _coded(plan: Plan, sample: Sample) -> _Coded:
    def make() -> _Coded:
        e, weights, wanted = plan.propensity(sample).used, _weights(plan, sample), plan.settings.strata
        codes = _cut(e, weights, wanted)
        cells = codes * 2 + (plan.treated(sample) > 0)
        rows = np.bincount(cells, minlength=2 * wanted).reshape(-1, 2).astype(np.float64)
        joined = joined_strata(rows)
        count = int(joined.max()) + 1
        present = int(np.count_nonzero(rows.sum(axis=1)))
        cells = joined[codes] * 2 + (plan.treated(sample) > 0)
        strata = ScoreStrata(
            merged=present - count,
            rows=np.bincount(cells, minlength=2 * count).reshape(-1, 2).astype(np.float64),
            mass=np.bincount(cells, weights, 2 * count).reshape(-1, 2),
        )
        return _Coded(codes=joined[codes].astype(codes.dtype), strata=strata)

    return plan.share("strata", make, sample)


def _cut(e: Vector, weights: Vector, count: int) -> NDArray[np.integer]:
    """Return (n,) the score quantile group of each row, of `count` groups with equal shares."""
    groups, size = tie_groups(e)
    mass = np.bincount(groups, weights, size)

    def neighbours(group: int) -> tuple[float, float] | None:
        if not 0 < group < size - 1:
            return None
        scores = np.empty(size)
        scores[groups] = e
        return float(scores[group] - scores[group - 1]), float(scores[group + 1] - scores[group])

    strata = group_strata(np.cumsum(mass) - mass, mass, float(mass.sum()), count, neighbours)
    return strata.astype(_codes_of(count))[groups]


def _codes_of(count: int) -> np.dtype[np.integer]:
    """Return the narrowest integer type that holds the number of each stratum and arm."""
    return np.min_scalar_type(2 * count - 1)


def _extremes(e: Vector, coded: _Coded) -> tuple[Vector, Vector]:
    """Return the (strata,) lowest and highest scores."""
    lowest, highest = np.full(coded.strata.count, np.inf), np.full(coded.strata.count, -np.inf)
    np.minimum.at(lowest, coded.codes, e)
    np.maximum.at(highest, coded.codes, e)
    return lowest, highest


def _source(propensity: Propensity) -> str:
    return "given" if propensity.known else "logit"


def _rule(plan: Plan) -> Message | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return Message("adjustment.needs-covariates-for-strata")
    sample = plan.propensity_sample()
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    elif reason is None:
        plan.propensity(sample)
    return reason


ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="propensity_strata",
        family=FAMILY,
        estimand="ATE",
        summary="Average of the differences of means within strata of the propensity score, fifths by default; "
        "treatment is as good as random given the covariates, and as good as random within a stratum.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "pscore", "weights", "cluster"),
        standard_error="the variances within strata, and that of their shares; the score is taken as known",
        paper="Rosenbaum and Rubin 1984, JASA 79, sections 2 and 3; Hernán and Robins, What If, section 15.3",
        doi="10.1080/01621459.1984.10478078",
        checked_against="statsmodels OLS saturated in the strata; post-stratification where the score has few values",
        laws=CROSS_SECTION_LAWS,
        rule=_rule,
        compute=_propensity_strata,
    ),
)
