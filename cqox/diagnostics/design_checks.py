"""Gates on the design of the primary estimate: missing rows, overlap, balance, instruments, trends and clusters."""

import math

from cqox.contract import Gate
from cqox.diagnostics.sensitivity import unconfounded
from cqox.diagnostics.tables import NO_PRIMARY, Table, above, below, number_in, skip, table_in, text_or
from cqox.diagnostics.weightings import REGRESSIONS
from cqox.estimators import Estimate

__all__ = [
    "arm_rows",
    "balance",
    "clusters",
    "effective_sample",
    "instrument_strength",
    "missing_rows",
    "negative_weights",
    "overlap",
    "pre_trends",
]

_OUTSIDE, _OUTSIDE_FAILS = 0.05, 0.20
_SMD, _SMD_FAILS = 0.1, 0.25
_ESS, _ESS_FAILS = 0.2, 0.05
_MISSING, _MISSING_FAILS = 0.1, 0.5
_WEAK_F = 10.0
_CLUSTERS, _CLUSTERS_FAIL = 20, 5
_OF_ARM, _OF_ARM_FAILS = 10, 3
"""Rows, or clusters, of an arm; with two, a 95% t interval with many degrees of freedom covers about 75%."""
_TREND, _TREND_FAILS = 0.05, 0.001
_NEGATIVE, _NEGATIVE_FAILS = 0.05, 0.5

_UNMATCHED = {"ATT": "share_above", "ATC": "share_below"}
"""Side of the overlap bounds that matters to an estimand, if not both."""

_UNWEIGHTED = "No computed estimate weights the rows to the primary's target population."


def _unconfounded(chosen: Estimate | None) -> str | None:
    """Return why the comparability of the arms does not matter to the primary; None if it does."""
    if chosen is None or chosen.estimate is None:
        return NO_PRIMARY
    if not unconfounded(chosen):
        return f"The primary, {chosen.name}, does not assume unconfoundedness given the covariates."
    return None


def _weighted_as(diagnostics: Table, chosen: Estimate) -> str:
    """Return the name of the weighting of the primary; that of its estimand if it does not weight."""
    for name in table_in(diagnostics, "effective_rows"):
        used_by = table_in(diagnostics, "effective_rows", name).get("used_by")
        if isinstance(used_by, list) and chosen.name in used_by:
            return name
    return chosen.estimand


def missing_rows(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check the share of rows that the primary drops for missing values."""
    rule = f"At most {_MISSING:.0%} of the rows are dropped for missing values; fails above {_MISSING_FAILS:.0%}."
    rows = number_in(table_in(diagnostics, "missing").get("rows"))
    if chosen is None or chosen.n is None or not rows:
        return skip(rule, NO_PRIMARY)
    share = 1 - chosen.n / rows
    status = above(share, _MISSING, _MISSING_FAILS)
    reason = None if status == "pass" else f"{chosen.name} uses {chosen.n} of {rows:.0f} rows."
    return Gate(status=status, value=share, threshold=_MISSING, rule=rule, reason=reason)


def overlap(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check overlap (positivity) in the rows that the primary compares."""
    rule = (
        f"At most {_OUTSIDE:.0%} of the rows have a probability of treatment outside [0.05, 0.95] (for the ATT: above "
        f"0.95); fails above {_OUTSIDE_FAILS:.0%}."
    )
    reason = _unconfounded(chosen)
    if reason is not None or chosen is None:
        return skip(rule, reason or NO_PRIMARY)
    found = table_in(diagnostics, "overlap")
    share = number_in(found.get(_UNMATCHED.get(chosen.estimand, "share_outside")))
    if share is None:
        return skip(rule, text_or(found.get("reason"), "No propensity score was computed."))
    status = above(share, _OUTSIDE, _OUTSIDE_FAILS)
    reason = None if status == "pass" else f"{share:.1%} of the rows are outside: limited overlap."
    return Gate(status=status, value=share, threshold=_OUTSIDE, rule=rule, reason=reason)


def balance(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check covariate balance between the arms under the primary's adjustment."""
    rule = (
        f"No standardised mean difference beyond {_SMD} under the primary's weights, or before any where it adjusts "
        f"for nothing; fails beyond {_SMD_FAILS}. None beyond {_SMD_FAILS} before where it adjusts by regression alone."
    )
    reason = _unconfounded(chosen)
    if reason is not None or chosen is None:
        return skip(rule, reason or NO_PRIMARY)
    regression = chosen.name in REGRESSIONS or chosen.family == "regression"
    side = "before" if regression else "after"
    found = table_in(diagnostics, "balance", "largest", f"{side}_{_weighted_as(diagnostics, chosen)}")
    value = number_in(found.get("value"))
    if value is None:
        without = text_or(table_in(diagnostics, "balance").get("reason"), _UNWEIGHTED)
        return skip(rule, text_or(found.get("reason"), without))
    adjusted = regression and chosen.name != "difference_in_means"
    threshold, fails = (_SMD_FAILS, math.inf) if adjusted else (_SMD, _SMD_FAILS)
    status = above(value, threshold, fails)
    worst = text_or(found.get("name"), "a covariate")
    reason = None if status == "pass" else f"'{worst}' differs by {value:.3f} standard deviations {side} weighting."
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=reason)


def effective_sample(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check the effective sample size that the weights leave in the arm with the lower share."""
    rule = (
        f"The effective sample size under the weights is at least {_ESS:.0%} of the rows in each arm; fails below "
        f"{_ESS_FAILS:.0%}."
    )
    if chosen is not None and chosen.family == "off_policy" and chosen.n:
        return _effective_log(rule, chosen, chosen.n)
    reason = _unconfounded(chosen)
    if reason is None and chosen is not None and chosen.name == "difference_in_means":
        reason = "The primary, difference_in_means, does not weight."
    if reason is not None or chosen is None:
        return skip(rule, reason or NO_PRIMARY)
    found = table_in(diagnostics, "effective_rows", _weighted_as(diagnostics, chosen))
    shares = {arm: number_in(found.get(f"{arm}_share")) for arm in ("treated", "control")}
    known = {arm: share for arm, share in shares.items() if share is not None}
    if not known:
        return skip(rule, _UNWEIGHTED)
    arm = min(known, key=lambda name: known[name])
    share = known[arm]
    status = below(share, _ESS, _ESS_FAILS)
    reason = None
    if status != "pass":
        rows, effective = number_in(found.get(f"{arm}_rows")), number_in(found.get(arm))
        word = "treated" if arm == "treated" else "untreated"
        reason = f"The effective sample size of the {rows or 0:.0f} {word} rows is {effective or 0:.1f}."
    return Gate(status=status, value=share, threshold=_ESS, rule=rule, reason=reason)


def arm_rows(chosen: Estimate | None) -> Gate:
    """Check that each arm has enough rows to estimate its within-arm variance."""
    rule = f"At least {_OF_ARM} rows in each arm; fails below {_OF_ARM_FAILS}."
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    poorer = _smaller_arm(table_in(chosen.diagnostics, "rows_by_arm"))
    if poorer is None:
        return skip(rule, f"The primary, {chosen.name}, does not compare the rows of two arms.")
    name, rows = poorer
    status = below(rows, _OF_ARM, _OF_ARM_FAILS)
    reason = None if status == "pass" else f"Only {rows:.0f} rows are {name}."
    return Gate(status=status, value=rows, threshold=_OF_ARM, rule=rule, reason=reason)


def _smaller_arm(counts: Table) -> tuple[str, float] | None:
    """Return the smaller arm and its count; None if the arms are not counted."""
    known = {name: value for name in ("treated", "untreated") if (value := number_in(counts.get(name))) is not None}
    return min(known.items(), key=lambda arm: arm[1], default=None)


def _effective_log(rule: str, chosen: Estimate, rows: int) -> Gate:
    effective = number_in(chosen.diagnostics.get("ess"))
    if effective is None:
        return skip(rule, f"The primary, {chosen.name}, does not weight.")
    status = below(effective / rows, _ESS, _ESS_FAILS)
    reason = None if status == "pass" else f"The effective sample size of the {rows} logged rows is {effective:.1f}."
    return Gate(status=status, value=effective / rows, threshold=_ESS, rule=rule, reason=reason)


def instrument_strength(chosen: Estimate | None) -> Gate:
    """Check the strength of the instruments in the first stage."""
    rule = (
        f"The effective first-stage F is at least the critical value for a worst-case bias of 10% (Montiel Olea and "
        f"Pflueger 2013); fails below {_WEAK_F:g}."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if "effective_f" not in chosen.diagnostics:
        return skip(rule, f"The primary, {chosen.name}, uses no instrument.")
    value = number_in(chosen.diagnostics.get("effective_f"))
    critical = number_in(chosen.diagnostics.get("effective_f_critical"))
    threshold = _WEAK_F if critical is None else max(critical, _WEAK_F)
    if value is None:
        return skip(rule, "The instruments determine the treatment: the first stage has no residual variance.")
    status = below(value, threshold, _WEAK_F)
    reason = None
    if status != "pass":
        reason = f"The effective F is {value:.2f}: weak instruments; use the Anderson-Rubin set, which remains valid."
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=reason)


def negative_weights(chosen: Estimate | None) -> Gate:
    """Check for negative weights in two-way fixed effects under heterogeneous effects."""
    rule = (
        f"The negative weights of treated rows in two-way fixed effects sum to at most {_NEGATIVE} in absolute value; "
        f"fails above {_NEGATIVE_FAILS}."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    share = number_in(chosen.diagnostics.get("negative_weight_share"))
    total = number_in(chosen.diagnostics.get("negative_weight_sum"))
    if share is None or total is None:
        return skip(rule, f"The primary, {chosen.name}, has no such weights.")
    status = above(abs(total), _NEGATIVE, _NEGATIVE_FAILS)
    reason = None
    if status != "pass":
        reason = f"{share:.1%} of the treated rows have negative weights, which sum to {total:.3f}."
    return Gate(status=status, value=abs(total), threshold=_NEGATIVE, rule=rule, reason=reason)


def pre_trends(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check for differential trends before treatment."""
    rule = (
        f"The joint test of equal trends before treatment has a p-value of at least {_TREND}; fails below "
        f"{_TREND_FAILS}. A pass does not prove parallel trends: see the smallest departure detectable with 80% power."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family not in ("did", "did_staggered"):
        return skip(rule, f"The primary, {chosen.name}, does not rest on parallel trends.")
    found = table_in(diagnostics, "pre_trends")
    if chosen.family == "did_staggered" and "pre_trends" in table_in(diagnostics, "event_study"):
        found = table_in(diagnostics, "event_study", "pre_trends")
    value = number_in(found.get("p_value"))
    if value is None:
        return skip(rule, text_or(found.get("reason"), "No pre-trends test was computed."))
    status = below(value, _TREND, _TREND_FAILS)
    reason = None
    if status != "pass":
        reason = f"Before treatment the trends differ by up to {number_in(found.get('largest')) or 0.0:.4g}."
    return Gate(status=status, value=value, threshold=_TREND, rule=rule, reason=reason)


def clusters(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that there are enough clusters, and enough in each arm, for the asymptotics of clustered errors."""
    rule = (
        f"At least {_CLUSTERS} clusters in every dimension, {_OF_ARM} of them treated and {_OF_ARM} untreated where "
        f"arms are compared; fails below {_CLUSTERS_FAIL}, and below {_OF_ARM_FAILS} of an arm."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    found = table_in(diagnostics, "clusters")
    value = number_in(found.get("fewest"))
    if value is None:
        return skip(rule, text_or(found.get("reason"), "Rows are treated as independent."))
    status, threshold = below(value, _CLUSTERS, _CLUSTERS_FAIL), _CLUSTERS
    reason = f"The standard error rests on {value:.0f} clusters."
    poorer = _smaller_arm(table_in(chosen.diagnostics, "clusters_by_arm"))
    if poorer is not None:
        name, own = poorer
        of_arm = below(own, _OF_ARM, _OF_ARM_FAILS)
        if of_arm == "fail" or (of_arm == "warn" and status == "pass"):
            status, value, threshold = of_arm, own, _OF_ARM
            reason = f"Only {own:.0f} {'cluster is' if own == 1 else 'clusters are'} {name}."
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=None if status == "pass" else reason)
