"""Period labels and axis ticks."""

import json
from collections.abc import Mapping, Sequence

from cqox.contract.messages import Message
from cqox.estimators import Json, Plan
from cqox.figures._words import short

__all__ = ["before_and_after_axis", "period_labels", "ticks"]

_MOST_TICKS = 8


def period_labels(plan: Plan) -> dict[float, str]:
    """Return labels for periods that are not plain numbers; dates omit days or months that are all 1."""
    values, labels = plan.data.time_values, plan.data.time_labels
    if values is None or labels is None:
        return {}
    for ending in ("-01-01", "-01"):
        if all(len(label) == 10 and label.endswith(ending) for label in labels):
            labels = tuple(label.removesuffix(ending) for label in labels)
    return dict(zip(values.tolist(), labels, strict=True))


def before_and_after_axis() -> dict[str, Json]:
    """Return the tick values and labels of a time axis of two periods, 0 before and 1 after."""
    before, after = Message("figures.before"), Message("figures.after")
    return {"values": [0.0, 1.0], "labelExpr": Message("figures.before-and-after-axis", before=before, after=after)}


def ticks(times: Sequence[float], labels: Mapping[float, str]) -> dict[str, Json]:
    """Return the tick values and labels of a time axis."""
    known = [time for time in times if time in labels]
    if known:
        step = -(-len(known) // _MOST_TICKS)
        shown = known[::step]
        words = json.dumps([short(labels[time], 16) for time in shown], ensure_ascii=False)
        return {"values": list(shown), "labelExpr": f"{words}[indexof({json.dumps(shown)}, datum.value)]"}
    if all(value == int(value) for value in times):
        return {"tickCount": _MOST_TICKS, "format": "d", "tickMinStep": 1}
    return {"tickCount": _MOST_TICKS}
