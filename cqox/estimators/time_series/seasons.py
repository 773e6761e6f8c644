"""Seasons of a series: Fourier terms over the cycles of its calendar, and tests of them.

Bernal, Cummins and Gasparrini 2017, Int. J. Epidemiology 46(1), adjust an interrupted series by such Fourier terms.
Only requested seasons are adjusted for, independently of the outcome; the default is none, for a segmented regression
is a regression on lines. A series with other seasons gets a warning (`follows`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.serial_correlation import autoregression
from cqox.estimators.numerics.quantiles import f_survival

__all__ = ["Cycle", "candidates", "chosen", "follows", "harmonics"]

_YEAR, _WEEK, _DAY = 365.25, 7.0, 1.0
_USUAL, _OF_A_WEEK = 2, 3
"""Pairs per cycle; three is the maximum for seven days."""

_BEFORE = 2.0
"""Cycles to be observed before the intervention: within a single one a season and a trend are confounded."""

_PERIODS_EACH = 3
"""Periods for each coefficient, below which a calendar's cycle is adjusted for only if its length is requested."""

_DEGREES = 5
"""Residual degrees of freedom needed to estimate the errors."""

_OWN = 1e-8
_WHOLE = 1e-6
_WHOLE_CYCLES: Mapping[str, float] = {"quarter": 4.0, "month": 12.0, "day": _WEEK}
"""Cycles of a calendar with a whole number of periods, for dummies."""

_LINES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A cycle of seasons.

    Attributes:
        length: in units of time.
        pairs: of sine and cosine, the first with one period per cycle.
    """

    length: float
    pairs: int


_OF_CALENDARS: Mapping[str, tuple[Cycle, ...]] = {
    "quarter": (Cycle(length=4.0, pairs=_USUAL),),
    "month": (Cycle(length=12.0, pairs=_USUAL),),
    "week": (Cycle(length=_YEAR / _WEEK, pairs=_USUAL),),
    "day": (
        Cycle(length=_DAY, pairs=_OF_A_WEEK),
        Cycle(length=_WEEK, pairs=_OF_A_WEEK),
        Cycle(length=_YEAR, pairs=_USUAL),
    ),
}
"""By the unit of `calendar.Counted`; years have no seasons."""

_OF_NUMBERS = (
    Cycle(length=12.0, pairs=_USUAL),
    Cycle(length=_WEEK, pairs=_OF_A_WEEK),
    Cycle(length=4.0, pairs=_USUAL),
)
"""Cycles tested where only the order of the periods is known: months, days and quarters."""


def chosen(
    time: Vector, unit: str, *, length: float | None = None, pairs: int | None = None, dummies: bool = False
) -> tuple[Cycle, ...] | Message:
    """Return the cycles to adjust for, none by default, or the reason why a request cannot be met.

    If pairs are requested without a length, they are those of the calendar cycles with two complete cycles before the
    intervention, as long as there are three periods for each coefficient.

    Args:
        time: (periods,) ascending, negative before the intervention.
        unit: the unit of time.
        length: of the one requested cycle.
        pairs: requested pairs of each cycle, 0 for none.
        dummies: a coefficient for each period of one cycle, which as many pairs as it identifies span.
    """
    if dummies:
        return _of_dummies(time, unit, length)
    if pairs == 0 or (pairs is None and length is None):
        return ()
    if length is not None:
        cycle = _resolved(time, Cycle(length=length, pairs=_USUAL if pairs is None else pairs))
        if cycle is None or float(np.ptp(time)) < length:
            return Message("time_series.unusable-season-length", season_length=length, span=float(np.ptp(time)))
        short = _short(time, 2 * cycle.pairs)
        return short or (cycle,)
    known = [Cycle(length=each.length, pairs=pairs or _USUAL) for each in _OF_CALENDARS.get(unit, ())]
    found, columns = list[Cycle](), 0
    for cycle in filter(None, (_resolved(time, each) for each in known)):
        enough = len(time) >= _PERIODS_EACH * (_LINES + columns + 2 * cycle.pairs)
        if -float(time[0]) >= _BEFORE * cycle.length and enough:
            found.append(cycle)
            columns += 2 * cycle.pairs
    if not found:
        return Message("time_series.no-calendar-cycle", periods=_PERIODS_EACH)
    return tuple(found)


def _of_dummies(time: Vector, unit: str, length: float | None) -> tuple[Cycle, ...] | Message:
    """Return the cycle whose every period has a coefficient: dummies and all harmonics span the same space."""
    cycle_length = length if length is not None else _WHOLE_CYCLES.get(unit)
    if cycle_length is None:
        return Message("time_series.no-cycle-of-whole-periods", time_unit=unit)
    step = float(np.median(np.diff(time)))
    places = np.concatenate([time, [cycle_length]]) / step
    if np.abs(places - places.round()).max() > _WHOLE or -float(time[0]) < cycle_length:
        return Message("time_series.unusable-dummies", season_length=cycle_length)
    cycle = _resolved(time, Cycle(length=cycle_length, pairs=len(time)))
    if cycle is None:
        return Message("time_series.unusable-dummies", season_length=cycle_length)
    return _short(time, round(cycle_length / step) - 1) or (cycle,)


def candidates(time: Vector, unit: str, regressors: int = _LINES) -> tuple[Cycle, ...]:
    """Return the cycles to test for although they are not adjusted for: those that the series covers twice.

    Args:
        time: (periods,).
        unit: the unit of time.
        regressors: the number of other regressors in the model.
    """
    resolved = (_resolved(time, each) for each in _OF_CALENDARS.get(unit, () if unit == "year" else _OF_NUMBERS))
    return tuple(
        cycle
        for cycle in resolved
        if cycle is not None
        and float(np.ptp(time)) >= _BEFORE * cycle.length
        and _short(time, regressors - _LINES + 2 * cycle.pairs) is None
    )


def _resolved(time: Vector, cycle: Cycle) -> Cycle | None:
    """Return the cycle with at most the pairs that its periods identify; None if it is shorter than two periods."""
    pairs = int(cycle.length / (2 * float(np.median(np.diff(time)))) + 1e-9)
    return Cycle(length=cycle.length, pairs=min(cycle.pairs, pairs)) if pairs else None


def _short(time: Vector, columns: int) -> Message | None:
    needed = _LINES + columns + _DEGREES
    if len(time) >= needed:
        return None
    return Message("time_series.too-few-for-seasons", periods=len(time), terms=columns, needed=needed)


def harmonics(time: Vector, cycles: Sequence[Cycle], regressors: Matrix) -> Matrix:
    """Return (periods, terms) sines and cosines of the cycles.

    Args:
        time: (periods,).
        cycles: the cycles.
        regressors: (periods, k) other regressors; a term collinear with these and the terms before is left out.
    """
    kept, basis = list[Vector](), np.linalg.qr(regressors)[0]
    for cycle in cycles:
        for turn in range(1, cycle.pairs + 1):
            angle = 2 * np.pi * turn / cycle.length * time
            for term in (np.sin(angle), np.cos(angle)):
                own = term - basis @ (basis.T @ term)
                own -= basis @ (basis.T @ own)
                size = float(np.linalg.norm(own))
                if size > _OWN * np.sqrt(len(time)):
                    kept.append(term)
                    basis = np.column_stack([basis, own / size])
    return np.column_stack(kept) if kept else np.empty((len(time), 0))


def follows(y: Vector, regressors: Matrix, terms: Matrix) -> tuple[float, tuple[int, int], float] | None:
    """Return the F statistic, degrees of freedom and p-value of terms, given other regressors.

    The smaller of two statistics: under autoregressive errors, which overreject in short series, and under independent
    ones. None where there are no terms, or no residual degrees of freedom.
    """
    periods, k = regressors.shape
    count = terms.shape[1]
    if not count:
        return None
    basis, triangle = np.linalg.qr(np.hstack([regressors, terms]))
    residuals = y - basis @ (basis.T @ y)
    left = float(residuals @ residuals)
    if left <= 1e-20 * periods:
        return None
    degrees = (count, periods - k - count)
    weights = np.linalg.solve(triangle, basis.T)[k:]
    values = weights @ y
    dependent = autoregression(residuals, basis).covariance(weights)
    independent = left / degrees[1] * (weights @ weights.T)
    statistic = min(float(values @ np.linalg.solve(each, values)) for each in (dependent, independent)) / count
    return statistic, degrees, f_survival(statistic, *degrees)
