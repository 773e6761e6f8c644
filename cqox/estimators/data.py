"""The numeric view of one analysis that every estimator reads: roles as arrays, settings as numbers.

Built by `cqox.analysis` from a table and a mapping; this module reads no files and knows no column kinds.
"""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from cqox.contract import EstimationOptions

__all__ = ["Codes", "Data", "Edges", "Matrix", "Settings", "Vector"]

type Vector = NDArray[np.float64]
"""Shape (n,), NaN where a value is missing."""

type Matrix = NDArray[np.float64]
"""Shape (n, k), NaN where a value is missing."""

type Codes = NDArray[np.int64]
"""Shape (n,), levels numbered from 0, -1 where a value is missing."""

type Edges = NDArray[np.int64]
"""Shape (m, 2), positions of a row and of a row of a neighbouring unit."""

_BY_ROW = (
    "y", "treatment", "covariates", "propensity_covariates", "pscore", "instruments", "unit", "time", "post", "cohort",
    "clusters", "weights", "fixed_effects", "running", "mediators", "dose", "action", "target_policy", "in_source",
    "neighbor_exposure", "location", "proxy_treatment", "proxy_outcome", "cost", "row_key",
    "fold_key",
)  # fmt: skip
"""Fields of `Data` with one value per row."""


def _no_columns() -> Matrix:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """One contrast of one analysis, one row per observation, in table order.

    Attributes:
        n: the number of rows.
        y: the outcome, or the reward that followed an action.
        y_kind: the kind of outcome; `none` where none is mapped, and `y` is then NaN in all rows.
        treatment: 0/1 for a contrast of two levels, else the amount; None where the design defines it.
        treatment_kind: `binary` for 0/1, `continuous` for amounts, `none` where no treatment is mapped.
        covariates: (n, p) columns to adjust for, categories already one-hot without their reference level.
        propensity_covariates: (n, q) columns of the treatment model; the same array as `covariates` unless mapped.
        pscore: a known probability of treatment in (0, 1).
        instruments: (n, m) excluded instruments.
        unit: codes of `unit_id`; None where every row is its own unit.
        unit_labels: the user's label of each unit of a panel, by code; None where there are very many units.
        time: codes of the periods in chronological order, with `time_values` as their positions on a numeric scale.
        time_labels: the user's label of each period, if it is not its number: ISO dates, or words.
        post: 0/1, after the intervention.
        intervention_time: the first period after the intervention, on the scale of `time_values`.
        cohort: code of the first treated period on the scale of `time_values`, NaN where never treated.
        clusters: one array of codes for each clustering dimension.
        weights: sampling weights, positive.
        fixed_effects: one array of codes for each category to absorb, beyond unit and time.
        running: the score whose crossing of `cutoff` assigns treatment.
        cutoff: the threshold of `running`; a row at it counts as above.
        mediators: (n, m) columns on the path from treatment to outcome.
        dose: the amount of treatment; also used as `treatment` where that role is not mapped.
        action: codes of the logged action, in the sorted order of `action_labels`.
        action_labels: the user's label of each action.
        target_policy: (n, 1) the target policy's probability of the logged action, or (n, actions) of each action, in
            the order of the columns of `names["target_policy"]`.
        in_source: 1 where the row belongs to the source population, 0 where to the target.
        neighbor_exposure: the share (or amount) of treatment among the unit's neighbours.
        edges: each row with the rows of its unit's neighbours.
        location: (n, 2) latitude and longitude in degrees.
        proxy_treatment: (n, k) negative-control exposures.
        proxy_outcome: (n, k) negative-control outcomes.
        cost: the cost of treating the unit.
        row_key: (n,) a hash of the row's cluster, else its unit, else its content: what is drawn for a row is derived
            from it, so that row order, partitioning and file format do not change it. Never missing.
        fold_key: (n,) a number from 0 for the row's cluster, else its unit, that a database computes alike: folds are
            derived from it. None where neither is mapped: then from `row_key`.
        names: role to its column names, for diagnostics and figures; `covariates` holds one label for each
            column of the matrix.
    """

    n: int
    y: Vector
    y_kind: Literal["binary", "count", "real", "none"] = "real"
    treatment: Vector | None = None
    treatment_kind: Literal["binary", "continuous", "none"] = "none"
    covariates: Matrix = field(default_factory=_no_columns)
    propensity_covariates: Matrix = field(default_factory=_no_columns)
    pscore: Vector | None = None
    instruments: Matrix = field(default_factory=_no_columns)
    unit: Codes | None = None
    unit_labels: tuple[str, ...] | None = None
    time: Codes | None = None
    time_values: Vector | None = None
    time_labels: tuple[str, ...] | None = None
    post: Vector | None = None
    intervention_time: float | None = None
    cohort: Vector | None = None
    clusters: tuple[Codes, ...] = ()
    weights: Vector | None = None
    fixed_effects: tuple[Codes, ...] = ()
    running: Vector | None = None
    cutoff: float | None = None
    mediators: Matrix = field(default_factory=_no_columns)
    dose: Vector | None = None
    action: Codes | None = None
    action_labels: tuple[str, ...] | None = None
    target_policy: Matrix = field(default_factory=_no_columns)
    in_source: Vector | None = None
    neighbor_exposure: Vector | None = None
    edges: Edges | None = None
    location: Matrix | None = None
    proxy_treatment: Matrix = field(default_factory=_no_columns)
    proxy_outcome: Matrix = field(default_factory=_no_columns)
    cost: Vector | None = None
    row_key: NDArray[np.uint64]
    fold_key: NDArray[np.int64] | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def rows(self, index: NDArray[np.intp]) -> Self:
        """Return the data of some rows: (k,) positions in the order wanted, repeats allowed.

        Edges connect the last copy of a row to the last copy of its neighbour.
        """
        taken: dict[int, object] = {}
        changes: dict[str, object] = {"n": len(index)}
        for name in _BY_ROW:
            value = getattr(self, name)
            # Two roles of one array stay one array: estimators share the results computed from it.
            changes[name] = taken.setdefault(id(value), _at_rows(value, index))
        if self.edges is not None:
            place = np.full(self.n, -1, dtype=np.int64)
            place[index] = np.arange(len(index))
            moved = place[self.edges]
            changes["edges"] = moved[(moved >= 0).all(axis=1)]
        return replace(self, **changes)  # type: ignore[arg-type]


def _at_rows(value: object, index: NDArray[np.intp]) -> object:
    if isinstance(value, tuple):
        return tuple(codes[index] for codes in value)
    if isinstance(value, np.ndarray):
        return value if value.ndim == 2 and not value.shape[1] else value[index]
    return value


class Settings(EstimationOptions):
    """Settings of the estimators: the options of a request, and how they are computed.

    Attributes:
        named: estimators named in the request, which may be slower than the default ones.
        chunk_rows: rows per block of a row pass; affects speed and memory, and results by at most 1e-10.
        threads: threads for row passes.
    """

    named: frozenset[str] = frozenset()
    chunk_rows: int = 16_384
    threads: int = 1
