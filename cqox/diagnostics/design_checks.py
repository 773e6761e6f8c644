"""Gates on the design of the primary estimate: missing rows, overlap, balance, instruments, trends and clusters."""

import math

from cqox.contract import Gate
from cqox.contract.messages import Message
from cqox.diagnostics.holm import smallest
from cqox.diagnostics.sensitivity import unconfounded
from cqox.diagnostics.tables import (
    NO_PRIMARY,
    SOME_COVARIATE,
    Table,
    above,
    below,
    number_in,
    reason_or,
    skip,
    table_in,
    text_or,
)
from cqox.diagnostics.weightings import REGRESSIONS, weighted_as
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

_OUTSIDE, _OUTSIDE_FAILS = 0.10, 0.25
"""Share of rows outside the overlap region: with 10%, as under a logit slope of 1.5 standard deviations, AIPW and IPW
cover at their level with 500 rows; with 15% (slope 2) they cover 91% and 86%, with 26% (slope 2.5) IPW covers 80%."""

_SMD, _SMD_FAILS = 0.1, 0.25
_SMD_ERRORS = 2.0
"""Standard errors that a standardised difference may have by chance: weights of 500 rows leave up to .2 where they are
right and intervals cover."""

_DOUBLY_ROBUST = ("doubly_robust", "double_ml", "meta_learners")
"""Families that adjust for what their weights leave: with 2,000 rows and a logit slope of 1.5 AIPW covers, and one of
eight samples is left with a difference above .1."""

_ESS, _ESS_FAILS = 0.2, 0.05
_MISSING, _MISSING_FAILS = 0.2, 0.5
"""Share of rows dropped: if they differ from the others by half a standard deviation, dropping 20% moves the mean by a
tenth of it."""

_WEAK_F = 10.0
_CLUSTERS, _CLUSTERS_FAIL = 20, 5
_CLUSTERS_OF_ARM = 5
"""Clusters of each arm: with five, the smallest p-value over all assignments is .008, so that a clear effect can be
shown without trust in the t distribution, which covers from three on (docs/standard-errors.md)."""

_OF_ARM, _OF_ARM_FAILS = 10, 3
"""Rows of an arm; with two, or two clusters, a 95% t interval with many degrees of freedom covers about 75%."""

_TREND = 0.01
"""Level at which the joint test contradicts parallel trends, here and in the ledger."""

_NEGATIVE, _NEGATIVE_FAILS = 0.05, 0.5

_UNMATCHED = {"ATT": "share_above", "ATC": "share_below"}
"""Side of the overlap bounds that matters to an estimand, if not both."""

_UNWEIGHTED = Message("gates.unweighted")


def _unconfounded(chosen: Estimate | None) -> Message | None:
    """Return why the comparability of the arms does not matter to the primary; None if it does."""
    if chosen is None or chosen.estimate is None:
        return NO_PRIMARY
    if not unconfounded(chosen):
        return Message("gates.not-unconfounded", primary=chosen.name)
    return None


def missing_rows(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check the share of rows that the primary drops for missing values.

    Rows of two arms without an outcome do not count: Lee's bounds judge them, by what they could change.
    """
    rule = Message("gates.missingness-rule", most=_MISSING, fails=_MISSING_FAILS)
    rows = number_in(table_in(diagnostics, "missing").get("rows"))
    attrition = table_in(diagnostics, "attrition")
    lost = sum(number_in(attrition.get(f"{arm}_rows_missing")) or 0.0 for arm in ("treated", "untreated"))
    if chosen is None or chosen.n is None or not rows or rows <= lost:
        return skip(rule, NO_PRIMARY)
    rows -= lost
    share = max(1 - chosen.n / rows, 0.0)
    status = above(share, _MISSING, _MISSING_FAILS)
    reason = None if status == "pass" else Message("gates.rows-used", primary=chosen.name, used=chosen.n, rows=rows)
    return Gate(status=status, value=share, threshold=_MISSING, rule=rule, reason=reason)


def overlap(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check overlap (positivity) in the rows that the primary compares."""
    rule = Message("gates.overlap-rule", most=_OUTSIDE, fails=_OUTSIDE_FAILS)
    reason = _unconfounded(chosen)
    if reason is not None or chosen is None:
        return skip(rule, reason or NO_PRIMARY)
    found = table_in(diagnostics, "overlap")
    share = number_in(found.get(_UNMATCHED.get(chosen.estimand, "share_outside")))
    if share is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-propensity-score")))
    status = above(share, _OUTSIDE, _OUTSIDE_FAILS)
    reason = None if status == "pass" else Message("gates.limited-overlap", share=share)
    return Gate(status=status, value=share, threshold=_OUTSIDE, rule=rule, reason=reason)


def balance(diagnostics: Table, chosen: Estimate | None, *, randomized: bool = False) -> Gate:
    """Check covariate balance between the arms under the primary's adjustment.

    In a declared trial standardised differences are due to chance, and the larger the smaller the trial: the tests of
    the assumption `randomized` judge them.
    """
    rule = Message(
        "gates.balance-rule", most=_SMD, fails=_SMD_FAILS, errors=_SMD_ERRORS, doubly_robust_fails=2 * _SMD_FAILS
    )
    reason = _unconfounded(chosen)
    if reason is None and randomized:
        reason = Message("gates.balance-by-tests")
    if reason is not None or chosen is None:
        return skip(rule, reason or NO_PRIMARY)
    regression = chosen.name in REGRESSIONS or chosen.family == "regression"
    side = "before" if regression else "after"
    found = table_in(diagnostics, "balance", "largest", f"{side}_{weighted_as(diagnostics, chosen)}")
    value = number_in(found.get("value"))
    if value is None:
        without = reason_or(table_in(diagnostics, "balance").get("reason"), _UNWEIGHTED)
        return skip(rule, reason_or(found.get("reason"), without))
    adjusted = regression and chosen.name != "difference_in_means"
    threshold, fails = (_SMD_FAILS, math.inf) if adjusted else (_SMD, _SMD_FAILS)
    if chosen.family in _DOUBLY_ROBUST and not regression:
        threshold, fails = _SMD_FAILS, 2 * _SMD_FAILS
    by_chance = _SMD_ERRORS * _error_of_difference(diagnostics, chosen, weighted=not regression)
    threshold, fails = max(threshold, by_chance), max(fails, by_chance)
    status = above(abs(value), threshold, fails)
    reason = None if status == "pass" else _imbalance(text_or(found.get("name"), SOME_COVARIATE), value, regression)
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=reason)


def _error_of_difference(diagnostics: Table, chosen: Estimate, *, weighted: bool) -> float:
    """Return the standard error of a standardised difference, from the (effective) rows of the arms; 0 if unknown."""
    if weighted:
        found = table_in(diagnostics, "effective_rows", weighted_as(diagnostics, chosen))
        arms = (found.get("treated"), found.get("control"))
    else:
        found = table_in(diagnostics, "outcome")
        arms = (found.get("treated_rows"), found.get("control_rows"))
    sizes = [size for arm in arms if (size := number_in(arm))]
    return math.sqrt(sum(1.0 / size for size in sizes)) if len(sizes) == 2 else 0.0


def _imbalance(covariate: str, difference: float, before: bool) -> Message:
    if before:
        return Message("gates.imbalance-before-weighting", covariate=covariate, difference=difference)
    return Message("gates.imbalance-after-weighting", covariate=covariate, difference=difference)


def effective_sample(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check the effective sample size that the weights leave in the arm with the lower share."""
    rule = Message("gates.effective-sample-rule", least=_ESS, fails=_ESS_FAILS)
    if chosen is not None and chosen.family == "off_policy" and chosen.n:
        return _effective_log(rule, chosen, chosen.n)
    reason = _unconfounded(chosen)
    if reason is None and chosen is not None and chosen.name == "difference_in_means":
        reason = Message("gates.no-weights", primary=chosen.name)
    if reason is not None or chosen is None:
        return skip(rule, reason or NO_PRIMARY)
    found = table_in(diagnostics, "effective_rows", weighted_as(diagnostics, chosen))
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
        reason = _low_effective(arm, rows or 0, effective or 0)
    return Gate(status=status, value=share, threshold=_ESS, rule=rule, reason=reason)


def _low_effective(arm: str, rows: float, effective: float) -> Message:
    if arm == "treated":
        return Message("gates.low-effective-treated", rows=rows, effective=effective)
    return Message("gates.low-effective-untreated", rows=rows, effective=effective)


def arm_rows(chosen: Estimate | None) -> Gate:
    """Check that each arm has enough rows to estimate its within-arm variance."""
    rule = Message("gates.arm-rows-rule", least=_OF_ARM, fails=_OF_ARM_FAILS)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    poorer = _smaller_arm(table_in(chosen.diagnostics, "rows_by_arm"))
    if poorer is None:
        return skip(rule, Message("gates.no-two-arms", primary=chosen.name))
    name, rows = poorer
    status = below(rows, _OF_ARM, _OF_ARM_FAILS)
    few = Message("gates.few-treated", rows=rows) if name == "treated" else Message("gates.few-untreated", rows=rows)
    reason = None if status == "pass" else few
    return Gate(status=status, value=rows, threshold=_OF_ARM, rule=rule, reason=reason)


def _smaller_arm(counts: Table) -> tuple[str, float] | None:
    """Return the smaller arm and its count; None if the arms are not counted."""
    known = {name: value for name in ("treated", "untreated") if (value := number_in(counts.get(name))) is not None}
    return min(known.items(), key=lambda arm: arm[1], default=None)


def _effective_log(rule: Message, chosen: Estimate, rows: int) -> Gate:
    effective = number_in(chosen.diagnostics.get("ess"))
    if effective is None:
        return skip(rule, Message("gates.no-weights", primary=chosen.name))
    status = below(effective / rows, _ESS, _ESS_FAILS)
    reason = None if status == "pass" else Message("gates.low-effective-log", rows=rows, effective=effective)
    return Gate(status=status, value=effective / rows, threshold=_ESS, rule=rule, reason=reason)


def instrument_strength(chosen: Estimate | None) -> Gate:
    """Check the strength of the instruments in the first stage."""
    rule = Message("gates.instrument-rule", fails=_WEAK_F)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if "effective_f" not in chosen.diagnostics:
        return skip(rule, Message("gates.no-instrument", primary=chosen.name))
    value = number_in(chosen.diagnostics.get("effective_f"))
    critical = number_in(chosen.diagnostics.get("effective_f_critical"))
    threshold = _WEAK_F if critical is None else max(critical, _WEAK_F)
    if value is None:
        return skip(rule, Message("gates.instrument-determines-treatment"))
    status = below(value, threshold, _WEAK_F)
    reason = None
    if status != "pass":
        reason = Message("gates.weak-instruments", effective_f=value)
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=reason)


def negative_weights(chosen: Estimate | None) -> Gate:
    """Check for negative weights in two-way fixed effects under heterogeneous effects."""
    rule = Message("gates.negative-weights-rule", most=_NEGATIVE, fails=_NEGATIVE_FAILS)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    share = number_in(chosen.diagnostics.get("negative_weight_share"))
    total = number_in(chosen.diagnostics.get("negative_weight_sum"))
    if share is None or total is None:
        return skip(rule, Message("gates.no-such-weights", primary=chosen.name))
    status = above(abs(total), _NEGATIVE, _NEGATIVE_FAILS)
    reason = None
    if status != "pass":
        reason = Message("gates.negative-weights", share=share, total=total)
    return Gate(status=status, value=abs(total), threshold=_NEGATIVE, rule=rule, reason=reason)


def pre_trends(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check for differential trends before treatment."""
    rule = Message("gates.pre-trends-rule", level=_TREND)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family not in ("did", "did_staggered"):
        return skip(rule, Message("gates.not-parallel-trends", primary=chosen.name))
    found = table_in(diagnostics, "pre_trends")
    if chosen.family == "did_staggered" and "pre_trends" in table_in(diagnostics, "event_study"):
        found = table_in(diagnostics, "event_study", "pre_trends")
    joint = number_in(found.get("p_value"))
    if joint is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-pre-trends-test")))
    line = table_in(diagnostics, "pre_trends", "trend")
    value = smallest(joint, number_in(line.get("p_value")))
    status = below(value, _TREND, _TREND)
    reason = None
    if status != "pass":
        largest, slope = number_in(found.get("largest")) or 0.0, number_in(line.get("estimate"))
        reason = Message("gates.trends-differ", largest=largest)
        if slope is not None:
            reason = Message("gates.trends-differ-along-line", largest=largest, slope=slope)
    return Gate(status=status, value=value, threshold=_TREND, rule=rule, reason=reason)


def clusters(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that there are enough clusters, in each arm where arms are compared, for clustered errors."""
    rule = Message(
        "gates.clusters-rule", least=_CLUSTERS, of_arm=_CLUSTERS_OF_ARM, fails=_CLUSTERS_FAIL,
        of_arm_fails=_OF_ARM_FAILS,
    )  # fmt: skip
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    found = table_in(diagnostics, "clusters")
    value = number_in(found.get("fewest"))
    if value is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.independent-rows")))
    poorer = _smaller_arm(table_in(chosen.diagnostics, "clusters_by_arm"))
    threshold = _CLUSTERS if poorer is None else 2 * _CLUSTERS_OF_ARM
    status, reason = below(value, threshold, _CLUSTERS_FAIL), Message("gates.few-clusters", clusters=value)
    if poorer is not None:
        name, own = poorer
        of_arm = below(own, _CLUSTERS_OF_ARM, _OF_ARM_FAILS)
        if of_arm == "fail" or (of_arm == "warn" and status == "pass"):
            status, value, threshold = of_arm, own, _CLUSTERS_OF_ARM
            reason = _few_of_arm(name, own)
    return Gate(status=status, value=value, threshold=threshold, rule=rule, reason=None if status == "pass" else reason)


def _few_of_arm(arm: str, number: float) -> Message:
    if arm == "treated":
        return Message("gates.few-treated-clusters", clusters=number)
    return Message("gates.few-untreated-clusters", clusters=number)
