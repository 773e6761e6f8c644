"""Sensitivity to unmeasured confounding: E-values, robustness values and benchmarks, as formulas and on a plan.

E-values (VanderWeele and Ding 2017, doi 10.7326/M16-2607) use risk ratios; robustness values and benchmarks
(Cinelli and Hazlett 2020, doi 10.1111/rssb.12348) of shares of variance in a linear regression. Checked against R's
EValue and sensemakr.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import solve
from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.plan import Plan

__all__ = [
    "Benchmark",
    "EValue",
    "RegressionSensitivity",
    "adjusted_estimate",
    "benchmark_bounds",
    "e_value",
    "e_value_of_difference",
    "e_value_of_risks",
    "partial_r2",
    "regression_sensitivity",
    "robustness_value",
    "variance_shares",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EValue:
    """The E-value: the minimum association with treatment and outcome that would explain an effect away.

    Attributes:
        risk_ratio: the effect on the scale of risk ratios.
        estimate: the E-value of the effect, at least 1.
        interval: the E-value of the interval's end nearer to no effect; 1 where the interval holds no effect; None
            where there is no interval.
    """

    risk_ratio: float
    estimate: float
    interval: float | None


def e_value(risk_ratio: float, lower: float | None = None, upper: float | None = None) -> EValue:
    """Return the E-value of a risk ratio with its confidence limits, all positive.

    Raises:
        ValueError: the ratio is not positive and finite.
    """
    if not (risk_ratio > 0 and math.isfinite(risk_ratio)):
        raise ValueError(f"A risk ratio is positive and finite, not {risk_ratio:g}.")
    interval: float | None = None
    if lower is not None and upper is not None:
        interval = 1.0 if lower <= 1 <= upper else _e(max(lower if risk_ratio > 1 else upper, 0.0))
    return EValue(risk_ratio=risk_ratio, estimate=_e(risk_ratio), interval=interval)


def _e(ratio: float) -> float:
    if ratio == 0:
        return math.inf
    ratio = max(ratio, 1 / ratio)
    return ratio * (1 + math.sqrt(1 - 1 / ratio))


def e_value_of_difference(estimate: float, standard_error: float | None, sd_y: float, *, alpha: float = 0.05) -> EValue:
    """Return the E-value of a difference in means, by RR = exp(0.91·d) with d in standard deviations.

    The interval is exp(0.91·d ± 1.78·s) at 95% (VanderWeele and Ding 2017), and as much wider or narrower at 1 - alpha.

    Raises:
        ValueError: the standard deviation is not positive.
    """
    if not sd_y > 0:
        raise ValueError("The standard deviation of the outcome must be positive.")
    d = min(max(estimate / sd_y, -700.0), 700.0)
    if standard_error is None:
        return e_value(math.exp(0.91 * d))
    wider = critical_value(alpha, None) / critical_value(0.05, None)
    half = min(1.78 * wider * standard_error / sd_y, 700.0)
    return e_value(math.exp(0.91 * d), math.exp(max(0.91 * d - half, -700.0)), math.exp(min(0.91 * d + half, 700.0)))


def e_value_of_risks(estimate: float, lower: float | None, upper: float | None, untreated_risk: float) -> EValue | None:
    """Return the E-value of a risk difference over the untreated risk; None if a risk would leave (0, 1]."""
    if not 0 < untreated_risk <= 1 or not 0 < untreated_risk + estimate <= 1:
        return None
    ratios = [None if end is None else max(untreated_risk + end, 0.0) / untreated_risk for end in (lower, upper)]
    return e_value((untreated_risk + estimate) / untreated_risk, *ratios)


def partial_r2(statistic: float, degrees: float) -> float:
    """Return the partial R² of a coefficient with this t statistic (iid)."""
    return statistic**2 / (statistic**2 + degrees)


def robustness_value(statistic: float, degrees: float, *, q: float = 1.0, alpha: float | None = None) -> float:
    """Return the robustness value: the equal partial R² with treatment and outcome that changes the result.

    Args:
        statistic: the t statistic, with the iid standard error.
        degrees: its degrees of freedom.
        q: the share of the estimate to explain away.
        alpha: level at which the estimate becomes insignificant; None for explaining it away.
    """
    share = q * abs(statistic) / math.sqrt(degrees)
    limit = 0.0 if alpha is None else critical_value(alpha, degrees - 1) / math.sqrt(degrees - 1)
    f = share - limit
    if f <= 0:
        return 0.0
    if limit > 0 and share > 1 / limit:
        return (share**2 - limit**2) / (1 + share**2)
    return 0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2)


def adjusted_estimate(
    estimate: float, standard_error: float, degrees: float, *, r2_treatment: float, r2_outcome: float
) -> tuple[float, float]:
    """Return the estimate and standard error adjusted for a confounder of this strength, in the worst direction.

    Args:
        estimate: of the regression.
        standard_error: iid.
        degrees: residual degrees of freedom.
        r2_treatment: share of the treatment's residual variance that the confounder explains, in [0, 1).
        r2_outcome: share of the outcome's residual variance that it explains.
    """
    bias = standard_error * math.sqrt(degrees * r2_outcome * r2_treatment / (1 - r2_treatment))
    error = standard_error * math.sqrt((1 - r2_outcome) / (1 - r2_treatment) * degrees / (degrees - 1))
    return math.copysign(1.0, estimate) * (abs(estimate) - bias), error


def benchmark_bounds(r2_treatment: float, r2_outcome: float, multiple: float = 1.0) -> tuple[float, float] | None:
    """Return the maximum partial R² of a confounder `multiple` times as strong as an observed covariate.

    Args:
        r2_treatment: partial R² of the covariate with the treatment, given the others.
        r2_outcome: partial R² of the covariate with the outcome, given the others and the treatment.
        multiple: how many times as strong.

    Returns:
        The bounds for treatment and outcome; None where so strong a confounder cannot exist.
    """
    of_treatment = multiple * r2_treatment / (1 - r2_treatment)
    if of_treatment >= 1:
        return None
    between = multiple * r2_treatment**2 / ((1 - multiple * r2_treatment) * (1 - r2_treatment))
    if not 0 <= between < 1:
        return None
    factor = (math.sqrt(multiple) + math.sqrt(between)) / math.sqrt(1 - between)
    return of_treatment, min(factor**2 * r2_outcome / (1 - r2_outcome), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark: a confounder some times as strong as an observed covariate.

    Attributes:
        label: of the covariate.
        multiple: how many times as strong.
        r2_treatment, r2_outcome: its maximum partial R².
        estimate, standard_error: adjusted for it, in the worst direction.
    """

    label: str
    multiple: float
    r2_treatment: float
    r2_outcome: float
    estimate: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionSensitivity:
    """The sensitivity of the covariate-adjusted regression (`ols_adjustment`).

    Attributes:
        estimate, standard_error, degrees: of the regression; the standard error is iid, as the theory needs.
        partial_r2: of the treatment with the outcome.
        robustness_value: to explain the estimate away.
        robustness_value_alpha: to make it insignificant.
        benchmarks: one for each covariate and multiple, the strongest covariates first.
        beyond: covariates for which a confounder as strong would determine the treatment, so that there is none.
    """

    estimate: float
    standard_error: float
    degrees: int
    partial_r2: float
    robustness_value: float
    robustness_value_alpha: float
    benchmarks: tuple[Benchmark, ...]
    beyond: tuple[str, ...]


def regression_sensitivity(
    plan: Plan, *, multiples: tuple[float, ...] = (1.0, 2.0, 3.0), most: int = 10
) -> RegressionSensitivity:
    """Return the sensitivity of the regression of outcome on treatment and covariates to an omitted confounder.

    Args:
        plan: the request's plan.
        multiples: strengths of the benchmarks.
        most: number of covariates to benchmark.

    Raises:
        UnusableData: there is no such regression.
    """
    if not plan.has("treatment"):
        raise UnusableData(Message("estimators.missing-role", role="treatment"))
    sample = plan.adjustment_sample()
    if sample.n < 4:
        raise UnusableData(Message("sensitivity.too-few-complete-rows", rows=sample.n))
    frame = plan.frame("xty", sample, plan.data.fixed_effects)
    x, t, y = _regressors(frame), frame.column("t"), frame.column("y")
    inner = _partialled_out(frame, x, [t, y])
    absorbed = frame.absorbed.degrees if frame.absorbed is not None else 0
    degrees = frame.n - len(x) - 1 - absorbed
    if degrees < 2 or inner[0, 0] <= 1e-10 * max(frame.products[t, t], 1e-4 * frame.n) or inner[1, 1] <= 0:
        raise UnusableData(Message("sensitivity.no-residual-treatment"))
    scale = float(frame.scale[y] / frame.scale[t])
    slope = float(inner[0, 1] / inner[0, 0])
    residual = float(inner[1, 1] - slope * inner[0, 1])
    estimate, error = slope * scale, math.sqrt(max(residual, 0.0) / degrees / float(inner[0, 0])) * scale
    if not error > 0:
        raise UnusableData(Message("sensitivity.rows-fitted-exactly"))
    statistic = estimate / error
    benchmarks, beyond = _benchmarks(frame, estimate, error, degrees, multiples, most)
    return RegressionSensitivity(
        estimate=estimate,
        standard_error=error,
        degrees=degrees,
        partial_r2=partial_r2(statistic, degrees),
        robustness_value=robustness_value(statistic, degrees),
        robustness_value_alpha=robustness_value(statistic, degrees, alpha=plan.settings.alpha),
        benchmarks=benchmarks,
        beyond=beyond,
    )


def _regressors(frame: Frame) -> NDArray[np.intp]:
    """Return the positions of the covariates, with the column of ones unless effects are absorbed."""
    return np.arange(0 if frame.absorbed is None else 1, frame.at["x"].stop)


def _partialled_out(frame: Frame, x: NDArray[np.intp], columns: list[int]) -> Matrix:
    """Return cross-products of some columns with the regressors x partialled out."""
    right = frame.products[np.ix_(x, columns)]
    fitted = solve(frame.products[np.ix_(x, x)], right).coefficients
    return np.asarray(frame.products[np.ix_(columns, columns)] - right.T @ fitted)


def _benchmarks(
    frame: Frame, estimate: float, error: float, degrees: int, multiples: tuple[float, ...], most: int
) -> tuple[tuple[Benchmark, ...], tuple[str, ...]]:
    x, t, y = _regressors(frame), frame.column("t"), frame.column("y")
    own = x > 0
    of_treatment, of_outcome = variance_shares(frame, x, t)[own], variance_shares(frame, np.append(x, t), y)[:-1][own]
    strength = of_treatment * of_outcome
    found, beyond = list[Benchmark](), list[str]()
    for covariate in np.argsort(-strength, kind="stable")[:most]:
        for multiple in multiples:
            bounds = benchmark_bounds(float(of_treatment[covariate]), float(of_outcome[covariate]), multiple)
            if bounds is None:
                if multiple == 1.0:
                    beyond.append(frame.labels[covariate + 1])
                continue
            value, spread = adjusted_estimate(estimate, error, degrees, r2_treatment=bounds[0], r2_outcome=bounds[1])
            found.append(
                Benchmark(
                    label=frame.labels[covariate + 1], multiple=multiple, r2_treatment=bounds[0],
                    r2_outcome=bounds[1], estimate=value, standard_error=spread,
                )
            )  # fmt: skip
    return tuple(found), tuple(beyond)


def variance_shares(frame: Frame, regressors: NDArray[np.intp], target: int) -> Vector:
    """Return (k,) the partial R² of each regressor with a column, given the other regressors."""
    products = frame.products[np.ix_(regressors, regressors)]
    right = frame.products[regressors, target]
    fit = solve(products, right[:, None])
    slopes = fit.coefficients[:, 0]
    residual = float(frame.products[target, target] - right @ slopes)
    explained = slopes**2 / np.diag(fit.inverse)
    return np.asarray(explained / (explained + residual))
