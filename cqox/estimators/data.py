"""The numeric view of one analysis that every estimator reads: roles as arrays, settings as numbers.

Built by `cqox.analysis` from a table and a mapping; nothing in here reads files or knows column kinds.
"""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Codes", "Data", "Edges", "Matrix", "Settings", "Vector"]

type Vector = NDArray[np.float64]
"""Shape (n,), NaN where a value is missing."""

type Matrix = NDArray[np.float64]
"""Shape (n, k), NaN where a value is missing."""

type Codes = NDArray[np.int64]
"""Shape (n,), levels numbered from 0, -1 where a value is missing."""

type Edges = NDArray[np.int64]
"""Shape (m, 2), positions of a row and of a row of its neighbour."""

_BY_ROW = (
    "y", "treatment", "covariates", "propensity_covariates", "pscore", "instruments", "unit", "time", "post", "cohort",
    "clusters", "weights", "fixed_effects", "running", "mediators", "dose", "action", "target_policy", "in_source",
    "neighbor_exposure", "location", "proxy_treatment", "proxy_outcome", "cost", "row_key",
)  # fmt: skip
"""Fields of `Data` that hold something for each row."""


def _no_columns() -> Matrix:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """One contrast of one analysis, a row each, in the order of the table.

    Attributes:
        n: the number of rows.
        y: the outcome, or the reward that followed an action.
        y_kind: what kind of outcome it is; `none` where none is mapped, and `y` is then NaN in all rows.
        treatment: 0/1 for a contrast of two levels, else the amount; None where the design defines it.
        treatment_kind: `binary` for 0/1, `continuous` for amounts, `none` where no treatment is mapped.
        covariates: (n, p) columns to adjust for, categories already one-hot without their reference level.
        propensity_covariates: (n, q) columns of the treatment model; the same array as `covariates` unless mapped.
        pscore: a known probability of treatment in (0, 1).
        instruments: (n, m) excluded instruments.
        unit: codes of `unit_id`; None where every row is its own unit.
        unit_labels: what people call each unit of a panel, by code; None where they are very many.
        time: codes of the periods in their order, with `time_values` as their places on a numeric scale.
        time_labels: what people call each period, where that is not its number: ISO dates, or words.
        post: 0/1, after the intervention.
        intervention_time: the first period after the intervention, on the scale of `time_values`.
        cohort: code of the first treated period on the scale of `time_values`, NaN where never treated.
        clusters: one array of codes for each clustering dimension.
        weights: sampling weights, positive.
        fixed_effects: one array of codes for each category to absorb, beyond unit and time.
        running: the score whose crossing of `cutoff` assigns treatment.
        cutoff: the threshold of `running`; a row at it counts as above.
        mediators: (n, m) columns on the path from treatment to outcome.
        dose: the amount of treatment; `treatment` too where that is not mapped beside it.
        action: codes of the logged action, in the sorted order of `action_labels`.
        action_labels: what people call each action.
        target_policy: (n, 1) the target policy's probability of the logged action, or (n, actions) of each action, in
            the order of the columns of `names["target_policy"]`.
        in_source: 1 where the row belongs to the source population, 0 where to the target.
        neighbor_exposure: how much of the unit's neighbourhood is treated.
        edges: each row with the rows of its unit's neighbours.
        location: (n, 2) latitude and longitude in degrees.
        proxy_treatment: (n, k) negative-control exposures.
        proxy_outcome: (n, k) negative-control outcomes.
        cost: what treating the unit costs.
        row_key: (n,) a digest of the row's cluster, else its unit, else its content: folds are made from it, so that
            no order, partition or file format changes them. Never missing.
        names: role to the column names behind it, for diagnostics and figures; `covariates` holds one label for each
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
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def rows(self, index: NDArray[np.intp]) -> Self:
        """The data of some rows, (k,) positions in the order wanted, any of them several times.

        Edges lead from the last of a row's copies to the last of its neighbour's.
        """
        taken: dict[int, object] = {}
        changes: dict[str, object] = {"n": len(index)}
        for name in _BY_ROW:
            value = getattr(self, name)
            # Two roles of one array stay one array: estimators share what they compute from it.
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
        target_action: the action that the policy to be evaluated always takes, where no policy is mapped.
        outcome_range: the smallest and largest value that y can have, for bounds where outcomes are missing.
        control_group: whom the staggered designs compare with: units that are never treated, or also those treated
            later; None for the never treated where there are any.
        did_method: how they adjust for covariates: doubly robust, by outcome regression, or by inverse probability.
        base_period: what effects before treatment are changes from: each time the period before (`varying`), or the
            last one before treatment (`universal`).
        named: estimators that the request names, which may take longer than those that run unasked.
        anticipation: steps before treatment in which units may already react to it, at least 0.
        event_window: steps from the start of treatment that an event study reaches, at least 1; None for all.
        rd_bandwidth: how far from the cutoff a discontinuity looks, positive; None for the MSE-optimal bandwidth.
        season_length: units of time after which the seasons of a series begin again, positive; None for what the
            calendar says, where pairs are given.
        season_pairs: pairs of sine and cosine that stand for them, 0 for none; None for the usual number where a
            length is given, else for none.
        mediation_interaction: whether the mediator may move the outcome differently in each arm.
        match_lags: periods before over which panel matching wants the same treatment, at least 1; None for four, or as
            many as three quarters of the starts have before them.
        match_leads: the last period after the start of treatment that its average includes; 0 for the first alone.
        match_refinement: how it narrows sets of the same history by the covariates of the period before.
        exposure_threshold: the share of treated neighbours (or the value of `neighbor_exposure`) from which on a row
            counts as exposed, above 0; None for any treated neighbour (or above 0, or the median where few have none).
        conley_bandwidth: kilometres within which errors are correlated; None for a rule.
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
    outcome_range: tuple[float, float] | None = None
    target_action: str | None = None
    control_group: Literal["never_treated", "not_yet_treated"] | None = None
    did_method: Literal["dr", "reg", "ipw"] = "dr"
    base_period: Literal["varying", "universal"] = "varying"
    named: frozenset[str] = frozenset()
    anticipation: int = 0
    event_window: int | None = None
    rd_bandwidth: float | None = None
    season_length: float | None = None
    season_pairs: int | None = None
    mediation_interaction: bool = False
    match_lags: int | None = None
    match_leads: int = 0
    match_refinement: Literal["none", "mahalanobis", "propensity"] = "none"
    exposure_threshold: float | None = None
    conley_bandwidth: float | None = None
    chunk_rows: int = 16_384
    threads: int = 1
