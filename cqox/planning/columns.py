"""Columns taken out of a frame: the only place that knows how the data of a power calculation are held."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cqox.contract.messages import Message
from cqox.contract.words import unknown_word
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.planning.arguments import LARGEST, SMALLEST

if TYPE_CHECKING:
    import polars as pl

    type Frame = pl.DataFrame | Mapping[str, ArrayLike]

__all__ = ["Codes", "codes", "numbers", "regressors"]

_MOST_LEVELS = 100
"""Levels of a covariate of words beyond which it is taken for an identifier."""


class Codes(NamedTuple):
    """A column of labels: for each row the place of its label among the sorted ones, -1 where it is missing."""

    values: NDArray[np.intp]
    levels: int


def numbers(data: "Frame", name: str, argument: str) -> Vector:
    """Return a column as numbers, NaN where a cell is empty; true is 1.

    Args:
        data: the frame.
        name: the column.
        argument: the argument that names it.

    Raises:
        InvalidRequest: there is no such column.
        UnusableData: it does not hold numbers, or their squares would be none.
    """
    import polars as pl

    column = _column(data, name, argument)
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise UnusableData(Message("power.column-no-numbers", argument=argument, column=name), field=argument)
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    if largest and not SMALLEST <= largest <= LARGEST:
        detail = Message(
            "power.column-scale", argument=argument, column=name, found=largest, least=SMALLEST, most=LARGEST
        )
        raise UnusableData(detail, field=argument)
    return values


def codes(data: "Frame", name: str, argument: str) -> Codes:
    """Return a column as labels in their order.

    Args:
        data: the frame.
        name: the column.
        argument: the argument that names it.

    Raises:
        InvalidRequest: there is no such column.
    """
    import polars as pl

    column = _column(data, name, argument)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    elif column.dtype in (pl.Boolean, pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    ranks = column.rank("dense").fill_null(0).to_numpy().astype(np.intp)
    return Codes(ranks - 1, int(ranks.max(initial=0)))


def regressors(data: "Frame", names: Sequence[str]) -> Matrix:
    """Return (n, k) covariates: numbers as they are, words as one column for each level but the first.

    Raises:
        InvalidRequest: there is no such column.
        UnusableData: a column of words has too many levels.
    """
    import polars as pl

    parts = list[Matrix]()
    for name in names:
        column = _column(data, name, "covariates")
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            parts.append(numbers(data, name, "covariates")[:, None])
            continue
        found = codes(data, name, "covariates")
        if found.levels > _MOST_LEVELS:
            detail = Message("power.covariate-levels", column=name, levels=found.levels, most=_MOST_LEVELS)
            raise UnusableData(detail, field="covariates")
        levels = (found.values[:, None] == np.arange(1, found.levels)).astype(np.float64)
        levels[found.values < 0] = np.nan
        parts.append(levels)
    return np.hstack(parts)


def _column(data: "Frame", name: str, argument: str) -> "pl.Series":
    import polars as pl

    names = list(data) if isinstance(data, Mapping) else data.columns
    if name not in names:
        raise unknown_word(Message("power.word-column"), str(name), [str(each) for each in names], field=argument)
    if isinstance(data, pl.DataFrame):
        return data.get_column(name)
    values = np.asarray(data[name])
    if values.ndim != 1:
        raise UnusableData(Message("power.column-shape", argument=argument, column=name), field=argument)
    return pl.Series(name, values.tolist() if values.dtype == object else values, strict=False)
