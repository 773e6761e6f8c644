"""Reasons for the absence of an estimate that depend on the rows, and those that hold for any rows."""

from cqox.contract.messages import Message

__all__ = ["OF_MAPPING", "depends_on_rows"]

OF_MAPPING = frozenset(
    {
        "adjustment.needs-covariates-for-strata",
        "adjustment.needs-covariates-for-weights",
        "adjustment.needs-covariates-or-effects",
        "adjustment.needs-covariates-to-balance",
        "adjustment.series-needs-covariates",
        "estimators.missing-role",
        "estimators.missing-roles",
        "estimators.needs-amount",
        "estimators.needs-covariates-of-treatment",
        "estimators.needs-two-levels",
        "estimators.no-arms-without-two-levels",
        "estimators.no-probability-without-two-levels",
        "inference.effects-not-absorbed",
        "interference.no-exposure-mapped",
        "interference.no-weights-on-network",
        "iv.no-covariates",
        "iv.one-instrument-only",
        "learners.needs-scikit-learn",
        "matching.all-rows-without-replacement",
        "matching.distance-without-replacement",
        "matching.exact-not-a-covariate",
        "matching.exact-with-replacement",
        "matching.needs-covariates",
        "matching.no-clusters",
        "matching.no-sampling-weights",
        "mediation.interaction-needs-binary-treatment",
        "mediation.models-need-two-arms",
        "nuisance.response-not-binary",
        "off_policy.no-action",
        "off_policy.no-action-or-policy",
        "off_policy.probability-of-every-action",
        "panel.needs-cohort-or-treatment",
        "panel.needs-time",
        "panel.needs-two-levels-or-cohort",
        "panel.needs-unit-and-time",
        "panel.no-sampling-weights",
        "panel.refinement-needs-covariates",
        "time_series.no-intervention",
    }
)
"""Codes of the reasons that follow from the mapping, the kinds of its columns and the options.

What holds of some rows in this way (an outcome that is not 0 or 1, units with several rows) holds of all of them.
"""


def depends_on_rows(reason: Message) -> bool:
    """Return whether further rows of the same table could change a reason."""
    return reason.code not in OF_MAPPING
