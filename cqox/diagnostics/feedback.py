"""Feedback: whether past outcomes predict the start of treatment, where treatment may go on and off.

With unit effects, past outcomes that move later treatment bias a comparison over time even if trends are parallel
(strict exogeneity; Imai and Kim 2019, doi 10.1111/ajps.12417). Among the rows that were untreated in the preceding
period, the outcome of that period is regressed on whether treatment starts, with unit and period effects: the
coefficient is the difference in past outcomes between units that start and units that do not. Levels of units may
differ; what moves within a unit may not.
"""

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.joint_tests import joint_test
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan
from cqox.estimators.numerics.absorb import absorb, compress

__all__ = ["feedback"]

_FEWEST = 3
"""Fewest clusters, and least starts, of the test."""
_CONSTANT = 1e-12


def feedback(plan: Plan) -> dict[str, Json]:
    """Test whether outcomes before a start differ from those before periods that stay untreated.

    Returns:
        `difference` in units of y, `standard_error` (CRV1 by unit, or by the first mapped cluster, with t(G-1)),
        `p_value`, the difference `detectable` with 80% power, `sd` of the past outcomes within units and periods, and
        the numbers of `starts`, `rows` and `clusters`.

    Raises:
        UnusableData: no unit is followed over time, or too few starts vary within units and periods.
    """
    data = plan.data
    if data.unit is None or data.time is None or data.treatment_kind != "binary":
        raise UnusableData(Message("diagnostics.pre-trends-need-panel"))
    sample = plan.sample("y", "unit_id", "time", "treatment")
    order = np.lexsort((sample.take(data.time), sample.take(data.unit)))
    unit, time = sample.take(data.unit)[order], compress(sample.take(data.time))[0][order]
    y, on = sample.take(data.y)[order], plan.treated(sample)[order] > 0
    follows = (unit[1:] == unit[:-1]) & (time[1:] == time[:-1] + 1) & ~on[:-1]
    at = np.flatnonzero(follows) + 1
    starts = int(np.count_nonzero(on[at]))
    codes = sample.take(data.clusters[0])[order][at] if data.clusters else unit[at]
    if starts < _FEWEST or starts > len(at) - _FEWEST:
        raise UnusableData(Message("diagnostics.too-few-starts", starts=starts))
    cluster, clusters = compress(codes)
    columns = np.stack([on[at].astype(np.float64), y[at - 1] - y[at - 1].mean()])
    scale = float(np.abs(columns[1]).max()) or 1.0
    columns[1] /= scale
    absorbed = absorb(columns, (unit[at], time[at]), None)
    start, past = columns
    size, rest = float(start @ start), len(at) - absorbed.degrees
    if size <= _CONSTANT * len(at) or rest <= 1 or clusters < _FEWEST or not past.any():
        raise UnusableData(Message("diagnostics.too-few-starts", starts=starts))
    value = float(start @ past) / size
    scores = np.bincount(cluster, start * (past - value * start), clusters) / size
    # As in fixest: effects nested in the clusters count as one constant.
    parameters = 1 + absorbed.degrees_not_nested((cluster,))
    factor = clusters / (clusters - 1) * (len(at) - 1) / (len(at) - parameters)
    variance = factor * float(scores @ scores)
    tested = joint_test(np.asarray([value]), np.asarray([[variance]]), clusters - 1.0, np.ones(1))
    detectable = tested.get("detectable_slope")
    return {
        "difference": number(value * scale),
        "standard_error": number(np.sqrt(variance) * scale) if variance > 0 else None,
        "p_value": tested["p_value"],
        "detectable": number(detectable * scale) if isinstance(detectable, float) else None,
        "sd": number(np.sqrt(float(past @ past) / rest) * scale),
        "starts": starts,
        "rows": len(at),
        "clusters": clusters,
    }
