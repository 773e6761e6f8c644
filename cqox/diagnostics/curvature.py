"""Change of a linear estimate by powers and products of the covariates, and the gate on it.

A linear model leaves what confounds through x² or x·z in the estimate. Regressions with powers and products are fitted
to the same rows; the change that they make is compared with its own standard error given covariates and treatment
(Hausman 1978, doi 10.2307/1913827, with a variance that is robust to heteroskedasticity), which has t's distribution
under normal errors however many terms there are. The effect by these regressions is also one more estimate for the gate
`agreement`. Where treatment was randomised curvature does not confound, and nothing is tested.
"""

import math
from typing import Literal

import numpy as np

from cqox.contract import Gate, Options
from cqox.contract.messages import Message
from cqox.diagnostics.agreement import cluster_sums
from cqox.diagnostics.json_values import number
from cqox.diagnostics.sensitivity import unconfounded
from cqox.diagnostics.tables import NO_PRIMARY, Table, number_in, reason_or, skip, table_in
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan, Vector
from cqox.estimators.adjustment.series_regression import Target, series_effect
from cqox.estimators.numerics.quantiles import critical_value, two_sided

__all__ = ["curvature", "curvature_gate"]

_LEVEL, _LEVEL_FAILS = 0.01, 0.001
_MATTERS = 0.5
"""Change, in standard errors of the primary, from which its interval no longer holds its level."""

_ONE_EFFECT = ("ols_adjustment", "dml_plr")
"""Estimators of the coefficient of the treatment in one regression."""

_POPULATIONS: dict[str, Target] = {"ATE": "ATE", "ATT": "ATT", "ATC": "ATC"}


def curvature(plan: Plan, chosen: Estimate | None, options: Options) -> dict[str, Json]:
    """Return the effect by regressions with powers and products, the change that they make, and its p-value.

    `difference` is the effect less the primary estimate, with its standard error from both influence functions (from
    both standard errors where the primary has none).

    Args:
        plan: the contrast's plan.
        chosen: the primary estimate.
        options: the request's options.

    Raises:
        UnusableData: the primary does not adjust, treatment was randomised, or there are no terms to add.
    """
    target = _target(chosen, plan, options)
    assert chosen is not None
    found = series_effect(plan, target)
    change_error, error = _error(plan, found.of_change), _error(plan, found.contributions)
    clusters = plan.clusters(plan.outcome_sample()).fewest
    degrees = min(found.degrees, clusters - 1) if clusters else found.degrees
    if not change_error > 0 or degrees < 1:
        raise UnusableData(Message("diagnostics.no-change-by-terms"))
    half = critical_value(plan.settings.alpha, degrees) * error
    return {
        "terms": list(found.terms),
        "rows": found.rows,
        "estimate": number(found.value),
        "standard_error": number(error),
        "ci_lower": number(found.value - half),
        "ci_upper": number(found.value + half),
        "change": number(found.change),
        "change_standard_error": number(change_error),
        "degrees": degrees,
        "p_value": number(two_sided(found.change / change_error, degrees)),
        "difference": number(found.value - (chosen.estimate or 0.0)),
        "difference_standard_error": number(_difference_error(plan, chosen, found.contributions, error)),
    }


def _target(chosen: Estimate | None, plan: Plan, options: Options) -> Target:
    """Return the population of the effect to estimate.

    Raises:
        UnusableData: there is nothing to compare with the primary.
    """
    if chosen is None or chosen.estimate is None:
        raise UnusableData(NO_PRIMARY)
    if not unconfounded(chosen) or chosen.name == "difference_in_means":
        raise UnusableData(Message("gates.no-adjustment", primary=chosen.name))
    if options.assignment == "randomized":
        raise UnusableData(Message("diagnostics.curvature-of-trial"))
    binary = plan.data.treatment_kind == "binary"
    if chosen.name in _ONE_EFFECT or not binary:
        if chosen.name not in _ONE_EFFECT:
            raise UnusableData(Message("diagnostics.curvature-needs-two-arms", primary=chosen.name))
        return "one effect"
    if chosen.estimand not in _POPULATIONS:
        raise UnusableData(Message("diagnostics.curvature-of-other-estimand", estimand=chosen.estimand))
    return _POPULATIONS[chosen.estimand]


def _error(plan: Plan, contributions: Vector) -> float:
    sums = cluster_sums(plan, contributions)
    return math.sqrt(float(sums @ sums))


def _difference_error(plan: Plan, chosen: Estimate, contributions: Vector, error: float) -> float:
    if chosen.influence is None or not chosen.n:
        return math.hypot(error, chosen.standard_error or 0.0)
    return _error(plan, contributions - np.asarray(chosen.influence) / chosen.n)


def curvature_gate(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that powers and products of the covariates leave the estimate of a linear regression as it is."""
    rule = Message("gates.curvature-rule", level=_LEVEL, fails=_LEVEL_FAILS, matters=_MATTERS)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != "regression" or chosen.name == "difference_in_means":
        return skip(rule, Message("gates.no-linear-regression", primary=chosen.name))
    found = table_in(diagnostics, "curvature")
    p_value, change = number_in(found.get("p_value")), number_in(found.get("change"))
    if p_value is None or change is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-curvature-test")))
    status: Literal["pass", "warn", "fail"] = "pass"
    if p_value < _LEVEL and abs(change) > _MATTERS * (chosen.standard_error or 0.0):
        status = "fail" if p_value < _LEVEL_FAILS and _overturned(found, chosen) else "warn"
    reason = None
    if status != "pass":
        reason = Message(
            "gates.curvature", change=change, p_value=p_value, estimate=number_in(found.get("estimate")) or 0.0
        )
    return Gate(status=status, value=p_value, threshold=_LEVEL, rule=rule, reason=reason)


def _overturned(found: Table, chosen: Estimate) -> bool:
    """Return whether the primary's interval excludes zero and that with powers and products does not, on its side."""
    lower, upper = number_in(found.get("ci_lower")), number_in(found.get("ci_upper"))
    if chosen.ci_lower is not None and chosen.ci_lower > 0:
        return lower is None or lower <= 0
    return chosen.ci_upper is not None and chosen.ci_upper < 0 and (upper is None or upper >= 0)
