"""The arms of a plan and its nearest-neighbour searches, built once and shared.

The matched rows are used in `with_replacement` and `pairs`.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Vector
from cqox.estimators.matching.abadie_imbens import Arms
from cqox.estimators.matching.greedy import Greedy
from cqox.estimators.numerics.array_store import spill
from cqox.estimators.numerics.folds import keyed
from cqox.estimators.numerics.neighbors import Arm, Line, Search, Space, other_arm
from cqox.estimators.numerics.ties import tie_groups
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["QUERIES", "Target", "arms_of", "caliper_of", "score_search", "scores", "space", "too_many"]

_COMPARISONS = (2e7, 2e8)
_COMPARISONS_PER_ROW = 1_500
_COMPARISONS_NAMED = 2e10
"""Limit for an estimator that a request names: a minute or two."""

_EXACT_ROLES = ("propensity_covariates", "covariates")

type Target = Literal["ATE", "ATT", "ATC"]

QUERIES: dict[Target, tuple[Arm, ...]] = {"ATE": (0, 1), "ATT": (1,), "ATC": (0,)}
"""The arms whose rows are matched, by target population."""


def arms_of(plan: Plan, sample: Sample) -> Arms:
    """Return the rows of both arms, with their outcomes centred and scaled."""

    def make() -> Arms:
        treated, y = plan.treated(sample) > 0, sample.take(plan.data.y)
        centre = float(y.mean())
        scale = float(np.abs(y - centre).max())
        rows = np.flatnonzero(~treated), np.flatnonzero(treated)
        y = (y - centre) / scale
        outcomes = spill(y[rows[0]]), spill(y[rows[1]])
        return Arms(rows=(spill(rows[0]), spill(rows[1])), y=outcomes, scale=scale)

    return plan.share("arms", make, sample)


def scores(plan: Plan, sample: Sample) -> Line:
    """Return the search on the propensity score."""
    arms, e = arms_of(plan, sample), plan.propensity(sample).used
    return plan.share("scores", lambda: Line(e[arms.rows[0]], e[arms.rows[1]]), sample)


def score_search(plan: Plan, sample: Sample) -> Search:
    """Return the search on the propensity score, with or without replacement as the request asks."""
    if plan.settings.match_replacement:
        return scores(plan, sample)
    return plan.share("greedy", lambda: _greedy(plan, sample), sample)


def _greedy(plan: Plan, sample: Sample) -> Greedy:
    arms, e, settings = arms_of(plan, sample), plan.propensity(sample).used, plan.settings
    exact = _exact_groups(plan, sample)
    by_arm = e[arms.rows[0]], e[arms.rows[1]]
    at_random = settings.match_order == "random"
    keys = keyed(sample.take(plan.data.row_key), f"match order {settings.seed}") if at_random else None
    ranks = [np.argsort(np.argsort(rows if keys is None else keys[rows], kind="stable")) for rows in arms.rows]

    def turns(arm: Arm) -> NDArray[np.intp]:
        if settings.match_order in ("data", "random"):
            return np.argsort(ranks[arm])
        groups, _ = tie_groups(by_arm[arm])
        return np.lexsort((ranks[arm], -groups if settings.match_order == "largest" else groups))

    groups = None if exact is None else (exact[arms.rows[0]], exact[arms.rows[1]])
    return Greedy(by_arm, turns, (ranks[0], ranks[1]), groups)


def _exact_groups(plan: Plan, sample: Sample) -> Codes | None:
    """Return (n,) codes of the values of the columns of `match_exact`, -1 where one is missing; None without them.

    A category is one column for each of its levels but one, named `category=level`.

    Raises:
        UnusableData: a name is not that of a covariate.
    """
    asked = plan.settings.match_exact or ()
    if not asked:
        return None
    columns: list[Vector] = []
    for name in asked:
        found = next((each for role in _EXACT_ROLES if (each := _columns(plan, sample, role, name))), None)
        if found is None:
            raise UnusableData(Message("matching.exact-not-a-covariate", column=name))
        columns += found
    values = np.column_stack(columns)
    missing = np.isnan(values).any(axis=1)
    codes = np.unique(np.where(missing[:, None], 0.0, values), axis=0, return_inverse=True)[1].reshape(-1)
    return np.where(missing, -1, codes)


def _columns(plan: Plan, sample: Sample, role: str, name: str) -> list[Vector]:
    if not plan.has(role):
        return []
    matrix = plan.data.covariates if role == "covariates" else plan.data.propensity_covariates
    labels = plan.labels(role)
    return [
        sample.take(matrix[:, place])
        for place, label in enumerate(labels)
        if label == name or label.startswith(f"{name}=")
    ]


def caliper_of(plan: Plan, sample: Sample) -> float | None:
    """Return the caliper as a difference of probabilities; None without one."""
    settings = plan.settings
    if settings.caliper is None or settings.caliper_unit == "probability":
        return settings.caliper
    return settings.caliper * float(plan.propensity(sample).used.std(ddof=1))


def space(plan: Plan, sample: Sample) -> Space:
    """Return the search on the covariates, by Mahalanobis distance over both arms."""

    def make() -> Space:
        frame, arms = plan.frame("xty", sample), arms_of(plan, sample)
        k = frame.at["x"].stop
        products = frame.products[:k, :k]
        covariance = (products[1:, 1:] - np.outer(products[0, 1:], products[0, 1:]) / sample.n) / (sample.n - 1)
        transform = np.linalg.inv(np.linalg.cholesky(covariance))
        return Space(frame.matrix[1:k], arms.rows, transform, threads=plan.settings.threads)

    return plan.share("space", make, sample)


def too_many(search: Space, sample: Sample, dimensions: int, target: Target, *, named: bool) -> Message | None:
    """Return a reason if a search would be slow: a k-d tree prunes in few dimensions only.

    Args:
        search: the rows of both arms.
        sample: the rows.
        dimensions: number of dimensions of the distance.
        target: the target population.
        named: True if the request names the estimator, which may then take minutes instead of a fraction of a second.
    """
    cells = search.cells(0), search.cells(1)
    visited = [min(100 * 1.7**dimensions, count) for count in cells]
    # Each row is searched among the other arm's; for the variances, the smaller arm among its own.
    comparisons = sum(cells[arm] * visited[other_arm(arm)] + min(cells) * max(visited) / 2 for arm in QUERIES[target])
    most = min(max(_COMPARISONS[0], _COMPARISONS_PER_ROW * sample.n), _COMPARISONS[1])
    if named:
        most = _COMPARISONS_NAMED
    if comparisons <= most:
        return None
    alternative = f"psm_{target.lower()}"
    cure = Message("matching.reduce-search", alternative=alternative)
    if not named and comparisons <= _COMPARISONS_NAMED:
        cure = Message("matching.wait-or-reduce-search", alternative=alternative)
    return Message(
        "matching.slow-search", rows=sample.n, dimensions=dimensions, comparisons=comparisons, most=most, cure=cure
    )
