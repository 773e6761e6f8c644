"""Outcome regressions: difference in means, covariate adjustment, Lin's interacted regression, g-computation.

All assume that treatment is as good as random given the covariates (unconditionally for the difference in means), and
all but the first that the outcome is linear in them, by arm for Lin's estimator and g-computation.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.adjustment.marginal_effects import marginal_effect, no_binary_outcome
from cqox.estimators.data import Codes, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.least_squares import JACKKNIFE_CELLS, contrasts_without_each, focus, leverages, regress
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
    varying_outcome,
)
from cqox.estimators.inference.refit import without_each_cluster
from cqox.estimators.inference.small_arms import Corrected, corrected, own_degrees, sparse_arms, trace_ratio
from cqox.estimators.inference.standard_errors import TOO_MANY, Linear, influence_se, regression_se
from cqox.estimators.nuisance.arm_regressions import (
    ArmFits,
    arm_contributions,
    carried_by_arms,
    contrast_of_arms,
    effects_spread,
    mean_columns,
)
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import gram, grouped_gram, solve_independent
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS", "g_computation"]

_FAMILY = "regression"


def _difference_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment")


def _difference_in_means(plan: Plan) -> Estimate:
    sample = _difference_sample(plan)
    frame = plan.frame("ty", sample)
    regressors = focus(frame, "t", _treatment(plan))
    treated = plan.treated(sample)
    fit = regress(frame, regressors, _last(len(regressors)), arm_codes=treated)
    fit = replace(fit, satterthwaite=partial(_satterthwaite, fit, treated > 0, plan.weights(sample)))
    uncertainty = regression_se(fit, plan.clusters(sample), plan.settings, default="HC2")
    untreated_rows, treated_rows = plan.arm_rows(sample)
    return make_estimate(
        EstimateId("difference_in_means", _FAMILY, "ATE"), plan, sample, fit.value, fit.contributions, uncertainty,
        diagnostics={"n_treated": treated_rows, "n_untreated": untreated_rows}, warnings=pooled_periods(plan),
    )  # fmt: skip


def _satterthwaite(fit: Linear, treated: NDArray[np.bool_], weights: Vector | None) -> float:
    """Return the degrees of freedom of HC2: Welch's without sampling weights.

    The variance of each arm's mean is a quadratic form ε'Mε in its errors; with equal variances and normal errors it
    has tr(M)²/tr(M²) degrees of freedom, which are the arm's rows less 1 for equal weights. Those of the sum are
    Welch's (1947) and Satterthwaite's, as in Imbens and Kolesár 2016, doi 10.1162/REST_a_00552, section 3.
    """
    variances, inverses = [], []
    for arm in (treated, ~treated):
        u = fit.contributions[arm]
        p = 1.0 / len(u) if weights is None else weights[arm] / weights[arm].sum()
        variances.append(float((u * u / (1.0 - p)).sum()))
        inverses.append(1.0 / (len(u) - 1) if isinstance(p, float) else _trace_ratio(p))
    total = sum(variances)
    if total <= 0:
        return float(len(treated) - fit.parameters)
    # Use shares, because squares of variances may overflow.
    return 1.0 / sum((each / total) ** 2 * inverse for each, inverse in zip(variances, inverses, strict=True))


def _trace_ratio(p: Vector) -> float:
    """Return tr(M²)/tr(M)² of M = (I - p1')'D(I - p1'), the diagonal of D being p²/(1 - p)."""
    d = np.square(p) / (1.0 - p)
    return trace_ratio(
        pp=float(p @ p), pd=float(p @ d), dd=float(d @ d), d=float(d.sum()), pdd=float(p @ (d * d)),
        dpp=float(d @ (p * p)),
    )  # fmt: skip


def _ols_adjustment(plan: Plan) -> Estimate:
    sample = plan.adjustment_sample()
    effects = plan.data.fixed_effects
    frame = plan.frame("xty", sample, effects)
    regressors = focus(frame, "t", _treatment(plan))
    clusters = plan.clusters(sample)
    arms = plan.treated(sample) if plan.data.treatment_kind == "binary" else None
    fit = regress(frame, regressors, _last(len(regressors)), clusters=clusters.codes, arm_codes=arms)
    if effects:
        fit = replace(fit, jackknife=partial(without_each_cluster, plan, sample, effects))
    elif arms is not None:
        fit = replace(
            fit,
            sparse=any(sparse_arms(plan.arm_rows(sample), (fit.parameters, fit.parameters))),
            satterthwaite=partial(_degrees_of_arms, fit, frame, regressors, arms),
        )
    uncertainty = regression_se(fit, clusters, plan.settings)
    statistic = fit.value / np.sqrt(fit.iid_variance) if fit.iid_variance > 0 else 0.0
    degrees = sample.n - fit.parameters
    diagnostics: dict[str, Json] = {
        "parameters": fit.parameters,
        "partial_r2": float(statistic**2 / (statistic**2 + degrees)),
        "residual_degrees_of_freedom": degrees,
    }
    return make_estimate(
        EstimateId("ols_adjustment", _FAMILY, "ATE"), plan, sample, fit.value, fit.contributions, uncertainty,
        diagnostics=diagnostics, notes=frame.notes, warnings=pooled_periods(plan),
    )  # fmt: skip


def _degrees_of_arms(fit: Linear, frame: Frame, regressors: NDArray[np.intp], treated: Vector) -> float:
    """Return Welch's degrees of freedom of HC2 in one regression of both arms.

    The variance is a sum over the rows of each arm, with its own share and degrees of freedom.
    """
    solution = solve_independent(frame.products[np.ix_(regressors, regressors)], frame.products[regressors, :1])
    inverse, weights = solution.inverse, frame.weights
    rest = 1.0 - leverages(frame, regressors, inverse)
    squares = None
    if weights is not None:
        squares = gram(frame.rows, frame.matrix[regressors], weights * weights)
    variances, degrees = [], []
    for arm in (treated > 0, treated <= 0):
        x, own = frame.matrix[regressors][:, arm], None if weights is None else weights[arm]
        loads = np.square((inverse[-1] @ x) * (1.0 if own is None else own)) / rest[arm]
        variances.append(float(np.square(fit.contributions[arm]) @ (1.0 / rest[arm])))
        degrees.append(own_degrees(x, inverse, own, loads, squares))
    total = sum(variances)
    if total <= 0:
        return float(frame.n - fit.parameters)
    worth = sum((each / total) ** 2 / nu for each, nu in zip(variances, degrees, strict=True))
    return min(1.0 / worth, float(frame.n - fit.parameters))


def _lin_interacted(plan: Plan) -> Estimate:
    """Return Lin's estimate of the population's average effect.

    The regression's own errors condition on the means of the covariates: they are those of the sample's average effect
    (Lin 2013). The default error adds their variation (Negi and Wooldridge 2021, doi 10.1080/07474938.2020.1824732), so
    that the interval covers the population's, as those of the other estimates of the ATE do.
    """
    sample = plan.outcome_sample()
    arms, treated = plan.outcome(sample), plan.treated(sample)
    mean = mean_columns(arms.frame, None)
    value, (parts, squares) = contrast_of_arms(arms, mean), arm_contributions(arms, mean, treated)
    k, scale = sum(arms.parameters), float(arms.frame.scale[arms.frame.column("y")])
    spread = sum(float(mean @ inverse @ mean) for inverse in arms.inverses)
    across = effects_spread(arms, value, None)
    sparse = sparse_arms(arms.rows, arms.parameters)
    fit = Linear(
        value=value,
        contributions=parts,
        parameters=k,
        parameters_not_nested=k,
        iid_variance=squares / (sample.n - k) * scale**2 * spread,
        leverage=lambda: _arm_leverages(arms, treated),
        jackknife=partial(_lin_without_each, arms, treated, None if plan.settings.se == "auto" else mean),
        arm_codes=treated,
        sparse=any(sparse),
        satterthwaite=lambda: corrected(parts, across, carried_by_arms(arms, mean, treated, sparse)).degrees,
        spread=across,
    )
    uncertainty = regression_se(fit, plan.clusters(sample), plan.settings)
    # An error by its name conditions on the covariates, and so does the influence function that belongs to it.
    influence = parts + across if plan.settings.se == "auto" else parts
    return make_estimate(
        EstimateId("lin_interacted", _FAMILY, "ATE"), plan, sample, value, influence, uncertainty,
        diagnostics={"parameters": k}, notes=arms.notes, warnings=(*arms.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _arm_leverages(arms: ArmFits, treated: Vector) -> Vector:
    """Return (n,) leverages of the interacted regression, which are those of each row's own arm."""
    columns = np.arange(arms.frame.at["x"].stop)
    control, other = (leverages(arms.frame, columns, inverse) for inverse in arms.inverses)
    return np.where(treated > 0, other, control)


def _lin_without_each(
    arms: ArmFits, treated: Vector, mean: Vector | None, codes: Codes, count: int
) -> Vector | Message:
    """Return (count,) the contrast without each cluster, at a (k,) mean, or at that of the remaining rows."""
    frame = arms.frame
    if 2 * count * len(frame.matrix) ** 2 > JACKKNIFE_CELLS:
        return TOO_MANY
    blocks, _ = grouped_gram(frame.rows, frame.matrix, frame.weights, codes * 2 + treated.astype(np.int64), 2 * count)
    return contrasts_without_each(frame, blocks.reshape(count, 2, *blocks.shape[1:]), mean)


def g_computation(plan: Plan, *, target: str) -> Estimate:
    """Return the mean difference of the arms' predictions over all rows (ATE), the treated (ATT) or untreated (ATC)."""
    if plan.settings.outcome_model != "linear":
        return marginal_effect(plan, _FAMILY, target=target)
    sample = plan.outcome_sample()
    arms, treated = plan.outcome(sample), plan.treated(sample)
    over = {"ATE": None, "ATT": treated, "ATC": 1.0 - treated}[target]
    mean = mean_columns(arms.frame, over)
    value, (parts, _) = contrast_of_arms(arms, mean), arm_contributions(arms, mean, treated)
    across = effects_spread(arms, value, over)
    contributions = across + parts
    sparse = sparse_arms(arms.rows, arms.parameters)

    def small() -> Corrected:
        return corrected(parts, across, carried_by_arms(arms, mean, treated, sparse))

    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name="M-estimation", arm_codes=treated,
        sparse=small if any(sparse) else None,
    )  # fmt: skip
    return make_estimate(
        EstimateId(f"g_computation_{target.lower()}", _FAMILY, target), plan, sample, value, contributions, uncertainty,
        notes=arms.notes, warnings=(*arms.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _treatment(plan: Plan) -> Message:
    """Return the name of the treatment at the start of a sentence."""
    return Message("inference.the-treatment-named", treatment=plan.label("treatment"))


def _last(length: int) -> Vector:
    contrast = np.zeros(length)
    contrast[-1] = 1.0
    return contrast


def _adjusting(plan: Plan) -> Message | None:
    if not (plan.has("covariates") or plan.has("fixed_effects")):
        return Message("adjustment.needs-covariates-or-effects")
    sample = plan.adjustment_sample()
    return two_arms(plan, sample) if plan.data.treatment_kind == "binary" else varying_outcome(plan, sample)


def _predicted(plan: Plan) -> Message | None:
    return _by_arms(plan) or no_binary_outcome(plan)


def _by_arms(plan: Plan) -> Message | None:
    return two_arms(plan, plan.outcome_sample()) or no_absorbing(plan)


_REGRESSION_ERROR = (
    "HC1; HC2 with Welch's degrees of freedom where an arm has few rows; CRV1 with t(G-1) when clustered, CRV3 with "
    "few clusters"
)
_STACKED_ERROR = (
    "M-estimation: the influence function of predictions and arm regressions jointly; HC2 with Welch's "
    "degrees of freedom where an arm has few rows"
)
_MORE = ("weights", "cluster")
_ADJUSTS = "treatment is as good as random given the covariates"

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="difference_in_means",
        family=_FAMILY,
        estimand="ATE",
        summary="Mean outcome of the treated less that of the untreated; causal where treatment was randomised.",
        requires=("y", "treatment"),
        optional=_MORE,
        standard_error="HC2 (Neyman) with Welch's degrees of freedom; CRV1 with t(G-1) when clustered, CRV3 with few "
        "clusters",
        paper="Neyman 1923, translated in Statistical Science 5 (1990), section 4",
        doi="10.1214/ss/1177012031",
        checked_against="statsmodels OLS, pyfixest",
        laws=CROSS_SECTION_LAWS,
        rule=lambda plan: two_arms(plan, plan.sample("y", "treatment")),
        compute=_difference_in_means,
    ),
    Estimator(
        name="ols_adjustment",
        family=_FAMILY,
        estimand="ATE",
        summary=f"Coefficient of the treatment in a linear regression on the covariates; {_ADJUSTS}, one effect.",
        requires=("y", "treatment"),
        optional=("covariates", "fixed_effects", *_MORE),
        standard_error=f"{_REGRESSION_ERROR}; never HC2 or HC3 with absorbed fixed effects",
        paper="Angrist and Pischke 2009, Mostly Harmless Econometrics, equation 3.2.7",
        checked_against="statsmodels OLS and WLS, pyfixest",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_adjusting,
        compute=_ols_adjustment,
    ),
    Estimator(
        name="lin_interacted",
        family=_FAMILY,
        estimand="ATE",
        summary=f"Regression on treatment, centred covariates and their products; {_ADJUSTS}, outcomes linear by arm.",
        requires=("y", "treatment", "covariates"),
        optional=_MORE,
        standard_error=f"{_REGRESSION_ERROR}; with the variation of the covariates' means, unless asked for by name",
        paper="Lin 2013, Annals of Applied Statistics 7, equation 5 and section 4",
        doi="10.1214/12-AOAS583",
        checked_against="statsmodels OLS with interactions",
        laws=CROSS_SECTION_LAWS,
        rule=_by_arms,
        compute=_lin_interacted,
    ),
    Estimator(
        name="g_computation_ate",
        family=_FAMILY,
        estimand="ATE",
        summary=f"Mean difference of two regressions' predictions over all rows, linear unless outcome_model says "
        f"otherwise; {_ADJUSTS}.",
        requires=("y", "treatment", "covariates"),
        optional=_MORE,
        standard_error=_STACKED_ERROR,
        paper="Robins 1986, Mathematical Modelling 7; Hernán and Robins, What If, section 13.3",
        doi="10.1016/0270-0255(86)90088-6",
        checked_against="Stata teffects ra, statsmodels TreatmentEffect.ra",
        laws=CROSS_SECTION_LAWS,
        rule=_predicted,
        compute=partial(g_computation, target="ATE"),
    ),
    Estimator(
        name="g_computation_att",
        family=_FAMILY,
        estimand="ATT",
        summary=f"Mean difference of two regressions' predictions over the treated, linear unless outcome_model says "
        f"otherwise; {_ADJUSTS}.",
        requires=("y", "treatment", "covariates"),
        optional=_MORE,
        standard_error=_STACKED_ERROR,
        paper="Robins 1986, Mathematical Modelling 7; Hernán and Robins, What If, section 13.3",
        doi="10.1016/0270-0255(86)90088-6",
        checked_against="statsmodels TreatmentEffect.ra",
        laws=CROSS_SECTION_LAWS,
        rule=_predicted,
        compute=partial(g_computation, target="ATT"),
        flipped=partial(g_computation, target="ATC"),
    ),
)
