"""Regression discontinuity: the jump of an outcome where a score crosses the cutoff that assigns treatment.

Sharp designs: the cutoff determines the treatment; fuzzy designs: it changes the probability of treatment. Both assume
continuity: units just below and just above differ in the treatment only. The density test looks for manipulation of the
score. Numbers equal those of rdrobust and rddensity, of which nothing is copied.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cqox.contract.messages import Message
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
from cqox.estimators.rd.manipulation import DENSITY, density_test
from cqox.estimators.rd.outcome_study import fuzzy_study, outcome_sample, sharp_study
from cqox.estimators.rd.running_variable import compliance, populated, score_of
from cqox.estimators.rd.study import DISTINCT, Effect, Errors, Study

__all__ = ["ESTIMATORS", "density_test", "fuzzy", "sharp"]

_FAMILY = "discontinuity"
_FEWEST_VALUES, _FEWEST_VALUES_OF_DENSITY = 4, 10
"""Distinct values of the score on each side: for an effect, and the order of its polynomials more; for the density."""

_HIGH_ORDER = 3
"""Order from which global polynomials are warned of: Gelman and Imbens 2019, JBES 37(3), doi
10.1080/07350015.2017.1366909."""

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
    warnings = [Message("rd.weak-jump", f_statistic=strength, least=_WEAK_F)] if strength < _WEAK_F else []
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


def _answer(
    plan: Plan,
    identity: EstimateId,
    found: Study,
    effect: Effect,
    more: dict[str, Json],
    warnings: Sequence[Message] = (),
) -> Estimate:
    errors, corrected, scale = effect.errors, effect.corrected, effect.scale
    uncertainty = _uncertainty(plan, found, errors, abs(scale))
    notes = [
        Message("rd.bias-corrected", corrected=corrected),
        *_conventions(plan, found),
        *(plan.frame("x", found.sample).notes if plan.has("covariates") else ()),
    ]
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
    asked, notes, warnings = plan.settings.se, list[Message](), list[Message]()
    named = f"CCT robust ({_method(found)})"
    alternates = {named: errors.robust * scale, f"conventional ({_method(found)})": errors.plain * scale}
    if errors.apart is not None:
        alternates["CCT robust (CRV1, clusters end at the cutoff)"] = errors.apart * scale
    if found.codes and asked == "CRV3":
        notes.append(Message("rd.crv3-undefined"))
    elif not found.codes and asked == "iid":
        notes.append(Message("rd.variances-differ", standard_error=asked))
    elif not found.codes and asked in ("CRV1", "CRV3"):
        notes.append(Message("rd.no-clusters", standard_error=asked))
    if found.codes and errors.clusters < FEW_CLUSTERS:
        warnings.append(Message("rd.few-clusters", clusters=errors.clusters, least=FEW_CLUSTERS))
    return Uncertainty(
        standard_error=errors.robust * scale or None,
        method=named if plan.clusters(found.sample).mapped or not found.codes else f"{named} by unit",
        degrees=errors.degrees,
        alternates=alternates,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _conventions(plan: Plan, found: Study) -> list[Message]:
    """Return notes on choices made by default."""
    how, running, cutoff, score = compliance(plan), plan.label("running"), plan.data.cutoff, found.score
    notes = []
    if how.kind == "assumed":
        notes.append(Message("rd.treatment-assumed", score=running, cutoff=cutoff))
    elif how.kind == "perfect":
        sign = {(1, False): ">=", (1, True): ">", (-1, False): "<", (-1, True): "<="}[int(how.sign), how.strict]
        notes.append(Message("rd.treated-side", score=running, comparison=sign, cutoff=cutoff))
    if score.massed:
        # Not a warning in itself: intervals keep their coverage while the bandwidth holds several values on each side.
        below, above = found.jump.distinct
        notes.append(
            Message(
                "rd.mass-points",
                score=running,
                values=sum(score.distinct),
                rows=sum(score.n),
                least=DISTINCT,
                values_below=below,
                values_above=above,
            )
        )
    if found.covariates:
        notes.append(Message("rd.common-coefficients"))
    return notes


def _described(plan: Plan, found: Study, corrected: float, errors: Errors, scale: float) -> dict[str, Json]:
    score, local, unit = found.score, found.jump, found.score.unit
    ends = found.jump.intercepts[:, 0] * found.scale + found.centre
    slopes = found.jump.slopes[:, 0] * found.scale / unit
    return {
        "cutoff": plan.data.cutoff,
        "h": local.h * unit,
        "b": local.b * unit,
        "bandwidth": _bandwidth(plan),
        "kernel": found.sides[0].kernel,
        "order": found.order,
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


def _bandwidth(plan: Plan) -> str:
    match plan.settings.rd_bandwidth:
        case None:
            return "MSE-optimal, one for both sides (mserd)"
        case "all":
            return "all rows"
        case _:
            return "given"


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value * unit


def _doubts(plan: Plan, found: Study) -> list[Message]:
    values, rows = found.jump.distinct, found.jump.within_h
    if plan.settings.rd_bandwidth == "all" and found.order >= _HIGH_ORDER:
        return [Message("rd.global-polynomial", order=found.order)]
    if min(values) < _FEW_VALUES:
        return [Message("rd.few-values", values_below=values[0], values_above=values[1])]
    if min(rows) < _FEW_ROWS:
        return [Message("rd.few-rows", rows_below=rows[0], rows_above=rows[1])]
    return []


def _density_rule(plan: Plan) -> Message | None:
    return populated(plan, score_of(plan, plan.sample("running")), _FEWEST_VALUES_OF_DENSITY)


def _sharp_rule(plan: Plan) -> Message | None:
    nobody = populated(plan, score_of(plan, plan.sample("running")), 1)
    if nobody is not None:
        return nobody
    how = compliance(plan)
    if how.kind == "constant":
        return Message("rd.constant-treatment", treatment=plan.label("treatment"))
    if how.kind == "imperfect":
        return Message("rd.imperfect-compliance", treatment=plan.label("treatment"), share=how.share)
    sample = outcome_sample(plan)
    reason = no_absorbing(plan) or varying_outcome(plan, sample)
    return reason or populated(plan, score_of(plan, sample, strict=how.strict), _FEWEST_VALUES + plan.settings.rd_order)


def _fuzzy_rule(plan: Plan) -> Message | None:
    nobody = populated(plan, score_of(plan, plan.sample("running")), 1)
    if nobody is not None:
        return nobody
    how = compliance(plan)
    if how.kind == "constant":
        return Message("rd.constant-treatment", treatment=plan.label("treatment"))
    if how.kind == "perfect":
        return Message("rd.perfect-compliance", treatment=plan.label("treatment"))
    sample = outcome_sample(plan, "treatment")
    reason = no_absorbing(plan) or varying_outcome(plan, sample)
    if reason is None and np.ptp(plan.treated(sample)) == 0:
        return Message("rd.constant-treatment-in-rows", treatment=plan.label("treatment"), rows=sample.n)
    return reason or populated(plan, score_of(plan, sample), _FEWEST_VALUES + plan.settings.rd_order)


_ROBUST = (
    "Calonico-Cattaneo-Titiunik robust, by the three nearest neighbours; CRV1 with t(G-1) where clustered; HC0 to HC3 "
    "by options.se"
)

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name=_SHARP.name,
        family=_FAMILY,
        estimand=_SHARP.estimand,
        summary="Jump of a local linear regression of the outcome at the cutoff (or of another order and kernel by "
        "`rd_order` and `rd_kernel`, or global), MSE-optimal bandwidth, robust "
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
