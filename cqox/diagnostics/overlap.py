"""Overlap: the distribution of the propensity score by arm."""

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan

__all__ = ["BOUNDS", "overlap"]

BOUNDS = (0.05, 0.95)
"""Bounds of the propensity score between which a row is inside the overlap region."""

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
    below, above = float((e < BOUNDS[0]).mean()), float((e > BOUNDS[1]).mean())
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
        "bounds": list(BOUNDS),
        "share_outside": number(below + above),
        "share_below": number(below),
        "share_above": number(above),
        "minimum": number(e.min()),
        "maximum": number(e.max()),
        "mean_treated": number(e[treated].mean()),
        "mean_control": number(e[~treated].mean()),
        "bins": bins,
    }
