"""Double machine learning with cross-fitted linear and logit nuisance functions.

Treatment is as good as random given the covariates, or an instrument is. The partially linear models assume a
homogeneous effect and take any amount of treatment; the interactive one allows heterogeneity and needs overlap.
"""

from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator, Law
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
    varying_outcome,
)
from cqox.estimators.iv import specification
from cqox.estimators.iv.moments import Variables, check_instruments, from_products, row_pass
from cqox.estimators.learners.boosted_trees import (
    boosted_interactive,
    boosted_interactive_rule,
    boosted_partially_linear,
    boosted_partially_linear_rule,
)
from cqox.estimators.nuisance.cross_fitting import (
    TREATMENT_DETERMINED,
    arm_coefficients,
    over_splits,
    own_fold,
    partialled_out,
)
from cqox.estimators.nuisance.orthogonal_scores import CLIP, clipping, effect_scores, out_of_fold_propensity
from cqox.estimators.nuisance.propensity import Propensity, given_probabilities
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS", "ON_REQUEST", "interactive"]

_FAMILY = "double_ml"


def _partially_linear(plan: Plan) -> Estimate:
    sample = plan.outcome_sample()
    frame = plan.frame("xty", sample, folded=True)
    value, contributions, uncertainty, diagnostics = over_splits(plan, sample, partial(_plr_split, plan, frame))
    return make_estimate(
        EstimateId("dml_plr", _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty,
        diagnostics=diagnostics, notes=frame.notes, warnings=pooled_periods(plan),
    )  # fmt: skip


def _plr_split(plan: Plan, frame: Frame, split: int) -> tuple[float, Vector]:
    t, y, weights = frame.column("t"), frame.column("y"), frame.weights
    combine, _ = partialled_out(plan, frame, split, (t, y))
    folds = frame.sample.take(plan.folds(split))
    residuals = np.empty((2, frame.n))

    def work(s: slice) -> Partial:
        own = own_fold(frame.matrix[:, s], combine, folds[s])
        residuals[:, s] = own
        left = own[0] if weights is None else own[0] * weights[s]
        return np.asarray(left @ own[1]), np.asarray(left @ own[0])

    cross, square = (float(part) for part in frame.rows.total(work))
    if square <= 1e-14 * frame.n:
        raise UnusableData(TREATMENT_DETERMINED)
    slope, scale = cross / square, float(frame.scale[y] / frame.scale[t])
    contributions = residuals[0] * (residuals[1] - slope * residuals[0]) * (scale / square)
    return slope * scale, contributions if weights is None else contributions * weights


def _instrumented(plan: Plan) -> Estimate:
    sample = _instrumented_sample(plan)
    frame, clusters = plan.frame("xzty", sample, folded=True), plan.clusters(sample)
    check_instruments(frame, plan)
    said: list[tuple[float, dict[str, Json], list[Message]]] = []
    value, contributions, uncertainty, diagnostics = over_splits(
        plan, sample, partial(_pliv_split, plan, frame, clusters, said), compares_arms=False
    )
    # Instrument diagnostics are those of the split with the median estimate, or the one just below it.
    _, about, warnings = sorted(said, key=lambda each: each[0])[(len(said) - 1) // 2]
    return make_estimate(
        EstimateId("dml_pliv", _FAMILY, "LATE"), plan, sample, value, contributions, uncertainty,
        diagnostics={**diagnostics, **about}, notes=frame.notes, warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _pliv_split(
    plan: Plan, frame: Frame, clusters: Clusters, said: list[tuple[float, dict[str, Json], list[Message]]], split: int
) -> tuple[float, Vector]:
    z, t, y = frame.at["z"], frame.column("t"), frame.column("y")
    columns = [*range(z.start, z.stop), t, y]
    combine, whole = partialled_out(plan, frame, split, columns)
    folds = frame.sample.take(plan.folds(split))
    residuals = np.empty((len(columns), frame.n))

    def work(s: slice) -> None:
        residuals[:, s] = own_fold(frame.matrix[:, s], combine, folds[s])

    frame.rows.each(work)
    inner: Matrix = np.einsum("fri,fij,fsj->rs", combine, whole, combine, optimize=True)
    parts = from_products(inner, np.eye(len(columns)), 0)
    if parts.strength <= 1e-20 * parts.tt:
        raise UnusableData(Message("learners.no-first-stage", instrument=plan.label("instrument")))
    scale = float(frame.scale[y] / frame.scale[t])
    rows = row_pass(Variables(rows=frame.rows, matrix=residuals, weights=frame.weights), parts, clusters)
    moved, weak = specification.strength(parts, rows, frame.n, 0, clusters)
    agreeing, contradicted = specification.overidentification(parts, rows, frame.n, plan.settings.alpha)
    sets, odd = specification.anderson_rubin(parts, rows, frame.n, 0, clusters, plan.settings.alpha, scale)
    value = parts.value() * scale
    said.append((value, {**moved, **agreeing, **sets}, [*weak, *contradicted, *odd]))
    return value, rows.contributions * scale


def _instrumented_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "instrument", "covariates")


def interactive(plan: Plan, *, target: str) -> Estimate:
    """Return the mean doubly robust score over all rows (ATE), the treated (ATT) or the untreated (ATC)."""
    sample = plan.doubly_robust_sample()
    frame, propensity = plan.frame("xty", sample, folded=True), plan.propensity(sample, folded=True)
    clipped: list[int] = []
    value, contributions, uncertainty, diagnostics = over_splits(
        plan, sample, partial(_irm_split, plan, frame, propensity, target, clipped)
    )
    diagnostics["clipped_rows"] = max(clipped)
    diagnostics["propensity"] = "given" if propensity.known else "logit"
    notes, warnings = clipping(max(clipped), sample.n)
    return make_estimate(
        EstimateId(f"dml_irm_{target.lower()}", _FAMILY, target), plan, sample, value, contributions, uncertainty,
        diagnostics=diagnostics, notes=(*frame.notes, *propensity.notes, *notes),
        warnings=(*propensity.warnings, *warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _irm_split(
    plan: Plan, frame: Frame, propensity: Propensity, target: str, clipped: list[int], split: int
) -> tuple[float, Vector]:
    scale = float(frame.scale[frame.column("y")])
    if target == "ATE":
        found = effect_scores(plan, frame, propensity, split)
        clipped.append(found.clipped)
        value = float(np.average(found.values, weights=frame.weights))
        contributions = (found.values - value) * (scale / frame.n)
        return value * scale, contributions if frame.weights is None else contributions * frame.weights
    return _one_arm(plan, frame, propensity, target, clipped, split)


def _one_arm(
    plan: Plan, frame: Frame, propensity: Propensity, target: str, clipped: list[int], split: int
) -> tuple[float, Vector]:
    """Return the mean score over the rows of one arm."""
    sample = frame.sample
    folds, t, y = sample.take(plan.folds(split)), plan.treated(sample), frame.column("y")
    combine = arm_coefficients(plan, frame, split)
    e = out_of_fold_propensity(plan, propensity, split)
    treated_share = float(np.average(t, weights=frame.weights))
    scores, tilt = np.empty(frame.n), np.empty(frame.n)

    def work(s: slice) -> int:
        block, d = frame.matrix[:, s], t[s]
        p = np.clip(e[s], CLIP, 1 - CLIP)
        mu0, mu1 = own_fold(block, combine, folds[s])
        outcome = block[y]
        if target == "ATT":
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


def _plr_rule(plan: Plan) -> Message | None:
    sample = plan.outcome_sample()
    binary = plan.data.treatment_kind == "binary"
    return no_absorbing(plan) or (two_arms(plan, sample) if binary else varying_outcome(plan, sample))


def _pliv_rule(plan: Plan) -> Message | None:
    sample = _instrumented_sample(plan)
    if plan.data.instruments.shape[1] >= sample.n:
        return Message("iv.too-many-instruments", instruments=plan.data.instruments.shape[1], rows=sample.n)
    binary = plan.data.treatment_kind == "binary"
    return no_absorbing(plan) or (two_arms(plan, sample) if binary else varying_outcome(plan, sample))


def _irm_rule(plan: Plan) -> Message | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return Message("estimators.needs-covariates-of-treatment")
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
        summary=f"Mean doubly robust score over {population}, cross-fitted; treatment is as "
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
        summary="Regression of outcome residuals on treatment residuals of linear fits, cross-fitted; treatment is as "
        "good as random given the covariates, with one effect.",
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
    Estimator(
        name="dml_pliv",
        family=_FAMILY,
        estimand="LATE",
        summary="Two-stage least squares on residuals of outcome, treatment and instruments of linear fits, "
        "cross-fitted; the instrument is as good as random given the covariates and affects the outcome through the "
        "treatment alone, which has one effect.",
        requires=("y", "treatment", "covariates", "instrument"),
        optional=("weights", "cluster"),
        standard_error=f"{_ERROR}; with Anderson-Rubin sets",
        paper=f"{_PAPER}, equations 4.7 and 4.8",
        doi=_DOI,
        checked_against="DoubleML PLIV with linear regression; linearmodels IV2SLS on the residuals",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_pliv_rule,
        compute=_instrumented,
    ),
)


_NAMED = "It runs where options.estimators names it and cqox[boost] is installed."


def _boosted_entry(target: str, population: str) -> Estimator:
    return Estimator(
        name=f"dml_irm_{target.lower()}_boosted",
        family=_FAMILY,
        estimand=target,
        summary=f"Mean doubly robust score over {population} with boosted trees for every nuisance function, "
        f"cross-fitted; treatment is as good as random given the covariates. {_NAMED}",
        requires=("y", "treatment", "covariates"),
        optional=("propensity_covariates", "pscore", "weights", "cluster"),
        standard_error=_ERROR,
        paper=f"{_PAPER}, equations 5.3 and 5.4",
        doi=_DOI,
        checked_against="DoubleML IRM with scikit-learn's HistGradientBoosting",
        laws=_TREE_LAWS,
        rule=boosted_interactive_rule,
        compute=partial(boosted_interactive, target=target),
    )


_TREE_LAWS = frozenset[Law]({"row_permutation", "chunk_size", "threads"})

ON_REQUEST: tuple[Estimator, ...] = (
    Estimator(
        name="dml_plr_boosted",
        family=_FAMILY,
        estimand="ATE",
        summary="Regression of outcome residuals on treatment residuals of boosted trees, cross-fitted; treatment is "
        f"as good as random given the covariates, with one effect. {_NAMED}",
        requires=("y", "treatment", "covariates"),
        optional=("weights", "cluster"),
        standard_error=_ERROR,
        paper=f"{_PAPER}, equation 4.4",
        doi=_DOI,
        checked_against="DoubleML PLR with scikit-learn's HistGradientBoosting",
        laws=_TREE_LAWS,
        treatment=frozenset({"binary", "continuous"}),
        rule=boosted_partially_linear_rule,
        compute=boosted_partially_linear,
    ),
    _boosted_entry("ATE", "all rows"),
    _boosted_entry("ATT", "the treated"),
)
