"""Assumptions of comparisons over time: parallel trends, no anticipation, no feedback.

The past can contradict parallel trends, and supports them only where a trend as large as would explain the estimate
would have been seen (Roth 2022, doi 10.1257/aeri.20210236) and where the conclusion survives departures as large as any
before treatment (Rambachan and Roth 2023, doi 10.1093/restud/rdad018).
"""

from collections.abc import Mapping

from cqox.contract import Assumption
from cqox.contract.messages import Message, of
from cqox.diagnostics.holm import smallest
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import Table, number_in, table_in
from cqox.estimators import Json

__all__ = [
    "BREAKDOWN",
    "CONTRADICTS",
    "LAGGED",
    "PERIODS_BEFORE",
    "SUPPORTS",
    "switching_assumptions",
    "trend_assumptions",
]

SUPPORTS, CONTRADICTS = 0.05, 0.01
PERIODS_BEFORE = 3
"""Fewest periods before treatment, the base included, that can support parallel trends."""

BREAKDOWN = 1.0
"""Departures, as multiples of the largest before treatment, that a supported conclusion survives."""

LAGGED = 0.2
"""Difference in past outcomes, in their standard deviations, that the test of feedback must be able to detect."""

_FROM_LAST = ("did_callaway_santanna", "panel_matching")
"""Estimators whose base is the last period before treatment; the others start from the mean of the periods before."""


def trend_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a design in which treatment stays once it has started."""
    before = table_in(judged.diagnostics, "pre_trends")
    honest = table_in(judged.diagnostics, "event_study", "honest")
    return (_parallel_trends(judged, before, honest), _no_anticipation(judged, before))


def switching_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a design in which treatment goes on and off."""
    before = table_in(judged.diagnostics, "matched_leads")
    return (_parallel_trends(judged, before, table_in(before, "honest")), _no_feedback(judged))


def _parallel_trends(judged: Judged, before: Table, honest: Table) -> Assumption:
    name = "parallel_trends"
    return assumption(
        name, Message("identification.parallel-trends"), _of_trends(judged, before, honest),
        declared=judged.declares(name) or judged.options.assignment == "randomized",
        remedy=Message("identification.parallel-trends-remedy"),
    )  # fmt: skip


def _no_anticipation(judged: Judged, before: Table) -> Assumption:
    name = "no_anticipation"
    return assumption(
        name, Message("identification.no-anticipation"), _of_last_change(judged, before),
        declared=judged.declares(name), remedy=Message("identification.no-anticipation-remedy"),
    )  # fmt: skip


def _no_feedback(judged: Judged) -> Assumption:
    name = "no_feedback"
    return assumption(
        name, Message("identification.no-feedback"), _of_past_outcomes(table_in(judged.diagnostics, "feedback")),
        declared=judged.declares(name), remedy=Message("identification.no-feedback-remedy"),
    )  # fmt: skip


def _of_trends(judged: Judged, before: Table, honest: Table) -> Evidence:
    joint, periods = number_in(before.get("p_value")), number_in(before.get("periods_before"))
    if joint is None or periods is None:
        return _untested(before)
    sentences = [Message("identification.trends-joint", periods=periods, p=joint)]
    line, line_p = _contrast(before, "trend")
    if line_p is not None:
        sentences.append(Message("identification.trends-line", slope=line, p=line_p))
    dip, dip_p = _contrast(before, "dip")
    if dip_p is not None:
        sentences.append(Message("identification.trends-dip", dip=dip, p=dip_p))
    moved = _moved(judged, before, sentences)
    breakdown = _breakdown(honest, sentences)
    unmet = (
        *_short_past(periods, joint, smallest(line_p, dip_p)),
        *_weak_tests(moved, judged.seen),
        *_fragile(breakdown),
    )
    return Evidence(
        sentences=tuple(sentences), supports=not unmet, contradicts=smallest(joint, line_p) < CONTRADICTS, unmet=unmet
    )


def _short_past(periods: float, joint: float, contrasts: float) -> list[Message]:
    """Return what the periods before treatment lack; `contrasts` is the p-value of the line and the last period."""
    unmet = []
    if periods < PERIODS_BEFORE:
        unmet.append(Message("identification.needs-periods-before", periods=int(periods), needed=PERIODS_BEFORE))
    if joint < SUPPORTS:
        unmet.append(Message("identification.needs-equal-trends", p=joint, needed=SUPPORTS))
    if contrasts < SUPPORTS:
        unmet.append(Message("identification.needs-equal-contrasts", p=contrasts, needed=SUPPORTS))
    return unmet


def _weak_tests(moved: float | None, seen: float) -> list[Message]:
    """Return what the power of the tests lacks."""
    if moved is None:
        return [Message("identification.needs-detectable-trend")]
    return [] if moved < seen else [Message("identification.needs-smaller-trend", moved=moved, needed=seen)]


def _fragile(breakdown: float | None) -> list[Message]:
    """Return what the conclusion under departures lacks."""
    if breakdown is None:
        return [Message("identification.needs-honest")]
    if breakdown >= BREAKDOWN:
        return []
    return [Message("identification.needs-breakdown", breakdown=breakdown, needed=BREAKDOWN)]


def _contrast(before: Table, name: str) -> tuple[float | None, float | None]:
    """Return the estimate and the p-value of a contrast of the leads."""
    found = table_in(before, name)
    return number_in(found.get("estimate")), number_in(found.get("p_value"))


def _moved(judged: Judged, before: Table, sentences: list[Message]) -> float | None:
    """Return by how much a trend that is just detectable would move the estimate, and say so."""
    slopes = [before.get("detectable_slope"), table_in(before, "trend").get("detectable")]
    slope = min((value for value in map(number_in, slopes) if value is not None), default=None)
    treated = table_in(before, "periods_treated")
    base = "from_last" if judged.chosen.name in _FROM_LAST or "from_mean" not in treated else "from_mean"
    periods = number_in(treated.get(base))
    if slope is None or periods is None:
        return None
    moved = slope * periods
    sentences.append(
        Message("identification.trends-slope", slope=slope, periods=periods, moved=moved, seen=judged.seen)
    )
    return moved


def _breakdown(honest: Table, sentences: list[Message]) -> float | None:
    """Return the larger breakdown of the first and of the average effect, infinite beyond its limit, and say it."""
    known = [table for name in ("first", "average") if "breakdown" in (table := table_in(honest, name))]
    if not known:
        return None
    largest = max(_or_infinite(table) for table in known)
    if largest == float("inf"):
        sentences.append(Message("identification.trends-honest-beyond"))
    else:
        sentences.append(Message("identification.trends-honest", breakdown=largest))
    return largest


def _or_infinite(table: Mapping[str, Json]) -> float:
    value = number_in(table.get("breakdown"))
    return float("inf") if value is None else value


def _of_last_change(judged: Judged, before: Table) -> Evidence:
    change = table_in(before, "last_change")
    value, p, detectable = (number_in(change.get(name)) for name in ("estimate", "p_value", "detectable"))
    if value is None or p is None or detectable is None:
        return _untested(before)
    sentence = Message("identification.last-change", change=value, p=p, detectable=detectable, seen=judged.seen)
    unmet = []
    if p < SUPPORTS:
        unmet.append(Message("identification.needs-no-change", p=p, needed=SUPPORTS))
    if detectable >= judged.seen:
        unmet.append(Message("identification.needs-smaller-change", detectable=detectable, needed=judged.seen))
    return Evidence(sentences=(sentence,), supports=not unmet, contradicts=p < CONTRADICTS, unmet=tuple(unmet))


def _of_past_outcomes(feedback: Table) -> Evidence:
    value, p, detectable, sd = (number_in(feedback.get(name)) for name in ("difference", "p_value", "detectable", "sd"))
    if value is None or p is None or detectable is None or not sd:
        return _untested(feedback)
    sentence = Message(
        "identification.past-outcomes", difference=value / sd, p=p, detectable=detectable / sd, needed=LAGGED
    )
    unmet = []
    if p < SUPPORTS:
        unmet.append(Message("identification.needs-no-feedback", p=p, needed=SUPPORTS))
    if detectable > LAGGED * sd:
        unmet.append(Message("identification.needs-smaller-feedback", detectable=detectable / sd, needed=LAGGED))
    return Evidence(sentences=(sentence,), supports=not unmet, contradicts=p < CONTRADICTS, unmet=tuple(unmet))


def _untested(table: Table) -> Evidence:
    """Return the reason why there is no test."""
    reason = table.get("reason")
    return Evidence(sentences=(of(reason),)) if isinstance(reason, str) else NO_EVIDENCE
