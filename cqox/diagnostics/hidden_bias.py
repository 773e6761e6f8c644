"""How much hidden bias within matched pairs would change what they say, by Rosenbaum's bounds."""

from collections.abc import Sequence

import numpy as np

from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan
from cqox.estimators.matching.pairs import matched_pairs
from cqox.estimators.sensitivity.rosenbaum import (
    gamma_of_estimate,
    gamma_of_test,
    rank_bound,
    shift_bounds,
    signed_ranks,
)

__all__ = ["rosenbaum_bounds"]

_GAMMAS = (1.0, 1.5, 2.0, 3.0)
_FEWEST = 10
"""Pairs that differ, below which the normal approximation says little."""

_MATCHINGS = {"psm": ("psm_att", "psm_ate"), "nn_mahalanobis": ("nn_mahalanobis_att", "nn_mahalanobis_ate")}


def rosenbaum_bounds(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """The bounds for the pairs that each matching makes, by its name.

    `gamma_test` is the Γ from which on the two-sided signed-rank test may find nothing at level `alpha`,
    `gamma_estimate` that from which on the estimate may be 0; the p-values of the table are one-sided, towards
    `direction`.

    Raises:
        UnusableData: nothing was matched.
    """
    computed = {estimate.name for estimate in estimates if estimate.estimate is not None}
    found: dict[str, Json] = {
        matching: _described(plan, matching) for matching, names in _MATCHINGS.items() if computed.intersection(names)
    }
    if not found:
        raise UnusableData("No matching was computed, so that there are no pairs.")
    return found


def _described(plan: Plan, matching: str) -> dict[str, Json]:
    pairs = matched_pairs(plan, matching)
    differences = plan.data.y[pairs.treated] - plan.data.y[pairs.control]
    told: dict[str, Json] = {
        "pairs": len(differences),
        "treated_without_counterpart": pairs.unmatched,
        "treated_whose_counterpart_is_taken": pairs.shared,
    }
    if np.count_nonzero(differences) < _FEWEST:
        return {**told, "reason": f"Fewer than {_FEWEST} pairs differ in their outcome."}
    ranks = signed_ranks(differences)
    alpha = plan.settings.alpha
    test = gamma_of_test(ranks, alpha)
    told["pairs_without_difference"] = ranks.zeros
    told["alpha"] = alpha
    told["direction"] = "higher" if ranks.sign > 0 else "lower"
    told["gamma_test"] = number(test)
    told["gamma_estimate"] = number(gamma_of_estimate(ranks))
    if test is None:
        told["reason"] = f"Without hidden bias the signed-rank test finds no difference at level {alpha:g} already."
    elif told["gamma_test"] is None or told["gamma_estimate"] is None:
        told["reason"] = "All pairs that differ do so in the same direction: no bias is strong enough."
    shifts = shift_bounds(differences, _GAMMAS) if plan.data.y_kind != "binary" else [(None, None)] * len(_GAMMAS)
    table: list[Json] = []
    for gamma, (lower, upper) in zip(_GAMMAS, shifts, strict=True):
        bound = rank_bound(ranks, gamma)
        row: dict[str, Json] = {"gamma": gamma, "p_lower": number(bound.lower), "p_upper": number(bound.upper)}
        if lower is not None:
            row |= {"estimate_lower": number(lower), "estimate_upper": number(upper)}
        table.append(row)
    told["bounds"] = table
    return told
