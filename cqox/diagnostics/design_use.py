"""Whether a design that the mapping describes is one that something was computed by.

A cutoff, an instrument or a proxy is mapped because a plain comparison would be wrong. Where no estimator of that
design gives a number, the plain comparison is all that is left, and nothing should be decided by it.
"""

from collections.abc import Sequence

from cqox.contract import Gate
from cqox.diagnostics._tables import NO_PRIMARY, Table, skip, table_in, text_or
from cqox.diagnostics.primary import TESTS
from cqox.estimators import Estimate, Json, Plan, entries

__all__ = ["design_gate", "design_use"]

_DESIGN_ROLES = (
    "instrument",
    "running",
    "cutoff",
    "post",
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


def design_use(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """The mapped roles of designs, and those whose estimators were asked and all gave no number, with a reason."""
    asked = {estimate.name: estimate for estimate in estimates}
    known = [entry for entry in entries() if entry.name in asked and entry.name not in TESTS]
    used = {
        role for entry in known if asked[entry.name].estimate is not None for role in (*entry.requires, *entry.optional)
    }
    mapped = [role for role in _DESIGN_ROLES if plan.has(role)]
    silent = [entry for entry in known if asked[entry.name].estimate is None]
    unused = [role for role in mapped if role not in used and any(role in entry.requires for entry in silent)]
    told: dict[str, Json] = {"roles": list(mapped), "unused": list(unused)}
    if unused:
        # The estimator that asks for most of them, and lacks least.
        nearest = min(
            silent,
            key=lambda entry: (
                -sum(role in entry.requires for role in unused),
                sum(not plan.has(role) for role in entry.requires),
            ),
        )
        told["unused_reason"] = f"{nearest.name} was not computed. {asked[nearest.name].reason}"
    return told


def design_gate(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Whether the design that is mapped was used."""
    rule = "Every role that describes a design is used by an estimate."
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    found = table_in(diagnostics, "design")
    mapped, unused = found.get("roles"), found.get("unused")
    if not isinstance(mapped, list) or not isinstance(unused, list) or not mapped:
        return skip(rule, "No role of a design beyond treatment and covariates is mapped.")
    if not unused:
        return Gate(status="pass", value=0.0, threshold=0.0, rule=rule)
    names = " and ".join(f"'{role}'" for role in unused)
    return Gate(
        status="fail", value=float(len(unused)), threshold=0.0, rule=rule,
        reason=f"Nothing was computed by the design of {names}. {text_or(found.get('unused_reason'), '')}".rstrip(),
    )  # fmt: skip
