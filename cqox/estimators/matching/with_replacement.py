"""Matching: on the propensity score, and on the covariates by Mahalanobis distance.

Both assume that treatment is as good as random given the covariates, and overlap (for the ATT, only for treated units);
the first also that the treatment model, a logit, is correctly specified. With replacement, which is the default, all
ties with the last match are matches, so that neither row order nor chance matters; `greedy` matches without.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Settings, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
)
from cqox.estimators.inference.small_arms import sparse_arms
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.matching.abadie_imbens import (
    BOTH,
    SIGNS,
    Arms,
    Matched,
    averages,
    matched,
    matching_degrees,
    matching_variance,
    outcome_variances,
    score_adjustment,
)
from cqox.estimators.matching.matched_sets import matched_set_error
from cqox.estimators.matching.searches import QUERIES, Target, arms_of, caliper_of, score_search, space, too_many
from cqox.estimators.nuisance.propensity import given_probabilities
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import grouped_gram, solve
from cqox.estimators.numerics.neighbors import other_arm
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS, Sample

__all__ = ["ESTIMATORS", "mahalanobis_matching", "matching_weights", "score_matching"]

_FAMILY = "matching"
_KNOWN, _FITTED = 3, 2
"""Rows, itself included, by which the variance at a row is estimated: two others for known distances as in AI 2006
and teffects nnmatch, one other for an estimated score as in teffects psmatch."""
_MOST_ROWS = 3_000_000

type Pair = tuple[Vector, Vector]


def score_matching(plan: Plan, *, target: Target) -> Estimate:
    """Return the mean difference between rows of the target population and those of the other arm nearest in score."""
    sample, settings = plan.propensity_sample(), plan.settings
    propensity, arms = plan.propensity(sample), arms_of(plan, sample)
    search, caliper = score_search(plan, sample), caliper_of(plan, sample)
    match = matched(search, arms, QUERIES[target], settings.matches, caliper)
    if match.n < 2:
        raise UnusableData(_no_match(caliper))
    effects = _effects(arms, match, None)
    value = _mean(match, effects)
    answer = partial(
        _answer, plan, sample, "psm", target, arms, match, value, caliper=caliper,
        diagnostics={"propensity": "given" if propensity.known else "logit"}, notes=propensity.notes,
        warnings=propensity.warnings,
    )  # fmt: skip
    if not settings.match_replacement:
        return answer(matched_set_error(settings, match, effects, value, arms.scale))
    spread = outcome_variances(search, arms, match, _KNOWN)
    known = matching_variance(match, effects, value, spread)
    fitted, width = None, 1 if propensity.logit is None else propensity.logit.frame.at["x"].stop
    degrees = _degrees(plan, sample, match, spread, width)
    if propensity.logit is not None:
        own = None if target == "ATE" else QUERIES[target][0]
        spread = outcome_variances(search, arms, match, _FITTED)
        fitted = matching_variance(match, effects, value, spread)
        degrees = _degrees(plan, sample, match, spread, width)
        del effects, spread  # for many rows, the next steps need the memory
        fitted += score_adjustment(propensity.logit, propensity.inverse, search, arms, own, value, _FITTED)
    uncertainty = _uncertainty(settings, known, fitted, arms.scale, degrees)
    return answer(uncertainty)


def _no_match(caliper: float | None) -> Message:
    if caliper is None:
        return Message("matching.no-free-match")
    return Message("matching.no-match-within-caliper", caliper=caliper)


def mahalanobis_matching(plan: Plan, *, target: Target) -> Estimate:
    """Return the mean difference between the target population and its nearest matches, bias-corrected by regression.

    The correction is the difference that a linear regression among the matches predicts from their covariates; it is
    left out where `bias_correction` is false.
    """
    sample, settings = plan.outcome_sample(), plan.settings
    frame, search = plan.frame("xty", sample), space(plan, sample)
    arms = arms_of(plan, sample)
    match = matched(search, arms, QUERIES[target], settings.matches)
    lines = _lines(frame, arms, match, plan.treated(sample)) if settings.bias_correction else None
    effects = _effects(arms, match, lines)
    value = _mean(match, effects)
    plain = value if lines is None else _mean(match, _effects(arms, match, None))
    spread = outcome_variances(search, arms, match, _KNOWN)
    variance = matching_variance(match, effects, value, spread)
    degrees = _degrees(plan, sample, match, spread, frame.at["x"].stop)
    uncertainty = _uncertainty(settings, variance, None, arms.scale, degrees)
    return _answer(
        plan, sample, "nn_mahalanobis", target, arms, match, value, uncertainty,
        diagnostics={"without_bias_correction": plain * arms.scale}, notes=frame.notes, warnings=(),
    )  # fmt: skip


def _lines(frame: Frame, arms: Arms, match: Matched, treated: Vector) -> Pair:
    """Return the predictions of each arm's regression among its matches, weighted by use, for every row.

    Raises:
        UnusableData: too few rows are matches.
    """
    k, y = frame.at["x"].stop, frame.column("y")
    products, _ = grouped_gram(frame.rows, frame.matrix, arms.together(match.usage), treated.astype(np.uint8), 2)
    lines = []
    for arm in BOTH:
        if other_arm(arm) not in match.sets:
            lines.append(np.zeros(frame.n))
            continue
        fit = solve(products[arm, :k, :k], products[arm, :k, [y]].T)
        used = int(np.count_nonzero(match.used[arm]))
        if used <= len(fit.kept):
            raise UnusableData(
                Message("matching.too-few-matches", rows=used, arm=ARMS[arm], coefficients=len(fit.kept))
            )
        lines.append((fit.coefficients[:, 0] * (frame.scale[y] / arms.scale)) @ frame.matrix[:k])
    return lines[0], lines[1]


def _effects(arms: Arms, match: Matched, lines: Pair | None) -> Pair:
    """Return each row's outcome less the mean of its matches, or the reverse, both less the regression's
    predictions."""
    effects = [np.zeros(len(y)) for y in arms.y]
    for arm, found in match.sets.items():
        away = other_arm(arm)
        if lines is None:
            missing = averages(found, arms.y[away])
        else:
            line = lines[away]
            missing = averages(found, arms.y[away] - line[arms.rows[away]]) + line[arms.rows[arm]]
        effects[arm] = np.subtract(arms.y[arm], missing, out=missing)
        effects[arm] *= SIGNS[arm]
        effects[arm] *= match.kept[arm]
    return effects[0], effects[1]


def _mean(match: Matched, effects: Pair) -> float:
    return float((effects[0].sum() + effects[1].sum()) / match.n)


def _degrees(
    plan: Plan, sample: Sample, match: Matched, variances: Pair, coefficients: int
) -> Callable[[float], float] | None:
    """Return the degrees of freedom of a variance where an arm has few rows; None for the normal."""
    few = any(sparse_arms(plan.arm_rows(sample), (coefficients, coefficients)))
    return partial(matching_degrees, match, variances) if few and plan.settings.se == "auto" else None


def _uncertainty(
    settings: Settings, known: float, fitted: float | None, scale: float, degrees: Callable[[float], float] | None
) -> Uncertainty:
    """Return the standard error for a known distance, or for an estimated score if there is one.

    Args:
        settings: which standard error was asked for.
        known, fitted: the variances, standardised.
        scale: of an effect.
        degrees: returns the degrees of freedom of a variance; None for the normal.
    """
    notes: list[Message] = []
    if settings.se != "auto":
        notes.append(Message("matching.error-without-meaning", asked=settings.se))
    variances = {"AI2006": known} if fitted is None else {"AI2006": known, "AI2016": fitted}
    chosen = "AI2006" if fitted is None else "AI2016"
    if fitted is not None and fitted <= 0 < known:
        chosen = "AI2006"
        notes.append(Message("matching.no-adjustment-for-score"))
    variance = variances[chosen]
    own = None if degrees is None or variance <= 0 else degrees(variance)
    if own is not None:
        notes.append(Message("matching.few-rows", degrees=own))
    return Uncertainty(
        standard_error=math.sqrt(variance) * scale if variance > 0 else None,
        method=f"Abadie-Imbens {chosen[2:]}",
        degrees=own,
        alternates={name: math.sqrt(each) * scale for name, each in variances.items() if each > 0},
        notes=tuple(notes),
    )


def _answer(
    plan: Plan, sample: Sample, name: str, target: Target, arms: Arms, match: Matched, value: float,
    uncertainty: Uncertainty, *, caliper: float | None = None, diagnostics: dict[str, Json], notes: Sequence[Message],
    warnings: Sequence[Message],
) -> Estimate:  # fmt: skip
    asked = sum(len(arms.y[arm]) for arm in match.sets)
    lost = asked - int(match.n)
    doubts = [*warnings]
    if lost and plan.settings.match_replacement:
        doubts.append(Message("matching.rows-without-match", unmatched=lost, rows=asked, caliper=caliper))
    elif lost:
        doubts.append(Message("matching.rows-without-free-match", unmatched=lost, rows=asked))
    counts = np.concatenate([found.counts for found in match.sets.values()])
    weights = [match.kept[arm] + match.usage[arm] for arm in BOTH]
    ess = [effective_rows(each, len(each)) for each in weights]
    details: dict[str, Json] = {
        "matched_rows": int(match.n),
        "unmatched_rows": lost,
        "n_unique_controls": int(np.count_nonzero(match.used[0])),
        "n_unique_treated": int(np.count_nonzero(match.used[1])),
        "rows_with_ties": int(np.count_nonzero(counts > plan.settings.matches)),
        "most_matches": int(counts.max()),
        "largest_usage": float(max(match.usage[0].max(), match.usage[1].max())),
        "ess_control": ess[0],
        "ess_treated": ess[1],
        **diagnostics,
    }
    return make_estimate(
        EstimateId(f"{name}_{target.lower()}", _FAMILY, target), plan, sample, value * arms.scale, None, uncertainty,
        n_effective=sum(ess), diagnostics=details, notes=notes, warnings=(*doubts, *pooled_periods(plan)),
    )  # fmt: skip


def matching_weights(plan: Plan, name: str, target: Target) -> tuple[Sample, Vector, Vector]:
    """Return the rows, and the (n,) implied weights of the treated and of the untreated.

    Args:
        plan: the request's plan.
        name: `psm` or `nn_mahalanobis`.
        target: the target population.
    """
    settings = plan.settings
    if name == "psm":
        sample = plan.propensity_sample()
        search, caliper = score_search(plan, sample), caliper_of(plan, sample)
        match = matched(search, arms_of(plan, sample), QUERIES[target], settings.matches, caliper)
    else:
        sample = plan.outcome_sample()
        match = matched(space(plan, sample), arms_of(plan, sample), QUERIES[target], settings.matches)
    arms = arms_of(plan, sample)
    weights = arms.together((match.kept[0] + match.usage[0], match.kept[1] + match.usage[1]))
    treated, control = weights.copy(), weights
    treated[arms.rows[0]] = 0.0
    control[arms.rows[1]] = 0.0
    return sample, treated, control


def _independent_rows(plan: Plan, sample: Sample) -> Message | None:
    """Return a reason if the Abadie-Imbens errors would not be valid."""
    if plan.has("weights"):
        return Message("matching.no-sampling-weights", weights=plan.label("weights"))
    if plan.clusters(sample).codes:
        which = plan.label("cluster") if plan.data.clusters else plan.label("unit_id")
        return Message("matching.no-clusters", cluster=which)
    return None


def _enough(plan: Plan, sample: Sample, target: Target) -> Message | None:
    if sample.n > _MOST_ROWS:
        return Message("matching.too-many-rows", most=_MOST_ROWS)
    for arm in BOTH:
        rows = plan.arm_rows(sample)[arm]
        if other_arm(arm) in QUERIES[target] and rows < plan.settings.matches:
            return Message("matching.arm-too-small", matches=plan.settings.matches, arm=ARMS[arm], rows=rows)
    return None


def _replaced(settings: Settings, target: Target) -> Message | None:
    """Return a reason if an option of matching without replacement cannot be followed."""
    if settings.match_replacement:
        return Message("matching.exact-with-replacement") if settings.match_exact else None
    return Message("matching.all-rows-without-replacement") if target == "ATE" else None


def _score_rule(plan: Plan, *, target: Target) -> Message | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return Message("matching.needs-covariates")
    sample = plan.propensity_sample()
    reason = no_absorbing(plan) or two_arms(plan, sample) or _independent_rows(plan, sample)
    reason = reason or _enough(plan, sample, target) or _replaced(plan.settings, target)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    elif reason is None:
        plan.propensity(sample)
    return reason


def _space_rule(plan: Plan, *, target: Target) -> Message | None:
    sample = plan.outcome_sample()
    reason = no_absorbing(plan) or two_arms(plan, sample) or _independent_rows(plan, sample)
    reason = reason or _enough(plan, sample, target)
    if not plan.settings.match_replacement:
        reason = reason or Message("matching.distance-without-replacement")
    elif plan.settings.match_exact:
        reason = reason or Message("matching.exact-with-replacement")
    if reason is not None:
        return reason
    dimensions = plan.frame("xty", sample).at["x"].stop - 1
    if not dimensions:
        return Message("matching.constant-covariates", covariates=plan.label("covariates"))
    named = f"nn_mahalanobis_{target.lower()}" in plan.settings.named
    return too_many(space(plan, sample), sample, dimensions, target, named=named)


_ERROR = "Abadie-Imbens"
_OTHERS: dict[Target, Target] = {"ATE": "ATE", "ATT": "ATC"}
_POPULATIONS: dict[Target, str] = {"ATE": "every row", "ATT": "every treated row"}


def _score_entry(target: Target) -> Estimator:
    return Estimator(
        name=f"psm_{target.lower()}",
        family=_FAMILY,
        estimand=target,
        summary=f"Mean difference between {_POPULATIONS[target]} and the rows of the other arm with the nearest "
        "propensity score; treatment is as good as random given the covariates.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "pscore"),
        standard_error=f"{_ERROR} 2016 for an estimated score, 2006 for a given one; never the bootstrap; "
        "t where an arm has few rows"
        + ("; by matched set without replacement (Abadie and Spiess 2022)" if target == "ATT" else ""),
        paper="Abadie and Imbens 2016, Econometrica 84, theorems 1 and 2",
        doi="10.3982/ECTA11293",
        checked_against="Stata teffects psmatch (to the digit for the ATE), enumeration of all pairs"
        + (", R MatchIt without replacement" if target == "ATT" else ""),
        laws=CROSS_SECTION_LAWS - {"half_weights"},
        rule=partial(_score_rule, target=target),
        compute=partial(score_matching, target=target),
        flipped=partial(score_matching, target=_OTHERS[target]),
    )


def _space_entry(target: Target) -> Estimator:
    return Estimator(
        name=f"nn_mahalanobis_{target.lower()}",
        family=_FAMILY,
        estimand=target,
        summary=f"Mean difference between {_POPULATIONS[target]} and the rows of the other arm with the nearest "
        "covariates, corrected by a regression among the matches (bias_correction); treatment is as good as random "
        "given the covariates.",
        requires=("y", "treatment", "covariates"),
        standard_error=f"{_ERROR} 2006, by the two nearest rows of the same arm; never the bootstrap; "
        "t where an arm has few rows",
        paper="Abadie and Imbens 2011, Journal of Business and Economic Statistics 29, the bias-corrected estimator",
        doi="10.1198/jbes.2009.07333",
        checked_against="Stata teffects nnmatch, enumeration of all pairs",
        laws=CROSS_SECTION_LAWS - {"half_weights"},
        rule=partial(_space_rule, target=target),
        compute=partial(mahalanobis_matching, target=target),
        flipped=partial(mahalanobis_matching, target=_OTHERS[target]),
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _score_entry("ATE"),
    _score_entry("ATT"),
    _space_entry("ATE"),
    _space_entry("ATT"),
)
