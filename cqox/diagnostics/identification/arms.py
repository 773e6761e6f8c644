"""Assumptions on who is treated and who is observed: the assignment, interference, missing outcomes, dependence."""

from typing import Literal

from cqox.contract import Assumption
from cqox.contract.messages import Message, of
from cqox.diagnostics.holm import holm
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import Table, number_in, table_in

__all__ = [
    "BY_CHANCE",
    "DEPARTURE",
    "EQUAL_SHARES",
    "assigned",
    "complete_outcomes",
    "independent_units",
    "no_interference",
]

BY_CHANCE = 0.001
"""p-value below which a sample ratio or a covariate contradicts a random assignment."""

DEPARTURE = 0.01
"""p-value below which a negative control, or a spillover, contradicts its assumption, and shares of missing outcomes
differ beyond doubt."""

EQUAL_SHARES = 0.05
"""p-value from which the shares of missing outcomes count as equal."""

_NEVER_SUPPORTED = (Message("identification.only-contradicted"),)

_DEPENDENT = ("unmapped-cluster", "duplicate-rows")
"""Findings on rows that depend on each other."""


def assigned(judged: Judged, variable: Literal["treatment", "instrument"]) -> Assumption:
    """Return the entry on the assignment of the treatment, or of the instrument.

    Args:
        judged: what the ledger is written from.
        variable: the role that is assigned in the design.
    """
    declared = judged.options.assignment
    column = ", ".join(judged.plan.data.names.get(variable, (variable,)))
    if declared == "randomized":
        return assumption(
            "randomized", Message("identification.randomized", variable=column), _drawn(judged, variable),
            declared=True, remedy=Message("identification.randomized-remedy"),
        )  # fmt: skip
    return assumption(
        "unconfounded", Message("identification.unconfounded", variable=column), _controlled(judged, variable),
        declared=declared == "unconfounded", remedy=Message("identification.unconfounded-remedy"),
    )  # fmt: skip


def _drawn(judged: Judged, variable: str) -> Evidence:
    """Return the tests of a random assignment: the planned share, and the mapped covariates."""
    sentences: list[Message] = []
    p_values: list[float] = []
    ratio = table_in(judged.diagnostics, "sample_ratio")
    of_ratio = number_in(ratio.get("p_value"))
    if of_ratio is not None:
        p_values.append(of_ratio)
        sentences.append(_of_ratio(ratio, of_ratio))
    tests = table_in(judged.diagnostics, "balance_tests", variable)
    of_balance = number_in(table_in(tests, "smallest").get("p_value"))
    if of_balance is not None:
        p_values.append(of_balance)
        sentences.append(_of_balance(tests, of_balance))
    return Evidence(sentences=tuple(sentences), contradicts=min(holm(p_values), default=1.0) < BY_CHANCE)


def _of_ratio(ratio: Table, p_value: float) -> Message:
    treated, total, share, expected = (ratio.get(name) for name in ("treated", "total", "share", "expected_share"))
    if p_value < BY_CHANCE:
        return Message(
            "identification.sample-ratio-mismatch", treated=treated, total=total, share=share, expected=expected,
            p=p_value,
        )  # fmt: skip
    return Message(
        "identification.sample-ratio", treated=treated, total=total, share=share, expected=expected, p=p_value
    )


def _of_balance(tests: Table, p_value: float) -> Message:
    covariate, variable = table_in(tests, "smallest").get("name"), tests.get("variable")
    number = round(number_in(tests.get("tests")) or 0)
    if p_value < BY_CHANCE:
        return Message(
            "identification.imbalance", covariate=covariate, variable=variable, tests=number, p=p_value
        )  # fmt: skip
    return Message("identification.balance", covariate=covariate, variable=variable, tests=number, p=p_value)


def _controlled(judged: Judged, variable: str) -> Evidence:
    """Return the tests of an assignment that is as good as random given the covariates: the negative controls."""
    smallest = table_in(judged.diagnostics, "negative_controls", "smallest")
    p_value = number_in(smallest.get("p_value"))
    if p_value is None or variable != "treatment":
        return NO_EVIDENCE
    control, estimate = smallest.get("name"), smallest.get("estimate")
    if smallest.get("role") == "proxy_outcome":
        found = Message("identification.negative-outcome", control=control, estimate=estimate, p=p_value)
    else:
        found = Message("identification.negative-exposure", control=control, estimate=estimate, p=p_value)
    return Evidence(sentences=(found,), contradicts=p_value < DEPARTURE, unmet=_NEVER_SUPPORTED)


def no_interference(judged: Judged) -> Assumption:
    """Return the entry on spillovers between units."""
    name, plan = "no_interference", judged.plan
    mapped = any(plan.has(role) for role in ("edges", "neighbor_exposure", "latitude"))
    return assumption(
        name, Message("identification.no-interference"), _spilled(judged), declared=judged.declares(name),
        caps=mapped and judged.chosen.family != "interference",
        remedy=Message("identification.no-interference-remedy"),
    )  # fmt: skip


def _spilled(judged: Judged) -> Evidence:
    found = table_in(judged.diagnostics, "spillovers")
    p_value = number_in(found.get("p_value"))
    if p_value is None:
        return NO_EVIDENCE
    # A confounder of a neighbourhood moves its outcomes too, unless the neighbours' treatment was drawn.
    conclusive = found.get("by") != "places" or judged.options.assignment == "randomized"
    sentence = Message("identification.spillover", estimate=found.get("estimate"), p=p_value)
    return Evidence(sentences=(sentence,), contradicts=conclusive and p_value < DEPARTURE, unmet=_NEVER_SUPPORTED)


def complete_outcomes(judged: Judged) -> Assumption:
    """Return the entry on rows without an outcome."""
    name = "complete_outcomes"
    return assumption(
        name, Message("identification.complete-outcomes"), _lost(judged), declared=judged.declares(name),
        remedy=Message("identification.complete-outcomes-remedy"),
    )  # fmt: skip


def _lost(judged: Judged) -> Evidence:
    """Return the test of equal shares of missing outcomes, and Lee's bounds around the primary estimate.

    The bounds are of the difference in means: another estimate moves by as much as that difference does when the
    better observed arm is trimmed. Equal shares with bounds that exclude the minimum effect support the assumption;
    shares that differ at 5% and not at 1% take bounds that exclude it with their sampling error, so that chance
    withholds support from one harmless study in a hundred. Bounds that contain it contradict the assumption where the
    shares differ: around an estimate close to the minimum they would contain it whatever was lost.
    """
    found = table_in(judged.diagnostics, "attrition")
    lost = [number_in(found.get(f"{arm}_rows_missing")) for arm in ("treated", "untreated")]
    if None in lost:
        return NO_EVIDENCE
    if not any(lost):
        return Evidence(sentences=(Message("identification.no-outcome-missing"),), supports=True)
    treated, untreated = (number_in(found.get(f"{arm}_share_missing")) or 0.0 for arm in ("treated", "untreated"))
    p_value = number_in(found.get("p_value"))
    p_value = 1.0 if p_value is None else p_value
    said = Message("identification.outcomes-missing", treated=treated, untreated=untreated, p=p_value)
    bounds = _around(judged, table_in(found, "trimming"), number_in(found.get("observed_difference")))
    if bounds is None:
        return Evidence(sentences=(said,), unmet=(Message("identification.needs-bounds"),))
    (lower, upper), (least, most) = bounds
    minimum = judged.options.minimum_effect * (1.0 if judged.options.better == "higher" else -1.0)
    contain, beyond = lower <= minimum <= upper, not least <= minimum <= most
    if contain:
        of_bounds = Message("identification.bounds-contain", lower=lower, upper=upper, minimum=minimum)
    else:
        of_bounds = Message("identification.bounds-exclude", lower=lower, upper=upper, minimum=minimum)
    return Evidence(
        sentences=(said, of_bounds),
        supports=not contain and (p_value >= EQUAL_SHARES or (beyond and p_value >= DEPARTURE)),
        contradicts=contain and p_value < EQUAL_SHARES,
        unmet=(_uncertain_loss(contain, p_value),),
    )


def _uncertain_loss(contain: bool, p_value: float) -> Message:
    """Return the condition of support that missing outcomes do not meet."""
    if contain:
        return Message("identification.needs-excluding-bounds")
    if p_value < DEPARTURE:
        return Message("identification.needs-equal-shares", p=p_value, needed=DEPARTURE)
    return Message("identification.needs-sure-bounds", p=p_value, needed=EQUAL_SHARES)


def _around(
    judged: Judged, trimming: Table, observed: float | None
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return Lee's bounds and their interval, moved from the observed difference to the primary estimate."""
    found = [number_in(trimming.get(name)) for name in ("lower", "upper", "ci_lower", "ci_upper")]
    known = [value for value in found if value is not None]
    if observed is None or judged.chosen.estimate is None or len(known) < 4:
        return None
    lower, upper, least, most = (value - observed + judged.chosen.estimate for value in known)
    return (lower, upper), (least, most)


def independent_units(judged: Judged) -> Assumption:
    """Return the entry on rows that are not independent of each other.

    Supported where treatment is constant within the levels of no unmapped column, and no rows are copies of others.
    """
    name = "independent_units"
    found = [finding for finding in judged.findings or () if finding.code in _DEPENDENT and finding.severity == "caps"]
    open_ones = [finding for finding in found if not finding.accepted]
    sentences = tuple(of(finding.message) for finding in found)
    if judged.findings is not None and not found:
        sentences = (Message("identification.no-dependence-found"),)
    accepted = bool(found) and not open_ones
    return assumption(
        name, Message("identification.independent-units"),
        Evidence(sentences=sentences, supports=judged.findings is not None and not found),
        declared=accepted or judged.declares(name), caps=judged.findings is not None,
        remedy=Message("identification.independent-units-remedy"),
    )  # fmt: skip
