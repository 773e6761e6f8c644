"""Checks of an interrupted series: a stable trend before the intervention, and control series without a break.

Placebo dates and breaks of the slope are each a maximum of t statistics, whose p-value comes from their joint
distribution (Hothorn, Bretz and Westfall 2008, doi 10.1002/bimj.200810425). The errors are autoregressive; they are
estimated with a quadratic term in the model, so that a curve is not taken for serial correlation.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.holm import holm
from cqox.diagnostics.json_values import number
from cqox.estimators import Estimate, Json, Matrix, Plan, Vector
from cqox.estimators.inference.serial_correlation import Autoregression, autoregression
from cqox.estimators.numerics.detection import detectable_ratio
from cqox.estimators.numerics.quantiles import critical_value, two_sided
from cqox.estimators.time_series.contrast_errors import series_errors
from cqox.estimators.time_series.segments import Segments, segments

__all__ = ["series_checks"]

_FAMILY = "interrupted_series"
_BEFORE, _AFTER, _MOST_DATES = 4, 3, 12
"""Least periods on each side of a placebo date, as of an intervention, and the most dates."""

_DEGREES = 5
_DRAWS = 4_000
_LEVEL = 0.05


def series_checks(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the tests of the trend before the intervention and of the control series.

    Returns:
        `placebo_dates`, `curvature` and `breaks`, each with a `p_value` adjusted for its number of dates. Of the last
        two `detectable_bias`, the error of the effect under the smallest departure found with 80% power, in units of
        y; of the curvature `largest_bias`, that of its 95% limit. `control_series`: of each column of `proxy_outcome`
        its break, and over all columns `p_value` (Holm) and `detectable_effect`, in units of y by the standard
        deviation of the residuals of each series.
    """
    if not any(estimate.family == _FAMILY and estimate.estimate is not None for estimate in estimates):
        return {"reason": Message("diagnostics.no-time-series")}
    series = segments(plan)
    if isinstance(series, Message):
        return {"reason": series}
    return {**_trend(series, plan.settings.seed), "control_series": _controls(plan, series)}


def _trend(series: Segments, seed: int) -> dict[str, Json]:
    before = series.before
    whole = np.hstack([series.lines[:, :2], series.seasons, series.covariates])
    past, time, y = whole[:before], series.time / -series.time[0], series.y[:before]
    curved = np.column_stack([past, time[:before] ** 2])
    if before < curved.shape[1] + _DEGREES or np.linalg.matrix_rank(curved) < curved.shape[1]:
        return {"reason": Message("diagnostics.too-few-before-for-trend", before=before)}
    basis = np.linalg.qr(curved)[0]
    residuals = y - basis @ (basis.T @ y)
    if float(residuals @ residuals) <= 1e-20 * before:
        return {"reason": Message("diagnostics.exact-trend")}
    errors = autoregression(residuals, basis)
    dates = _dates(before)
    rng = np.random.default_rng(seed)
    found: dict[str, Json] = {}
    if len(dates):
        placebo = np.stack([_placebo_weights(past, time[:before], date) for date in dates])
        found["placebo_dates"] = _largest(series, placebo, y, errors, dates, rng)
        kinks = np.stack([_last_row(past, np.maximum(time[:before] - time[date], 0.0)) for date in dates])
        found["breaks"] = _breaks(series, kinks, y, errors, dates, rng)
    found["curvature"] = _curvature(series, whole, time, errors)
    return found


def _dates(before: int) -> list[int]:
    """Return the positions of placebo dates, evenly thinned."""
    possible = np.arange(_BEFORE, before - _AFTER + 1)
    if not len(possible):
        return []
    places = np.linspace(0, len(possible) - 1, min(len(possible), _MOST_DATES)).round().astype(np.intp)
    return [int(possible[place]) for place in np.unique(places)]


def _last_row(regressors: Matrix, added: Vector) -> Vector:
    """Return (periods,) weights of the outcomes in the coefficient of an added regressor."""
    basis = np.linalg.qr(regressors)[0]
    own = added - basis @ (basis.T @ added)
    return np.asarray(own / (own @ own))


def _placebo_weights(past: Matrix, time: Vector, date: int) -> Vector:
    """Return (periods before,) weights of the average effect of a placebo intervention at a position."""
    step = (np.arange(len(time)) >= date).astype(np.float64)
    slope = step * (time - time[date])
    rows = np.linalg.pinv(np.column_stack([past, step, slope]))
    return np.asarray(rows[-2] + float((time[date:] - time[date]).mean()) * rows[-1])


def _largest(
    series: Segments,
    weights: Matrix,
    y: Vector,
    errors: Autoregression,
    dates: Sequence[int],
    rng: np.random.Generator,
) -> dict[str, Json]:
    """Return the largest of several t statistics and its p-value."""
    covariance = errors.covariance(weights)
    deviations = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    statistics = np.abs(weights @ y) / deviations
    values, vectors = np.linalg.eigh(covariance / np.outer(deviations, deviations))
    drawn = rng.standard_normal((_DRAWS, len(values))) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    chi = np.sqrt(rng.chisquare(errors.degrees, _DRAWS) / errors.degrees)
    largest, place = float(statistics.max()), int(statistics.argmax())
    simulated = (1 + int(np.count_nonzero(np.abs(drawn).max(axis=1) / chi >= largest))) / (1 + _DRAWS)
    # Bonferroni's bound is finer than the number of draws where p is small.
    bound = len(dates) * two_sided(largest, errors.degrees)
    return {
        "dates": len(dates),
        "at": float(series.values[dates[place]]),
        "statistic": number(largest),
        "p_value": number(min(simulated, bound, 1.0)),
    }


def _breaks(
    series: Segments, kinks: Matrix, y: Vector, errors: Autoregression, dates: Sequence[int], rng: np.random.Generator
) -> dict[str, Json]:
    """Return the test of a change of slope at some date, and the change in the middle that it detects."""
    middle = kinks[len(dates) // 2]
    span = -float(series.time[0])
    error = float(np.sqrt(max(errors.variance(middle), 0.0))) * series.scale / span
    horizon = float(series.time[series.before :].mean() - series.time[series.before - 1])
    slope = detectable_ratio(_LEVEL, errors.degrees) * error
    return {
        **_largest(series, kinks, y, errors, dates, rng),
        "detectable_slope": number(slope),
        "mean_horizon": number(horizon),
        "detectable_bias": number(slope * horizon),
    }


def _curvature(series: Segments, whole: Matrix, time: Vector, errors: Autoregression) -> dict[str, Json]:
    before = series.before
    past, square = whole[:before], time**2
    weights = _last_row(past, square[:before])
    estimate, error = float(weights @ series.y[:before]), float(np.sqrt(max(errors.variance(weights), 0.0)))
    line = np.linalg.lstsq(past, square[:before], rcond=None)[0]
    # The error of the extrapolated line, for each unit of the quadratic coefficient.
    missed = abs(float((square[before:] - whole[before:] @ line).mean()))
    unit = series.scale / float(series.time[0]) ** 2
    return {
        "estimate": number(estimate * unit),
        "standard_error": number(error * unit),
        "p_value": number(two_sided(estimate / error, errors.degrees)) if error > 0 else None,
        "bias": number(estimate * missed * series.scale),
        "largest_bias": number(
            (abs(estimate) + critical_value(_LEVEL, errors.degrees) * error) * missed * series.scale
        ),
        "detectable_bias": number(detectable_ratio(_LEVEL, errors.degrees) * error * missed * series.scale),
    }


def _controls(plan: Plan, series: Segments) -> dict[str, Json]:
    if not series.controls.shape[1]:
        return {"reason": Message("diagnostics.no-control-series")}
    noise = _break(series, series.y)
    rows: list[Json] = []
    p_values, detectable = list[float](), list[float]()
    for name, values in zip(plan.labels("proxy_outcome"), series.controls.T, strict=True):
        found = _break(series, values)
        if found is None or noise is None:
            rows.append({"column": name, "reason": Message("diagnostics.unusable-control-series")})
            continue
        estimate, error, degrees, deviation = found
        p_values.append(two_sided(estimate / error, degrees))
        detectable.append(detectable_ratio(_LEVEL, degrees) * error / deviation * noise[3] * series.scale)
        rows.append({
            "column": name, "estimate": number(estimate), "standard_error": number(error),
            "p_value": number(p_values[-1]), "detectable_effect": number(detectable[-1]),
        })  # fmt: skip
    table: dict[str, Json] = {"series": rows}
    if p_values:
        table |= {"p_value": number(min(holm(p_values))), "detectable_effect": number(min(detectable))}
    return table


def _break(series: Segments, values: Vector) -> tuple[float, float, float, float] | None:
    """Return the average break of (periods,) values, its standard error and degrees, and the errors' deviation."""
    seen = np.isfinite(values)
    regressors, before = series.regressors[seen], int(np.count_nonzero(seen[: series.before]))
    periods, k = regressors.shape
    if periods < k + _DEGREES or np.linalg.matrix_rank(regressors) < k:
        return None
    size = float(np.abs(values[seen] - values[seen].mean()).max()) or 1.0
    y = (values[seen] - values[seen].mean()) / size
    basis, triangle = np.linalg.qr(regressors)
    contrast = np.zeros(k)
    contrast[2:4] = 1.0, float(regressors[before:, 3].mean())
    weights = np.asarray(basis @ np.linalg.solve(triangle.T, contrast))
    residuals = y - basis @ (basis.T @ y)
    errors = series_errors(residuals, basis, before)
    if errors is None:
        return None
    widest = errors.widest(weights, _LEVEL)
    deviation = float(np.sqrt(residuals @ residuals / (periods - k)))
    return float(weights @ y) * size, widest.standard_error * size, widest.degrees, deviation * size
