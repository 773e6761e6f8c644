"""Propensity score stratification: differences of means within strata of the score, averaged over the strata.

Assumes that treatment is as good as random given the covariates of the treatment model, that this model (a logit) is
correctly specified, and that the score is irrelevant within strata: five strata leave about a tenth of its bias.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate, Json
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

__all__ = ["ESTIMATORS", "stratum_weights"]

_FAMILY = "stratification"
_FEWEST = 2
_METHOD = "within and between strata"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strata:
    """Rows by propensity score stratum, from the lowest.

    Attributes:
        codes: (n,) the stratum of each row.
        count: number of strata.
        merged: number of strata that were merged into neighbours because they lacked rows of an arm.
        rows, mass: (count, 2) rows and sampling weights of the untreated and the treated.
    """

    codes: NDArray[np.integer]
    count: int
    merged: int
    rows: NDArray[np.float64]
    mass: NDArray[np.float64]

    @property
    def share(self) -> Vector:
        """The (count,) share of each stratum, by sampling weights."""
        return np.asarray(self.mass.sum(axis=1) / self.mass.sum())


def _propensity_strata(plan: Plan) -> Estimate:
    sample = plan.propensity_sample()
    propensity, strata = plan.propensity(sample), _strata(plan, sample)
    t, y, weights = plan.treated(sample), sample.take(plan.data.y), _weights(plan, sample)
    cells = strata.codes * 2 + (t > 0)
    means = np.bincount(cells, weights * y, 2 * strata.count).reshape(-1, 2) / strata.mass
    differences = means[:, 1] - means[:, 0]
    value = float(strata.share @ differences)
    # The unbiased variance of each cell; the average over strata also varies with their sample shares.
    unbiased = np.sqrt(strata.rows / (strata.rows - 1.0)) / strata.mass * strata.share[:, None]
    residuals = np.where(t > 0, 1.0, -1.0) * (y - means.ravel()[cells])
    within = weights * residuals * unbiased.ravel()[cells]
    contributions = within + weights / weights.sum() * (differences - value)[strata.codes]
    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name=_METHOD, arm_codes=plan.treated(sample)
    )
    alternates = {**uncertainty.alternates, "within strata": float(np.sqrt(within @ within))}
    treated, control = _arm_weights(strata, t, weights)
    warnings = propensity.warnings
    if strata.merged:
        warnings = (*warnings, Message("adjustment.strata-merged", fewest=_FEWEST, strata=strata.count))
    return make_estimate(
        EstimateId("propensity_strata", _FAMILY, "ATE"), plan, sample, value, contributions,
        replace(uncertainty, alternates=alternates),
        n_effective=effective_rows(treated, sample.n) + effective_rows(control, sample.n),
        diagnostics={"strata": _described(propensity, strata, means), "propensity": _source(propensity)},
        notes=propensity.notes, warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def stratum_weights(plan: Plan) -> tuple[Sample, Vector, Vector]:
    """Return the rows, and the (n,) implied weights of the treated and of the untreated."""
    sample = plan.propensity_sample()
    return sample, *_arm_weights(_strata(plan, sample), plan.treated(sample), _weights(plan, sample))


def _weights(plan: Plan, sample: Sample) -> Vector:
    weights = plan.weights(sample)
    return np.ones(sample.n) if weights is None else weights


def _arm_weights(strata: _Strata, t: Vector, weights: Vector) -> tuple[Vector, Vector]:
    each = weights * (strata.share[:, None] / strata.mass).ravel()[strata.codes * 2 + (t > 0)]
    return each * t, each * (1.0 - t)


def _strata(plan: Plan, sample: Sample) -> _Strata:
    def make() -> _Strata:
        e, weights, wanted = plan.propensity(sample).used, _weights(plan, sample), plan.settings.strata
        codes = _cut(e, weights, wanted)
        cells = codes * 2 + (plan.treated(sample) > 0)
        rows = np.bincount(cells, minlength=2 * wanted).reshape(-1, 2).astype(np.float64)
        joined = _joined(rows)
        count = int(joined.max()) + 1
        present = int(np.count_nonzero(rows.sum(axis=1)))
        cells = joined[codes] * 2 + (plan.treated(sample) > 0)
        return _Strata(
            codes=joined[codes].astype(codes.dtype),
            count=count,
            merged=present - count,
            rows=np.bincount(cells, minlength=2 * count).reshape(-1, 2).astype(np.float64),
            mass=np.bincount(cells, weights, 2 * count).reshape(-1, 2),
        )

    return plan.share("strata", make, sample)


def _cut(e: Vector, weights: Vector, count: int) -> NDArray[np.integer]:
    """Return (n,) the score quantile group of each row, of `count` groups with equal shares.

    Tied rows take the midpoint of their cumulative shares (Hazen's definition of a quantile), so that neither repeating
    all rows nor reversing the score changes the groups. A point on a boundary falls into the group nearer to the
    middle; on the middle boundary, into that of the nearer neighbour.
    """
    groups, size = tie_groups(e)
    mass = np.bincount(groups, weights, size)
    place = (np.cumsum(mass) - mass / 2) * (count / mass.sum())
    # Another summation order of the weights must not move a row across a boundary.
    place = np.round(place, 9)
    stratum = np.floor(place)
    stratum -= (place == stratum) & (place > count / 2)
    middle = int(np.searchsorted(place, count / 2))
    if 0 < middle < size - 1 and place[middle] == stratum[middle] == count / 2:
        scores = np.empty(size)
        scores[groups] = e
        stratum[middle] -= scores[middle] - scores[middle - 1] < scores[middle + 1] - scores[middle]
    return np.clip(stratum, 0, count - 1).astype(_codes_of(count))[groups]


def _codes_of(count: int) -> np.dtype[np.integer]:
    """Return the narrowest integer type that holds the number of each stratum and arm."""
    return np.min_scalar_type(2 * count - 1)


def _joined(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (strata,) numbers without gaps after strata that lack rows of an arm are merged, from the ends inwards."""
    groups = [[stratum] for stratum in range(len(rows)) if rows[stratum].sum() > 0]
    while len(groups) > 1:
        short = [place for place, group in enumerate(groups) if rows[group].sum(axis=0).min() < _FEWEST]
        if not short:
            break
        middle = (len(groups) - 1) / 2
        place = max(short, key=lambda each: abs(each - middle))
        first, last = place - (place >= middle), place + (place <= middle)
        groups[first : last + 1] = [[stratum for group in groups[first : last + 1] for stratum in group]]
    numbers = np.zeros(len(rows), dtype=np.int64)
    for number, group in enumerate(groups):
        numbers[group] = number
    return numbers


def _described(propensity: Propensity, strata: _Strata, means: NDArray[np.float64]) -> list[Json]:
    e = propensity.used
    lowest, highest = np.full(strata.count, np.inf), np.full(strata.count, -np.inf)
    np.minimum.at(lowest, strata.codes, e)
    np.maximum.at(highest, strata.codes, e)
    return [
        {
            "lowest": float(lowest[stratum]),
            "highest": float(highest[stratum]),
            "share": float(strata.share[stratum]),
            "control": int(strata.rows[stratum, 0]),
            "treated": int(strata.rows[stratum, 1]),
            "difference": float(means[stratum, 1] - means[stratum, 0]),
        }
        for stratum in range(strata.count)
    ]


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
        family=_FAMILY,
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
