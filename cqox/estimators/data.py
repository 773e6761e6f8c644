"""The numeric view of one analysis that every estimator reads: roles as arrays, settings as numbers.

Built by `cqox.analysis` from a table and a mapping; nothing in here reads files or knows column kinds.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Codes", "Data", "Matrix", "Settings", "Vector"]

type Vector = NDArray[np.float64]
"""Shape (n,), NaN where a value is missing."""

type Matrix = NDArray[np.float64]
"""Shape (n, k), NaN where a value is missing."""

type Codes = NDArray[np.int64]
"""Shape (n,), levels numbered from 0, -1 where a value is missing."""


def _no_columns() -> Matrix:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """One contrast of one analysis, a row each, in the order of the table.

    Attributes:
        n: the number of rows.
        y: the outcome.
        y_kind: what kind of outcome it is.
        treatment: 0/1 for a contrast of two levels, else the amount; None where the design defines it.
        treatment_kind: `binary` for 0/1, `continuous` for amounts, `none` where no treatment is mapped.
        covariates: (n, p) columns to adjust for, categories already one-hot without their reference level.
        propensity_covariates: (n, q) columns of the treatment model; the same array as `covariates` unless mapped.
        pscore: a known probability of treatment in (0, 1).
        instruments: (n, m) excluded instruments.
        unit: codes of `unit_id`; None where every row is its own unit.
        time: codes of the periods in their order, with `time_values` as their places on a numeric scale.
        time_labels: what people call each period, where that is not its number: ISO dates, or words.
        post: 0/1, after the intervention.
        cohort: code of the first treated period on the scale of `time_values`, NaN where never treated.
        clusters: one array of codes for each clustering dimension.
        weights: sampling weights, positive.
        fixed_effects: one array of codes for each category to absorb, beyond unit and time.
        row_key: (n,) a digest of the row's cluster, else its unit, else its content: folds are made from it, so that
            no order, partition or file format changes them. Never missing.
        names: role to the column names behind it, for diagnostics and figures; `covariates` holds one label for each
            column of the matrix.
    """

    n: int
    y: Vector
    y_kind: Literal["binary", "count", "real"] = "real"
    treatment: Vector | None = None
    treatment_kind: Literal["binary", "continuous", "none"] = "none"
    covariates: Matrix = field(default_factory=_no_columns)
    propensity_covariates: Matrix = field(default_factory=_no_columns)
    pscore: Vector | None = None
    instruments: Matrix = field(default_factory=_no_columns)
    unit: Codes | None = None
    time: Codes | None = None
    time_values: Vector | None = None
    time_labels: tuple[str, ...] | None = None
    post: Vector | None = None
    cohort: Vector | None = None
    clusters: tuple[Codes, ...] = ()
    weights: Vector | None = None
    fixed_effects: tuple[Codes, ...] = ()
    row_key: NDArray[np.uint64]
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to estimate; the numeric part of the request's options, with the same defaults.

    Attributes:
        se: standard errors, `auto` for the documented convention of each estimator.
        alpha: one minus the confidence level, in (0, 0.5).
        seed: keys every random choice.
        folds: folds of cross-fitting, at least 2.
        repetitions: sample splits of cross-fitting, at least 1.
        strata: strata of the propensity score, at least 2.
        matches: rows of the other arm that each row is matched to, at least 1, and more where several are as near.
        caliper: the farthest that a match may be in the propensity score, a probability; None for any distance.
        chunk_rows: rows in a block of a row pass; changes speed and memory, never a number beyond 1e-10.
        threads: threads for row passes.
    """

    se: Literal["auto", "iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3"] = "auto"
    alpha: float = 0.05
    seed: int = 0
    folds: int = 5
    repetitions: int = 1
    strata: int = 5
    matches: int = 1
    caliper: float | None = None
    chunk_rows: int = 16_384
    threads: int = 1
