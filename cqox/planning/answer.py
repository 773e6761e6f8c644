"""The answer to a checked question: what is unknown is solved for, and put into words."""

import math

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, UnusableData
from cqox.planning.arguments import Arguments, Unknown
from cqox.planning.build import design_effect, effect_in_units, study_of
from cqox.planning.facts import Facts
from cqox.planning.report import PowerReport
from cqox.planning.sentences import assigned_in, assumptions_of, effect_in_words, headline_of, method_of, size_in_words
from cqox.planning.study import Size, Study

__all__ = ["answer"]

_CURVE = tuple(2.0 ** (step / 3) for step in range(-6, 7))
"""Sizes of the curve, as multiples of the study's own."""


def answer(given: Arguments, facts: Facts, unknown: Unknown, *, curve: bool = True) -> PowerReport:
    """Return the report of a study.

    Args:
        given: checked arguments.
        facts: given and measured numbers.
        unknown: what is to be computed.
        curve: whether to compute the effects at other sizes, which takes longest.

    Raises:
        InvalidRequest: the effect cannot be, or the size leaves no degrees of freedom.
        UnusableData: no size, or no effect, has the power.
    """
    effect = effect_in_units(given, facts)
    study = study_of(given, facts)
    if unknown == "n" and effect is not None:
        size = _size(study, given, facts, effect)
    else:
        size = study.sized(given.n or facts.n or 0)
        _check_testable(study, size, given, facts)
    if effect is None:
        effect = study.effect(size, given.target, lower=given.better == "lower")
        if effect is None:
            detail = Message(
                "power.no-effect-detectable", size=size_in_words(given, facts, size), power=100 * given.target
            )
            raise UnusableData(detail, field="n")
    attained = study.power(size, effect)
    found = attained if unknown == "power" else given.target
    return _assembled(given, facts, unknown, study, size, effect, found, attained, curve=curve)


def _size(study: Study, given: Arguments, facts: Facts, effect: float) -> Size:
    size = study.size(effect, given.target)
    if size is not None:
        return size
    if study.clusters is None:
        raise UnusableData(Message("power.no-size", effect=effect_in_words(facts, effect)), field="effect")
    endless = Size(study.sized(study.clusters).arms, float("inf"))
    if not study.testable(endless):
        _check_testable(study, endless, given, facts)
    least = study.effect(endless, given.target, lower=effect < 0)
    detail = Message(
        "power.too-few-clusters", clusters=study.clusters, effect=effect_in_words(facts, effect),
        most=study.power(endless, effect),
        least=Message("power.no-effect") if least is None else effect_in_words(facts, least),
    )  # fmt: skip
    raise UnusableData(detail, field="clusters")


def _check_testable(study: Study, size: Size, given: Arguments, facts: Facts) -> None:
    if study.testable(size):
        return
    field = "clusters" if given.clusters is not None else "n"
    if size.cluster_size < 1:
        raise InvalidRequest(Message("power.fewer-rows-than-clusters", clusters=given.clusters), field="n")
    least = study.least()
    match assigned_in(given, facts):
        case "row":
            detail = Message("power.few-rows-for-test", least=least)
        case "cluster":
            detail = Message("power.few-clusters-for-test", least=least)
        case "unit":
            detail = Message("power.few-units-for-test", least=least)
        case "pair":
            detail = Message("power.few-pairs-for-test", least=least)
    raise InvalidRequest(detail, field=field)


def _assembled(
    given: Arguments,
    facts: Facts,
    unknown: Unknown,
    study: Study,
    size: Size,
    effect: float,
    found: float,
    attained: float,
    *,
    curve: bool,
) -> PowerReport:
    clustered = facts.icc is not None
    deviation = facts.sds[0] if facts.sds else None
    if facts.rate and facts.baseline is not None:
        deviation = (facts.baseline * (1.0 - facts.baseline)) ** 0.5
    assigned = assigned_in(given, facts)
    before, after = (facts.panel.before, facts.panel.after) if facts.panel else (None, None)
    return PowerReport(
        unknown=unknown,
        effect=effect,
        relative_effect=_share(effect, facts.baseline),
        standardized_effect=effect / deviation if deviation else None,
        n=size.n,
        power=found,
        attained_power=attained,
        alpha=given.alpha,
        one_sided=given.one_sided,
        assigned=assigned,
        control=round(size.arms.control),
        treated=round(size.arms.treated),
        clusters=round(sum(size.arms)) if clustered else None,
        cluster_size=size.cluster_size if clustered else None,
        periods_before=before if facts.panel else given.periods_before,
        periods_after=after if facts.panel else given.periods_after,
        baseline=facts.baseline,
        standard_deviation=deviation,
        r2=facts.r2,
        icc=facts.icc,
        design_effect=design_effect(facts, size.cluster_size) if clustered else None,
        standard_error=study.standard_error(size, effect),
        degrees_of_freedom=study.design(size.cluster_size).degrees(size.arms),
        curve=_curve(study, size, given.target, lower=effect < 0) if curve else (),
        headline=headline_of(given, facts, unknown, size, effect, found),
        method=method_of(given, facts),
        assumptions=assumptions_of(given, facts, study, size, effect),
    )


def _share(effect: float, baseline: float | None) -> float | None:
    """Return the effect over the baseline; None where that is no number."""
    share = effect / abs(baseline) if baseline else math.inf
    return share if math.isfinite(share) else None


def _curve(study: Study, size: Size, power: float, *, lower: bool) -> tuple[tuple[int, float], ...]:
    points: dict[int, float] = {}
    for factor in _CURVE:
        other = size if factor == 1.0 else study.sized(max(round(size.n * factor), 2))
        if study.testable(other) and (effect := study.effect(other, power, lower=lower)) is not None:
            points[other.n] = effect
    return tuple(sorted(points.items()))
