"""Covariates that are the outcome in other units or on another scale: adjusting for one removes the effect."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from cqox.contract import DataFinding
from cqox.contract.messages import Message

__all__ = ["outcome_as_covariate"]

type _Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

_SAME = 1 - 1e-6
"""Correlation above which two columns differ by rounding only; last year's population is below it."""

_FEWEST = 10
_MOST_ROWS = 20_000


def outcome_as_covariate(
    column: Callable[[str], pl.Series], outcome: str, covariates: Sequence[str]
) -> list[DataFinding]:
    """Return a finding for each covariate that is linear in the outcome, its logarithm, square root or reciprocal.

    Compared on about twenty thousand evenly spaced rows. No parameter settles it: the covariate must not be mapped.

    Args:
        column: returns a column by its name.
        outcome: name of the outcome.
        covariates: names of the covariates.
    """
    y = _numbers(column(outcome))
    if y is None:
        return []
    return [
        DataFinding(
            code="outcome-as-covariate",
            severity="caps",
            columns=[name],
            message=Message("findings.outcome-as-covariate", column=name, outcome=outcome),
        )
        for name in covariates
        if (x := _numbers(column(name))) is not None and _is_rescaled(x, y)
    ]


def _numbers(series: pl.Series) -> _Vector | None:
    if not series.dtype.is_numeric():
        return None
    step = -(-max(1, series.len()) // _MOST_ROWS)
    some = series if step == 1 else series.gather_every(step)
    # Polars gives a float column with nulls as NaN.
    values: _Vector = some.cast(pl.Float64).to_numpy()
    return values


def _is_rescaled(x: _Vector, y: _Vector) -> bool:
    missing = np.isnan(x) | np.isnan(y)
    if missing.any():
        x, y = x[~missing], y[~missing]
    if len(x) < _FEWEST:
        return False
    pairs = [(x, y), *((x, scaled) for scaled in _scales(y)), *((scaled, y) for scaled in _scales(x))]
    return any(abs(_correlation(one, other)) > _SAME for one, other in pairs)


def _scales(values: _Vector) -> list[_Vector]:
    if values.min() < 0:
        return []
    found = [np.sqrt(values), np.log1p(values)]
    return [*found, np.log(values), 1.0 / values] if values.min() > 0 else found


def _correlation(one: _Vector, other: _Vector) -> float:
    left, right = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / scale if scale > 0 else 0.0
