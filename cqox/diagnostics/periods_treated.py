"""Number of periods from the base of a comparison over time to its treated cells.

A differential trend of one unit per period moves an estimate by this number of units. Group-time effects start from the
last period before treatment; block comparisons, two-way fixed effects and imputation from the mean of the periods
before it.
"""

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.cohorts import starts_by_row, timed_sample
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan
from cqox.estimators.panel.onsets import onsets

__all__ = ["periods_treated"]


def periods_treated(plan: Plan) -> dict[str, Json]:
    """Return the mean number of periods from the base to the treated rows, by base.

    Returns:
        `from_last`: from the last period before treatment; `from_mean`: from the mean of the periods before.

    Raises:
        UnusableData: the periods in which treatment starts are not determined, or no row is treated.
    """
    data, sample = plan.data, timed_sample(plan)
    starts = starts_by_row(plan, sample)
    if starts is None or data.time is None or data.time_values is None:
        raise UnusableData(Message("diagnostics.pre-trends-need-panel"))
    seen, time = np.unique(sample.take(data.time), return_inverse=True)
    values = data.time_values[seen]
    labels = [data.time_labels[at] for at in seen] if data.time_labels is not None else []
    found = onsets(values, labels, starts)
    steps, begun = found.steps[time], np.asarray([onset.step for onset in found.each])[found.code]
    starts_within = np.isfinite(starts) & (starts > values[0]) & (starts <= values[-1])
    treated, before = starts_within & (steps >= begun), starts_within & (steps < begun)
    if not treated.any() or not before.any():
        raise UnusableData(Message("diagnostics.too-few-for-leads-test"))
    count = len(found.each)
    rows = np.maximum(np.bincount(found.code[before], minlength=count), 1)
    centre = np.bincount(found.code[before], steps[before], count) / rows
    known = treated & (np.bincount(found.code[before], minlength=count) > 0)[found.code]
    last = begun - 1 - plan.settings.anticipation
    return {
        "from_last": float(np.mean((steps - last)[known])),
        "from_mean": float(np.mean((steps - centre[found.code])[known])),
    }
