"""Designs by the primary estimator, and the assumptions that each may be declared to have."""

from dataclasses import dataclass

from cqox.contract import Options
from cqox.contract.messages import Message
from cqox.diagnostics.cohorts import treatment_stays
from cqox.diagnostics.sensitivity import UNCONFOUNDED
from cqox.errors import InvalidRequest
from cqox.estimators import Plan, entries

__all__ = ["DESIGNS", "Design", "check_assumes", "design_of"]

_OF_UNITS = ("complete_outcomes", "independent_units")
_EVERY = ("no_interference", *_OF_UNITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A design of the ledger.

    Attributes:
        name: as reports give it.
        declarable: assumptions that `options.assumes` takes.
        takes_assignment: whether `options.assignment` speaks of a variable of the design.
    """

    name: str
    declarable: tuple[str, ...]
    takes_assignment: bool = True


_FUZZY = ("exclusion", "monotonicity")
DESIGNS = {
    design.name: design
    for design in (
        Design(name="comparison", declarable=_EVERY),
        Design(name="instrument", declarable=("exclusion", "monotonicity", *_EVERY)),
        Design(name="sharp_cutoff", declarable=("no_manipulation", "continuity", *_EVERY), takes_assignment=False),
        Design(
            name="fuzzy_cutoff", declarable=("no_manipulation", "continuity", *_FUZZY, *_EVERY), takes_assignment=False
        ),
        Design(name="trends", declarable=("parallel_trends", "no_anticipation", *_EVERY)),
        Design(name="switching_trends", declarable=("parallel_trends", "no_feedback", *_EVERY)),
        Design(name="synthetic_control", declarable=("donor_match", "no_concurrent_event", *_EVERY)),
        Design(name="interrupted_series", declarable=("no_concurrent_event", "stable_trend", "no_interference")),
        Design(name="policy_log", declarable=("logged_propensities", "no_unlogged_context", *_EVERY)),
        Design(name="transport", declarable=("transportable", *_EVERY)),
        Design(name="mediation", declarable=("sequential_ignorability", *_EVERY)),
        Design(name="proximal", declarable=("proxy_exclusion", *_EVERY)),
        Design(name="exposure", declarable=("exposure_mapping", *_OF_UNITS)),
    )
}

_OF_FAMILY = {
    **dict.fromkeys(UNCONFOUNDED, "comparison"),
    "instruments": "instrument",
    "did": "trends",
    "did_staggered": "trends",
    "panel_matching": "switching_trends",
    "synthetic_control": "synthetic_control",
    "interrupted_series": "interrupted_series",
    "off_policy": "policy_log",
    "transport": "transport",
    "mediation": "mediation",
    "proximal": "proximal",
    "interference": "exposure",
}

_OF_ESTIMATOR = {
    "dml_pliv": "instrument",
    "rd_local_linear": "sharp_cutoff",
    "rd_fuzzy": "fuzzy_cutoff",
    "spatial_ols": "comparison",
}
"""Estimators whose family holds several designs."""


def design_of(name: str, family: str, plan: Plan) -> Design:
    """Return the design of an estimator.

    Args:
        name: its catalog name.
        family: its family.
        plan: the contrast's plan; two-way fixed effects ask it whether treatment goes on and off.
    """
    found = _OF_ESTIMATOR.get(name) or _OF_FAMILY[family]
    if name == "twfe" and not treatment_stays(plan):
        found = "switching_trends"
    return DESIGNS[found]


def check_assumes(primary: str | None, plan: Plan, options: Options) -> None:
    """Refuse an assumption that the design of the primary does not have, or an assignment that it cannot have.

    Raises:
        InvalidRequest: `options.assumes` names another assumption, or `options.assignment` is given for a cutoff.
    """
    entry = next((entry for entry in entries() if entry.name == primary), None)
    if entry is None:
        return
    design = design_of(entry.name, entry.family, plan)
    if options.assignment != "unknown" and not design.takes_assignment:
        raise InvalidRequest(
            Message("identification.assignment-by-cutoff"), field="options.assignment", choices=["unknown"]
        )
    for name in options.assumes or ():
        if name not in design.declarable:
            raise InvalidRequest(
                Message(
                    "identification.no-such-assumption", name=name, primary=entry.name, choices=list(design.declarable)
                ),
                field="options.assumes",
                choices=list(design.declarable),
            )
