"""Sentences of a power calculation: sizes, effects, methods and assumptions."""

import math
from dataclasses import replace

from cqox.contract.messages import Message
from cqox.planning.arguments import Arguments, Unknown
from cqox.planning.build import design_effect, panel_estimator, study_of
from cqox.planning.designs import Design, MeanDifference
from cqox.planning.facts import Facts
from cqox.planning.report import Assigned
from cqox.planning.study import Size, Study

__all__ = ["assigned_in", "assumptions_of", "effect_in_words", "headline_of", "method_of", "size_in_words"]

_TESTS_DIFFER = 0.01
"""Difference of two powers from which on it is worth a sentence."""

_MOST_RELATIVE = 2.0
"""Effect over the baseline beyond which the baseline is too near 0 to compare with."""


def assigned_in(given: Arguments, facts: Facts) -> Assigned:
    """Return what is assigned to an arm."""
    if panel_estimator(given, facts) is not None:
        return "unit"
    if given.pair_correlation is not None:
        return "pair"
    return "cluster" if facts.icc is not None else "row"


def headline_of(given: Arguments, facts: Facts, unknown: Unknown, size: Size, effect: float, power: float) -> Message:
    """Return the answer as a sentence."""
    size_said, effect_said = size_in_words(given, facts, size), effect_in_words(facts, effect)
    if unknown == "n":
        return Message("power.needed", size=size_said, effect=effect_said, power=100 * power, test=_test(given))
    return Message("power.detected", size=size_said, effect=effect_said, power=100 * power, test=_test(given))


def size_in_words(given: Arguments, facts: Facts, size: Size) -> Message:
    """Return the size and its arms."""
    control, treated = (round(arm) for arm in size.arms)
    match assigned_in(given, facts):
        case "unit":
            before, after = _periods(given, facts)
            return Message("power.size-units", n=size.n, control=control, treated=treated, before=before, after=after)
        case "pair":
            return Message("power.size-pairs", n=size.n, pairs=treated)
        case "cluster":
            return Message(
                "power.size-clusters", n=size.n, clusters=control + treated, rows=size.cluster_size,
                control=control, treated=treated,
            )  # fmt: skip
        case "row":
            return Message("power.size-rows", n=size.n, control=control, treated=treated)


def effect_in_words(facts: Facts, effect: float) -> Message:
    """Return the effect, with the baseline where there is one."""
    if facts.rate and facts.baseline is not None:
        return Message(
            "power.effect-on-rate",
            points=100 * effect,
            baseline=100 * facts.baseline,
            reached=100 * (facts.baseline + effect),
        )
    if facts.baseline and abs(effect) <= _MOST_RELATIVE * abs(facts.baseline):
        return Message(
            "power.effect-relative", effect=effect, relative=100 * effect / abs(facts.baseline), baseline=facts.baseline
        )
    return Message("power.effect-absolute", effect=effect)


def method_of(given: Arguments, facts: Facts) -> Message:
    """Return the test and the formula, with its paper."""
    match panel_estimator(given, facts):
        case "did":
            return Message("power.method-did")
        case "ancova":
            return Message("power.method-ancova")
        case "post":
            return Message("power.method-post")
    if given.pair_correlation is not None:
        return Message("power.method-pairs")
    if facts.icc is not None:
        return Message("power.method-clustered-rates") if facts.rate else Message("power.method-clusters")
    if facts.rate:
        match given.rate_test:
            case "score":
                return Message("power.method-score")
            case "arcsine":
                return Message("power.method-arcsine")
            case "wald":
                return Message("power.method-wald")
    return Message("power.method-welch") if facts.by_arm else Message("power.method-means")


def assumptions_of(given: Arguments, facts: Facts, study: Study, size: Size, effect: float) -> tuple[Message, ...]:
    """Return what the answer rests on."""
    design = study.design(size.cluster_size)
    found = [*_noise(facts), *_covariates(facts), *_clusters(facts, size), *_periods_of(given, facts, design)]
    if given.pair_correlation is not None:
        found.append(Message("power.pairs", correlation=given.pair_correlation))
    if facts.ratio != 1.0:
        found.append(Message("power.allocation", ratio=facts.ratio, origin=_origin(facts, "ratio")))
    degrees = design.degrees(size.arms)
    if degrees is not None:
        found.append(Message("power.degrees", degrees=degrees))
    found += _other_test(given, facts, study, size, effect)
    return (*found, *facts.notes, Message("power.not-counted"))


def _noise(facts: Facts) -> list[Message]:
    if facts.rate and facts.baseline is not None:
        return [Message("power.rate", rate=100 * facts.baseline, origin=_origin(facts, "baseline"))]
    if facts.sds is None:
        return []
    origin = _origin(facts, "sds")
    if facts.by_arm:
        return [Message("power.sds-of-arms", control=facts.sds[0], treated=facts.sds[1], origin=origin)]
    return [Message("power.sd", sd=facts.sds[0], origin=origin)]


def _covariates(facts: Facts) -> list[Message]:
    origin = _origin(facts, "r2")
    if facts.icc is not None and facts.r2_clusters is not None:
        return [Message("power.r2-by-level", within=facts.r2, between=facts.r2_clusters, origin=origin)]
    return [Message("power.r2", share=facts.r2, origin=origin)] if facts.r2 > 0 or "r2" in facts.measured else []


def _clusters(facts: Facts, size: Size) -> list[Message]:
    if facts.icc is None:
        return []
    factor = design_effect(facts, size.cluster_size)
    sentence = Message("power.icc", icc=facts.icc, origin=_origin(facts, "icc"), rows=size.cluster_size, factor=factor)
    if facts.cluster_size_cv > 0:
        return [sentence, Message("power.cluster-sizes-differ", cv=facts.cluster_size_cv)]
    return [sentence]


def _periods_of(given: Arguments, facts: Facts, design: Design) -> list[Message]:
    if panel_estimator(given, facts) is None or not isinstance(design, MeanDifference):
        return []
    control, treated = math.sqrt(design.control_variance), math.sqrt(design.treated_variance)
    if design.pooled:
        compared = Message("power.sd-compared", sd=control)
    else:
        compared = Message("power.sds-compared", control=control, treated=treated)
    if facts.autocorrelation is None:
        return [compared]
    if facts.serial_correlation:
        serial = facts.serial_correlation
        return [Message("power.serial-correlation", lasting=facts.autocorrelation, serial=serial), compared]
    return [Message("power.autocorrelation", correlation=facts.autocorrelation), compared]


def _other_test(given: Arguments, facts: Facts, study: Study, size: Size, effect: float) -> list[Message]:
    """Compare the test of rates with one that has unpooled variances, as the estimates of reports do."""
    one_period = panel_estimator(given, facts) is None and given.pair_correlation is None and facts.icc is None
    if not (facts.rate and one_period) or given.rate_test == "wald" or facts.ratio == 1.0:
        return []
    other = study_of(replace(given, rate_test="wald"), facts).power(size, effect)
    if abs(other - study.power(size, effect)) < _TESTS_DIFFER:
        return []
    return [Message("power.unpooled-differs", power=other)]


def _test(given: Arguments) -> Message:
    if given.one_sided:
        return Message("power.test-one-sided", alpha=100 * given.alpha)
    return Message("power.test-two-sided", alpha=100 * given.alpha)


def _origin(facts: Facts, name: str) -> Message:
    return Message("power.measured") if name in facts.measured else Message("power.given")


def _periods(given: Arguments, facts: Facts) -> tuple[int, int]:
    if facts.panel is not None:
        return facts.panel.before, facts.panel.after
    return given.periods_before or 0, given.periods_after or 1
