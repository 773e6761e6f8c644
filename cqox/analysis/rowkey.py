"""A stable 64-bit key for every row, from which folds are made.

The same data give the same keys in any row order, column order, column names, partition and file format, on every
machine and in every version of every library: the key is built from canonical values by BLAKE2b and SplitMix64 alone.
"""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract import ROLES, RoleMapping

__all__ = ["row_keys"]

type Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MISSING = np.uint64(0x5851F42D4C957F2D)


def row_keys(frame: pl.DataFrame, roles: RoleMapping) -> Keys:
    """The key of each row: of its cluster, else of its unit, else of the content of its mapped columns.

    Rows that share a cluster (the first, where there are several) or a unit share a key, and so a fold.
    """
    for role in ("cluster", "unit_id"):
        if role in roles:
            mapped = roles[role]
            name = mapped[0] if isinstance(mapped, tuple) else str(mapped)
            return _mixed(_bits(frame[name]) ^ _salt(role))
    total = np.zeros(frame.height, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for role, mapped in roles.items():
            if ROLES[role].arity == "scalar":
                continue
            for name in mapped if isinstance(mapped, tuple) else (str(mapped),):
                # A sum does not depend on the order of the columns, a salt by role not on their names.
                total += _mixed(_bits(frame[name]) ^ _salt(role))
    return _mixed(total)


def _bits(series: pl.Series) -> Keys:
    if series.dtype.is_temporal():
        series = series.cast(pl.Date).cast(pl.Int32)
    if series.dtype.is_numeric() or series.dtype == pl.Boolean:
        # Adding 0.0 turns -0.0 into 0.0; an integer and the same number as a float have the same key.
        floats = series.cast(pl.Float64).fill_null(float("nan")).to_numpy() + 0.0
        return np.where(np.isnan(floats), _MISSING, floats.view(np.uint64))
    levels = series.unique().drop_nulls()
    digests = [int.from_bytes(hashlib.blake2b(str(level).encode(), digest_size=8).digest()) for level in levels]
    table = pl.DataFrame({"level": levels, "digest": pl.Series(digests, dtype=pl.UInt64)})
    joined = series.to_frame("level").join(table, on="level", how="left", maintain_order="left")
    return joined["digest"].fill_null(int(_MISSING)).to_numpy()


def _salt(role: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(role.encode(), digest_size=8).digest()))


def _mixed(values: Keys) -> Keys:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195)."""
    with np.errstate(over="ignore"):
        values = values + _GOLDEN
        values = (values ^ (values >> np.uint64(30))) * _FIRST
        values = (values ^ (values >> np.uint64(27))) * _SECOND
        return values ^ (values >> np.uint64(31))
