"""Columns of texts that repeat, understood by their different texts without all rows being in memory as texts."""

from collections.abc import Sequence

import polars as pl

from cqox.datasets.interpret import REPEATS, Interpreted, interpret_repeated
from cqox.datasets.slices import Slices, compact

__all__ = ["read_repeated"]

_FEW = 1 << 14
"""Different texts up to which they are put in another table of hashes where a slice has others."""

_PENDING = 1 << 18
"""Texts that are gathered from slices before those that are there already are left out."""

_MOST_BYTES = 256 << 20
"""Size of the different texts up to which they are understood together."""


def read_repeated(cells: Slices, *, decimal: str, na_tokens: Sequence[str] | None) -> Interpreted | None:
    """Return the meaning of a column of texts that repeat, as `interpret` finds it; None where they do not.

    Args:
        cells: texts and null.
        decimal: the decimal mark of the file.
        na_tokens: the client's texts for missing values.
    """
    found = _few(cells) or _many(cells)
    return None if found is None else interpret_repeated(*found, decimal=decimal, na_tokens=na_tokens)


def _few(cells: Slices) -> tuple[pl.Series, pl.Series] | None:
    """Return the different texts and each row's place among them, in one pass; None if they are many or alone."""
    keys, codes, known = pl.Series([], dtype=pl.String), [], 0
    places = pl.Enum(keys)
    for part in cells():
        found = part.cast(places, strict=False)
        if found.null_count() > part.null_count():
            new = part.filter(found.is_null() & part.is_not_null()).unique(maintain_order=True)
            keys = pl.concat([keys, compact(new)])
            if keys.len() > _FEW:
                return None
            # Those that were there keep their places.
            places = pl.Enum(keys)
            found = part.cast(places)
        codes.append(found.to_physical().cast(pl.UInt32))
        known += part.len() - part.null_count()
    if not keys.len() or REPEATS * keys.len() > known:
        return None
    return keys.alias(part.name), pl.concat(codes)


def _many(cells: Slices) -> tuple[pl.Series, pl.Series] | None:
    """Return what `_few` does, for which texts are found first."""
    keys = _different(cells)
    if keys is None:
        return None
    places = pl.Enum(keys)
    return keys, pl.concat(part.cast(places).to_physical().cast(pl.UInt32) for part in cells())


def _different(cells: Slices) -> pl.Series | None:
    """Return the different texts in the order of their first rows; None if they are many."""
    keys, pending, known = pl.Series([], dtype=pl.String), [], 0
    for part in cells():
        texts = part.drop_nulls()
        known += texts.len()
        pending.append(compact(texts.unique(maintain_order=True)))
        if sum(each.len() for each in pending) > max(_PENDING, keys.len()):
            keys, pending = _together(keys, pending), []
            if int(keys.str.len_bytes().sum()) > _MOST_BYTES:
                return None
    keys = _together(keys, pending)
    return keys.alias(part.name) if keys.len() and REPEATS * keys.len() <= known else None


def _together(keys: pl.Series, more: Sequence[pl.Series]) -> pl.Series:
    return pl.concat([keys, *more]).unique(maintain_order=True)
