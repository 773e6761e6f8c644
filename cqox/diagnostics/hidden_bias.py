"""Rosenbaum bounds: sensitivity of matched pairs to hidden bias."""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
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
"""Discordant pairs below which the normal approximation is not used."""

_MATCHINGS = {"psm": ("psm_att", "psm_ate"), "nn_mahalanobis": ("nn_mahalanobis_att", "nn_mahalanobis_ate")}


def rosenbaum_bounds(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return Rosenbaum bounds for the pairs of each matching, by its name.

    `gamma_test` is the smallest Γ at which the two-sided signed-rank test may fail to reject at level `alpha`;
    `gamma_estimate` is the smallest at which the estimate may be 0. The p-values of the table are one-sided, in
    `direction`.

    Raises:
        UnusableData: no matching estimate was computed.
    """
    computed = {estimate.name for estimate in estimates if estimate.estimate is not None}
    found: dict[str, Json] = {
        matching: _described(plan, matching) for matching, names in _MATCHINGS.items() if computed.intersection(names)
    }
    if not found:
        raise UnusableData(Message("diagnostics.no-pairs"))
    return found


def _described(plan: Plan, matching: str) -> dict[str, Json]:
    pairs = matched_pairs(plan, matching)
    differences = plan.data.y[pairs.treated] - plan.data.y[pairs.control]
    result: dict[str, Json] = {
        "pairs": len(differences),
        "treated_without_counterpart": pairs.unmatched,
        "treated_whose_counterpart_is_taken": pairs.shared,
    }
    if np.count_nonzero(differences) < _FEWEST:
        return {**result, "reason": Message("diagnostics.few-discordant", fewest=_FEWEST)}
    ranks = signed_ranks(differences)
    alpha = plan.settings.alpha
    test = gamma_of_test(ranks, alpha)
    result["pairs_without_difference"] = ranks.zeros
    result["alpha"] = alpha
    result["direction"] = "higher" if ranks.sign > 0 else "lower"
    result["gamma_test"] = number(test)
    result["gamma_estimate"] = number(gamma_of_estimate(ranks))
    if test is None:
        result["reason"] = Message("diagnostics.test-does-not-reject", level=alpha)
    elif result["gamma_test"] is None or result["gamma_estimate"] is None:
        result["reason"] = Message("diagnostics.all-pairs-alike")
    shifts = shift_bounds(differences, _GAMMAS) if plan.data.y_kind != "binary" else [(None, None)] * len(_GAMMAS)
    bounds: list[Json] = []
    for gamma, (lower, upper) in zip(_GAMMAS, shifts, strict=True):
        bound = rank_bound(ranks, gamma)
        row: dict[str, Json] = {"gamma": gamma, "p_lower": number(bound.lower), "p_upper": number(bound.upper)}
        if lower is not None:
            row |= {"estimate_lower": number(lower), "estimate_upper": number(upper)}
        bounds.append(row)
    result["bounds"] = bounds
    return result
