"""Columns within whose levels all rows share their treatment: clusters by which treatment was assigned.

Rows that share a cluster and its treatment are no independent draws of the assignment, so errors that take them for
independent are too small (Abadie, Athey, Imbens and Wooldridge 2023, doi 10.1093/qje/qjac038). That the treatment is
constant within the levels of a column is evidence only where it would hardly be so by chance.
"""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Codes

__all__ = ["assigning_columns", "labels_of"]

_BY_CHANCE = 1e-4
"""Chance that treatment assigned row by row is constant within the levels of any of the columns."""

_OF_EACH = 2
"""Least number of levels with one treatment, for two treatments at least: fewer are names of the treatment."""

_REPEATED = 0.5
"""Least share of units in levels of several units; below, a column is nearly unique."""


def assigning_columns(
    treatment: Codes, columns: Mapping[str, Codes], given: Sequence[Codes] = (), scores: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the columns by whose levels treatment was assigned, the finest first.

    A column is returned if treatment is constant within its levels, if this is no accident of few rows in each level,
    and if the column is no finer than a given cluster and no name of the treatment. Of nested columns each is judged by
    whole levels of the finer one: schools may share their district's treatment by chance where pupils hardly could.

    Args:
        treatment: (n,) codes of the treatments, -1 if missing.
        columns: (n,) codes of each column by its name, -1 if missing.
        given: (n,) codes of the clusters and units that the request maps.
        scores: columns whose order matters: treatment that begins at one of their values is no cluster.
    """
    known = treatment >= 0
    treatment = treatment[known]
    finest = sorted(columns, key=lambda name: -len(np.unique(columns[name])))
    found: list[str] = []
    base: Codes = np.arange(len(treatment))
    for codes in sorted(given, key=lambda codes: -len(np.unique(codes))):
        if _constant(treatment, codes[known]) and _nested(base, codes[known]):
            base = codes[known]
    outer = [codes[known] for codes in given]
    for name in finest:
        codes = columns[name][known]
        if any(_nested(codes, mapped) for mapped in outer) or not _nested(base, codes):
            continue
        if name in scores and _changes_once(treatment, codes):
            continue
        if _assigns(treatment, codes, base, len(columns)):
            base = codes
            found.append(name)
    return tuple(found)


def labels_of(treatment: Codes, column: Codes) -> bool:
    """Return whether a column names the treatment: it determines it, and one treatment has a single level.

    Args:
        treatment: (n,) codes of the treatments, -1 if missing.
        column: (n,) codes of the column, -1 if missing.
    """
    known = (treatment >= 0) & (column >= 0)
    treatment, column = treatment[known], column[known]
    if not _constant(treatment, column):
        return False
    _, first, sizes = np.unique(column, return_index=True, return_counts=True)
    levels = np.bincount(treatment[first])
    return any(levels[treatment[at]] == 1 and size > 1 for at, size in zip(first, sizes, strict=True))


def _constant(values: Codes, codes: Codes) -> bool:
    """Return whether values do not vary within codes; missing codes are left out."""
    known = codes >= 0
    codes, values = codes[known], values[known]
    some = np.zeros(int(codes.max(initial=-1)) + 1, dtype=values.dtype)
    some[codes] = values
    return bool((some[codes] == values).all())


def _nested(inner: Codes, outer: Codes) -> bool:
    """Return whether each inner level lies in one outer level."""
    return _constant(outer, inner)


def _assigns(treatment: Codes, codes: Codes, base: Codes, tried: int) -> bool:
    """Return whether treatment is constant within the codes, beyond the chance of it for units of the base."""
    known = (codes >= 0) & (base >= 0)
    if not known.any() or not _constant(treatment[known], codes[known]):
        return False
    _, first = np.unique(base[known], return_index=True)
    treatment, codes = treatment[known][first], codes[known][first]
    levels, level, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    repeated = sizes > 1
    if sizes[repeated].sum() < _REPEATED * len(codes):
        return False
    of_level = np.zeros(len(levels), dtype=np.int64)
    of_level[level] = treatment
    by_treatment = np.bincount(of_level)
    if np.sum(by_treatment >= _OF_EACH) < 2:
        return False
    return _log_chance(treatment, sizes[repeated]) < math.log(_BY_CHANCE / tried)


def _changes_once(treatment: Codes, codes: Codes) -> bool:
    """Return whether treatment changes once in the order of the codes, as with a score that crosses a cutoff."""
    known = codes >= 0
    ordered = treatment[known][np.argsort(codes[known], kind="stable")]
    return int(np.count_nonzero(np.diff(ordered))) < 2


def _log_chance(treatment: Codes, sizes: NDArray[np.intp]) -> float:
    """Return the log probability that independent draws of the treatments agree within groups of these sizes."""
    shares = np.bincount(treatment) / len(treatment)
    logs = np.log(shares[shares > 0])
    terms = sizes[:, None] * logs
    most = terms.max(axis=1)
    return float((most + np.log(np.exp(terms - most[:, None]).sum(axis=1))).sum())
