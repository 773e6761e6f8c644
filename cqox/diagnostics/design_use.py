"""Check that the design which the mapping describes is used by a computed estimate.

A cutoff, an instrument or a proxy is mapped because an unconditional comparison would be biased, and so is a panel in
which treatment changes. If no estimator of that design gives a number, only the biased comparison is left, and no
decision should be based on it.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract import Gate
from cqox.contract.messages import Message, joined
from cqox.diagnostics.primary import TESTS
from cqox.diagnostics.tables import NO_PRIMARY, Table, skip, table_in
from cqox.estimators import Estimate, Estimator, Json, Plan, entries

__all__ = ["design_gate", "design_use"]

_DESIGN_ROLES = (
    "instrument",
    "running",
    "cutoff",
    "post",
    "intervention_time",
    "cohort",
    "dose",
    "proxy_treatment",
    "proxy_outcome",
    "sample",
    "edges",
    "neighbor_exposure",
    "action",
    "target_policy",
)

_PROXIES = ("proxy_treatment", "proxy_outcome")

_OVER_TIME = ("unit_id", "time")
"""Roles that jointly describe a panel design when treatment changes within units."""


def design_use(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the mapped design roles, and those for which no requested estimator gave a number, with a reason."""
    asked = {estimate.name: estimate for estimate in estimates}
    known = [entry for entry in entries() if entry.name in asked and entry.name not in TESTS]
    computed = [entry for entry in known if asked[entry.name].estimate is not None]
    silent = [entry for entry in known if asked[entry.name].estimate is None]
    mapped = [role for role in _DESIGN_ROLES if plan.has(role)]
    if not all(plan.has(role) for role in _PROXIES):
        # One kind of proxy alone is a negative control, and identifies nothing.
        mapped = [role for role in mapped if role not in _PROXIES]
    if _treatment_changes(plan):
        mapped += _OVER_TIME
    unused = [
        role
        for role in mapped
        if not any(_made_for(role, entry) for entry in computed) and any(_made_for(role, entry) for entry in silent)
    ]
    table: dict[str, Json] = {"roles": list(mapped), "unused": list(unused)}
    if unused:
        # Report the estimator that uses most of the unused roles and has the fewest missing requirements.
        nearest = min(
            silent,
            key=lambda entry: (
                -sum(role in (*entry.requires, *entry.optional) for role in unused),
                sum(not plan.has(role) for role in entry.requires),
            ),
        )
        table["unused_reason"] = Message(
            "diagnostics.estimator-not-computed", estimator=nearest.name, reason=asked[nearest.name].reason
        )
    return table


def _treatment_changes(plan: Plan) -> bool:
    """Return whether units are observed over time and the treatment of some of them changes."""
    data = plan.data
    if data.unit is None or data.time is None or data.treatment is None:
        return False
    seen = (data.unit >= 0) & (data.time >= 0) & ~np.isnan(data.treatment)
    unit, treatment = data.unit[seen], data.treatment[seen]
    one = np.zeros(int(unit.max(initial=-1)) + 1)
    one[unit] = treatment
    return bool((one[unit] != treatment).any())


def _made_for(role: str, entry: Estimator) -> bool:
    """Return whether an estimator belongs to the design that a role describes."""
    if role in _OVER_TIME:
        return "time" in entry.requires or "post" in entry.requires
    # Other panel estimators derive the treatment from the cohort; 'intervention_time' implies 'post'.
    instead = {"cohort": "time", "intervention_time": "post"}.get(role)
    return role in (*entry.requires, *entry.optional) or (instead is not None and instead in entry.requires)


def design_gate(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that the mapped design was used."""
    rule = Message("gates.design-rule")
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    found = table_in(diagnostics, "design")
    mapped, unused = found.get("roles"), found.get("unused")
    if not isinstance(mapped, list) or not isinstance(unused, list) or not mapped:
        return skip(rule, Message("gates.no-design-role"))
    if not unused:
        return Gate(status="pass", value=0.0, threshold=0.0, rule=rule)
    none, why = Message("gates.design-unused", roles=unused), found.get("unused_reason")
    reason = joined([none, why]) if isinstance(why, str) else none
    return Gate(status="fail", value=float(len(unused)), threshold=0.0, rule=rule, reason=reason)
