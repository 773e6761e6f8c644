"""A pandas frame as a polars frame, column by column and without pyarrow."""

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.frames.columns import check_names, masked, of_array, of_objects

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["of_pandas"]

_PLAIN = {"i": "int64", "u": "uint64", "f": "float64", "b": "bool"}


def of_pandas(data: "pd.DataFrame") -> pl.DataFrame:
    """Return the columns and the named levels of the index.

    Raises:
        InvalidRequest: columns of several levels, a name that is no text, two columns of one name, an index of several
            levels without names, or cells that cannot be read.
    """
    if data.columns.nlevels > 1:
        raise InvalidRequest(Message("frames.columns-of-levels", levels=data.columns.nlevels), field="data")
    levels = list(_index_levels(data))
    check_names([*(name for name, _ in levels), *data.columns])
    found = [_column(str(name), level) for name, level in levels]
    found += [_column(str(data.columns[at]), data.iloc[:, at]) for at in range(data.shape[1])]
    if not found:
        return pl.DataFrame(height=len(data))
    return pl.DataFrame(found)


def _index_levels(data: "pd.DataFrame") -> Iterator[tuple[Hashable, "pd.Series[Any]"]]:
    index = data.index
    if index.nlevels == 1:
        if index.name is not None:
            yield index.name, index.to_series()
        return
    for at, name in enumerate(index.names):
        if name is None:
            raise InvalidRequest(Message("frames.index-without-names", levels=index.nlevels), field="data")
        yield name, index.get_level_values(at).to_series()


def _column(name: str, series: "pd.Series[Any]") -> pl.Series:
    """Return one column; missing cells of every kind are null."""
    form: Any = series.dtype
    kind = str(getattr(form, "name", form))
    if hasattr(form, "categories"):
        return _categorical(name, series)
    if kind.startswith(("period", "interval")):
        missing = series.isna().to_numpy()
        return of_objects(name, [None if gone else str(cell) for cell, gone in zip(series, missing, strict=True)])
    if kind.startswith("Sparse"):
        return _column(name, series.sparse.to_dense())
    if getattr(form, "tz", None) is not None:
        return _column(name, series.dt.tz_convert("UTC").dt.tz_localize(None)).dt.replace_time_zone("UTC")
    if isinstance(form, np.dtype):
        return of_array(name, series.to_numpy())
    return _extension(name, series)


def _categorical(name: str, series: "pd.Series[Any]") -> pl.Series:
    """Return the values of a categorical; categories without a row disappear."""
    values, codes = _column(name, series.cat.categories.to_series()), series.cat.codes.to_numpy()
    if not len(values):
        return pl.Series(name, [None] * len(codes), dtype=pl.Null)
    return masked(values.gather(pl.Series(np.maximum(codes, 0))), codes < 0)


def _extension(name: str, series: "pd.Series[Any]") -> pl.Series:
    """Return the values of a nullable column (`Int64`, `boolean`, `string`, Arrow), null where its mask is set."""
    missing, kind = series.isna().to_numpy(), getattr(series.dtype, "kind", "O")
    if kind not in _PLAIN:
        return of_objects(name, [None if gone else cell for cell, gone in zip(series.tolist(), missing, strict=True)])
    filled = series.fillna(kind != "b" and 0) if missing.any() else series
    return masked(of_array(name, filled.to_numpy(dtype=_PLAIN[kind])), missing)
