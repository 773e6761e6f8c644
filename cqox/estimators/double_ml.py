"""Double machine learning with linear and logit nuisances, each row predicted by fits without its fold.

Both assume that treatment is as good as random given the covariates. The partially linear model assumes one effect for
all and takes any amount of treatment; the interactive one lets effects differ and needs overlap. Leaving a fold out
costs a subtraction of its cross-products, so that cross-fitting costs about one fit.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators._chunks import Partial
from cqox.estimators._frame import Frame
from cqox.estimators._gram import solve_each
from cqox.estimators._propensity import Propensity, given_probabilities
from cqox.estimators._result import Title, estimated, no_absorbing, pooled_periods, two_arms, varying_outcome
from cqox.estimators._sample import Sample
from cqox.estimators._uncertainty import Uncertainty, asymptotic
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS", "interactive"]

_FAMILY = "double_ml"
_CLIP = 0.01
_MUCH_CLIPPED = 0.01
_METHOD = "influence function"


def _partially_linear(plan: Plan) -> Estimate:
    sample = plan.outcome_sample()
    frame = plan.frame("xty", sample)
    value, contributions, uncertainty, diagnostics = _over_splits(plan, sample, partial(_plr_split, plan, frame))
    return estimated(
        Title("dml_plr", _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty,
        diagnostics=diagnostics, notes=frame.notes, warnings=pooled_periods(plan),
    )  # fmt: skip


def _plr_split(plan: Plan, frame: Frame, split: int) -> tuple[float, Vector]:
    blocks, counts = plan.blocks(frame, split)
    _check_folds(counts.sum(axis=1)[:, None], frame, ("remaining",))
    k, t, y = frame.at["x"].stop, frame.column("t"), frame.column("y")
    whole = blocks.sum(axis=1)
    rest = whole.sum(axis=0) - whole
    n_folds = len(rest)
    combine = np.zeros((n_folds, 2, len(frame.matrix)))
    combine[:, :, :k] = -solve_each(rest[:, :k, :k], rest[:, :k][:, :, [t, y]]).transpose(0, 2, 1)
    combine[:, 0, t] = combine[:, 1, y] = 1.0
    folds, weights = frame.sample.take(plan.folds(split)), frame.weights
    residuals = np.empty((2, frame.n))

    def work(s: slice) -> Partial:
        own = _own_fold(frame.matrix[:, s], combine, folds[s])
        residuals[:, s] = own
        left = own[0] if weights is None else own[0] * weights[s]
        return np.asarray(left @ own[1]), np.asarray(left @ own[0])

    cross, square = (float(part) for part in frame.rows.total(work))
    if square <= 1e-14 * frame.n:
        raise UnusableData("The covariates determine the treatment, so that no effect of its own can be told apart.")
    slope, scale = cross / square, float(frame.scale[y] / frame.scale[t])
    contributions = residuals[0] * (residuals[1] - slope * residuals[0]) * (scale / square)
    return slope * scale, contributions if weights is None else contributions * weights


def interactive(plan: Plan, *, target: str) -> Estimate:
    """The mean doubly robust score over all rows (ATE), the treated (ATT) or the untreated (ATC)."""
    sample = plan.doubly_robust_sample()
    frame, propensity = plan.frame("xty", sample), plan.propensity(sample)
    clipped: list[int] = []
    value, contributions, uncertainty, diagnostics = _over_splits(
        plan, sample, partial(_irm_split, plan, frame, propensity, target, clipped)
    )
    diagnostics["clipped_rows"] = max(clipped)
    diagnostics["propensity"] = "given" if propensity.known else "logit"
    notes, warnings = [*frame.notes, *propensity.notes], list(propensity.warnings)
    if max(clipped):
        moved = f"{max(clipped)} probabilities of treatment outside [{_CLIP}, {1 - _CLIP}] were moved to its ends."
        (warnings if max(clipped) > _MUCH_CLIPPED * sample.n else notes).append(moved)
    return estimated(
        Title(f"dml_irm_{target.lower()}", _FAMILY, target), plan, sample, value, contributions, uncertainty,
        diagnostics=diagnostics, notes=notes, warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _irm_split(
    plan: Plan, frame: Frame, propensity: Propensity, target: str, clipped: list[int], split: int
) -> tuple[float, Vector]:
    sample = frame.sample
    folds, t, y = sample.take(plan.folds(split)), plan.treated(sample), frame.column("y")
    combine = _arm_coefficients(plan, frame, split)
    e = propensity.used if propensity.logit is None else plan.out_of_fold(propensity.logit, split)
    treated_share = float(np.average(t, weights=frame.weights))
    scores, tilt = np.empty(frame.n), np.empty(frame.n)

    def work(s: slice) -> int:
        block, d = frame.matrix[:, s], t[s]
        p = np.clip(e[s], _CLIP, 1 - _CLIP)
        mu0, mu1 = _own_fold(block, combine, folds[s])
        outcome = block[y]
        if target == "ATE":
            scores[s] = mu1 - mu0 + np.where(d > 0, (outcome - mu1) / p, -(outcome - mu0) / (1 - p))
            tilt[s] = 1.0
        elif target == "ATT":
            scores[s] = (outcome - mu0) * np.where(d > 0, 1.0, -p / (1 - p)) / treated_share
            tilt[s] = d / treated_share
        else:
            scores[s] = (outcome - mu1) * np.where(d > 0, (1 - p) / p, -1.0) / (1 - treated_share)
            tilt[s] = (1 - d) / (1 - treated_share)
        return int(np.count_nonzero(p != e[s]))

    clipped.append(sum(frame.rows.each(work)))
    scale = float(frame.scale[y])
    value = float(np.average(scores, weights=frame.weights))
    contributions = (scores - value * tilt) * (scale / frame.n)
    return value * scale, contributions if frame.weights is None else contributions * frame.weights


def _arm_coefficients(plan: Plan, frame: Frame, split: int) -> NDArray[np.float64]:
    """(folds, 2, m) what predicts the standardised outcome of each arm without each fold."""
    blocks, counts = plan.blocks(frame, split)
    _check_folds(counts, frame, ("untreated", "treated"))
    k, y = frame.at["x"].stop, frame.column("y")
    rest = blocks.sum(axis=0) - blocks
    combine = np.zeros((len(rest), 2, len(frame.matrix)))
    for arm in (0, 1):
        combine[:, arm, :k] = solve_each(rest[:, arm, :k, :k], rest[:, arm, :k, y, None])[:, :, 0]
    return combine


def _check_folds(counts: NDArray[np.float64], frame: Frame, arms: tuple[str, ...]) -> None:
    k = frame.at["x"].stop
    for fold, row in enumerate(counts.sum(axis=0) - counts):
        for arm, left in zip(arms, row, strict=True):
            if left <= k:
                raise UnusableData(
                    f"Without fold {fold + 1} of {len(counts)} there are {int(left)} {arm} rows for {k} coefficients; "
                    "use fewer covariates, or more folds."
                )


def _own_fold(
    block: NDArray[np.float64], combine: NDArray[np.float64], folds: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(r, n) combinations of a block's variables, each row's by the (folds, r, m) coefficients of its fold."""
    n_folds, r, m = combine.shape
    n = block.shape[1]
    values = (combine.transpose(1, 0, 2).reshape(r * n_folds, m) @ block).ravel()
    place = folds * np.int64(n) + np.arange(n)
    return np.stack([values[place + row * n_folds * n] for row in range(r)])


def _over_splits(
    plan: Plan, sample: Sample, estimate: Callable[[int], tuple[float, Vector]]
) -> tuple[float, Vector, Uncertainty, dict[str, Json]]:
    """The median over the splits, with a variance that includes how far each of them is from it."""
    settings, clusters = plan.settings, plan.clusters(sample)
    values, errors = [], []
    total = np.zeros(sample.n)
    for split in range(settings.repetitions):
        value, contributions = estimate(split)
        uncertainty = asymptotic(contributions, clusters, settings, name=_METHOD)
        values.append(value)
        errors.append(uncertainty.standard_error)
        total += contributions
    middle = float(np.median(values))
    diagnostics: dict[str, Json] = {"folds": settings.folds, "repetitions": settings.repetitions}
    if settings.repetitions > 1:
        known = [error for error in errors if error is not None]
        if len(known) == len(errors):
            variance = float(np.median(np.square(known) + np.square(np.asarray(values) - middle)))
            uncertainty = replace(uncertainty, standard_error=math.sqrt(variance), alternates={})
        diagnostics["estimates_by_split"] = [float(value) for value in values[:100]]
    return middle, total / settings.repetitions, uncertainty, diagnostics


def _plr_rule(plan: Plan) -> str | None:
    sample = plan.outcome_sample()
    binary = plan.data.treatment_kind == "binary"
    return no_absorbing(plan) or (two_arms(plan, sample) if binary else varying_outcome(plan, sample))


def _irm_rule(plan: Plan) -> str | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return "It needs 'covariates', 'propensity_covariates' or a known 'pscore' to model the treatment by."
    sample = plan.doubly_robust_sample()
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    return reason


_PAPER = "Chernozhukov et al. 2018, Econometrics Journal 21"
_DOI = "10.1111/ectj.12097"
_ERROR = "the cross-fitted influence function; median over splits with the variance between them (definition 3.3)"


def _irm_entry(target: str, population: str, flipped: str) -> Estimator:
    return Estimator(
        name=f"dml_irm_{target.lower()}",
        family=_FAMILY,
        estimand=target,
        summary=f"Mean doubly robust score over {population}, every row predicted without its fold; treatment is as "
        "good as random given the covariates.",
        requires=("y", "treatment", "covariates"),
        optional=("propensity_covariates", "pscore", "weights", "cluster"),
        standard_error=_ERROR,
        paper=f"{_PAPER}, equations 5.3 and 5.4",
        doi=_DOI,
        checked_against="DoubleML IRM with linear and logistic regression",
        laws=CROSS_SECTION_LAWS,
        rule=_irm_rule,
        compute=partial(interactive, target=target),
        flipped=partial(interactive, target=flipped),
    )


ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="dml_plr",
        family=_FAMILY,
        estimand="ATE",
        summary="Regression of what linear fits leave of the outcome on what they leave of the treatment, every row "
        "predicted without its fold; treatment is as good as random given the covariates, with one effect.",
        requires=("y", "treatment", "covariates"),
        optional=("weights", "cluster"),
        standard_error=_ERROR,
        paper=f"{_PAPER}, equation 4.4",
        doi=_DOI,
        checked_against="DoubleML PLR with linear regression",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_plr_rule,
        compute=_partially_linear,
    ),
    _irm_entry("ATE", "all rows", "ATE"),
    _irm_entry("ATT", "the treated", "ATC"),
)
