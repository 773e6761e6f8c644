"""Overlap: the distribution of the propensity score by arm.

A row lies outside the overlap region if its covariates are more than 19 times as likely in one arm as in the other:
Bayes' rule puts its odds of treatment at more than 19 times those of all rows, or less than 1/19 of them. With arms of
equal size these are scores below .05 and above .95; with 4% treated they are scores below .002 and above .44.
"""

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan

__all__ = ["overlap", "overlap_bounds"]

_RATIO = 19.0
"""Likelihood ratio of the covariates, treated to untreated, beyond which a row has hardly any counterparts."""

_BINS = 40


def overlap(plan: Plan) -> dict[str, Json]:
    """Return the share of rows outside the bounds and a histogram of the propensity score of each arm.

    Raises:
        UnusableData: there is no propensity score.
    """
    if plan.data.treatment_kind != "binary":
        raise UnusableData(Message("diagnostics.propensity-needs-binary"))
    propensity = plan.propensity()
    e, treated = propensity.used, plan.treated(propensity.sample) > 0
    low, high = overlap_bounds(float(np.average(treated, weights=plan.weights(propensity.sample))))
    below, above = float((e < low).mean()), float((e > high).mean())
    place = np.clip((e * _BINS).astype(np.intp), 0, _BINS - 1)
    counts = [np.bincount(place[arm], minlength=_BINS) for arm in (treated, ~treated)]
    edges = np.arange(_BINS + 1) / _BINS
    bins: list[Json] = [
        {
            "lower": round(float(edges[at]), 6),
            "upper": round(float(edges[at + 1]), 6),
            "treated": int(counts[0][at]),
            "control": int(counts[1][at]),
        }
        for at in range(_BINS)
    ]
    return {
        "probability": "given" if propensity.known else "logit",
        "rows": len(e),
        "treated_rows": int(treated.sum()),
        "control_rows": int((~treated).sum()),
        "bounds": [low, high],
        "share_outside": number(below + above),
        "share_below": number(below),
        "share_above": number(above),
        "minimum": number(e.min()),
        "maximum": number(e.max()),
        "mean_treated": number(e[treated].mean()),
        "mean_control": number(e[~treated].mean()),
        "bins": bins,
    }


def overlap_bounds(share: float) -> tuple[float, float]:
    """Return the propensity scores between which a row is inside the overlap region.

    Args:
        share: of the treated rows, in (0, 1).
    """
    treated, untreated = share, 1.0 - share
    return treated / (treated + _RATIO * untreated), _RATIO * treated / (_RATIO * treated + untreated)
