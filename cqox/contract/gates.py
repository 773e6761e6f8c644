"""The names of all gates and their statuses, for those that count results before any gate was computed.

The gates themselves are in `cqox.diagnostics`, which a test holds to these names.
"""

from typing import get_args

from cqox.contract.report import Gate

__all__ = ["GATES", "GATE_STATUSES"]

GATES = (
    "computation", "design", "primary_warnings", "missingness", "bad_controls",
    "overlap", "balance", "effective_sample_size", "arm_rows", "clusters", "tails",
    "instrument_strength", "negative_weights", "pre_trends",
    "manipulation", "covariate_continuity", "placebo_cutoffs", "polynomial_order", "bandwidth_sensitivity",
    "donor_fit", "serial_dependence",
    "precision", "agreement", "curvature", "robustness", "refutation",
)  # fmt: skip
"""In the order of reports."""

GATE_STATUSES: tuple[str, ...] = get_args(Gate.model_fields["status"].annotation)
"""Statuses of a gate."""
