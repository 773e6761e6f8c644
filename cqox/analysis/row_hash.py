"""Stable 64-bit hash of every row, from which folds are assigned.

The same data give the same hashes in any row order, column order, column names, partition and file format, on every
machine and in every version of every library: the hash is built from canonical values by BLAKE2b and SplitMix64 only.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.analysis.mapping import names_in
from cqox.analysis.roles import Rows
from cqox.contract import ROLES, RoleMapping

__all__ = ["RowHashing", "row_hashes"]

type RowHashes = NDArray[np.uint64]

_TOLERANCE = 1e-9
_BLOCK_ROWS = 131_072
# Words and booleans of the same meaning hash equally.
_TRUTH = {"false": 0.0, "true": 1.0}
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MISSING = np.uint64(0x5851F42D4C957F2D)


def row_hashes(frame: Rows, roles: RoleMapping) -> RowHashes:
    """Return the hash of each row: of its cluster, else of its unit, else of the content of its mapped columns."""
    return RowHashing.of(frame, roles)(frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowHashing:
    """The hash of the rows of one table, for all of them at once or for part after part.

    Rows that share a cluster (the first, if there are several) or a unit share a hash, and so a fold. Constant columns
    and covariates that are linear in earlier ones are excluded from the content: they change no estimate, so they must
    not move a fold.

    Attributes:
        columns: (role, name) of the columns that are hashed.
        truths: names of those whose only words are of truth, in the whole table.
        by_content: True if no cluster and no unit is mapped.
    """

    columns: tuple[tuple[str, str], ...]
    truths: frozenset[str]
    by_content: bool

    @classmethod
    def of(cls, frame: Rows, roles: RoleMapping) -> Self:
        """Return the hash of the rows of a table; of one on disk, a few row groups are in memory at a time.

        Args:
            frame: all rows.
            roles: canonical role to mapped columns or value.
        """
        for role in ("cluster", "unit_id"):
            if role in roles:
                name = names_in(roles[role])[0]
                truths = frozenset([name] if _facts(frame, [name])[name].truths else [])
                return cls(columns=((role, name),), truths=truths, by_content=False)
        mapped = {role: names_in(roles[role]) for role in roles if ROLES[role].arity != "scalar"}
        facts = _facts(frame, list(dict.fromkeys(name for names in mapped.values() for name in names)))
        columns = [(role, name) for role, names in mapped.items() for name in _informative(frame, names, facts)]
        return cls(columns=tuple(columns), truths=frozenset(name for name in facts if facts[name].truths),
                   by_content=True)  # fmt: skip

    def __call__(self, frame: Rows) -> RowHashes:
        """Return the (n,) hashes of the rows of the table or of a part of it."""
        total = np.zeros(frame.height, dtype=np.uint64)
        with np.errstate(over="ignore"):
            for role, name in self.columns:
                # A sum is independent of the order of the columns, a salt by role of their names.
                total += _splitmix64(_bits(frame[name], truths=name in self.truths) ^ _salt(role))
        return _splitmix64(total) if self.by_content else total


class _Facts:
    """The properties of a column that decide how it is hashed, as far as its rows have been seen.

    Attributes:
        varies: True if it has two different values, or a value and a gap.
        number: True if it is numeric.
        truths: True if it has words, and none but those of truth.
    """

    def __init__(self) -> None:
        self.varies, self.number, self.truths = False, False, True
        self._value: object = None
        self._gap = False

    @property
    def settled(self) -> bool:
        """True if further rows change nothing."""
        return self.varies and not self.truths

    def add(self, series: pl.Series) -> None:
        """Look at further rows."""
        self.number = series.dtype.is_numeric()
        if self.number:
            low, high = series.min(), series.max()
            self.truths = False
        else:
            levels = series.unique().drop_nulls()
            low, high = (levels[0], levels[-1]) if len(levels) else (None, None)
            self.truths = self.truths and set(levels) <= _TRUTH.keys()
        self._gap = self._gap or series.null_count() > 0
        if low is not None:
            self._value = low if self._value is None else self._value
            self.varies = self.varies or not low == high == self._value
        self.varies = self.varies or (self._gap and self._value is not None)


def _facts(frame: Rows, names: Sequence[str]) -> dict[str, _Facts]:
    found = {name: _Facts() for name in names}
    for block in [frame] if isinstance(frame, pl.DataFrame) else frame.batches(names):
        for name, facts in found.items():
            if not facts.settled:
                facts.add(block[name])
        if all(facts.settled for facts in found.values()):
            break
    return found


def _informative(frame: Rows, names: Sequence[str], facts: Mapping[str, _Facts]) -> list[str]:
    """Return the columns that vary and, if numeric, are not collinear with earlier ones."""
    varying = [name for name in names if facts[name].varies]
    numbers = [name for name in varying if facts[name].number]
    repeats: set[str] = set()
    if len(numbers) > 1:
        products = _correlations(frame, numbers)
        repeats = {name for name, kept in zip(numbers, _independent(products), strict=True) if not kept}
    return [name for name in varying if name not in repeats]


def _correlations(frame: Rows, names: Sequence[str]) -> NDArray[np.float64]:
    """Return (k, k) cross-products of the columns, centred and of unit length, over the complete rows."""
    count, sums = 0, np.zeros(len(names))
    # One block is kept for the second pass, of several each is read again.
    kept = list(_complete_blocks(frame, names)) if frame.height <= _BLOCK_ROWS else None
    for block in _complete_blocks(frame, names) if kept is None else kept:
        count, sums = count + len(block), sums + block.sum(axis=0)
    centre = sums / max(count, 1)
    products = np.zeros((len(names), len(names)))
    for block in _complete_blocks(frame, names) if kept is None else kept:
        block -= centre
        products += block.T @ block
    norms = np.sqrt(np.diag(products))
    norms = np.where(norms > 0, norms, 1.0)
    return np.asarray(products / np.outer(norms, norms))


def _complete_blocks(frame: Rows, names: Sequence[str]) -> Iterator[NDArray[np.float64]]:
    blocks = frame[list(names)].iter_slices(_BLOCK_ROWS) if isinstance(frame, pl.DataFrame) else frame.batches(names)
    for block in blocks:
        # Queries on a frame cost more than the columns of a small table.
        complete = block.drop_nulls() if any(column.null_count() for column in block) else block
        yield np.stack([column.cast(pl.Float64).to_numpy() for column in complete]).T


def _independent(gram: NDArray[np.float64]) -> list[bool]:
    """Return which columns are linearly independent of earlier ones, from their cross-products at unit length."""
    # Cross-products of what the kept columns leave of the others: one elimination step for each kept column.
    left = gram.copy()
    verdicts: list[bool] = []
    for column in range(len(left)):
        residual = float(left[column, column])
        verdicts.append(residual > _TOLERANCE)
        if verdicts[-1]:
            later = left[column, column + 1 :]
            left[column + 1 :, column + 1 :] -= np.outer(later, later / residual)
    return verdicts


def _bits(series: pl.Series, *, truths: bool) -> RowHashes:
    if series.dtype == pl.Date:
        series = series.cast(pl.Int32)
    elif series.dtype.is_temporal():
        series = series.cast(pl.Datetime("us")).cast(pl.Int64)
    if series.dtype.is_numeric() or series.dtype == pl.Boolean:
        # Adding 0.0 turns -0.0 into 0.0; an integer and the equal float have the same hash.
        floats = series.cast(pl.Float64).to_numpy() + 0.0  # nulls are NaN
        return np.where(np.isnan(floats), _MISSING, floats.view(np.uint64))
    if truths:
        return _bits(series.cast(pl.String).replace_strict(_TRUTH, return_dtype=pl.Float64), truths=False)
    levels = series.unique().drop_nulls()
    digests = [int.from_bytes(hashlib.blake2b(str(level).encode(), digest_size=8).digest()) for level in levels]
    table = pl.DataFrame({"level": levels, "digest": pl.Series(digests, dtype=pl.UInt64)})
    joined = series.to_frame("level").join(table, on="level", how="left", maintain_order="left")
    return joined["digest"].fill_null(int(_MISSING)).to_numpy()


def _salt(role: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(role.encode(), digest_size=8).digest()))


def _splitmix64(values: RowHashes) -> RowHashes:
    """Apply SplitMix64's finaliser (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195)."""
    with np.errstate(over="ignore"):
        values = values + _GOLDEN
        values = (values ^ (values >> np.uint64(30))) * _FIRST
        values = (values ^ (values >> np.uint64(27))) * _SECOND
        return values ^ (values >> np.uint64(31))
