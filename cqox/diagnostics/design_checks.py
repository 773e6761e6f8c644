"""Gates on the comparison that the primary estimate makes: its rows, its arms, its instruments, its weights."""

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
"""Rows, or clusters, of an arm; with two of them a 95% interval by t with many degrees of freedom covers about 75%."""
_TREND, _TREND_FAILS = 0.05, 0.001
_NEGATIVE, _NEGATIVE_FAILS = 0.05, 0.5

_UNMATCHED = {"ATT": "share_above", "ATC": "share_below"}
"""Which rows without counterparts an estimand asks for, where not all of them."""

_UNWEIGHTED = "No estimate that was computed weights the rows to the primary's population."


def _unconfounded(chosen: Estimate | None) -> str | None:
    """Why checks of arms' likeness do not matter to the primary; None where they do."""
    if chosen is None or chosen.estimate is None:
        return NO_PRIMARY
    if not unconfounded(chosen):
        return f"The primary, {chosen.name}, does not rest on arms that are alike given the covariates."
    return None


def _weighted_as(diagnostics: Table, chosen: Estimate) -> str:
    """The name of the weighting that the primary rests on; of its estimand where it weights no rows."""
    for name in table_in(diagnostics, "effective_rows"):
        used_by = table_in(diagnostics, "effective_rows", name).get("used_by")
        if isinstance(used_by, list) and chosen.name in used_by:
            return name
    return chosen.estimand


def missing_rows(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """How many rows the primary leaves out because a value is missing."""
    rule = f"At most {_MISSING:.0%} of the rows are left out for missing values; fails above {_MISSING_FAILS:.0%}."
    rows = number_in(table_in(diagnostics, "missing").get("rows"))
    if chosen is None or chosen.n is None or not rows:
        return skip(rule, NO_PRIMARY)
    share = 1 - chosen.n / rows
    status = above(share, _MISSING, _MISSING_FAILS)
    reason = None if status == "pass" else f"{chosen.name} uses {chosen.n} of {rows:.0f} rows."
    return Gate(status=status, value=share, threshold=_MISSING, rule=rule, reason=reason)


def overlap(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Whether the rows that the primary compares have counterparts in the other arm."""
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
        return skip(rule, text_or(found.get("reason"), "No probability of treatment was computed."))
    status = above(share, _OUTSIDE, _OUTSIDE_FAILS)
    said = None if status == "pass" else f"{share:.1%} of the rows are outside, so that they have few counterparts."
    return Gate(status=status, value=share, threshold=_OUTSIDE, rule=rule, reason=said)


def balance(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Whether the arms' covariates are alike as the primary compares them."""
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
    said = None if status == "pass" else f"'{worst}' differs by {value:.3f} standard deviations {side} weighting."
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=said)


def effective_sample(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """How many rows' worth of information the weights leave in the poorer arm."""
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
    said = None
    if status != "pass":
        rows, effective = number_in(found.get(f"{arm}_rows")), number_in(found.get(arm))
        word = "treated" if arm == "treated" else "untreated"
        said = f"The {rows or 0:.0f} {word} rows count as {effective or 0:.1f}."
    return Gate(status=status, value=share, threshold=_ESS, rule=rule, reason=said)


def arm_rows(chosen: Estimate | None) -> Gate:
    """Whether each arm has rows enough to tell how far rows differ within it."""
    rule = f"At least {_OF_ARM} rows in each arm; fails below {_OF_ARM_FAILS}."
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    poorer = _poorer_arm(table_in(chosen.diagnostics, "rows_by_arm"))
    if poorer is None:
        return skip(rule, f"The primary, {chosen.name}, does not compare the rows of two arms.")
    name, rows = poorer
    status = below(rows, _OF_ARM, _OF_ARM_FAILS)
    said = None if status == "pass" else f"Only {rows:.0f} rows are {name}."
    return Gate(status=status, value=rows, threshold=_OF_ARM, rule=rule, reason=said)


def _poorer_arm(counts: Table) -> tuple[str, float] | None:
    """The arm that has fewer, and how many; None where they are not counted."""
    known = {name: value for name in ("treated", "untreated") if (value := number_in(counts.get(name))) is not None}
    return min(known.items(), key=lambda arm: arm[1], default=None)


def _effective_log(rule: str, chosen: Estimate, rows: int) -> Gate:
    effective = number_in(chosen.diagnostics.get("ess"))
    if effective is None:
        return skip(rule, f"The primary, {chosen.name}, does not weight.")
    status = below(effective / rows, _ESS, _ESS_FAILS)
    said = None if status == "pass" else f"The {rows} logged rows count as {effective:.1f}."
    return Gate(status=status, value=effective / rows, threshold=_ESS, rule=rule, reason=said)


def instrument_strength(chosen: Estimate | None) -> Gate:
    """Whether the instruments move the treatment enough."""
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
        return skip(rule, "The instruments determine the treatment, so that its first stage has no error.")
    status = below(value, threshold, _WEAK_F)
    said = None
    if status != "pass":
        said = f"The effective F is {value:.2f}; read the Anderson-Rubin set, which stays valid."
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=said)


def negative_weights(chosen: Estimate | None) -> Gate:
    """Whether two-way fixed effects subtract some effects from others."""
    rule = (
        f"The weights of treated rows that count negatively in two-way fixed effects sum to at most {_NEGATIVE} of 1; "
        f"fails above {_NEGATIVE_FAILS}."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    share = number_in(chosen.diagnostics.get("negative_weight_share"))
    total = number_in(chosen.diagnostics.get("negative_weight_sum"))
    if share is None or total is None:
        return skip(rule, f"The primary, {chosen.name}, has no such weights.")
    status = above(abs(total), _NEGATIVE, _NEGATIVE_FAILS)
    said = None
    if status != "pass":
        said = f"{share:.1%} of the treated rows count negatively, in all {total:.3f} of 1."
    return Gate(status=status, value=abs(total), threshold=_NEGATIVE, rule=rule, reason=said)


def pre_trends(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Whether the groups already moved apart before treatment."""
    rule = (
        f"The joint test of equal trends before treatment has a p-value of at least {_TREND}; fails below "
        f"{_TREND_FAILS}. A pass is no proof: see the smallest difference that it would detect."
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
        return skip(rule, text_or(found.get("reason"), "There is no test of trends before treatment."))
    status = below(value, _TREND, _TREND_FAILS)
    said = None
    if status != "pass":
        said = f"Before treatment the groups differ by up to {number_in(found.get('largest')) or 0.0:.4g}."
    return Gate(status=status, value=value, threshold=_TREND, rule=rule, reason=said)


def clusters(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Whether there are enough clusters, and enough of each arm, for their number to stand in for infinity."""
    rule = (
        f"At least {_CLUSTERS} clusters in every dimension, {_OF_ARM} of them treated and {_OF_ARM} untreated where "
        f"arms are compared; fails below {_CLUSTERS_FAIL}, and below {_OF_ARM_FAILS} of an arm."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    found = table_in(diagnostics, "clusters")
    value = number_in(found.get("fewest"))
    if value is None:
        return skip(rule, text_or(found.get("reason"), "Every row stands for itself."))
    status, threshold = below(value, _CLUSTERS, _CLUSTERS_FAIL), _CLUSTERS
    said = f"The standard error rests on {value:.0f} clusters."
    poorer = _poorer_arm(table_in(chosen.diagnostics, "clusters_by_arm"))
    if poorer is not None:
        name, own = poorer
        of_arm = below(own, _OF_ARM, _OF_ARM_FAILS)
        if of_arm == "fail" or (of_arm == "warn" and status == "pass"):
            status, value, threshold = of_arm, own, _OF_ARM
            said = f"Only {own:.0f} {'cluster is' if own == 1 else 'clusters are'} {name}."
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=None if status == "pass" else said)
