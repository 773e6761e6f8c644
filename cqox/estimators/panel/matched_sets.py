"""Matched sets of panel matching: units with the same treatment history, where treatment may start and end.

Units are compared with those that had the same treatment in each of the last periods and that, unlike them, are not
treated now. The sets, their refinement by covariates, and the changes of the outcome in them are computed here;
`panel_matching` makes the estimate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.gram import independent
from cqox.estimators.numerics.logit import expit
from cqox.estimators.numerics.quasi_newton import QuasiNewton
from cqox.estimators.panel.layout import Panel, row_positions
from cqox.estimators.plan import Plan

__all__ = ["MatchedSets", "matched_sets"]

MOST_CELLS, MOST_PAIRS = 4_000_000, 20_000_000
"""Limits on units times periods of a panel, and on pairs of a start and a candidate in refinement."""

LAGS = 4
NEAREST = 5
_RIDGE = 1e-6
_GRADIENT = 1e-12
_CONSTANT = 1e-12
"""Share of a covariate's magnitude: one that varies by less is constant but for rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedSets:
    """Starts of treatment and their candidate controls.

    Attributes:
        panel: outcomes by period and unit.
        lags: number of periods over which the treatment history must be the same.
        leads: the last period after the start that is used.
        period, unit: (m,) of each start and of each candidate.
        group: (m,) code of the matched set: the period and the treatment history.
        treated: (m,) True if it is a start.
        shares: (m,) weights; those of the starts sum to 1, and in each group the others' sum is that of its starts.
        pairs: with refinement, positions of a start and of a candidate, and the pair's part of the weight.
        starts: number of starts, and of those without a complete history, without an outcome, and without controls.
        notes: exclusions and choices, each a sentence.
    """

    panel: Panel
    lags: int
    leads: int
    period: Codes
    unit: Codes
    group: Codes
    treated: NDArray[np.bool_]
    shares: Vector
    pairs: tuple[Codes, Codes, Vector] | None
    starts: tuple[int, int]
    notes: tuple[Message, ...]

    def changes(self, lead: int) -> tuple[Vector, NDArray[np.bool_]]:
        """Return (m,) the outcome some periods after the start less that of the period before, and whether it is
        observed."""
        at = self.period + lead
        known = at >= 0
        at = np.maximum(at, 0)
        y, present = self.panel.y, self.panel.present
        if present is not None:
            known &= present[at, self.unit]
        return y[at, self.unit] - y[self.period - 1, self.unit], known

    def effect(self, lead: int) -> tuple[float, Vector] | None:
        """Return the mean difference of changes and its (units,) contributions; None if some change is missing.

        A start contributes its difference from its set, less the mean; a candidate its share of its difference from the
        mean of its set. Refined sets are centred at the whole set, as the nearest candidates alone are too few to
        estimate their own variance.
        """
        change, known = self.changes(lead)
        if not known.all():
            return None
        size = int(self.group.max()) + 1
        mine, other = np.where(self.treated, self.shares, 0.0), np.where(self.treated, 0.0, self.shares)
        if self.pairs is None:
            mass = np.bincount(self.group, other, size)
            centre = (np.bincount(self.group, other * change, size) / mass)[self.group]
            expected = centre
        else:
            start, candidate, part = self.pairs
            base = np.where(self.treated, 0.0, 1.0)
            centre = (np.bincount(self.group, base * change, size) / np.bincount(self.group, base, size))[self.group]
            total = np.bincount(start, part, len(change))
            expected = np.bincount(start, part * change[candidate], len(change)) / np.where(total > 0, total, 1.0)
        value = float(mine @ (change - expected))
        parts = mine * (change - expected - value) - other * (change - centre)
        return value, np.bincount(self.unit, parts, self.panel.units)


def matched_sets(plan: Plan) -> MatchedSets:
    """Return the matched sets of a request, computed at first use.

    Raises:
        UnusableData: there are none, or too many.
    """
    return plan.share("matched sets", lambda: _found(plan))


def _found(plan: Plan) -> MatchedSets:
    panel, on = _laid_out(plan)
    settings = plan.settings
    present = np.ones(on.shape, dtype=np.bool_) if panel.present is None else panel.present
    starting = on[1:] & present[1:] & ~on[:-1] & present[:-1]
    at, _ = np.nonzero(starting)
    if not len(at):
        raise UnusableData(Message("panel.treatment-never-starts", treatment=plan.label("treatment")))
    at = at + 1
    allowed = int(np.sort(at)[len(at) // 4])
    lags = min(LAGS, allowed) if settings.match_lags is None else settings.match_lags
    leads = settings.match_leads
    usable = _usable(present, lags, leads)
    code = _histories(on, present, lags)
    candidate = usable & ~on & (code >= 0)
    candidate[1:] &= ~on[:-1]
    begun = np.zeros_like(on)
    begun[1:] = starting
    begun &= usable
    period, unit = np.nonzero(candidate | begun)
    treated = begun[period, unit]
    _, group = np.unique(np.stack([period.astype(np.int64), code[period, unit]], axis=1), axis=0, return_inverse=True)
    group = group.reshape(-1).astype(np.int64)
    size = int(group.max(initial=-1)) + 1
    both = (np.bincount(group, treated, size) > 0) & (np.bincount(group, ~treated, size) > 0)
    kept = both[group]
    if not kept.any():
        raise UnusableData(
            Message("panel.no-matched-controls", lags=lags, treatment=plan.label("treatment"), leads=leads)
        )
    period, unit, treated = period[kept], unit[kept], treated[kept]
    group, _ = compress(group[kept])
    weights = panel.weights[unit] if panel.changing_weights is None else panel.changing_weights[period, unit]
    shares, pairs, notes = _shares(plan, panel, period, unit, group, treated, weights)
    return MatchedSets(
        panel=panel, lags=lags, leads=leads, period=period, unit=unit, group=group, treated=treated, shares=shares,
        pairs=pairs, starts=(len(at), len(at) - int(treated.sum())), notes=notes,
    )  # fmt: skip


def _laid_out(plan: Plan) -> tuple[Panel, NDArray[np.bool_]]:
    """Return the panel, units in the order of their codes, and (periods, units) treatment."""
    data = plan.data
    refined = plan.settings.match_refinement != "none"
    sample = plan.sample("y", "unit_id", "time", "treatment", *(("covariates",) if refined else ()))
    if data.unit is None or data.time is None or data.time_values is None:
        raise UnusableData(Message("panel.needs-unit-and-time"))
    unit, units = compress(sample.take(data.unit))
    codes = sample.take(data.time)
    time, periods = compress(codes)
    if units == sample.n:
        raise UnusableData(Message("panel.single-rows", unit_id=plan.label("unit_id")))
    if units * periods > MOST_CELLS:
        raise UnusableData(Message("panel.too-many-cells", units=units, periods=periods, limit=MOST_CELLS))
    position = row_positions(plan, sample, time * units + unit, periods, units)
    present = position >= 0 if sample.n < units * periods else None
    y = sample.take(data.y)
    y = y - y.mean()
    scale = float(np.abs(y).max()) or 1.0
    wide = y[position] / scale
    on = plan.treated(sample)[position] > 0
    if present is not None:
        wide[~present] = 0.0
        on &= present
    sampling = plan.weights(sample)
    panel = Panel(
        sample=sample, position=position, present=present, y=wide, scale=scale, cohorts=(), weights=np.ones(units),
        changing_weights=None if sampling is None else sampling[position],
        values=data.time_values[np.flatnonzero(np.bincount(codes))], steps=np.arange(periods, dtype=np.int64),
    )  # fmt: skip
    return panel, on


def _usable(present: NDArray[np.bool_], lags: int, leads: int) -> NDArray[np.bool_]:
    """Return (periods, units) whether there are rows from `lags` periods before to `leads` after."""
    periods = len(present)
    usable = np.zeros_like(present)
    if lags + leads >= periods:
        return usable
    inner = usable[lags : periods - leads]
    inner[:] = True
    for step in range(lags + leads + 1):
        inner &= present[step : step + len(inner)]
    return usable


def _histories(on: NDArray[np.bool_], present: NDArray[np.bool_], lags: int) -> Codes:
    """Return (periods, units) the treatment of the last periods read as a binary number."""
    code = np.zeros(on.shape, dtype=np.int64)
    for lag in range(1, lags + 1):
        code[lag:] = code[lag:] * 2 + on[: len(on) - lag]
    return code


def _shares(
    plan: Plan, panel: Panel, period: Codes, unit: Codes, group: Codes, treated: NDArray[np.bool_], weights: Vector
) -> tuple[Vector, tuple[Codes, Codes, Vector] | None, tuple[Message, ...]]:
    size = int(group.max()) + 1
    shares = np.where(treated, weights, 0.0)
    shares = shares / shares.sum()
    mass = np.bincount(group, shares, size)
    refinement = plan.settings.match_refinement
    if refinement == "none":
        notes = (Message("panel.covariates-refine-by-option"),) if plan.has("covariates") else ()
        own = np.where(treated, 0.0, weights)
        return shares + own * (mass / np.bincount(group, own, size))[group], None, notes
    features = _features(plan, panel, period, unit)
    if refinement == "propensity":
        own = np.where(treated, 0.0, weights * _odds(features, group, treated, weights))
        note = Message("panel.candidates-weighted-by-odds")
        return shares + own * (mass / np.bincount(group, own, size))[group], None, (note,)
    pairs = _nearest(features, group, treated, shares)
    note = Message("panel.nearest-candidates-kept", nearest=NEAREST)
    return shares + np.bincount(pairs[1], pairs[2], len(shares)), pairs, (note,)


def _features(plan: Plan, panel: Panel, period: Codes, unit: Codes) -> Matrix:
    """Return (k, m) the covariates of the period before, standardised, without collinear ones.

    The outcome is not among them: outcomes matched in one period revert to their own means afterwards.
    """
    if not plan.has("covariates"):
        raise UnusableData(Message("panel.refinement-needs-covariates"))
    raw = panel.sample.take(plan.data.covariates)[panel.position[period - 1, unit]].T
    raw = raw / np.maximum(np.abs(raw).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    raw = raw - raw.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.mean(raw**2, axis=1))
    varies = scale > _CONSTANT
    raw = raw[varies] / scale[varies, None]
    kept = independent(raw @ raw.T)
    if not len(kept):
        raise UnusableData(Message("panel.refinement-needs-varying-covariates"))
    return np.asarray(raw[kept])


def _odds(features: Matrix, group: Codes, treated: NDArray[np.bool_], weights: Vector) -> Vector:
    """Return (m,) odds of starting by a logit with a small ridge, so that separated sets have finite odds."""
    matrix, target = np.vstack([np.ones(features.shape[1]), features]), treated.astype(np.float64)
    mass = float(weights.sum())
    penalty = np.full(len(matrix), _RIDGE * mass)
    penalty[0] = 0.0
    products = (matrix * weights) @ matrix.T
    solver = QuasiNewton(np.zeros((1, len(matrix))), 4.0 * np.linalg.inv(products + np.diag(penalty))[None], products)

    def chances() -> Vector:
        return expit(solver.coefficients[0] @ matrix)

    def gradients() -> Matrix:
        return np.asarray((matrix @ (weights * (target - chances())) - penalty * solver.coefficients[0])[None])

    def inverses() -> NDArray[np.float64]:
        chance = chances()
        information = (matrix * (weights * chance * (1.0 - chance))) @ matrix.T + np.diag(penalty)
        return np.asarray(np.linalg.pinv(information, hermitian=True)[None])

    if not solver.run(gradients, inverses, _GRADIENT * mass):
        raise UnusableData(Message("panel.logit-not-converged"))
    beta = solver.coefficients[0]
    return np.asarray(np.exp(np.clip(beta @ matrix, -30.0, 30.0)))


def _nearest(features: Matrix, group: Codes, treated: NDArray[np.bool_], shares: Vector) -> tuple[Codes, Codes, Vector]:
    """Return each start with its nearest candidates, ties included, and each pair's part of the start's weight."""
    covariance = features @ features.T / features.shape[1]
    white = np.linalg.solve(np.linalg.cholesky(covariance), features).T
    order = np.argsort(group, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(group))])
    sizes = np.bincount(group, treated) * np.bincount(group, ~treated)
    if float(sizes.sum()) > MOST_PAIRS:
        raise UnusableData(Message("panel.too-many-pairs", pairs=int(sizes.sum()), limit=MOST_PAIRS))
    found: list[tuple[Codes, Codes, Vector]] = []
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        members = order[low:high]
        mine, others = members[treated[members]], members[~treated[members]]
        distance = np.square(white[mine][:, None, :] - white[others][None, :, :]).sum(axis=2)
        reach = np.partition(distance, min(NEAREST, len(others)) - 1, axis=1)[:, min(NEAREST, len(others)) - 1]
        near = distance <= reach[:, None] * (1 + 1e-9) + 1e-18
        row, column = np.nonzero(near)
        found.append((mine[row], others[column], (shares[mine] / near.sum(axis=1))[row]))
    start, candidate, part = (np.concatenate(each) for each in zip(*found, strict=True))
    return start, candidate, part
