"""Interrupted time series: one series before and after an intervention, by a regression in two segments.

Assumes that the trend before would have gone on, that nothing else happened at the same time, and that the periods
after lie on a line of their own. Nobody is compared with anybody: where there are units without the intervention,
differences in differences or a synthetic control assume less.
"""

from dataclasses import dataclass

import numpy as np

from cqox.estimators._absorb import compress
from cqox.estimators._calendar import counted
from cqox.estimators._result import Title, estimated, no_absorbing, varying_outcome
from cqox.estimators._sample import Sample
from cqox.estimators._serial import (
    Autoregression,
    automatic_lag,
    autoregression,
    durbin_watson,
    ljung_box,
    newey_west,
)
from cqox.estimators._uncertainty import Uncertainty
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator, Law
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS"]

_FAMILY = "interrupted_series"
_BEFORE, _AFTER, _IN_ALL = 4, 3, 9
_FEW = 8
_DEPENDENT = 0.01
_UNEVEN = 1.5
_MOST_PERIODS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """Means by period, over `scale` of y.

    Attributes:
        y: (periods,) less `centre`, over `scale`.
        values: (periods,) on the scale of the data's `time_values`.
        time: (periods,) since the first period after the intervention, in `unit`.
        unit: what time is counted in, for a sentence.
        before: periods before it.
        rows: (periods,) rows behind each mean.
    """

    y: Vector
    centre: float
    scale: float
    values: Vector
    time: Vector
    unit: str
    before: int
    rows: Vector

    @property
    def start(self) -> float:
        """The first period after the intervention, on the scale of `values`."""
        return float(self.values[self.before])

    @property
    def design(self) -> Matrix:
        """(periods, 4): level and slope before, and their changes."""
        after = (self.time >= 0).astype(np.float64)
        span = float(np.ptp(self.time))
        return np.column_stack([np.ones(len(self.time)), self.time / span, after, after * self.time / span])


def _sample(plan: Plan) -> Sample:
    roles = ["y", "time"]
    if plan.data.intervention_time is None:
        roles += [role for role in ("post", "treatment") if plan.has(role)]
    return plan.sample(*roles)


def _after(plan: Plan, sample: Sample) -> Vector | str:
    """(n,) 1 from the intervention on, or why that is not known."""
    data, time = plan.data, sample.take(_codes(plan.data.time))
    values = data.time_values
    if data.intervention_time is not None and values is not None:
        return (values[time] >= data.intervention_time).astype(np.float64)
    role = next((role for role in ("post", "treatment") if plan.has(role)), None)
    if role is None:
        return "It needs 'intervention_time' or 'post' to tell before from after."
    array = data.post if role == "post" else data.treatment
    after = np.empty(0) if array is None else sample.take(array)
    if not np.isin(after, (0.0, 1.0)).all():
        return f"'{plan.label(role)}' must be 0 before and 1 from the intervention on."
    return after


def _codes(codes: Codes | None) -> Codes:
    return np.empty(0, dtype=np.int64) if codes is None else codes


def _series(plan: Plan) -> _Series | str:
    return plan.share("interrupted series", lambda: _read(plan))


def _read(plan: Plan) -> _Series | str:
    sample = _sample(plan)
    reason = varying_outcome(plan, sample)
    after = _after(plan, sample) if reason is None else np.empty(0)
    if reason is not None or isinstance(after, str):
        return reason or str(after)
    time, periods = compress(sample.take(_codes(plan.data.time)))
    places = np.unique(sample.take(_codes(plan.data.time)))
    rows = np.bincount(time, minlength=periods).astype(np.float64)
    share = np.bincount(time, after, periods) / rows
    reason = _not_one_series(plan, sample, share, after)
    if reason is not None:
        return reason
    before = int(np.count_nonzero(share == 0))
    if (np.diff(share) < 0).any():
        return "The intervention ends again; it needs a series before and after one start."
    if before < _BEFORE or periods - before < _AFTER or periods < _IN_ALL:
        return (
            f"There are {before} periods before and {periods - before} after the intervention; at least {_BEFORE} and "
            f"{_AFTER}, and {_IN_ALL} in all, are needed."
        )
    return _means(plan, sample, time, places, rows, before)


def _not_one_series(plan: Plan, sample: Sample, share: Vector, after: Vector) -> str | None:
    """A reason where units differ in whether they have had the intervention."""
    data = plan.data
    mixed = bool(((share > 0) & (share < 1)).any())
    if not mixed and data.treatment is not None and plan.has("treatment"):
        status = sample.take(data.treatment)
        mixed = bool((status[~np.isnan(status)] != after[~np.isnan(status)]).any())
    if not mixed:
        return None
    return (
        "Some rows are untreated while others are treated; it needs one series, or all units treated at once. Units "
        "that are never treated can be compared with: see did_2x2_block and synthetic_control."
    )


def _means(plan: Plan, sample: Sample, time: Codes, places: Codes, rows: Vector, before: int) -> _Series:
    data = plan.data
    values = places.astype(np.float64) if data.time_values is None else data.time_values[places]
    labels = None if data.time_labels is None else [data.time_labels[at] for at in places.tolist()]
    periods = counted(values, labels)
    y, weights = sample.take(plan.data.y), plan.weights(sample)
    size = float(np.abs(y).max()) or 1.0
    mass = rows if weights is None else np.bincount(time, weights)
    means = np.bincount(time, y / size if weights is None else y / size * weights) / mass
    centre, spread = float(means.mean()), float(means.std())
    # A series without any variation but rounding is left as it is.
    scale = spread if spread > 1e-12 else 1.0
    return _Series(
        y=(means - centre) / scale,
        centre=centre * size,
        scale=scale * size,
        values=values,
        time=periods.values - periods.values[before],
        unit=f"unit of '{plan.label('time')}'" if periods.unit == "number" else periods.unit,
        before=before,
        rows=rows,
    )


def _segmented(plan: Plan) -> Estimate:
    series = _series(plan)
    if isinstance(series, str):
        raise AssertionError(series)
    design, sample = series.design, _sample(plan)
    basis, triangle = np.linalg.qr(design)
    inverse = np.linalg.inv(triangle)
    coefficients = inverse @ (basis.T @ series.y)
    fitted = design @ coefficients
    residuals = series.y - fitted
    average = np.array([0.0, 0.0, 1.0, float(design[series.before :, 3].mean())])
    exact = float(residuals @ residuals) <= 1e-20 * len(residuals)
    errors = None if exact else autoregression(residuals, basis)
    lags = automatic_lag(len(residuals))

    def weights(contrast: Vector) -> Vector:
        return np.asarray(basis @ (inverse.T @ contrast))

    uncertainty = _uncertainty(series, residuals, weights(average), errors, lags, design.shape[1])
    span = float(np.ptp(series.time))
    changes = {
        "level_change": (np.array([0.0, 0.0, 1.0, 0.0]), 1.0),
        "slope_change": (np.array([0.0, 0.0, 0.0, 1.0]), span),
        "slope_before": (np.array([0.0, 1.0, 0.0, 0.0]), span),
    }
    diagnostics: dict[str, Json] = {
        name: _change(series, coefficients, contrast, weights(contrast), errors, per)
        for name, (contrast, per) in changes.items()
    }
    diagnostics |= {
        "time_unit": series.unit,
        "first_period_after": series.start,
        "periods_before": series.before,
        "periods_after": len(series.y) - series.before,
        "residuals": _dependence(residuals, errors, lags),
        "periods": _path(series, fitted, fitted - design[:, 2:] @ coefficients[2:]),
    }
    return estimated(
        Title("interrupted_series", _FAMILY, "ATT"), plan, sample, float(average @ coefficients) * series.scale, None,
        uncertainty, n_effective=float(len(residuals)) if errors is None else errors.effective,
        diagnostics=diagnostics, notes=_notes(plan, series), warnings=_doubts(plan, series, residuals, errors),
    )  # fmt: skip


def _uncertainty(
    series: _Series, residuals: Vector, weights: Vector, errors: Autoregression | None, lags: int, parameters: int
) -> Uncertainty:
    if errors is None:
        return Uncertainty(standard_error=None, method="autoregressive", degrees=None)
    contributions, periods = weights * residuals, len(residuals)
    independent = float(residuals @ residuals) / (periods - parameters) * float(weights @ weights)
    alternates = {
        f"Newey-West ({lags} lags)": newey_west(contributions, lags, parameters),
        "HC1": newey_west(contributions, 0, parameters),
        "iid": independent,
    }
    return Uncertainty(
        standard_error=float(np.sqrt(errors.variance(weights))) * series.scale,
        method=f"autoregressive errors, AR({len(errors.coefficients)}), bias-corrected",
        degrees=errors.degrees,
        alternates={name: float(np.sqrt(max(value, 0.0))) * series.scale for name, value in alternates.items()},
    )


def _change(
    series: _Series, coefficients: Vector, contrast: Vector, weights: Vector, errors: Autoregression | None, per: float
) -> dict[str, Json]:
    error = None if errors is None else float(np.sqrt(errors.variance(weights))) * series.scale / per
    return {"estimate": float(contrast @ coefficients) * series.scale / per, "standard_error": error}


def _dependence(residuals: Vector, errors: Autoregression | None, lags: int) -> dict[str, Json]:
    if errors is None:
        return {"reason": "The series lies on its two lines without error."}
    several = max(min(10, len(residuals) // 5), 1)
    statistic, p_value = ljung_box(residuals, several)
    return {
        "durbin_watson": durbin_watson(residuals),
        "ljung_box": {"lags": several, "statistic": statistic, "p_value": p_value},
        "autoregressive_coefficients": [float(value) for value in errors.coefficients],
        "effective_periods": errors.effective,
        "newey_west_lags": lags,
    }


def _path(series: _Series, fitted: Vector, counterfactual: Vector) -> list[Json]:
    """What was seen, both lines, and the line before carried on; means of several periods where they are many."""
    pooled = -(-len(series.y) // _MOST_PERIODS)
    starts = np.arange(0, len(series.y), pooled)
    counts = np.diff([*starts, len(series.y)])
    scaled = (series.y, fitted, counterfactual)
    columns = [series.values, *(each * series.scale + series.centre for each in scaled)]
    means = [np.add.reduceat(column, starts) / counts for column in columns]
    return [
        {"time": float(time), "observed": float(seen), "fitted": float(line), "counterfactual": float(before)}
        for time, seen, line, before in zip(*means, strict=True)
    ]


def _notes(plan: Plan, series: _Series) -> list[str]:
    notes = [f"The slopes are for one {series.unit}."]
    if series.rows.max() > 1:
        notes.append(
            f"The {int(series.rows.sum())} rows are averaged by period; the standard error is of the averages."
        )
    if plan.has("covariates"):
        notes.append(f"Covariates ({plan.label('covariates')}) are not used.")
    if plan.settings.se != "auto":
        notes.append(f"{plan.settings.se} does not allow for dependence along time and is given beside it only.")
    steps = np.diff(series.time)
    if float(steps.max()) > _UNEVEN * float(steps.min()):
        notes.append("Periods are unevenly spaced; errors are taken to depend on each other by their order.")
    return notes


def _doubts(plan: Plan, series: _Series, residuals: Vector, errors: Autoregression | None) -> list[str]:
    doubts = []
    before, after = series.before, len(residuals) - series.before
    if min(before, after) < _FEW:
        doubts.append(f"There are {before} periods before and {after} after: below {_FEW}, a trend is hard to tell.")
    if plan.has("unit_id") and series.rows.min() < series.rows.max():
        doubts.append("Some units miss some periods, so that who is averaged changes over time.")
    if errors is not None:
        p_value = ljung_box(residuals, max(min(10, len(residuals) // 5), 1))[1]
        if p_value < _DEPENDENT:
            doubts.append(
                f"Residuals are autocorrelated (Durbin-Watson {durbin_watson(residuals):.2f}, Ljung-Box p = "
                f"{p_value:.2g}): the standard error allows for it, and the series tells as much as "
                f"{errors.effective:.0f} independent periods."
            )
    return doubts


def _rule(plan: Plan) -> str | None:
    series = _series(plan)
    return series if isinstance(series, str) else no_absorbing(plan)


_LAWS: frozenset[Law] = frozenset(
    {"row_permutation", "outcome_affine", "irrelevant_constant", "collinear_copy", "chunk_size", "threads"}
)

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="interrupted_series",
        family=_FAMILY,
        estimand="ATT",
        summary="Average distance, over the periods after an intervention, between a series and the trend that it had "
        "before; that trend would have gone on, and nothing else happened at the time.",
        requires=("y", "time"),
        optional=("intervention_time", "post", "treatment", "unit_id", "weights"),
        standard_error="autoregressive errors (order by BIC, corrected for the bias of residuals) with Satterthwaite's "
        "degrees of freedom; Newey-West with its automatic lag is given beside it",
        paper="Wagner, Soumerai, Zhang and Ross-Degnan 2002, J. Clin. Pharm. Ther. 27; Newey and West 1994, Review of "
        "Economic Studies 61",
        doi="10.1046/j.1365-2710.2002.00430.x",
        checked_against="statsmodels OLS and its HAC covariance; Monte-Carlo",
        laws=_LAWS,
        treatment=frozenset({"binary", "none"}),
        rule=_rule,
        compute=_segmented,
    ),
)
