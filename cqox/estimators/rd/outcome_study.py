"""The studies of the mapped outcome: sharp, and with the treatment as fuzzy, at the requested bandwidths."""

import numpy as np

from cqox.estimators.data import Matrix
from cqox.estimators.plan import Plan
from cqox.estimators.rd.bandwidth import Bandwidths
from cqox.estimators.rd.running_variable import Score, compliance, score_of
from cqox.estimators.rd.study import Study, study
from cqox.estimators.sample import Sample

__all__ = ["fuzzy_study", "outcome_sample", "sharp_study"]


def sharp_study(plan: Plan) -> Study:
    """Return the study of the outcome."""

    def make() -> Study:
        sample, strict = outcome_sample(plan), compliance(plan).strict
        bandwidths = _given(plan, score_of(plan, sample, strict=strict))
        return study(
            plan, sample, sample.take(plan.data.y), strict=strict, covariates=_covariates(plan, sample),
            bandwidths=bandwidths, bias=plan.settings.rd_bias_bandwidth,
            kernel="uniform" if plan.settings.rd_bandwidth == "all" else None,
        )  # fmt: skip

    return plan.share("sharp discontinuity", make)


def fuzzy_study(plan: Plan) -> Study:
    """Return the study of the outcome and the treatment."""

    def make() -> Study:
        sample = outcome_sample(plan, "treatment")
        return study(
            plan, sample, sample.take(plan.data.y), treatment=plan.treated(sample),
            covariates=_covariates(plan, sample), bandwidths=_given(plan, score_of(plan, sample)),
            bias=plan.settings.rd_bias_bandwidth, kernel="uniform" if plan.settings.rd_bandwidth == "all" else None,
        )  # fmt: skip

    return plan.share("fuzzy discontinuity", make)


def outcome_sample(plan: Plan, *more: str) -> Sample:
    """Return the complete cases of the outcome, the score, the covariates and other roles."""
    return plan.sample("y", "running", "covariates", *more)


def _given(plan: Plan, score: Score) -> Bandwidths | None:
    """Return the requested bandwidth, also for the bias; None for the MSE-optimal one."""
    match plan.settings.rd_bandwidth:
        case None:
            return None
        case "all":
            # The unit of distances is the largest one.
            return Bandwidths(h=1.0, b=1.0)
        case asked:
            return Bandwidths(h=asked / score.unit, b=asked / score.unit)


def _covariates(plan: Plan, sample: Sample) -> Matrix | None:
    """Return (c, n) the linearly independent covariates from their means; None where there are none."""
    if not plan.has("covariates"):
        return None
    frame = plan.frame("x", sample)
    matrix = frame.matrix[1 : frame.at["x"].stop]
    # The lines are those of the centre, and so is the linearised ratio: that of the frame depends on the order of rows.
    return np.asarray(matrix - matrix.mean(axis=1, keepdims=True)) if len(matrix) else None
