"""The planned study that arguments and facts describe."""

import math
from collections.abc import Callable

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, UnusableData
from cqox.planning.arguments import Arguments
from cqox.planning.clusters import cluster_mean_variance, components
from cqox.planning.designs import Design, Level, MeanDifference, RateDifference
from cqox.planning.facts import Facts, PanelFacts
from cqox.planning.panels import Moments, PanelEstimator, contrast_variance, correlations, moments, weight_of_before
from cqox.planning.study import Study

__all__ = ["design_effect", "effect_in_units", "panel_estimator", "study_of"]

_ROUNDING = 1e-12


def study_of(given: Arguments, facts: Facts) -> Study:
    """Return the study of any size."""
    rates = facts.rate and not _is_panel(given, facts) and given.pair_correlation is None
    return Study(
        design=_design(given, facts),
        level=Level(given.alpha, given.one_sided),
        ratio=facts.ratio,
        cluster_size=1.0 if facts.icc is None or given.clusters else facts.cluster_size or 1.0,
        clusters=given.clusters,
        pairs=given.pair_correlation is not None,
        lowest=-(facts.baseline or 0.0) if rates else -math.inf,
        highest=1.0 - (facts.baseline or 0.0) if rates else math.inf,
    )


def effect_in_units(given: Arguments, facts: Facts) -> float | None:
    """Return the given effect in units of the outcome; None if none is given.

    Raises:
        InvalidRequest: a relative effect without a baseline, or a rate that the effect moves out of 0 to 1.
        UnusableData: the measured rate without treatment is 0 or 1.
    """
    if facts.rate and not 0.0 < (facts.baseline or 0.0) < 1.0:
        raise UnusableData(Message("power.rate-at-an-end", rate=100 * (facts.baseline or 0.0)), field="baseline")
    if given.relative and not facts.baseline:
        raise InvalidRequest(Message("power.relative-without-baseline"), field="baseline")
    if given.effect is None:
        return None
    effect = given.effect * abs(facts.baseline or 1.0) if given.relative else given.effect
    if facts.rate and facts.baseline is not None and not -_ROUNDING <= facts.baseline + effect <= 1.0 + _ROUNDING:
        detail = Message(
            "power.rate-out-of-range", effect=effect, baseline=facts.baseline, reached=facts.baseline + effect
        )
        raise InvalidRequest(detail, field="effect")
    return effect


def design_effect(facts: Facts, size: float) -> float:
    """Return the factor by which clusters of a mean size raise the variance of a mean of rows."""
    parts = components(1.0, facts.icc or 0.0, facts.r2, facts.r2_clusters)
    return size * cluster_mean_variance(parts, size, facts.cluster_size_cv) / parts.total


def panel_estimator(given: Arguments, facts: Facts) -> PanelEstimator | None:
    """Return how periods are compared; None if the study has one period."""
    if not _is_panel(given, facts):
        return None
    before = facts.panel.before if facts.panel else given.periods_before
    return given.estimator or ("did" if before else "post")


def _is_panel(given: Arguments, facts: Facts) -> bool:
    return facts.panel is not None or given.over_time


def _design(given: Arguments, facts: Facts) -> Callable[[float], Design]:
    estimator = panel_estimator(given, facts)
    if estimator is not None:
        return _constant(_over_time(given, facts, estimator))
    if given.pair_correlation is not None:
        left = (1.0 - given.pair_correlation) * (1.0 - facts.r2)
        control, treated = (variance * left for variance in _variances(facts))
        return _constant(MeanDifference(control_variance=control, treated_variance=treated, pairs=True))
    if facts.icc is not None:
        return _of_clusters(facts)
    left = 1.0 - facts.r2
    if facts.rate:
        return _constant(RateDifference(baseline=facts.baseline or 0.0, test=given.rate_test, inflation=left))
    control, treated = (variance * left for variance in _variances(facts))
    return _constant(
        MeanDifference(
            control_variance=control, treated_variance=treated, pooled=not facts.by_arm, lost=facts.covariates
        )
    )


def _constant(design: Design) -> Callable[[float], Design]:
    return lambda size: design


def _variances(facts: Facts) -> tuple[float, float]:
    """Return the variances of the outcome, untreated and treated."""
    if facts.sds is None:
        rate = facts.baseline or 0.0
        return rate * (1.0 - rate), rate * (1.0 - rate)
    return facts.sds[0] ** 2, facts.sds[1] ** 2


def _of_clusters(facts: Facts) -> Callable[[float], Design]:
    parts = components(1.0, facts.icc or 0.0, facts.r2, facts.r2_clusters)
    control, treated = _variances(facts)

    def design(size: float) -> Design:
        inflation = cluster_mean_variance(parts, size, facts.cluster_size_cv)
        if facts.rate:
            return RateDifference(
                baseline=facts.baseline or 0.0, clustered=True, inflation=inflation, lost=facts.covariates
            )
        return MeanDifference(
            control_variance=control * inflation,
            treated_variance=treated * inflation,
            pooled=not facts.by_arm,
            lost=facts.covariates,
        )

    return design


def _over_time(given: Arguments, facts: Facts, estimator: PanelEstimator) -> Design:
    pooled, by_arm = _moments(given, facts)
    weight = weight_of_before(estimator, pooled)
    control, treated = (contrast_variance(each, weight) * (1.0 - facts.r2) for each in by_arm or (pooled, pooled))
    lost = int(estimator == "ancova") + facts.covariates
    return MeanDifference(control_variance=control, treated_variance=treated, pooled=by_arm is None, lost=lost)


def _moments(given: Arguments, facts: Facts) -> tuple[Moments, tuple[Moments, Moments] | None]:
    measured = facts.panel
    if measured is not None and facts.autocorrelation is None:
        if "sds" not in facts.measured or given.serial_correlation is not None:
            raise InvalidRequest(Message("power.autocorrelation-missing"), field="autocorrelation")
        return measured.pooled, measured.by_arm
    before, after = _periods(given, measured)
    correlation = correlations(before + after, facts.autocorrelation or 0.0, facts.serial_correlation)
    control, treated = (moments(variance * correlation, before) for variance in _variances(facts))
    pooled = Moments(*((one + other) / 2.0 for one, other in zip(control, treated, strict=True)))
    return pooled, (control, treated) if facts.by_arm else None


def _periods(given: Arguments, measured: PanelFacts | None) -> tuple[int, int]:
    if measured is not None:
        return measured.before, measured.after
    return given.periods_before or 0, given.periods_after or 1
