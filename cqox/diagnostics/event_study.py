"""The event study of a staggered design: its effects by time since treatment, what they say of trends before it, and
how far these may part before the effects cannot be told from 0.
"""

from collections.abc import Sequence

import numpy as np

from cqox.diagnostics._joint_test import joint_test
from cqox.diagnostics._json import number
from cqox.diagnostics.honest import honest_bounds
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Matrix, Plan, Vector
from cqox.estimators.did_staggered import EventStudy
from cqox.estimators.did_staggered import event_study as estimated_study

__all__ = ["event_study"]

_SOURCE = "did_callaway_santanna"
_MOST_LEADS = 12


def event_study(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """The averages by event with intervals and a uniform band, the joint test before treatment, and honest bounds.

    Raises:
        UnusableData: no group-time effects were estimated.
    """
    source = next((each for each in estimates if each.name == _SOURCE and each.estimate is not None), None)
    if source is None:
        raise UnusableData("No effects by cohort and period were estimated.")
    study = estimated_study(plan)
    dynamic = source.diagnostics.get("dynamic")
    table = dynamic if isinstance(dynamic, dict) else {}
    return {
        "estimator": _SOURCE,
        "base_period": plan.settings.base_period,
        "clusters": study.clusters,
        "overall": table.get("overall"),
        "overall_standard_error": table.get("overall_standard_error"),
        "critical_value": table.get("critical_value"),
        "events": table.get("averages"),
        "pre_trends": _before(plan, study),
        "honest": _honest(plan, study),
    }


def _leads(plan: Plan, study: EventStudy) -> list[int]:
    """Places of the steps before treatment that are estimated, the last few of them."""
    early = [
        at
        for at, event in enumerate(study.events)
        if event < -plan.settings.anticipation and study.covariance[at, at] > 0
    ]
    return early[-_MOST_LEADS:]


def _before(plan: Plan, study: EventStudy) -> dict[str, Json]:
    leads = _leads(plan, study)
    if not leads:
        return {"p_value": None, "reason": "No effect before treatment could be estimated."}
    events = np.asarray(study.events, dtype=np.float64)[leads]
    last = -1.0 - plan.settings.anticipation
    trend = np.ones(len(leads)) if study.differences else events - last
    within = np.ix_(leads, leads)
    return joint_test(study.estimates[leads], study.covariance[within], study.clusters, trend)


def _honest(plan: Plan, study: EventStudy) -> dict[str, Json]:
    """Bounds for the first effect and for the mean of those after the start of treatment."""
    leads, after = _leads(plan, study), [at for at, event in enumerate(study.events) if event >= 0]
    if not leads or 0 not in study.events or not np.isfinite(study.covariance).all():
        return {"reason": "Without estimates before treatment nothing is known of how trends part."}
    contrast = np.zeros((len(leads), len(study.events)))
    contrast[np.arange(len(leads)), leads] = 1.0
    if not study.differences:
        # From the differences to the last period before treatment to changes from each step to the next.
        contrast = -contrast
        for row, following in enumerate(leads[1:]):
            contrast[row, following] = 1.0
    first, mean = np.zeros(len(study.events)), np.zeros(len(study.events))
    first[study.events.index(0)], mean[after] = 1.0, 1.0 / len(after)
    reach = [study.events[at] + 1 + plan.settings.anticipation for at in after]
    return {
        "first": _bounded(plan, study, contrast, first, [1 + plan.settings.anticipation]),
        "average": _bounded(plan, study, contrast, mean, reach),
    }


def _bounded(plan: Plan, study: EventStudy, contrast: Matrix, weights: Vector, reach: list[int]) -> dict[str, Json]:
    covariance = study.covariance
    variance = float(weights @ covariance @ weights)
    if not variance > 0:
        return {"estimate": number(float(weights @ study.estimates)), "reason": "It has no standard error."}
    return honest_bounds(
        (contrast @ study.estimates, contrast @ covariance @ contrast.T),
        (float(weights @ study.estimates), contrast @ covariance @ weights, variance),
        reach,
        alpha=plan.settings.alpha,
        degrees=study.degrees,
    )
