"""One series before and after an intervention from sums by period, which the estimator of rows takes as they are."""

from dataclasses import replace

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.panels import Periods
from cqox.estimators.by_moments.rounds import Ask, Steps
from cqox.estimators.by_moments.summed import Complete
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Codes, Vector
from cqox.estimators.numerics.moments import Expr, Is, Known, linear, times
from cqox.estimators.time_series.interrupted_series import segmented
from cqox.estimators.time_series.segments import PeriodSums, plan_of, roles_of, segments

__all__ = ["interrupted_series"]


def interrupted_series(tables: Tables) -> Steps:
    """Return the average distance between a series and its trend before an intervention."""
    encoded, plan = tables.encoded, tables.pilot
    rows = tables.complete(*roles_of(plan))
    periods = Periods.of(tables, rows, treated=False)
    codes = plan.data.time
    assert codes is not None
    places = np.unique(rows.pilot.take(codes))
    if len(places) != len(periods.values):
        raise NotByMoments(Message("by_moments.periods-of-sample"))
    centre, scale, standard = tables.standardised([encoded.y, *encoded.covariates], rows)
    weight, after = encoded.weights, _after(tables, places)
    weighted = [times(weight, each) for each in standard]
    found = rows.source.grouped([times(weight), *weighted, *([] if isinstance(after, np.ndarray) else [after])],
                                [periods.code])[:, 1:]  # fmt: skip
    share = after if isinstance(after, np.ndarray) else found[:, -1] / found[:, 0]
    high, low = (yield Ask(rows=rows, largest=(encoded.y, linear([(-1.0, encoded.y)])))).largest * (1.0, -1.0)
    if high == low:
        raise UnusableData(Message("inference.constant-outcome", outcome=plan.label("y"), rows=int(found[:, 0].sum())))
    size = float(max(abs(high), abs(low)))
    sums = PeriodSums(
        places=places, rows=found[:, 0], share=share, differs=_differs(tables, rows, periods, share), size=size,
        means=found[:, 2 : 2 + len(standard)] / found[:, 1, None], centre=centre, scale=scale,
        controls=np.empty((len(places), 0)),
    )  # fmt: skip
    own = plan_of(plan, sums)
    reason = segments(own)
    if isinstance(reason, Message):
        raise UnusableData(reason)
    return replace(segmented(own), n=int(sums.rows.sum()))


def _after(tables: Tables, places: Codes) -> Vector | Expr:
    """Return (periods,) 1 from the intervention on, or the expression that is 1 in such rows."""
    data, encoded = tables.pilot.data, tables.encoded
    if data.intervention_time is not None and data.time_values is not None:
        return np.asarray(data.time_values[places] >= data.intervention_time, dtype=np.float64)
    return encoded.treatment if encoded.post is None else encoded.post


def _differs(tables: Tables, rows: Complete, periods: Periods, share: Vector) -> bool:
    """Return whether the treatment of some row, where it is known, is not that of its period."""
    if not tables.pilot.has("treatment"):
        return False
    treated = tables.treated()
    known = rows.source.where(Known((treated,)))
    same = Is(linear([(1.0, treated), (-1.0, periods.among(share))]), "=", 0.0)
    return known.where(same).count() < known.count()
