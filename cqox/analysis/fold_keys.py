"""Keys of folds that a database computes from the same column.

Whole numbers, dates (days since 1970) and times (microseconds since 1970) by `whole_number_keys`; texts by `text_key`;
missing values one key of their own. A number with a fraction has no portable form: its key is from its bits.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.analysis.roles import Rows
from cqox.contract import RoleMapping
from cqox.estimators.numerics.portable_folds import MISSING_KEY, hash_keys, text_key, whole_number_keys

__all__ = ["fold_keys"]


def fold_keys(frame: Rows, roles: RoleMapping, row_hashes: NDArray[np.uint64]) -> NDArray[np.int64] | None:
    """Return the (n,) key of each row's cluster (the first, if there are several), else of its unit.

    Args:
        frame: the mapped columns.
        roles: canonical role to mapped columns or value.
        row_hashes: (n,) a hash of the same value, for numbers with a fraction.

    Returns:
        None where neither role is mapped.
    """
    for role in ("cluster", "unit_id"):
        if role in roles:
            mapped = roles[role]
            return _keys(frame[mapped[0] if isinstance(mapped, tuple) else str(mapped)], row_hashes)
    return None


def _keys(series: pl.Series, row_hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    if series.dtype == pl.Date:
        series = series.cast(pl.Int32)
    elif series.dtype.is_temporal():
        series = series.cast(pl.Datetime("us")).cast(pl.Int64)
    if series.dtype.is_float():
        return _float_keys(series.cast(pl.Float64).to_numpy(), row_hashes)
    if series.dtype.is_integer() or series.dtype == pl.Boolean:
        known = series.is_not_null().to_numpy()
        return np.where(known, whole_number_keys(series.cast(pl.Int64).fill_null(0).to_numpy()), MISSING_KEY)
    levels = series.unique().drop_nulls()
    table = pl.DataFrame(
        {"level": levels, "key": pl.Series([text_key(str(level)) for level in levels], dtype=pl.Int64)}
    )
    joined = series.to_frame("level").join(table, on="level", how="left", maintain_order="left")
    return joined["key"].fill_null(MISSING_KEY).to_numpy()


def _float_keys(values: NDArray[np.float64], row_hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the keys of equal whole numbers, so that a gap in a column of integers changes no other key."""
    whole = (values == np.floor(values)) & (np.abs(values) < 2.0**63)
    keys = np.where(whole, whole_number_keys(np.where(whole, values, 0.0).astype(np.int64)), hash_keys(row_hashes))
    return np.where(np.isnan(values), MISSING_KEY, keys)
