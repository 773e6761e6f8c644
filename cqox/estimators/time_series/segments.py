"""One series before and after an intervention, and the regressors of its two segments.

It reads the periods before and after, their means, their calendar, and the seasons to adjust for. `interrupted_series`
makes the estimate.
"""

from dataclasses import dataclass, replace

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.inference.make_estimate import varying_outcome
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.calendar import CalendarUnit, counted
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample
from cqox.estimators.time_series.seasons import Cycle, chosen, harmonics
from cqox.estimators.time_series.units import unit_in_words

__all__ = ["PeriodSums", "Segments", "plan_of", "roles_of", "sample_of", "segments", "series_of"]

_BEFORE, _AFTER, _IN_ALL = 4, 3, 9
_DEGREES = 5
"""Residual degrees of freedom needed beyond lines, seasons and covariates."""

_OWN = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Means by period, over `scale` of y.

    Attributes:
        y: (periods,) less `centre`, over `scale`.
        values: (periods,) on the scale of the data's `time_values`.
        time: (periods,) since the first period after the intervention, in `unit`.
        unit: the unit of time in words.
        calendar: the unit of its calendar.
        before: number of periods before it.
        rows: (periods,) rows behind each mean.
        cycles: the cycles whose seasons are adjusted for.
        covariates: (periods, k) standardised means of the covariates that are adjusted for, none collinear.
        adjusted, left_out: names of these covariates, and of those left out as collinear.
        controls: (periods, m) means of the control series, each less a constant, on the scale of the data.
    """

    y: Vector
    centre: float
    scale: float
    values: Vector
    time: Vector
    unit: Message
    calendar: CalendarUnit
    before: int
    rows: Vector
    cycles: tuple[Cycle, ...]
    covariates: Matrix
    adjusted: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    controls: Matrix

    @property
    def start(self) -> float:
        """The first period after the intervention, on the scale of `values`."""
        return float(self.values[self.before])

    @property
    def lines(self) -> Matrix:
        """(periods, 4): level and slope before, and their changes."""
        after = (self.time >= 0).astype(np.float64)
        span = float(np.ptp(self.time))
        return np.column_stack([np.ones(len(self.time)), self.time / span, after, after * self.time / span])

    @property
    def seasons(self) -> Matrix:
        """(periods, terms) Fourier terms of the adjusted cycles."""
        return harmonics(self.time, self.cycles, self.lines)

    @property
    def regressors(self) -> Matrix:
        """(periods, 4 + terms + k): lines, seasons and covariates."""
        return np.hstack([self.lines, self.seasons, self.covariates])


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSums:
    """Sums of the rows of each period, from which a series is made.

    The means are of centred values: a series with little variation on a high level would lose its digits otherwise.

    Attributes:
        places: (periods,) codes of the periods, ascending.
        rows: (periods,) rows.
        share: (periods,) share of the rows after the intervention.
        differs: True if the treatment of some row is not what the intervention says.
        size: the largest magnitude of the outcome.
        means: (periods, 1 + k) means of the outcome and of the covariates, each less its `centre`, over its `scale`.
        centre, scale: (1 + k,) on the scale of the data; scale 0 marks a constant.
        controls: (periods, m) means of the control series, each less a constant, on the scale of the data.
    """

    places: Codes
    rows: Vector
    share: Vector
    differs: bool
    size: float
    means: Matrix
    centre: Vector
    scale: Vector
    controls: Matrix


def sample_of(plan: Plan) -> Sample:
    """Return the rows of the series."""
    return plan.sample(*roles_of(plan))


def roles_of(plan: Plan) -> tuple[str, ...]:
    """Return the roles whose values the rows of the series have."""
    own = () if plan.data.intervention_time is not None else ("post", "treatment")
    return ("y", "time", "covariates", *(role for role in own if plan.has(role)))


def _after(plan: Plan, sample: Sample) -> Vector | Message:
    """Return (n,) 1 from the intervention on, or the reason why that is unknown."""
    data, time = plan.data, sample.take(_codes(plan.data.time))
    values = data.time_values
    if data.intervention_time is not None and values is not None:
        return (values[time] >= data.intervention_time).astype(np.float64)
    role = next((role for role in ("post", "treatment") if plan.has(role)), None)
    if role is None:
        return Message("time_series.no-intervention")
    array = data.post if role == "post" else data.treatment
    after = np.empty(0) if array is None else sample.take(array)
    if not np.isin(after, (0.0, 1.0)).all():
        return Message("time_series.not-0-before-1-after", column=plan.label(role))
    return after


def _codes(codes: Codes | None) -> Codes:
    return np.empty(0, dtype=np.int64) if codes is None else codes


def segments(plan: Plan) -> Segments | Message:
    """Return the series of a request, or the reason for its absence; the same object at each call."""
    return plan.share("interrupted series", lambda: _read(plan))


def plan_of(plan: Plan, periods: PeriodSums) -> Plan:
    """Return a plan with the settings and roles of another, whose series is that of some sums by period."""
    own = Plan(plan.data, plan.settings)
    own.share("interrupted series", lambda: series_of(plan, periods))
    return own


def _read(plan: Plan) -> Segments | Message:
    sample = sample_of(plan)
    reason = varying_outcome(plan, sample)
    if reason is not None:
        return reason
    after = _after(plan, sample)
    if isinstance(after, Message):
        return after
    return series_of(plan, _summed(plan, sample, after))


def _summed(plan: Plan, sample: Sample, after: Vector) -> PeriodSums:
    data = plan.data
    codes = sample.take(_codes(data.time))
    time, periods = compress(codes)
    y, weights = sample.take(data.y), plan.weights(sample)
    rows = np.bincount(time, minlength=periods).astype(np.float64)
    averages = _Averages(time=time, weights=weights, mass=rows if weights is None else np.bincount(time, weights))
    size = float(np.abs(y).max()) or 1.0
    columns = [averages.of(each) for each in (y, *map(sample.take, data.covariates.T))]
    controls = [averages.of(sample.take(each)) for each in data.proxy_outcome.T]
    differs = False
    if data.treatment is not None and plan.has("treatment"):
        status = sample.take(data.treatment)
        known = ~np.isnan(status) & ~np.isnan(after)
        differs = bool((status[known] != after[known]).any())
    return PeriodSums(
        places=np.unique(codes), rows=rows, share=np.bincount(time, after, periods) / rows, differs=differs, size=size,
        means=np.column_stack([each.values for each in columns]),
        centre=np.asarray([each.centre for each in columns]), scale=np.asarray([each.scale for each in columns]),
        controls=np.column_stack([np.empty((periods, 0)), *(each.values * each.scale for each in controls)]),
    )  # fmt: skip


def series_of(plan: Plan, periods: PeriodSums) -> Segments | Message:
    """Return the series of some sums by period, or the reason for its absence.

    Args:
        plan: the settings, and the roles and periods of the data.
        periods: the sums.
    """
    share, before = periods.share, int(np.count_nonzero(periods.share == 0))
    if periods.differs or bool(((share > 0) & (share < 1)).any()):
        return Message("time_series.untreated-rows")
    if (np.diff(share) < 0).any():
        return Message("time_series.intervention-ends")
    if before < _BEFORE or len(share) - before < _AFTER or len(share) < _IN_ALL:
        return Message(
            "time_series.too-few-periods",
            before=before,
            after=len(share) - before,
            least_before=_BEFORE,
            least_after=_AFTER,
            least_in_all=_IN_ALL,
        )
    return _means(plan, periods, before)


def _means(plan: Plan, sums: PeriodSums, before: int) -> Segments | Message:
    data, settings, places = plan.data, plan.settings, sums.places
    values = places.astype(np.float64) if data.time_values is None else data.time_values[places]
    labels = None if data.time_labels is None else [data.time_labels[at] for at in places.tolist()]
    periods = counted(values, labels)
    since = periods.values - periods.values[before]
    cycles = chosen(
        since, periods.unit,
        length=settings.season_length, pairs=settings.season_pairs, dummies=settings.season_dummies,
    )  # fmt: skip
    if isinstance(cycles, Message):
        return cycles
    means, factor = sums.means[:, 0], float(sums.scale[0])
    centre, spread = float(means.mean()), float(means.std())
    # A series with only rounding variation keeps the scale of its values.
    scale = spread * factor if factor * spread > 1e-12 * sums.size else sums.size
    series = Segments(
        y=(means - centre) * (factor / scale),
        centre=float(sums.centre[0]) + factor * centre,
        scale=scale,
        values=values,
        time=since,
        unit=unit_in_words(periods.unit, plan.label("time")),
        calendar=periods.unit,
        before=before,
        rows=sums.rows,
        cycles=cycles,
        covariates=np.empty((len(means), 0)),
        controls=sums.controls,
    )
    return _adjusted(series, plan, sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """Means of a column by period, (periods,), less `centre` and over `scale`."""

    values: Vector
    centre: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Averages:
    """Means by period: (n,) periods and weights of the rows, (periods,) sums of the weights."""

    time: Codes
    weights: Vector | None
    mass: Vector

    def of(self, column: Vector) -> _Means:
        """Return the means of an (n,) column, in which infinities and missing values stay within their periods."""
        seen = column if (known := np.isfinite(column)).all() else column[known]
        largest = float(np.abs(seen).max(initial=0.0))
        # A power of two, by which division is exact: neither the mean nor a difference overflows.
        scale = float(np.ldexp(1.0, np.frexp(largest)[1] - 1))
        scaled = column / scale
        centre = float(scaled.mean() if seen is column else (seen / scale).mean() if len(seen) else 0.0)
        scaled -= centre
        if self.weights is not None:
            scaled *= self.weights
        return _Means(values=np.bincount(self.time, scaled) / self.mass, centre=centre * scale, scale=scale)


def _adjusted(series: Segments, plan: Plan, sums: PeriodSums) -> Segments | Message:
    """Return the series with the covariates that its lines and seasons do not determine."""
    means, centre, scale = sums.means[:, 1:], sums.centre[1:], sums.scale[1:]
    if not means.shape[1]:
        return series
    span, largest = np.ptp(means, axis=0) * scale, np.abs(centre + means * scale).max(axis=0)
    kept, names, left_out = list[Vector](), list[str](), list[str]()
    basis = np.linalg.qr(np.hstack([series.lines, series.seasons]))[0]
    # A column that varies only by rounding is constant.
    constant = span <= 1e-12 * largest
    for name, column, is_constant in zip(plan.labels("covariates"), means.T, constant.tolist(), strict=True):
        level = column - column.mean()
        level = level / (float(np.abs(level).max()) or 1.0)
        own = level - basis @ (basis.T @ level)
        own -= basis @ (basis.T @ own)
        size = float(np.linalg.norm(own))
        if is_constant or size <= _OWN * float(np.linalg.norm(level)):
            left_out.append(name)
            continue
        kept.append(level)
        names.append(name)
        basis = np.column_stack([basis, own / size])
    needed = basis.shape[1] + _DEGREES
    if len(series.y) < needed:
        return Message("time_series.too-few-for-covariates", periods=len(series.y), terms=len(kept), needed=needed)
    covariates = np.column_stack(kept) if kept else series.covariates
    return replace(series, covariates=covariates, adjusted=tuple(names), left_out=tuple(left_out))
