"""Period labels and axis ticks."""

import json
from collections.abc import Iterable, Mapping, Sequence

from cqox.contract.messages import Message, width
from cqox.estimators import Json, Plan
from cqox.figures._words import short

__all__ = ["before_and_after_axis", "period_labels", "ticks"]

_MOST_TICKS = 8
_AXIS, _LETTER, _GAP = 520, 6.4, 20
"""Pixels: width of the time axes, of a letter of a label, and least distance between two labels."""

_MOST_LETTERS = 16


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
        shown = known[:: -(-len(known) // _most(labels[time] for time in known))]
        words = json.dumps([short(labels[time], _MOST_LETTERS) for time in shown], ensure_ascii=False)
        # Periods at unequal distances can lie closer than the ticks of equal steps that fit.
        return {
            "values": list(shown),
            "labelExpr": f"{words}[indexof({json.dumps(shown)}, datum.value)]",
            "labelSeparation": _GAP / 2,
        }
    if all(value == int(value) for value in times):
        return {"tickCount": _MOST_TICKS, "format": "d", "tickMinStep": 1}
    return {"tickCount": _MOST_TICKS}


def _most(labels: Iterable[str]) -> int:
    """Return how many ticks have room for the widest of these labels."""
    widest = max(min(width(label), _MOST_LETTERS) for label in labels)
    return min(_MOST_TICKS, max(2, int(_AXIS // (_LETTER * widest + _GAP))))
