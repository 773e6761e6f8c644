"""Assembly of a report from the results of its contrasts. No computation but counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.contract import DataFinding, Decision, Effect, Gate, Identification, Options, RoleMapping
from cqox.contract.messages import Message
from cqox.estimators import Estimate, Json, Plan

__all__ = ["ContrastResult", "assemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastResult:
    """Results of one contrast of the treatment.

    Attributes:
        label: the levels compared, None for a single contrast.
        rows: of the contrast.
        plan: the plan shared by the estimators.
        estimates: one per requested estimator, in catalog order.
        diagnostics: by name.
        gates: by name.
        decision: on the primary estimate.
        identification: the ledger of the primary estimate, None without a number.
        effect: the primary effect in the units of a decision, None without a number.
    """

    label: str | None
    rows: int
    plan: Plan
    estimates: tuple[Estimate, ...]
    diagnostics: Mapping[str, Json]
    gates: Mapping[str, Gate]
    decision: Decision
    identification: Identification | None
    effect: Effect | None = None


def assemble(
    roles: RoleMapping,
    options: Options,
    results: Sequence[ContrastResult],
    *,
    notes: Sequence[str],
    findings: Sequence[DataFinding] = (),
) -> dict[str, object]:
    """Assemble the report without its id, figures and provenance.

    Diagnostics, gates and decision at the top level are those of the contrast with the most rows; the others are in
    `diagnostics.contrasts`.
    """
    main = max(results, key=lambda result: result.rows)
    rows = [(result, estimate) for result in results for estimate in result.estimates]
    estimates = [estimate for _, estimate in rows]
    warnings = [
        Message("analysis.of-estimator", estimator=estimate.name, text=warning)
        for estimate in estimates
        for warning in estimate.warnings
    ]
    errors = [
        Message("analysis.of-estimator", estimator=estimate.name, text=estimate.reason)
        for estimate in estimates
        if estimate.status == "failed"
    ]
    said = [*notes, *_of_primary(main)]
    diagnostics: dict[str, object] = dict(main.diagnostics)
    if len(results) > 1:
        said.append(Message("analysis.main-contrast", contrast=main.label))
        diagnostics["contrasts"] = {
            str(result.label): {
                "diagnostics": dict(result.diagnostics),
                "gates": {name: gate.model_dump() for name, gate in result.gates.items()},
                "decision": result.decision.model_dump(),
                "effect": None if result.effect is None else result.effect.model_dump(),
                "identification": _ledger(result),
            }
            for result in results
            if result is not main
        }
    return {
        "mapping": {role: list(value) if isinstance(value, tuple) else value for role, value in roles.items()},
        "options": options.model_dump(mode="json"),
        "status": _status(estimates),
        "estimates": [_estimate(estimate, result.label) for result, estimate in rows],
        "results": [_result(estimate) for estimate in estimates],
        "gates": {name: gate.model_dump() for name, gate in main.gates.items()},
        "decision": main.decision.model_dump(),
        "effect": None if main.effect is None else main.effect.model_dump(),
        "identification": _ledger(main),
        "findings": [finding.model_dump() for finding in findings],
        "diagnostics": diagnostics,
        "notes": list(dict.fromkeys(said)),
        "warnings": list(dict.fromkeys(warnings)),
        "errors": list(dict.fromkeys(errors)),
    }


def _ledger(result: ContrastResult) -> dict[str, object] | None:
    return None if result.identification is None else result.identification.model_dump()


def _of_primary(result: ContrastResult) -> list[str]:
    """Return the notes of the primary estimate, such as the policy that it evaluates."""
    primary = result.decision.primary
    notes = next((each.diagnostics.get("notes") for each in result.estimates if each.name == primary), None)
    if not isinstance(notes, list | tuple):
        return []
    return [Message("analysis.of-estimator", estimator=primary, text=note) for note in notes if isinstance(note, str)]


def _status(estimates: Sequence[Estimate]) -> Literal["ok", "warning", "failed"]:
    statuses = {estimate.status for estimate in estimates}
    if not statuses & {"ok", "warning"}:
        return "failed"
    return "warning" if statuses & {"warning", "failed"} else "ok"


def _estimate(estimate: Estimate, label: str | None) -> dict[str, object]:
    return {
        "name": estimate.name,
        "family": estimate.family,
        "estimand": estimate.estimand,
        "contrast": label,
        "status": estimate.status,
        "reason": estimate.reason,
        "estimate": estimate.estimate,
        "standard_error": estimate.standard_error,
        "ci_lower": estimate.ci_lower,
        "ci_upper": estimate.ci_upper,
        "p_value": estimate.p_value,
        "se_method": estimate.se_method,
        "n": estimate.n,
        "n_effective": estimate.n_effective,
        "diagnostics": dict(estimate.diagnostics),
        "warnings": list(estimate.warnings),
        "seconds": estimate.seconds,
    }


def _result(estimate: Estimate) -> dict[str, object]:
    return {
        "name": estimate.name,
        "tau_hat": estimate.estimate,
        "se": estimate.standard_error,
        "ci_lower": estimate.ci_lower,
        "ci_upper": estimate.ci_upper,
        "status": estimate.status,
    }
