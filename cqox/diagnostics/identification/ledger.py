"""The ledger of the primary's design: its assumptions in the order in which a reader should look at them."""

from collections.abc import Callable, Mapping, Sequence

from cqox.contract import Assumption, DataFinding, Identification, Options
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned, complete_outcomes, independent_units, no_interference
from cqox.diagnostics.identification.cutoffs import cutoff_assumptions
from cqox.diagnostics.identification.designs import design_of
from cqox.diagnostics.identification.donors import donor_assumptions
from cqox.diagnostics.identification.entry import Judged
from cqox.diagnostics.identification.exposures import exposure_assumptions
from cqox.diagnostics.identification.instruments import instrument_assumptions
from cqox.diagnostics.identification.mediators import mediation_assumptions
from cqox.diagnostics.identification.policy_logs import policy_log_assumptions
from cqox.diagnostics.identification.populations import transport_assumptions
from cqox.diagnostics.identification.proxies import proxy_assumptions
from cqox.diagnostics.identification.series import series_assumptions
from cqox.diagnostics.identification.trends import switching_assumptions, trend_assumptions
from cqox.estimators import Estimate, Json, Plan

__all__ = ["identify"]

type _Entries = Callable[[Judged], tuple[Assumption, ...]]


def _comparison(judged: Judged) -> tuple[Assumption, ...]:
    return (assigned(judged, "treatment"),)


_ENTRIES: Mapping[str, _Entries] = {
    "comparison": _comparison,
    "instrument": instrument_assumptions,
    "sharp_cutoff": cutoff_assumptions,
    "fuzzy_cutoff": cutoff_assumptions,
    "trends": trend_assumptions,
    "switching_trends": switching_assumptions,
    "synthetic_control": donor_assumptions,
    "interrupted_series": series_assumptions,
    "policy_log": policy_log_assumptions,
    "transport": transport_assumptions,
    "mediation": mediation_assumptions,
    "proximal": proxy_assumptions,
    "exposure": exposure_assumptions,
}

_ONE_ARM = ("interrupted_series", "policy_log")
"""Designs without two arms of units."""


def identify(
    plan: Plan,
    chosen: Estimate | None,
    estimates: Sequence[Estimate],
    diagnostics: Mapping[str, Json],
    options: Options,
    findings: Sequence[DataFinding] | None = None,
) -> Identification | None:
    """Return the ledger of the primary estimate; None where there is no number.

    Args:
        plan: the contrast's plan.
        chosen: the primary estimate.
        estimates: all estimates of the contrast.
        diagnostics: from `diagnose`.
        options: the request's options.
        findings: on the data; None where they were not looked for.
    """
    if chosen is None or chosen.estimate is None:
        return None
    judged = Judged(
        plan=plan, chosen=chosen, estimates=estimates, diagnostics=diagnostics, options=options, findings=findings
    )
    design = design_of(chosen.name, chosen.family, plan)
    entries = list(_ENTRIES[design.name](judged))
    if design.name != "exposure":
        entries.append(no_interference(judged))
    if design.name not in _ONE_ARM and plan.data.treatment_kind == "binary":
        entries.append(complete_outcomes(judged))
    if design.name != "interrupted_series":
        entries.append(independent_units(judged))
    return Identification(design=design.name, statement=_statement(design.name, judged), assumptions=tuple(entries))


def _statement(design: str, judged: Judged) -> Message:
    options = judged.options
    if design == "comparison" and options.assignment == "unknown":
        if judged.plan.data.treatment_kind == "continuous":
            return Message("identification.association-of-amount")
        return Message("identification.association")
    if design == "comparison" and options.assignment == "randomized":
        return Message("identification.trial")
    if design == "comparison":
        return Message("identification.adjusted")
    return _STATEMENTS[design]


_STATEMENTS = {
    "instrument": Message("identification.of-instrument"),
    "sharp_cutoff": Message("identification.of-sharp-cutoff"),
    "fuzzy_cutoff": Message("identification.of-fuzzy-cutoff"),
    "trends": Message("identification.of-trends"),
    "switching_trends": Message("identification.of-switching-trends"),
    "synthetic_control": Message("identification.of-synthetic-control"),
    "interrupted_series": Message("identification.of-interrupted-series"),
    "policy_log": Message("identification.of-policy-log"),
    "transport": Message("identification.of-transport"),
    "mediation": Message("identification.of-mediation"),
    "proximal": Message("identification.of-proximal"),
    "exposure": Message("identification.of-exposure"),
}
