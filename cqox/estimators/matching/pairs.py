"""Disjoint matched pairs, for sensitivity analyses that compare within pairs.

They are not an estimate of their own: `with_replacement` averages over all ties, and uses rows several times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.matching.searches import arms_of, caliper_of, score_search, space
from cqox.estimators.plan import Plan

__all__ = ["Pairs", "matched_pairs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of a treated row and one of its nearest untreated rows; no row is in two pairs.

    Attributes:
        treated, control: (pairs,) positions of their rows in the data.
        unmatched: number of treated rows without a match within the caliper.
        shared: number of treated rows whose match belongs to another pair.
    """

    treated: NDArray[np.intp]
    control: NDArray[np.intp]
    unmatched: int
    shared: int


def matched_pairs(plan: Plan, name: str) -> Pairs:
    """Return the pairs of each treated row with its one nearest untreated row.

    Among ties, each treated row takes one, and other treated rows at the same position take others. A row that several
    treated rows have taken is the match of one of them. Both are drawn by the rows' keys, so that row order does not
    matter.

    Args:
        plan: the request's plan.
        name: `psm` or `nn_mahalanobis`.
    """
    if name == "psm":
        sample = plan.propensity_sample()
        found = score_search(plan, sample).nearest(1, 0, 1, within=caliper_of(plan, sample))
    else:
        sample = plan.outcome_sample()
        found = space(plan, sample).nearest(1, 0, 1)
    rows, keys = arms_of(plan, sample).rows, sample.take(plan.data.row_key)
    own_keys = keys[rows[1]]
    chosen = found.one(own_keys, keys[rows[0]])
    order = np.argsort(own_keys, kind="stable")
    order = order[chosen[order] >= 0]
    _, first = np.unique(chosen[order], return_index=True)
    kept = np.sort(order[first])
    treated, control = rows[1][kept], rows[0][chosen[kept]]
    if sample.index is not None:
        treated, control = sample.index[treated], sample.index[control]
    return Pairs(treated=treated, control=control, unmatched=len(chosen) - len(order), shared=len(order) - len(kept))
