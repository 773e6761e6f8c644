"""Sensitivity of a discontinuity to its specification: other bandwidths, a higher order, and a donut hole.

A difference between two estimates of the same rows is compared with its own standard error, from the rows'
contributions to both. Bias-corrected estimates are compared, so that the curvature that the interval allows for is no
difference.
"""

import numpy as np

from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan
from cqox.estimators.rd.jump import Jump
from cqox.estimators.rd.study import Study

__all__ = ["at_bandwidths", "curvature", "donut"]

_TIMES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Multiples of the bandwidths at which the effect is re-estimated."""

_LEFT_OUT = (0.01, 0.025, 0.05, 0.1)
"""Shares of the rows within the bandwidth, nearest first, that the donut estimates leave out."""


def at_bandwidths(plan: Plan, of: Study, sign: float) -> Json:
    """Return the estimate at multiples of both bandwidths, each with the p-value of its difference from the first."""
    rows: list[Json] = []
    for times in _TIMES:
        try:
            found = of.at(times=times)
            row: dict[str, Json] = {
                "h": found.h * of.score.unit, "N_h": list(found.within_h), **_compared(plan, of, found, sign),
            }  # fmt: skip
        except UnusableData as error:
            row = {"reason": error.detail}
        rows.append({"times": times, **row})
    return rows


def curvature(plan: Plan, of: Study, sign: float) -> Json:
    """Return the estimate by polynomials of one order more at the same bandwidths, and its difference's p-value.

    Raises:
        UnusableData: the bandwidths hold too few distinct values of the score.
    """
    order = of.order + 1
    return {"order": order, **_compared(plan, of, of.at(order=order), sign)}


def _compared(plan: Plan, of: Study, found: Jump, sign: float) -> dict[str, Json]:
    effect = of.effect(found, sign)
    difference = of.difference(of.effect(of.jump, sign), effect)
    return {**effect.json(plan.settings.alpha), "difference_p_value": number(difference)}


def donut(plan: Plan, of: Study, sign: float) -> Json:
    """Return donut estimates: without the rows next to the cutoff, or without a heap at it, at the same bandwidths.

    `share` is of the rows within the bandwidth, and `outside` says whether the estimate lies outside the interval of
    the estimate with these rows.
    """
    near = np.sort(
        np.concatenate([side.distance[:count] for side, count in zip(of.sides, of.jump.within_h, strict=True)])
    )
    whole = of.effect(of.jump, sign).json(plan.settings.alpha)
    rows: list[Json] = []
    # Shares whose radius falls within one heap leave out the same rows.
    radii: dict[float, float] = {}
    for share in _LEFT_OUT:
        radii.setdefault(float(near[max(int(np.ceil(share * len(near))) - 1, 0)]), share)
    for radius, share in radii.items():
        left_out = int(np.searchsorted(near, radius, side="right"))
        row: dict[str, Json] = {"share": share, "radius": radius * of.score.unit, "rows_left_out": left_out}
        try:
            effect = of.effect(of.at(beyond=radius), sign)
            row |= {**effect.json(plan.settings.alpha), "outside": _outside(effect.value, whole)}
        except UnusableData as error:
            row["reason"] = error.detail
        rows.append(row)
    return rows


def _outside(value: float, whole: dict[str, Json]) -> bool | None:
    low, high = whole.get("ci_lower"), whole.get("ci_upper")
    if not isinstance(low, float) or not isinstance(high, float):
        return None
    return not low <= value <= high
