"""Columns of a frame as polars columns, with errors that name the column and the remedy."""

import datetime
import decimal
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["check_names", "of_array", "of_objects"]

_NUMBERS = (int, float, decimal.Decimal, np.integer, np.floating)
_KINDS: tuple[tuple[type | tuple[type, ...], pl.DataType | type[pl.DataType]], ...] = (
    ((bool, np.bool_), pl.Boolean),
    (str, pl.String),
    (datetime.datetime, pl.Datetime("us")),
    (datetime.date, pl.Date),
)


def check_names(names: Iterable[object]) -> None:
    """Check that columns have names, each of them once.

    Raises:
        InvalidRequest: a name is no text, or two columns have the same one.
    """
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise InvalidRequest(Message("frames.name-is-no-text", name=shortened(repr(name))), field="data")
        if name in seen:
            raise InvalidRequest(Message("frames.two-columns", column=shortened(name)), field="data")
        seen.add(name)


def of_array(name: str, values: object) -> pl.Series:
    """Return an array or a list as a column; NaN and NaT are missing.

    Raises:
        InvalidRequest: it has more than one dimension, or cells of no type that can be read.
    """
    if isinstance(values, pl.Series):
        return values.alias(name)
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise InvalidRequest(Message("frames.no-array", column=name, type=type(values).__name__), field="data")
    if isinstance(values, list | tuple):
        # numpy would turn a list of numbers and texts into texts.
        return of_objects(name, values)
    array = np.asarray(values)
    if array.ndim != 1:
        raise InvalidRequest(Message("frames.not-one-dimension", column=name, dimensions=array.ndim), field="data")
    if array.dtype.kind == "O":
        return of_objects(name, array.tolist())
    if array.dtype.kind in "SVc":
        raise InvalidRequest(Message("frames.no-type", column=name, type=str(array.dtype)), field="data")
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64)
    if array.dtype.kind in "mM":
        return _of_times(name, array)
    if array.dtype.kind == "U":
        return pl.Series(name, array.tolist(), dtype=pl.String)
    # A read-only or strided array is copied.
    return pl.Series(name, np.ascontiguousarray(array), nan_to_null=True)


def _of_times(name: str, array: np.ndarray) -> pl.Series:
    if array.dtype.kind == "m":
        raise InvalidRequest(Message("frames.duration", column=name), field="data")
    unit = np.datetime_data(array.dtype)[0]
    fitting = array if unit in ("ms", "us", "ns") else array.astype("datetime64[us]")
    return pl.Series(name, np.ascontiguousarray(fitting))


def of_objects(name: str, values: Sequence[object]) -> pl.Series:
    """Return Python objects of one kind as a column; None and NaN are missing.

    Raises:
        InvalidRequest: they are of several kinds, or of one that cannot be read.
    """
    known = [None if _is_missing(value) else value for value in values]
    kinds = {_kind(value) for value in known if value is not None}
    if len(kinds) > 1:
        raise InvalidRequest(Message("frames.mixed-types", column=name, types=sorted(map(_word, kinds))), field="data")
    if not kinds:
        return pl.Series(name, known, dtype=pl.Null)
    form = kinds.pop()
    if isinstance(form, str):
        raise InvalidRequest(Message("frames.no-type", column=name, type=form), field="data")
    if form == pl.Float64:
        return _of_numbers(name, known)
    return pl.Series(name, known, dtype=form, strict=False)


def _of_numbers(name: str, values: Sequence[object]) -> pl.Series:
    whole = all(value is None or isinstance(value, int | np.integer) for value in values)
    if whole and all(value is None or -(2**63) <= value < 2**63 for value in values):  # type: ignore[operator]
        return pl.Series(name, [None if value is None else int(value) for value in values], dtype=pl.Int64)  # type: ignore[call-overload]
    return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)  # type: ignore[arg-type]


def _kind(value: object) -> pl.DataType | type[pl.DataType] | str:
    """Return the type of a cell's column, or the name of a class that no column has."""
    for classes, form in _KINDS:
        if isinstance(value, classes):
            return form
    return pl.Float64 if isinstance(value, _NUMBERS) else type(value).__name__


def _word(kind: object) -> str:
    words = {pl.Boolean: "bool", pl.String: "str", pl.Date: "date", pl.Float64: "number"}
    return next(
        (word for form, word in words.items() if kind == form), "datetime" if kind == pl.Datetime else str(kind)
    )


def _is_missing(value: object) -> bool:
    """Return whether a cell is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
