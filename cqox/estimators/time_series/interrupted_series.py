"""Interrupted time series: one series before and after an intervention, by a regression in two segments.

Assumes that the pre-intervention trend would have continued, that no other event coincides, and that the periods after
lie on a line of their own, but for seasons that are the same before and after. There is no comparison group: with
untreated units, difference in differences or a synthetic control assume less.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator, Law
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, no_absorbing
from cqox.estimators.inference.serial_correlation import durbin_watson, innovations, ljung_box
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.plan import Plan
from cqox.estimators.time_series.contrast_errors import SeriesErrors, series_errors
from cqox.estimators.time_series.seasons import Cycle, candidates, follows, harmonics
from cqox.estimators.time_series.segments import Segments, sample_of, segments
from cqox.estimators.time_series.units import length_in_words

__all__ = ["ESTIMATORS", "path", "remarks", "segmented"]

_FAMILY = "interrupted_series"
_FEW = 8
_DEPENDENT = _SEASONAL = 0.01
_UNEVEN = 1.5
_SAME = 0.02
"""Cycles whose lengths differ by a smaller share are one: years of 365 and of 365.25 days."""

_HARMONICS = 6
_MOST_PERIODS = 400


def segmented(plan: Plan) -> Estimate:
    """Return the estimate from the series of a plan, which has one."""
    series = segments(plan)
    if isinstance(series, Message):
        raise AssertionError(series)
    lines, sample = series.lines, sample_of(plan)
    design = series.regressors
    basis, triangle = np.linalg.qr(design)
    inverse = np.linalg.inv(triangle)
    coefficients = inverse @ (basis.T @ series.y)
    fitted = design @ coefficients
    residuals = series.y - fitted
    average = _contrast(design, level=1.0, slope=float(lines[series.before :, 3].mean()))
    errors = series_errors(residuals, basis, series.before)

    def weights(contrast: Vector) -> Vector:
        return np.asarray(basis @ (inverse.T @ contrast))

    uncertainty = _uncertainty(plan, series, errors, weights(average))
    span = float(np.ptp(series.time))
    changes = {
        "level_change": (_contrast(design, level=1.0), 1.0),
        "slope_change": (_contrast(design, slope=1.0), span),
        "slope_before": (_contrast(design, before=1.0), span),
    }
    diagnostics: dict[str, Json] = {
        name: _change(plan, series, coefficients, contrast, weights(contrast), errors, per)
        for name, (contrast, per) in changes.items()
    }
    details = _seasons(series)
    diagnostics |= {
        "time_unit": series.unit,
        "first_period_after": series.start,
        "periods_before": series.before,
        "periods_after": len(series.y) - series.before,
        "residuals": _dependence(errors),
        "seasons": details,
        "periods": path(series, fitted, fitted - lines[:, 2:] @ coefficients[2:4]),
    }
    n_effective = float(len(residuals)) if errors is None else errors.autoregressive.effective
    return make_estimate(
        EstimateId("interrupted_series", _FAMILY, "ATT"), plan, sample, float(average @ coefficients) * series.scale,
        None, uncertainty, n_effective=n_effective, diagnostics=diagnostics, notes=_notes(plan, series, errors),
        warnings=[*_doubts(plan, series, errors), *_unadjusted(plan, series, details)],
    )  # fmt: skip


def _contrast(design: Matrix, *, before: float = 0.0, level: float = 0.0, slope: float = 0.0) -> Vector:
    """Return (coefficients,) weights of a quantity on the slope before, and on the changes of level and slope."""
    contrast = np.zeros(design.shape[1])
    contrast[1:4] = before, level, slope
    return contrast


def _uncertainty(plan: Plan, series: Segments, errors: SeriesErrors | None, weights: Vector) -> Uncertainty:
    if errors is None:
        return Uncertainty(standard_error=None, method="autoregressive", degrees=None)
    widest, scale = errors.widest(weights, plan.settings.alpha), series.scale
    return Uncertainty(
        standard_error=widest.standard_error * scale,
        method=widest.method,
        degrees=widest.degrees,
        alternates={name: error * scale for name, error in errors.alternates(weights).items()},
    )


def _change(
    plan: Plan,
    series: Segments,
    coefficients: Vector,
    contrast: Vector,
    weights: Vector,
    errors: SeriesErrors | None,
    per: float,
) -> dict[str, Json]:
    scale = series.scale / per
    error = None if errors is None else errors.widest(weights, plan.settings.alpha).standard_error * scale
    return {"estimate": float(contrast @ coefficients) * scale, "standard_error": error}


def _dependence(errors: SeriesErrors | None) -> dict[str, Json]:
    if errors is None:
        return {"reason": Message("time_series.exact-fit")}
    residuals, dependence = errors.residuals, errors.autoregressive
    several, order = _lags_tested(residuals), len(dependence.coefficients)
    statistic, p_value = ljung_box(residuals, several)
    left, beyond = _beyond(errors)
    return {
        "durbin_watson": durbin_watson(residuals),
        "ljung_box": {"lags": several, "statistic": statistic, "p_value": p_value},
        "ljung_box_of_innovations": {"lags": several + order, "statistic": left, "p_value": beyond},
        "autoregressive_coefficients": [float(value) for value in dependence.coefficients],
        "effective_periods": dependence.effective,
        "newey_west_lags": errors.lags,
        "standard_deviation_ratio": errors.ratio,
    }


def _lags_tested(residuals: Vector) -> int:
    return max(min(10, len(residuals) // 5), 1)


def _beyond(errors: SeriesErrors) -> tuple[float, float]:
    """Return Ljung and Box's statistic and p-value of the innovations of an autoregression of this order."""
    order, residuals = len(errors.autoregressive.coefficients), errors.residuals
    return ljung_box(innovations(residuals, order), _lags_tested(residuals) + order, order)


def _seasons(series: Segments) -> dict[str, Json]:
    """Return the tests of the adjusted seasons, and of the most significant other cycle."""
    others, seasons = _others(series, series.regressors), series.seasons
    if not series.cycles:
        return {"adjusted": False, **(others or {"reason": Message("time_series.no-cycle-twice")})}
    tested = _judged(follows(series.y, np.hstack([series.lines, series.covariates]), seasons), 1)
    details: dict[str, Json] = {
        "adjusted": True, "terms": seasons.shape[1], "cycles": _cycles(series, series.cycles), **tested,
    }  # fmt: skip
    return {**details, "others": others} if others else details


def _others(series: Segments, regressors: Matrix) -> dict[str, Json]:
    """Return the most significant other cycle, given (periods, k) regressors; empty where none is known."""
    known = candidates(series.time, series.calendar, regressors.shape[1])
    tests = [
        (cycle, tested)
        for cycle in known
        if not any(_is_within(cycle, own) for own in series.cycles)
        and (tested := follows(series.y, regressors, harmonics(series.time, [cycle], regressors))) is not None
    ]
    if not tests:
        return {}
    cycle, tested = min(tests, key=lambda pair: pair[1][2])
    return {"cycles": _cycles(series, [cycle]), **_judged(tested, len(tests))}


def _is_within(cycle: Cycle, own: Cycle) -> bool:
    """Return whether a cycle is adjusted for, or is a low harmonic of one that more pairs would cover."""
    times = round(own.length / cycle.length)
    return 1 <= times <= _HARMONICS and abs(own.length / cycle.length / times - 1) < _SAME


def _cycles(series: Segments, cycles: Sequence[Cycle]) -> list[Json]:
    return [{"length": cycle.length, "unit": series.unit, "pairs": cycle.pairs} for cycle in cycles]


def _judged(tested: tuple[float, tuple[int, int], float] | None, times: int) -> dict[str, Json]:
    if tested is None:
        return {"f_statistic": None, "degrees": None, "p_value": None}
    statistic, degrees, p_value = tested
    return {"f_statistic": statistic, "degrees": list(degrees), "p_value": min(1.0, times * p_value)}


def path(series: Segments, fitted: Vector, counterfactual: Vector) -> list[Json]:
    """Return observed values, both lines, and the counterfactual line; means of several periods if there are many."""
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


def _notes(plan: Plan, series: Segments, errors: SeriesErrors | None) -> list[Message]:
    notes = [Message("time_series.unit-of-slopes", unit=series.unit), *remarks(plan, series)]
    if errors is None:
        return notes
    residuals = errors.residuals
    p_value = ljung_box(residuals, _lags_tested(residuals))[1]
    if p_value < _DEPENDENT:
        watson, effective = durbin_watson(residuals), errors.autoregressive.effective
        notes.append(
            Message("time_series.autocorrelated", durbin_watson=watson, p_value=p_value, effective_periods=effective)
        )
    return notes


def remarks(plan: Plan, series: Segments) -> list[Message]:
    """Return notes on how the rows became a series, and on what it is adjusted for."""
    notes = []
    if series.rows.max() > 1:
        notes.append(Message("time_series.averaged-by-period", rows=int(series.rows.sum())))
    notes += [*_of_covariates(series), *_of_seasons(plan, series)]
    if plan.settings.se != "auto":
        notes.append(Message("time_series.no-serial-correlation", standard_error=plan.settings.se))
    steps = np.diff(series.time)
    if float(steps.max()) > _UNEVEN * float(steps.min()):
        notes.append(Message("time_series.uneven-periods"))
    return notes


def _of_covariates(series: Segments) -> list[Message]:
    notes = []
    if series.adjusted:
        notes.append(Message("time_series.covariates-adjusted", covariates=list(series.adjusted)))
    if series.left_out:
        notes.append(Message("time_series.covariates-collinear", covariates=list(series.left_out)))
    return notes


def _of_seasons(plan: Plan, series: Segments) -> list[Message]:
    if not series.cycles:
        return []
    if plan.settings.season_dummies:
        lengths = [length_in_words(series.calendar, cycle.length) for cycle in series.cycles]
        return [Message("time_series.dummies-adjusted", cycles=lengths)]
    return [Message("time_series.seasons-adjusted", cycles=[_adjusted(series, each) for each in series.cycles])]


def _doubts(plan: Plan, series: Segments, errors: SeriesErrors | None) -> list[Message]:
    doubts = []
    before, after = series.before, len(series.y) - series.before
    if min(before, after) < _FEW:
        doubts.append(Message("time_series.few-periods", before=before, after=after, least=_FEW))
    if plan.has("unit_id") and series.rows.min() < series.rows.max():
        doubts.append(Message("time_series.changing-composition"))
    if errors is not None and (p_value := _beyond(errors)[1]) < _DEPENDENT:
        order = len(errors.autoregressive.coefficients)
        doubts.append(Message("time_series.not-autoregressive", order=order, p_value=p_value))
    return doubts


def _adjusted(series: Segments, cycle: Cycle) -> Message:
    return Message(
        "time_series.pairs-over-cycle", pairs=cycle.pairs, cycle=length_in_words(series.calendar, cycle.length)
    )


def _unadjusted(plan: Plan, series: Segments, details: dict[str, Json]) -> list[Message]:
    """Return a warning where the series follows seasons that are not adjusted for."""
    others = details.get("others") if series.cycles else details
    if not isinstance(others, dict):
        return []
    p_value, cycles = others.get("p_value"), others.get("cycles")
    if not isinstance(p_value, float) or p_value >= _SEASONAL or not isinstance(cycles, list):
        return []
    (cycle,) = cycles
    length = cycle["length"] if isinstance(cycle, dict) else None
    if not isinstance(length, float):
        return []
    every = length_in_words(series.calendar, length)
    if plan.settings.season_pairs == 0:
        return [Message("time_series.seasons-left-unadjusted", cycle=every, p_value=p_value)]
    if series.cycles:
        return [Message("time_series.other-seasons", cycle=every, p_value=p_value, season_length=length)]
    return [Message("time_series.unadjusted-seasons", cycle=every, p_value=p_value, season_length=length)]


def _rule(plan: Plan) -> Message | None:
    series = segments(plan)
    return series if isinstance(series, Message) else no_absorbing(plan)


_LAWS: frozenset[Law] = frozenset(
    {"row_permutation", "outcome_affine", "irrelevant_constant", "collinear_copy", "chunk_size", "threads"}
)

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="interrupted_series",
        family=_FAMILY,
        estimand="ATT",
        summary="Average distance, over the periods after an intervention, between a series and its pre-intervention "
        "trend; the trend (and seasons, if requested) would have continued, and no other event coincides.",
        requires=("y", "time"),
        optional=("intervention_time", "post", "treatment", "unit_id", "weights", "covariates"),
        standard_error="the wider interval of two: autoregressive errors (order by BIC, corrected for the bias of "
        "residuals), and the same with a variance of their own after the intervention; Satterthwaite's degrees of "
        "freedom; Newey-West with its automatic lag as an alternate",
        paper="Wagner, Soumerai, Zhang and Ross-Degnan 2002, J. Clin. Pharm. Ther. 27; seasons: Bernal, Cummins and "
        "Gasparrini 2017, Int. J. Epidemiology 46; Newey and West 1994, Review of Economic Studies 61",
        doi="10.1046/j.1365-2710.2002.00430.x",
        checked_against="statsmodels OLS and its HAC covariance; Monte-Carlo",
        laws=_LAWS,
        treatment=frozenset({"binary", "none"}),
        rule=_rule,
        compute=segmented,
    ),
)
