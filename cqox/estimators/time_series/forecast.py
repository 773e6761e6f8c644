"""Interrupted time series by a forecast: the periods before the intervention alone predict those after it.

Assumes as the segmented regression does that the trend would have continued; the periods after need not lie on a line.
The forecast is the best linear unbiased one under autoregressive errors (Goldberger 1962, doi
10.1080/01621459.1962.10480665), so that the last deviations before the intervention are carried forward.
"""

from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator, Law
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, no_absorbing
from cqox.estimators.inference.serial_correlation import autocorrelations, autoregression
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.plan import Plan
from cqox.estimators.time_series.interrupted_series import path, remarks
from cqox.estimators.time_series.segments import Segments, sample_of, segments

__all__ = ["ESTIMATORS", "Forecast", "forecast"]

_DEGREES = 3
_FEWEST_DEGREES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The forecast of the periods after the intervention.

    Attributes:
        values: (periods after,) forecasts.
        fitted: (periods before,) the regression's values.
        coefficients: (order,) of the autoregression of the errors.
        variance: of the mean prediction error, parameters included.
        degrees: of freedom of the variance.
    """

    values: Vector
    fitted: Vector
    coefficients: Vector
    variance: float
    degrees: float


def forecast(y: Vector, regressors: Matrix, before: int, louder: float = 1.0) -> Forecast:
    """Return the forecast of the periods after the first `before`.

    Args:
        y: (periods,) the series; periods after are used for `louder` alone.
        regressors: (periods, k) of full rank before the intervention.
        before: number of periods before the intervention.
        louder: standard deviation of the errors after the intervention over that before.
    """
    from scipy import linalg

    past, future, known = regressors[:before], regressors[before:], y[:before]
    basis = np.linalg.qr(past)[0]
    errors = autoregression(known - basis @ (basis.T @ known), basis)
    correlations = autocorrelations(errors.coefficients, len(y))
    toeplitz = linalg.toeplitz(correlations)
    within, across = toeplitz[:before, :before], toeplitz[before:, :before]
    factor = linalg.cho_factor(within)
    information = past.T @ linalg.cho_solve(factor, past)
    coefficients = np.linalg.solve(information, past.T @ linalg.cho_solve(factor, known))
    fitted = past @ coefficients
    values = future @ coefficients + across @ linalg.cho_solve(factor, known - fitted)
    carried = linalg.cho_solve(factor, across.mean(axis=0))
    # Weights of the coefficients' errors in the mean prediction error.
    missed = future.mean(axis=0) - past.T @ carried
    innovation = louder**2 * float(toeplitz[before:, before:].mean()) + float(carried @ within @ carried)
    innovation -= 2 * louder * float(across.mean(axis=0) @ carried)
    parameters = float(missed @ np.linalg.solve(information, missed))
    return Forecast(
        values=values,
        fitted=fitted,
        coefficients=errors.coefficients,
        variance=float(errors.covariances[0]) * (innovation + parameters),
        degrees=errors.degrees,
    )


def _forecast(plan: Plan) -> Estimate:
    series = segments(plan)
    if isinstance(series, Message):
        raise AssertionError(series)
    before, after = series.before, len(series.y) - series.before
    columns = _regressors(series)
    louder, left = _louder(series)
    found = forecast(series.y, columns, before, louder)
    gaps = series.y[before:] - found.values
    exact = float(np.square(series.y[:before] - found.fitted).sum()) <= 1e-20 * before
    degrees = found.degrees if louder == 1.0 else max(min(found.degrees, left), _FEWEST_DEGREES)
    uncertainty = Uncertainty(
        standard_error=None if exact else float(np.sqrt(max(found.variance, 0.0))) * series.scale,
        method=f"prediction error, AR({len(found.coefficients)})",
        degrees=None if exact else degrees,
    )
    counterfactual = np.concatenate([found.fitted, found.values])
    diagnostics: dict[str, Json] = {
        "time_unit": series.unit,
        "first_period_after": series.start,
        "periods_before": before,
        "periods_after": after,
        "autoregressive_coefficients": [float(value) for value in found.coefficients],
        "standard_deviation_ratio": louder,
        "cumulative_effect": float(gaps.sum()) * series.scale,
        "periods": path(series, np.concatenate([found.fitted, series.y[before:]]), counterfactual),
    }
    return make_estimate(
        EstimateId("interrupted_series_forecast", "interrupted_series", "ATT"), plan, sample_of(plan),
        float(gaps.mean()) * series.scale, None, uncertainty, n_effective=float(before),
        diagnostics=diagnostics, notes=remarks(plan, series),
    )  # fmt: skip


def _regressors(series: Segments) -> Matrix:
    """Return (periods, k) level, slope, seasons and covariates: what the periods before determine."""
    return np.hstack([series.lines[:, :2], series.seasons, series.covariates])


def _louder(series: Segments) -> tuple[float, float]:
    """Return the standard deviation of the errors after over that before, at least 1, and its degrees of freedom."""
    regressors = series.regressors
    basis = np.linalg.qr(regressors)[0]
    squares = np.square(series.y - basis @ (basis.T @ series.y))
    leverage = np.square(basis).sum(axis=1)
    parts = (slice(0, series.before), slice(series.before, None))
    left = [max(float(len(leverage[part]) - leverage[part].sum()), 1.0) for part in parts]
    first, second = (float(squares[part].sum()) / each for part, each in zip(parts, left, strict=True))
    return (float(np.sqrt(max(second / first, 1.0))) if first > 0 else 1.0), left[1]


def _rule(plan: Plan) -> Message | None:
    series = segments(plan)
    if isinstance(series, Message):
        return series
    columns = _regressors(series)[: series.before]
    needed = columns.shape[1] + _DEGREES
    if len(columns) < needed or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return Message("time_series.too-few-to-forecast", before=len(columns), needed=needed)
    return no_absorbing(plan)


_LAWS: frozenset[Law] = frozenset(
    {"row_permutation", "outcome_affine", "irrelevant_constant", "collinear_copy", "chunk_size", "threads"}
)

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="interrupted_series_forecast",
        family="interrupted_series",
        estimand="ATT",
        summary="Average distance, over the periods after an intervention, between a series and its forecast from the "
        "periods before alone; the trend (with seasons and covariates, if any) would have continued, the covariates "
        "are not affected, and no other event coincides.",
        requires=("y", "time"),
        optional=("intervention_time", "post", "treatment", "unit_id", "weights", "covariates"),
        standard_error="error of the mean prediction under autoregressive errors, with that of the coefficients, and "
        "with the variance after the intervention where it is larger; Satterthwaite's degrees of freedom",
        paper="Box and Tiao 1975, JASA 70; forecast: Goldberger 1962, JASA 57, equation 3.12",
        doi="10.1080/01621459.1975.10480264",
        checked_against="statsmodels SARIMAX and OLS predictions; Monte-Carlo",
        laws=_LAWS,
        treatment=frozenset({"binary", "none"}),
        rule=_rule,
        compute=_forecast,
    ),
)
