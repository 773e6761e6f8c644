"""Columns of a frame as polars columns, with errors that name the column and the remedy.

numpy is loaded for arrays alone: a client has none.
"""

import datetime
import decimal
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_names", "masked", "of_array", "of_objects"]

type _Form = pl.DataType | type[pl.DataType]
type _Classes = tuple[type, ...]

_OTHERS: tuple[tuple[_Classes, _Form], ...] = (
    ((str,), pl.String),
    ((datetime.datetime,), pl.Datetime("us")),
    ((datetime.date,), pl.Date),
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
        if not _is_utf8(name):
            raise InvalidRequest(Message("frames.name-not-utf-8", name=shortened(name)), field="data")
        if name in seen:
            raise InvalidRequest(Message("frames.two-columns", column=shortened(name)), field="data")
        seen.add(name)


def of_array(name: str, values: object) -> pl.Series:
    """Return an array or a list as a column; NaN, NaT and masked cells are missing.

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
    import numpy as np

    if isinstance(values, np.ma.MaskedArray):
        return _of_masked(name, values)
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
        return _of_texts(name, array.tolist())
    # A read-only or strided array is copied.
    return pl.Series(name, np.ascontiguousarray(array), nan_to_null=True)


def _of_masked(name: str, values: "np.ma.MaskedArray[tuple[int, ...], np.dtype[Any]]") -> pl.Series:
    import numpy as np

    if values.ndim == 1 and values.dtype.kind == "O":
        # What lies below a mask is no value, and may be of another kind than the rest; in the list it is None.
        return of_objects(name, values.tolist())
    return masked(of_array(name, values.data), np.ma.getmaskarray(values))


def _of_times(name: str, array: "np.ndarray") -> pl.Series:
    import numpy as np

    if array.dtype.kind == "m":
        raise InvalidRequest(Message("frames.duration", column=name), field="data")
    unit = np.datetime_data(array.dtype)[0]
    fitting = array if unit in ("ms", "us", "ns") else array.astype("datetime64[us]")
    return pl.Series(name, np.ascontiguousarray(fitting))


def masked(column: pl.Series, missing: "NDArray[np.bool_]") -> pl.Series:
    """Return a column with null where (n,) `missing` is set."""
    if not missing.any():
        return column
    return column.to_frame().select(pl.when(pl.Series(~missing)).then(pl.col(column.name))).to_series()


def of_objects(name: str, values: Sequence[object]) -> pl.Series:
    """Return Python objects of one kind as a column; None and NaN are missing.

    Raises:
        InvalidRequest: they are of several kinds, or of one that cannot be read.
    """
    known = _without_missing(values)
    kinds = _kinds(known)
    if len(kinds) > 1:
        raise InvalidRequest(Message("frames.mixed-types", column=name, types=sorted(map(_word, kinds))), field="data")
    if not kinds:
        return pl.Series(name, known, dtype=pl.Null)
    form = kinds.pop()
    if isinstance(form, str):
        raise InvalidRequest(Message("frames.no-type", column=name, type=form), field="data")
    if form == pl.Float64:
        return _of_numbers(name, known)
    if form == pl.String:
        return _of_texts(name, known)
    try:
        return pl.Series(name, known, dtype=form, strict=False)
    except pl.exceptions.PolarsError as error:
        # polars takes one time zone or fixed offsets, and neither together with moments that have none.
        raise InvalidRequest(Message("frames.mixed-zones", column=name), field="data") from error


def _of_texts(name: str, values: Sequence[object]) -> pl.Series:
    try:
        return pl.Series(name, values, dtype=pl.String, strict=False)
    except UnicodeEncodeError as error:
        row = next(row for row, text in enumerate(values, start=1) if isinstance(text, str) and not _is_utf8(text))
        raise InvalidRequest(Message("frames.text-not-utf-8", column=name, row=row), field="data") from error


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _of_numbers(name: str, values: Sequence[object]) -> pl.Series:
    whole_numbers = (int, *_of_numpy("integer"))
    whole = all(value is None or isinstance(value, whole_numbers) for value in values)
    if whole and all(value is None or -(2**63) <= value < 2**63 for value in values):  # type: ignore[operator]
        return pl.Series(name, [None if value is None else int(value) for value in values], dtype=pl.Int64)  # type: ignore[call-overload]
    floats: list[float | None] = []
    for row, value in enumerate(values, start=1):
        try:
            floats.append(None if value is None else float(value))  # type: ignore[arg-type]
        except OverflowError as error:
            raise InvalidRequest(Message("frames.number-too-large", column=name, row=row), field="data") from error
    return pl.Series(name, floats, dtype=pl.Float64)


def _kinds(values: Sequence[object]) -> set[_Form | str]:
    """Return the types of column that cells need, or the names of classes that no column has."""
    numbers = (int, float, decimal.Decimal, *_of_numpy("integer", "floating"))
    # The first that fits counts: True is an int, and a datetime a date.
    forms = (((bool, *_of_numpy("bool_")), pl.Boolean), *_OTHERS, (numbers, pl.Float64))
    return {
        next((form for classes, form in forms if issubclass(kind, classes)), kind.__name__)
        for kind in set(map(type, values)) - {type(None)}
    }


def _of_numpy(*names: str) -> _Classes:
    # A library that is not loaded has no instances.
    library = sys.modules.get("numpy")
    return () if library is None else tuple(getattr(library, name) for name in names)


def _word(kind: object) -> str:
    words = {pl.Boolean: "bool", pl.String: "str", pl.Date: "date", pl.Float64: "number"}
    return next(
        (word for form, word in words.items() if kind == form), "datetime" if kind == pl.Datetime else str(kind)
    )


def _without_missing(values: Sequence[object]) -> Sequence[object]:
    """Return cells with None in place of NaN, NaT, pandas.NA and numpy.ma.masked."""
    kinds, floats = set(map(type, values)), (float, *_of_numpy("floating"))
    missing = {kind for kind in kinds if kind.__name__ in ("NAType", "NaTType", "MaskedConstant")}
    maybe = missing | {kind for kind in kinds if issubclass(kind, floats)}
    decimals = {kind for kind in kinds if issubclass(kind, decimal.Decimal)}
    if not maybe | decimals:
        return values

    def is_missing(value: Any) -> bool:  # noqa: ANN401 - a cell of any kind
        # A signalling NaN of Decimal raises where it is compared.
        kind = type(value)
        return kind in missing or (value.is_nan() if kind in decimals else kind in maybe and value != value)

    return [None if is_missing(value) else value for value in values]
