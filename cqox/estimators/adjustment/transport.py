"""Transportability: the effect in a target population, from treatment and outcomes observed in a source population
only.

All assume that treatment is as good as random given the covariates within the source, that the covariates include all
effect modifiers whose distribution differs between the populations, and overlap of target and source. Weighting needs a
model of membership in the source (a logit), g-computation one of the outcome (linear in each arm); the doubly robust
estimate needs one of the two.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.adjustment.represented import Represented
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.arm_sizes import allowing_for_clusters
from cqox.estimators.inference.cluster_arms import clusters_by_arm
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    finite,
    make_estimate,
    no_absorbing,
    pooled_periods,
)
from cqox.estimators.inference.standard_errors import influence_se
from cqox.estimators.nuisance.propensity import Propensity, fitted_propensity, score_correction
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.numerics.gram import grouped_gram, solve
from cqox.estimators.numerics.logit import fit_logit
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS, Sample, listed

__all__ = ["ESTIMATORS", "population_rows"]

_FAMILY = "transport"
_ESTIMAND = "target ATE"
_METHOD = "M-estimation"
_ROUNDING = 1e-12
"""A standard deviation in the target, of columns standardised over both populations, below which it counts as 0."""

type Use = Literal["weights", "outcomes", "both"]

_NAMES: dict[Use, str] = {
    "weights": "transport_weighting",
    "outcomes": "transport_g_computation",
    "both": "transport_dr",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Populations:
    """Source and target together, with the models fitted on them.

    Attributes:
        sample: the rows of both.
        source: (n,) True if a row of the sample belongs to the source.
        weights: (n,) sampling weights of mean 1.
        everybody: the covariates of both.
        within: the covariates, treatment and outcome of the source.
        belonging: each row's probability of membership in the source.
        treatment: each source row's probability of treatment.
    """

    sample: Sample
    source: NDArray[np.bool_]
    weights: Vector
    everybody: Frame
    within: Frame
    belonging: Propensity
    treatment: Propensity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """One arm of the source: the parts of its estimated mean in the target, all standardised.

    Attributes:
        value: the weighted mean of the residuals.
        line: (k,) coefficients of the regression.
        moved: (source rows,) contributions through the weights.
        fitted: (source rows,) contributions through the regression's coefficients.
        warnings: caveats about its predictions.
    """

    value: float
    line: Vector
    moved: Vector
    fitted: Vector
    warnings: tuple[Message, ...]


def _transported(plan: Plan, *, use: Use) -> Estimate:
    found = _populations(plan)
    frame, inside = found.within, found.source
    t, inverse_odds = frame.sample.take(_mapped(plan.data.treatment)), _inverse_odds(found)
    target, target_weights = _target_columns(found), found.weights[~inside] / found.weights[~inside].sum()
    treated, control = (_arm(found, t > 0 if arm else t == 0, arm, use, target @ target_weights) for arm in (1, 0))
    predicted = (treated.line - control.line) @ target
    mean = float(predicted @ target_weights)
    contributions = np.zeros(found.sample.n)
    contributions[~inside] = target_weights * (predicted - mean)
    moved = treated.moved - control.moved
    contributions[inside] = moved + treated.fitted - control.fitted
    if use != "outcomes":
        # A weight is the odds of the target, divided by the probability of the row's arm.
        slopes = np.zeros(found.sample.n)
        slopes[inside] = -moved
        contributions += score_correction(found.belonging, inside.astype(np.float64), slopes)
        if not found.treatment.known:
            e = found.treatment.used
            contributions[inside] += score_correction(found.treatment, t, moved * np.where(t > 0, e - 1.0, e))
    scale = float(frame.scale[frame.column("y")])
    uncertainty = influence_se(contributions * scale, plan.clusters(found.sample), plan.settings, name=_METHOD)
    arms = np.full(found.sample.n, -1.0)
    arms[inside] = t
    by_arm = clusters_by_arm(plan.clusters(found.sample).codes, arms)
    uncertainty = allowing_for_clusters(uncertainty, by_arm, plan.settings)
    represented = _represented(plan, found, inverse_odds)
    warnings = represented.warnings(
        coefficients=frame.at["x"].stop,
        clustered=plan.has("cluster"),
        weighted=use != "outcomes",
        unseen=[label for label in frame.dropped if label not in found.everybody.dropped],
        fits=(*found.belonging.warnings, *found.treatment.warnings),
    )
    return make_estimate(
        EstimateId(_NAMES[use], _FAMILY, _ESTIMAND), plan, found.sample, (treated.value - control.value + mean) * scale,
        contributions * scale, uncertainty, n_effective=None if use == "outcomes" else represented.effective,
        diagnostics=represented.details(), notes=frame.notes,
        warnings=(*warnings, *control.warnings, *treated.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _arm(found: _Populations, own: NDArray[np.bool_], arm: int, use: Use, goal: Vector) -> _Arm:
    """Return the arm of the source rows `own`, where the covariates' mean in the target is the (k,) goal.

    Raises:
        UnusableData: it has too few rows for a regression.
    """
    frame, weights = found.within, found.weights[found.source]
    k, y = frame.at["x"].stop, frame.column("y")
    line, inverse, reach = np.zeros(k), np.zeros((k, k)), np.zeros(k)
    lost: list[str] = []
    if use != "weights":
        products, _ = grouped_gram(frame.rows, frame.matrix, weights, own.astype(np.int64), 2)
        fit = solve(products[1, :k, :k], products[1, :k, [y]].T)
        if int(own.sum()) <= len(fit.kept):
            raise UnusableData(Message("adjustment.source-arm-too-small", arm=ARMS[arm], coefficients=len(fit.kept)))
        line, inverse, reach = fit.coefficients[:, 0], fit.inverse, goal
        lost = [frame.labels[column] for column in np.setdiff1d(np.arange(k), fit.kept)]
    residual = frame.matrix[y] - line @ frame.matrix[:k]
    value, moved = 0.0, np.zeros(frame.n)
    if use != "outcomes":
        chance = found.treatment.used if arm else 1.0 - found.treatment.used
        share = np.where(own, weights * _inverse_odds(found) / chance, 0.0)
        share /= share.sum()
        value = float(share @ residual)
        moved = share * (residual - value)
        reach = reach - frame.matrix[:k] @ share
    fitted = np.where(own, weights * residual, 0.0) * ((inverse @ reach) @ frame.matrix[:k])
    doubts = (Message("adjustment.source-arm-extrapolates", arm=ARMS[arm], columns=listed(lost)),) if lost else ()
    return _Arm(value=value, line=line, moved=moved, fitted=fitted, warnings=doubts)


def _inverse_odds(found: _Populations) -> Vector:
    """Return (source rows,) odds of the target: the number of target units that a source row represents."""
    belonging = found.belonging.used[found.source]
    return np.asarray((1.0 - belonging) / belonging)


def _target_columns(found: _Populations) -> Matrix:
    """Return (k, target rows) the covariates of the target, standardised as those of the source are."""
    whole, within = found.everybody, found.within
    k = within.at["x"].stop
    place = [whole.labels.index(label) for label in within.labels[:k]]
    raw = whole.centre[place][:, None] + whole.scale[place][:, None] * whole.matrix[place][:, ~found.source]
    raw[0] = 1.0
    scale = np.where(within.scale[:k] > 0, within.scale[:k], 1.0)
    standardised: Matrix = (raw - within.centre[:k, None]) / scale[:, None]
    standardised[0] = 1.0
    return standardised


def _represented(plan: Plan, found: _Populations, inverse_odds: Vector) -> Represented:
    """Return the balance of the populations, and the effective number of source rows."""
    inside = found.source
    weighting = found.weights[inside] * inverse_odds
    rows = int(np.count_nonzero(inside))
    arms = np.bincount(found.within.sample.take(_mapped(plan.data.treatment)).astype(np.intp), minlength=2)
    return Represented(
        source_rows=rows,
        target_rows=found.sample.n - rows,
        by_arm=(int(arms[0]), int(arms[1])),
        effective=effective_rows(weighting, rows),
        largest_share=float(weighting.max() / weighting.sum()),
        differences=_differences(found, weighting),
        propensity_known=found.treatment.known,
    )


def _differences(found: _Populations, weighting: Vector) -> dict[str, tuple[float | None, float | None]]:
    """Return standardised mean differences of the covariates between target and source, before and after weighting."""
    whole, inside, weights = found.everybody, found.source, found.weights
    details = {}
    for column in range(1, whole.at["x"].stop):
        values = whole.matrix[column]
        target, source = values[~inside], values[inside]
        goal = float(np.average(target, weights=weights[~inside]))
        spread = float(np.sqrt(np.average((target - goal) ** 2, weights=weights[~inside])))
        before = goal - float(np.average(source, weights=weights[inside]))
        after = goal - float(np.average(source, weights=weighting))
        varies = spread > _ROUNDING
        details[whole.labels[column]] = (finite(before / spread), finite(after / spread)) if varies else (None, None)
    return details


def _mapped(array: Vector | None) -> Vector:
    return np.empty(0) if array is None else array


def _populations(plan: Plan) -> _Populations:
    return plan.share("transport", lambda: _fitted(plan))


def population_rows(plan: Plan) -> tuple[Sample, Sample]:
    """Return the complete cases of both populations, and those of the source."""

    def make() -> tuple[Sample, Sample]:
        covered, complete = plan.sample("sample", "covariates"), _complete_source(plan)
        member = np.zeros(plan.data.n, dtype=np.bool_)
        place = np.arange(plan.data.n) if covered.index is None else covered.index
        member[place] = _mapped(plan.data.in_source)[place] == 0
        member[complete] = True
        index = np.flatnonzero(member)
        source = Sample(total=plan.data.n, n=len(complete), index=complete)
        return Sample(total=plan.data.n, n=len(index), index=index), source

    return plan.share("transport rows", make)


def _complete_source(plan: Plan) -> NDArray[np.intp]:
    sample = plan.sample("sample", "covariates", "y", "treatment", "pscore")
    place = np.arange(plan.data.n) if sample.index is None else sample.index
    return place[_mapped(plan.data.in_source)[place] > 0]


def _fitted(plan: Plan) -> _Populations:
    data, settings = plan.data, plan.settings
    both, source = population_rows(plan)
    columns = (data.covariates, plan.labels("covariates"))
    member, treated = _mapped(data.in_source)[:, None], _mapped(data.treatment)[:, None]
    everybody = build_frame(
        both,
        {"x": columns, "t": (member, ("source",))},
        weights=data.weights,
        block=settings.chunk_rows,
        threads=settings.threads,
    )
    within = build_frame(
        source, {"x": columns, "t": (treated, ("treatment",)), "y": (data.y[:, None], ("y",))}, weights=data.weights,
        block=settings.chunk_rows, threads=settings.threads,
    )  # fmt: skip
    inside = both.take(_mapped(data.in_source)) > 0
    weights = plan.weights(both)
    if data.pscore is None:
        treatment = fitted_propensity(fit_logit(within, source.take(_mapped(data.treatment))))
    else:
        treatment = Propensity(
            e=source.scatter(source.take(data.pscore), np.nan), known=True, sample=source, coefficients={}
        )
    return _Populations(
        sample=both,
        source=inside,
        weights=np.ones(both.n) if weights is None else weights,
        everybody=everybody,
        within=within,
        belonging=fitted_propensity(
            fit_logit(everybody, inside.astype(np.float64)), of=Message("adjustment.the-source")
        ),
        treatment=treatment,
    )


def _rule(plan: Plan) -> Message | None:
    reason = no_absorbing(plan)
    if reason is not None:
        return reason
    both, source = population_rows(plan)
    name = plan.label("sample")
    if both.n - source.n < 2:
        return Message("adjustment.target-too-small", rows=both.n - source.n, column=name)
    t, y = source.take(_mapped(plan.data.treatment)), source.take(plan.data.y)
    for arm, rows in zip(ARMS, (int(np.sum(t == 0)), int(np.sum(t > 0))), strict=True):
        if rows < 2:
            return Message("adjustment.few-rows-of-arm-in-source", rows=rows, arm=arm)
    if float(np.ptp(y)) == 0:
        return Message("adjustment.constant-outcome-in-source", outcome=plan.label("y"), rows=source.n)
    return None


_PAPER = "Dahabreh, Robertson, Steingrimsson, Stuart and Hernan 2020, Statistics in Medicine 39"
_DOI = "10.1002/sim.8426"


def _entry(use: Use, summary: str, where: str) -> Estimator:
    return Estimator(
        name=_NAMES[use],
        family=_FAMILY,
        estimand=_ESTIMAND,
        summary=summary,
        requires=("y", "treatment", "sample", "covariates"),
        optional=("pscore", "weights", "cluster"),
        standard_error="M-estimation over all models that are fitted",
        paper=f"{_PAPER}, {where}",
        doi=_DOI,
        checked_against="the stacked equations written out, and Monte-Carlo",
        laws=CROSS_SECTION_LAWS,
        rule=_rule,
        compute=partial(_transported, use=use),
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _entry(
        "both",
        "Predictions of arm-wise regressions in the target, corrected by residuals of the source weighted by their "
        "odds of the target.",
        "section 5.3",
    ),
    _entry(
        "weights",
        "Difference of the source's means, each row weighted by its odds of the target over its arm's probability.",
        "section 5.2",
    ),
    _entry(
        "outcomes",
        "Difference of the source's arm-wise regressions, averaged over the target.",
        "section 5.1",
    ),
)  # fmt: skip
