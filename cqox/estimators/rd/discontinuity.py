"""Regression discontinuity: the jump of an outcome where a score crosses the cutoff that assigns treatment.

Sharp designs: the cutoff determines the treatment; fuzzy designs: it changes the probability of treatment. Both assume
continuity: units just below and just above differ in the treatment only. The density test looks for manipulation of the
score. Numbers equal those of rdrobust and rddensity, of which nothing is copied.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cqox.estimators.data import Matrix
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator
from cqox.estimators.inference.anderson_rubin import Moments, confidence_set
from cqox.estimators.inference.clusters import FEW_CLUSTERS
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    finite,
    make_estimate,
    no_absorbing,
    pooled_periods,
    varying_outcome,
)
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.plan import Plan
from cqox.estimators.rd.bandwidth import Bandwidths
from cqox.estimators.rd.manipulation import DENSITY, density_test
from cqox.estimators.rd.running_variable import Score, compliance, populated, score_of
from cqox.estimators.rd.study import DISTINCT, Effect, Errors, Study, study
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS", "density_test", "fuzzy", "fuzzy_study", "sharp", "sharp_study"]

_FAMILY = "discontinuity"
_FEWEST_VALUES, _FEWEST_VALUES_OF_DENSITY = 5, 10
_FEW_ROWS, _FEW_VALUES = 20, 10
_WEAK_F = 10.0
_NORMAL = 1e12
"""Degrees of freedom treated as infinite."""

_SHARP = EstimateId("rd_local_linear", _FAMILY, "ATE at the cutoff")
_FUZZY = EstimateId("rd_fuzzy", _FAMILY, "LATE at the cutoff")


def sharp(plan: Plan) -> Estimate:
    """Return the jump of the outcome at the cutoff, with its robust bias-corrected interval."""
    found = sharp_study(plan)
    return _answer(plan, _SHARP, found, found.effect(found.jump, compliance(plan).sign), {})


def fuzzy(plan: Plan) -> Estimate:
    """Return the ratio of the jumps of outcome and treatment, with its robust bias-corrected interval.

    Raises:
        UnusableData: the treatment does not jump at all.
    """
    found = fuzzy_study(plan)
    effect = found.effect(found.jump)
    first, treated = found.errors(found.jump, [0.0, 1.0]), float(found.jump.plain[1])
    strength = (treated / first.plain) ** 2 if first.plain > 0 else math.inf
    details: dict[str, Json] = {
        "outcome_jump": found.outcome_jump(found.jump).json(plan.settings.alpha),
        "treatment_jump": treated,
        "treatment_jump_standard_error": first.plain,
        "treatment_jump_bias_corrected": float(found.jump.corrected[1]),
        "treatment_jump_robust_standard_error": first.robust,
        "first_stage_f": finite(strength),
        "anderson_rubin_robust": _anderson_rubin(plan, found, effect.errors.degrees),
    }
    warnings = []
    if strength < _WEAK_F:
        warnings.append(
            f"The treatment hardly jumps at the cutoff (F {strength:.3g}, below {_WEAK_F:g}): the interval may be far "
            "too narrow; the Anderson-Rubin set is valid for any size of the jump."
        )
    return _answer(plan, _FUZZY, found, effect, details, warnings)


def _anderson_rubin(plan: Plan, found: Study, degrees: float | None) -> Json:
    """Return the effects at which the bias-corrected jump of outcome less effect times treatment is not significant."""
    pairs = [found.errors(found.jump, mixture).robust ** 2 for mixture in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))]
    cross = (pairs[2] - pairs[0] - pairs[1]) / 2
    moments = Moments(
        y=found.jump.corrected[:1], t=found.jump.corrected[1:], yy=np.array([[pairs[0]]]), yt=np.array([[cross]]),
        tt=np.array([[pairs[1]]]), degrees=_NORMAL if degrees is None else degrees,
    )  # fmt: skip
    return confidence_set(moments, plan.settings.alpha, _method(found)).scaled(found.scale).json()


def sharp_study(plan: Plan) -> Study:
    """Return the study of the outcome."""

    def make() -> Study:
        sample, strict = _sample(plan), compliance(plan).strict
        return study(
            plan, sample, sample.take(plan.data.y), strict=strict, covariates=_covariates(plan, sample),
            bandwidths=_given(plan, score_of(plan, sample, strict=strict)),
        )  # fmt: skip

    return plan.share("sharp discontinuity", make)


def fuzzy_study(plan: Plan) -> Study:
    """Return the study of the outcome and the treatment."""

    def make() -> Study:
        sample = _sample(plan, "treatment")
        return study(
            plan, sample, sample.take(plan.data.y), treatment=plan.treated(sample),
            covariates=_covariates(plan, sample), bandwidths=_given(plan, score_of(plan, sample)),
        )  # fmt: skip

    return plan.share("fuzzy discontinuity", make)


def _given(plan: Plan, score: Score) -> Bandwidths | None:
    """Return the requested bandwidth, also for the bias; None for the MSE-optimal one."""
    asked = plan.settings.rd_bandwidth
    return None if asked is None else Bandwidths(h=asked / score.unit, b=asked / score.unit)


def _sample(plan: Plan, *more: str) -> Sample:
    return plan.sample("y", "running", "covariates", *more)


def _covariates(plan: Plan, sample: Sample) -> Matrix | None:
    """Return (c, n) the linearly independent covariates; None where there are none."""
    if not plan.has("covariates"):
        return None
    frame = plan.frame("x", sample)
    matrix = frame.matrix[1 : frame.at["x"].stop]
    return matrix if len(matrix) else None


def _answer(
    plan: Plan, identity: EstimateId, found: Study, effect: Effect, more: dict[str, Json], warnings: Sequence[str] = ()
) -> Estimate:
    errors, corrected, scale = effect.errors, effect.corrected, effect.scale
    uncertainty = _uncertainty(plan, found, errors, abs(scale))
    notes = [
        "The estimate is the conventional one; interval, p-value and standard error are of the bias-corrected one "
        f"({corrected:.6g}), so that the interval need not be centred on the estimate.",
        *_conventions(plan, found),
    ]
    if plan.has("covariates"):
        notes += plan.frame("x", found.sample).notes
    within = sum(found.jump.within_h)
    answer = make_estimate(
        identity, plan, found.sample, corrected, errors.parts * scale, uncertainty, n_effective=float(within),
        diagnostics={**_described(plan, found, corrected, errors, abs(scale)), **more}, notes=notes,
        warnings=(*_doubts(plan, found), *warnings, *pooled_periods(plan)),
    )  # fmt: skip
    half = critical_value(plan.settings.alpha, errors.degrees) * errors.plain * abs(scale)
    details: dict[str, Json] = {
        **answer.diagnostics,
        "robust_ci": [answer.ci_lower, answer.ci_upper],
        "conventional_ci": [effect.value - half, effect.value + half],
    }
    return replace(answer, estimate=effect.value, diagnostics=details)


def _method(found: Study) -> str:
    return "CRV1" if found.codes else found.residual


def _uncertainty(plan: Plan, found: Study, errors: Errors, scale: float) -> Uncertainty:
    asked, notes, warnings = plan.settings.se, list[str](), list[str]()
    named = f"CCT robust ({_method(found)})"
    alternates = {named: errors.robust * scale, f"conventional ({_method(found)})": errors.plain * scale}
    if errors.apart is not None:
        alternates["CCT robust (CRV1, clusters end at the cutoff)"] = errors.apart * scale
    if found.codes and asked == "CRV3":
        notes.append("CRV3 is defined for regressions on all rows; the standard error is CRV1.")
    elif not found.codes and asked in ("iid", "CRV1", "CRV3"):
        why = "no cluster is mapped" if asked != "iid" else "variances differ along the score"
        notes.append(f"{asked} was asked for and {why}; the variance is estimated from nearest neighbours.")
    if found.codes and errors.clusters < FEW_CLUSTERS:
        warnings.append(
            f"There are {errors.clusters} clusters within the bandwidth; below {FEW_CLUSTERS} a cluster-robust "
            "interval tends to be too narrow."
        )
    return Uncertainty(
        standard_error=errors.robust * scale or None,
        method=named if plan.clusters(found.sample).mapped or not found.codes else f"{named} by unit",
        degrees=errors.degrees,
        alternates=alternates,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _conventions(plan: Plan, found: Study) -> list[str]:
    """Return notes on choices made by default."""
    how, running, cutoff, score = compliance(plan), plan.label("running"), plan.data.cutoff, found.score
    notes = []
    if how.kind == "assumed":
        notes.append(f"No treatment is mapped: rows with {running} >= {cutoff:g} are taken as the treated ones.")
    elif how.kind == "perfect":
        sign = {(1, False): ">=", (1, True): ">", (-1, False): "<", (-1, True): "<="}[int(how.sign), how.strict]
        notes.append(f"Treated are the rows with {running} {sign} {cutoff:g}, all of them.")
    if score.massed:
        # Not a warning in itself: intervals keep their coverage while the bandwidth holds several values on each side.
        notes.append(
            f"'{running}' has mass points ({sum(score.distinct)} distinct values, {sum(score.n)} rows): preliminary "
            f"bandwidths hold {DISTINCT} of them or more on each side, where there are so many; the bandwidth holds "
            f"{found.jump.distinct[0]} below and {found.jump.distinct[1]} above the cutoff."
        )
    if found.covariates:
        notes.append(
            "Covariates are adjusted for with common coefficients on both sides, which does not change the estimand."
        )
    return notes


def _described(plan: Plan, found: Study, corrected: float, errors: Errors, scale: float) -> dict[str, Json]:
    score, local, unit = found.score, found.jump, found.score.unit
    ends = found.jump.intercepts[:, 0] * found.scale + found.centre
    slopes = found.jump.slopes[:, 0] * found.scale / unit
    return {
        "cutoff": plan.data.cutoff,
        "h": local.h * unit,
        "b": local.b * unit,
        "bandwidth": "given" if found.bandwidths.pilot is None else "MSE-optimal, one for both sides (mserd)",
        "kernel": "triangular",
        "N": list(score.n),
        "N_h": list(local.within_h),
        "N_b": list(local.within_b),
        "se_conventional": errors.plain * scale,
        "bias_corrected": corrected,
        "se_robust": errors.robust * scale,
        "pilot_bandwidth": _scaled(found.bandwidths.pilot, unit),
        "third_derivative_bandwidth": _scaled(found.bandwidths.third, unit),
        "distinct": list(score.distinct),
        "distinct_h": list(local.distinct),
        "share_repeated": list(score.repeated),
        "lines": {
            "below": {"at_cutoff": float(ends[0]), "slope": -float(slopes[0])},
            "above": {"at_cutoff": float(ends[1]), "slope": float(slopes[1])},
        },
    }


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value * unit


def _doubts(plan: Plan, found: Study) -> list[str]:
    local = found.jump
    doubts = []
    if min(local.distinct) < _FEW_VALUES:
        doubts.append(
            f"Within the bandwidth the score takes {local.distinct[0]} distinct values below and {local.distinct[1]} "
            "above the cutoff: the jump depends on extrapolation between few points."
        )
    elif min(local.within_h) < _FEW_ROWS:
        doubts.append(
            f"Only {local.within_h[0]} rows below and {local.within_h[1]} above are within the bandwidth: the normal "
            "approximation may be poor."
        )
    return doubts


def _density_rule(plan: Plan) -> str | None:
    return populated(plan, score_of(plan, plan.sample("running")), _FEWEST_VALUES_OF_DENSITY)


def _sharp_rule(plan: Plan) -> str | None:
    nobody = populated(plan, score_of(plan, plan.sample("running")), 1)
    if nobody is not None:
        return nobody
    how = compliance(plan)
    if how.kind == "constant":
        return f"The treatment '{plan.label('treatment')}' never varies."
    if how.kind == "imperfect":
        return (
            f"The cutoff does not determine the treatment: '{plan.label('treatment')}' agrees with the side for "
            f"{how.share:.1%} of the rows. rd_fuzzy divides by the jump of the treatment, and reports the jump of the "
            "outcome too."
        )
    sample = _sample(plan)
    reason = no_absorbing(plan) or varying_outcome(plan, sample)
    return reason or populated(plan, score_of(plan, sample, strict=how.strict), _FEWEST_VALUES)


def _fuzzy_rule(plan: Plan) -> str | None:
    nobody = populated(plan, score_of(plan, plan.sample("running")), 1)
    if nobody is not None:
        return nobody
    how = compliance(plan)
    if how.kind == "constant":
        return f"The treatment '{plan.label('treatment')}' never varies."
    if how.kind == "perfect":
        return f"The cutoff alone determines the treatment '{plan.label('treatment')}': see rd_local_linear."
    sample = _sample(plan, "treatment")
    reason = no_absorbing(plan) or varying_outcome(plan, sample)
    if reason is None and np.ptp(plan.treated(sample)) == 0:
        return f"The treatment '{plan.label('treatment')}' never varies in the {sample.n} complete rows."
    return reason or populated(plan, score_of(plan, sample), _FEWEST_VALUES)


_ROBUST = (
    "Calonico-Cattaneo-Titiunik robust, by the three nearest neighbours; CRV1 with t(G-1) where clustered; HC0 to HC3 "
    "by options.se"
)

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name=_SHARP.name,
        family=_FAMILY,
        estimand=_SHARP.estimand,
        summary="Jump of a local linear regression of the outcome at the cutoff, MSE-optimal bandwidth, robust "
        "bias-corrected interval; continuity: units just below and just above the cutoff differ in the treatment only.",
        requires=("y", "running", "cutoff"),
        optional=("covariates", "weights", "cluster"),
        standard_error=_ROBUST,
        paper="Calonico, Cattaneo and Titiunik 2014, Econometrica 82(6), theorem 1; covariates: Calonico, Cattaneo, "
        "Farrell and Titiunik 2019, REStat 101(3)",
        doi="10.3982/ECTA11757",
        checked_against="rdrobust",
        laws=frozenset(
            {"row_permutation", "outcome_affine", "irrelevant_constant", "collinear_copy", "chunk_size", "threads"}
        ),
        treatment=frozenset({"binary", "continuous", "none"}),
        rule=_sharp_rule,
        compute=sharp,
    ),
    Estimator(
        name=_FUZZY.name,
        family=_FAMILY,
        estimand=_FUZZY.estimand,
        summary="Jump of the outcome over the jump of the treatment at the cutoff, for the compliers; monotonicity and "
        "exclusion: crossing the cutoff moves no unit out of treatment and affects outcomes only through it.",
        requires=("y", "treatment", "running", "cutoff"),
        optional=("covariates", "weights", "cluster"),
        standard_error=_ROBUST + "; with an Anderson-Rubin set",
        paper="Calonico, Cattaneo and Titiunik 2014, Econometrica 82(6), theorem 3; Hahn, Todd and Van der Klaauw "
        "2001, Econometrica 69(1)",
        doi="10.3982/ECTA11757",
        checked_against="rdrobust at equal bandwidths (its own h moves with the level of the outcome)",
        laws=frozenset(
            {
                "row_permutation",
                "outcome_affine",
                "irrelevant_constant",
                "collinear_copy",
                "flip_treatment",
                "scale_treatment",
                "chunk_size",
                "threads",
            }
        ),
        treatment=frozenset({"binary", "continuous"}),
        rule=_fuzzy_rule,
        compute=fuzzy,
    ),
    Estimator(
        name=DENSITY.name,
        family=_FAMILY,
        estimand=DENSITY.estimand,
        summary="Jump of the score's density at the cutoff, a test of manipulation of the score; it needs no "
        "outcome and estimates no effect.",
        requires=("running", "cutoff"),
        standard_error="jackknife, of local cubic fits at bandwidths for local quadratic ones",
        paper="Cattaneo, Jansson and Ma 2020, JASA 115(531), theorem 1 and section 5",
        doi="10.1080/01621459.2019.1635480",
        checked_against="rddensity",
        laws=frozenset({"row_permutation", "chunk_size", "threads"}),
        treatment=frozenset({"binary", "continuous", "none"}),
        rule=_density_rule,
        compute=density_test,
    ),
)
