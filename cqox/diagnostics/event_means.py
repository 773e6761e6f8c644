"""Mean outcomes over time by treatment cohort."""

import numpy as np

from cqox.diagnostics.cohorts import Cohorts, cohorts
from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Plan

__all__ = ["event_means"]

_MOST_POINTS = 120
_NORMAL = 1.959963984540054


def event_means(plan: Plan) -> dict[str, Json]:
    """Return the mean outcome of each group and period with a pointwise 95% interval that assumes independent rows.

    Above 120 periods, adjacent periods are pooled. Sampling weights are used.

    Raises:
        UnusableData: no time is mapped, or no treatment is.
    """
    found = cohorts(plan)
    count, stride = len(found.values), -(-len(found.values) // _MOST_POINTS)
    points = -(-count // stride)
    cell = found.group * points + found.periods // stride
    cells = points * len(found.labels)
    y, weights = found.sample.take(plan.data.y), plan.weights(found.sample)
    w = np.ones(len(y)) if weights is None else weights
    centre = float(y.mean())
    rows, mass = np.bincount(cell, minlength=cells), np.bincount(cell, w, cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cell, w * (y - centre), cells) / mass
        square = np.bincount(cell, w * (y - centre) ** 2, cells) / mass
        effective = mass**2 / np.bincount(cell, w * w, cells)
        error = np.sqrt(np.maximum(square - mean**2, 0.0) / np.maximum(effective - 1, 1e-300))
    groups: list[Json] = [
        {
            "label": label,
            "first_treated": start,
            "first_treated_name": None if start is None else found.name_of(start),
            "units": _units(plan, found, at),
        }
        for at, (label, start) in enumerate(zip(found.labels, found.starts, strict=True))
    ]
    series: list[Json] = []
    for at in np.flatnonzero(rows):
        spread = number(_NORMAL * error[at]) if rows[at] > 1 else None
        value = float(mean[at]) + centre
        series.append(
            {
                "group": found.labels[at // points],
                "time": number(found.values[(at % points) * stride]),
                "period": found.names[(at % points) * stride],
                "mean": number(value),
                "lower": None if spread is None else value - spread,
                "upper": None if spread is None else value + spread,
                "rows": int(rows[at]),
            }
        )
    return {
        "groups": groups,
        "points": series,
        "scale": found.scale,
        "periods": count,
        "periods_per_point": stride,
        "before_and_after_only": plan.data.time is None,
    }


def _units(plan: Plan, found: Cohorts, group: int) -> int | None:
    if plan.data.unit is None:
        return None
    return len(np.unique(found.sample.take(plan.data.unit)[found.group == group]))
