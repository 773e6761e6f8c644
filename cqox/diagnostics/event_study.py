"""Event study of a staggered design: effects by event time, the joint pre-trends test, and honest bounds under
departures from parallel trends.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.honest import honest_bounds
from cqox.diagnostics.joint_tests import joint_test, supported
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Matrix, Plan, Vector
from cqox.estimators.panel.did_staggered import EventStudy
from cqox.estimators.panel.did_staggered import event_study as estimated_study

__all__ = ["event_study", "joint_test_before"]

_SOURCE = "did_callaway_santanna"
_NO_LEADS = Message("diagnostics.no-lead")
_TOO_FEW = Message("diagnostics.too-few-for-test")
_TEST = Message("diagnostics.test-of-averages")
_LEFT_OUT = Message("diagnostics.too-few-for-variance")


def event_study(plan: Plan, estimates: Sequence[Estimate], *, minimum: float = 0.0) -> dict[str, Json]:
    """Return effects by event time with intervals and a uniform band, the pre-trends test and honest bounds.

    Args:
        plan: the contrast's plan.
        estimates: results of the estimators.
        minimum: the smallest relevant effect, signed, that the breakdown of the honest bounds refers to.

    Raises:
        UnusableData: no group-time effects were estimated.
    """
    source = next((each for each in estimates if each.name == _SOURCE and each.estimate is not None), None)
    if source is None:
        raise UnusableData(Message("diagnostics.no-group-time-effects"))
    study = estimated_study(plan)
    dynamic = source.diagnostics.get("dynamic")
    table = dynamic if isinstance(dynamic, dict) else {}
    return {
        "estimator": _SOURCE,
        "base_period": plan.settings.base_period,
        "clusters": study.clusters,
        "overall": table.get("overall"),
        "overall_standard_error": table.get("overall_standard_error"),
        "overall_reason": table.get("overall_reason"),
        "critical_value": table.get("critical_value"),
        "events": table.get("averages"),
        "pre_trends": joint_test_before(plan, study),
        "honest": _honest(plan, study, minimum),
    }


def joint_test_before(plan: Plan, study: EventStudy) -> dict[str, Json]:
    """Test jointly that the averages before treatment are 0, and list the leads left out."""
    leads = study.leads
    held, degrees = supported(leads.support, leads.group_degrees)
    if not held:
        return {"p_value": None, "reason": _NO_LEADS if not leads.events and not leads.alone else _TOO_FEW}
    events = np.asarray(leads.events, dtype=np.float64)[-held:]
    last = -1.0 - plan.settings.anticipation
    trend = np.ones(held) if study.differences else events - last
    tested = leads.events[-held:]
    left_out = sorted({*leads.alone, *leads.events} - set(tested))
    table: dict[str, Json] = {"test": _TEST, "leads": list(tested), "left_out": list(left_out)}
    if left_out:
        table["left_out_reason"] = _LEFT_OUT
    covariance = leads.covariance[-held:, -held:]
    return {**table, **joint_test(leads.estimates[-held:], covariance, degrees, trend)}


def _honest(plan: Plan, study: EventStudy, minimum: float) -> dict[str, Json]:
    """Return honest bounds for the first effect and for the mean effect after the start of treatment."""
    leads, after = study.leads, [at for at, event in enumerate(study.events) if event >= 0]
    held = supported(leads.support, leads.group_degrees)[0]
    if not held or 0 not in study.events or not np.isfinite(study.covariance).all():
        return {"reason": Message("diagnostics.no-honest-bounds")}
    contrast = np.eye(held)
    if not study.differences:
        # Convert differences from the last period before treatment into step-to-step changes.
        contrast = np.eye(held, k=1) - contrast
    first, mean = np.zeros(len(study.events)), np.zeros(len(study.events))
    first[study.events.index(0)], mean[after] = 1.0, 1.0 / len(after)
    reach = [study.events[at] + 1 + plan.settings.anticipation for at in after]
    undefined = study.undefined[study.events.index(0)]
    return {
        "first": _bounded(plan, study, contrast, (first, undefined), [1 + plan.settings.anticipation], minimum),
        "average": _bounded(plan, study, contrast, (mean, study.mean_undefined), reach, minimum),
    }


def _bounded(
    plan: Plan,
    study: EventStudy,
    contrast: Matrix,
    target: tuple[Vector, str | None],
    reach: list[int],
    minimum: float,
) -> dict[str, Json]:
    leads, held, (weights, undefined) = study.leads, len(contrast), target
    variance = float(weights @ study.covariance @ weights)
    if undefined is not None or not variance > 0:
        reason = undefined or Message("diagnostics.no-standard-error")
        return {"estimate": number(float(weights @ study.estimates)), "reason": reason}
    return honest_bounds(
        (contrast @ leads.estimates[-held:], contrast @ leads.covariance[-held:, -held:] @ contrast.T),
        (float(weights @ study.estimates), contrast @ leads.across[-held:] @ weights, variance),
        reach,
        alpha=plan.settings.alpha,
        degrees=study.degrees,
        minimum=minimum,
    )
