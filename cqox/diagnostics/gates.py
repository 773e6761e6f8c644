"""The checks that a decision rests on, each with its value, its threshold and its rule in words.

A gate speaks of the primary estimate: overlap does not matter to an instrument, nor an instrument's strength to a
regression. `warn` is a doubt that a limited trial can live with; `fail` means that the number should not be acted on.
"""

from collections.abc import Mapping, Sequence

from cqox.contract import Gate, Options
from cqox.diagnostics import cutoff_checks, design_checks, result_checks
from cqox.diagnostics.bad_controls import bad_controls_gate
from cqox.diagnostics.curvature import curvature_gate
from cqox.diagnostics.design_use import design_gate
from cqox.diagnostics.donor_fit import donor_fit_gate
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.serial_dependence import serial_dependence_gate
from cqox.diagnostics.tails import tails_gate
from cqox.estimators import Estimate, Json

__all__ = ["gates"]


DEFAULT_OPTIONS = Options()  # type: ignore[call-arg]


def gates(
    diagnostics: Mapping[str, Json],
    estimates: Sequence[Estimate],
    primary: Primary,
    options: Options = DEFAULT_OPTIONS,
) -> dict[str, Gate]:
    """Every gate, by name, in the order in which a reader should look at them.

    Args:
        diagnostics: from `diagnose`.
        estimates: what the estimators answered.
        primary: the estimate that decides.
        options: the request's options; in a declared trial the arms differ by chance alone.
    """
    chosen = next((estimate for estimate in estimates if estimate.name == primary.name), None)
    randomized = options.assignment == "randomized"
    return {
        "computation": result_checks.computation(diagnostics, estimates, chosen),
        "design": design_gate(diagnostics, chosen),
        "primary_warnings": result_checks.primary_warnings(chosen),
        "missingness": design_checks.missing_rows(diagnostics, chosen),
        "bad_controls": bad_controls_gate(diagnostics, chosen),
        "overlap": design_checks.overlap(diagnostics, chosen),
        "balance": design_checks.balance(diagnostics, chosen, randomized=randomized),
        "effective_sample_size": design_checks.effective_sample(diagnostics, chosen),
        "arm_rows": design_checks.arm_rows(chosen),
        "clusters": design_checks.clusters(diagnostics, chosen),
        "tails": tails_gate(diagnostics, chosen),
        "instrument_strength": design_checks.instrument_strength(chosen),
        "negative_weights": design_checks.negative_weights(chosen),
        "pre_trends": design_checks.pre_trends(diagnostics, chosen),
        "manipulation": cutoff_checks.manipulation(diagnostics, chosen),
        "covariate_continuity": cutoff_checks.continuity(diagnostics, chosen),
        "placebo_cutoffs": cutoff_checks.placebo_cutoffs(diagnostics, chosen),
        "polynomial_order": cutoff_checks.polynomial_order(diagnostics, chosen),
        "bandwidth_sensitivity": cutoff_checks.bandwidth_sensitivity(diagnostics, chosen),
        "donor_fit": donor_fit_gate(chosen),
        "serial_dependence": serial_dependence_gate(chosen),
        "precision": result_checks.precision(diagnostics, chosen),
        "agreement": result_checks.agreement(diagnostics, estimates, chosen),
        "curvature": curvature_gate(diagnostics, chosen),
        "robustness": result_checks.robustness(diagnostics, chosen, randomized=randomized),
    }
