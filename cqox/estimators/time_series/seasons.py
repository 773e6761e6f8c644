"""Seasons of a series: pairs of sine and cosine over the cycles of its calendar, and whether a series follows them.

Bernal, Cummins and Gasparrini 2017, Int. J. Epidemiology 46(1), adjust an interrupted series by such Fourier terms.
Adjusted for is what was asked for: never what the outcome shows, and nothing by itself, for a segmented regression is a
regression on lines. A series that follows seasons nobody asked for is a doubt (`follows`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.serial_correlation import autoregression
from cqox.estimators.numerics.quantiles import f_survival

__all__ = ["Cycle", "candidates", "chosen", "follows", "harmonics"]

_YEAR, _WEEK, _DAY = 365.25, 7.0, 1.0
_USUAL, _OF_A_WEEK = 2, 3
"""Pairs of a cycle; three are all that seven days have."""

_BEFORE = 2.0
"""Cycles to be seen before the intervention: in one alone a season and a trend look alike."""

_PERIODS_EACH = 3
"""Periods for each coefficient, below which a calendar's cycle is adjusted for only where its length is asked for."""

_DEGREES = 5
"""Periods beyond the coefficients, without which nothing is known of the errors."""

_OWN = 1e-8
_LINES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A cycle of seasons.

    Attributes:
        length: in units of time.
        pairs: of sine and cosine, the first of them once around in a cycle.
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
"""By the unit of `_calendar.Counted`; years have no seasons."""

_OF_NUMBERS = (
    Cycle(length=12.0, pairs=_USUAL),
    Cycle(length=_WEEK, pairs=_OF_A_WEEK),
    Cycle(length=4.0, pairs=_USUAL),
)
"""What is looked for where nothing is known of the periods but their order: months, days and quarters."""


def chosen(
    time: Vector, unit: str, *, length: float | None = None, pairs: int | None = None
) -> tuple[Cycle, ...] | str:
    """The cycles to adjust for, none where nothing is asked for, or why what was asked for cannot be done.

    Where pairs are asked for and no length, they are those of the calendar of which two are whole before the
    intervention, as long as there are three periods for each coefficient.

    Args:
        time: (periods,) ascending, negative before the intervention.
        unit: what it is counted in.
        length: of the one cycle that was asked for.
        pairs: of each cycle as asked for, 0 for none.
    """
    if pairs == 0 or (pairs is None and length is None):
        return ()
    if length is not None:
        cycle = _resolved(time, Cycle(length=length, pairs=_USUAL if pairs is None else pairs))
        if cycle is None or float(np.ptp(time)) < length:
            return (
                f"options.season_length is {length:g}: a cycle is at least two periods long and no longer than the "
                f"series, which takes {float(np.ptp(time)):g} (in units of time)."
            )
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
        return (
            "options.season_pairs needs a cycle of the calendar of which two are whole before the intervention, and "
            f"{_PERIODS_EACH} periods for each coefficient; options.season_length names another."
        )
    return tuple(found)


def candidates(time: Vector, unit: str, regressors: int = _LINES) -> tuple[Cycle, ...]:
    """The cycles that a series may follow though nobody adjusts for them: those of which it has seen two in all.

    Args:
        time: (periods,).
        unit: what it is counted in.
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
    """The cycle with no more pairs than its periods can tell apart; None where it is shorter than two periods."""
    pairs = int(cycle.length / (2 * float(np.median(np.diff(time)))) + 1e-9)
    return Cycle(length=cycle.length, pairs=min(cycle.pairs, pairs)) if pairs else None


def _short(time: Vector, columns: int) -> str | None:
    needed = _LINES + columns + _DEGREES
    if len(time) >= needed:
        return None
    return f"{len(time)} periods are too few for two lines and {columns} terms of seasons; {needed} are needed."


def harmonics(time: Vector, cycles: Sequence[Cycle], regressors: Matrix) -> Matrix:
    """(periods, terms) sines and cosines of the cycles.

    Args:
        time: (periods,).
        cycles: whose.
        regressors: (periods, k) other regressors; a term that these and the terms before determine is left out.
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
    """The F statistic, degrees of freedom and p-value of terms beside other regressors.

    The smaller of two statistics: under autoregressive errors, whose estimate makes too much of short series, and under
    independent ones. None where there are no terms, or no error is left beside them.
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
