"""The primary effect: absolute, relative, in total and net of cost."""

from cqox.contract import Effect, Report
from cqox.contract.amounts import amount
from cqox.contract.messages import Message
from cqox.exports.document import Facts, Section
from cqox.exports.wording import Wording

__all__ = ["effect"]


def effect(report: Report, wording: Wording) -> Section:
    """Return the section of the effect; without a block where there is none."""
    found = report.effect
    heading = wording(Message("exports.effect"))
    if found is None:
        return Section(name="effect", heading=heading, blocks=())
    named = Message("exports.effect")
    if found.outcome is not None:
        named = Message("exports.effect-on", outcome=found.outcome)
    rows: list[tuple[Message, str]] = [(named, wording.interval(found.estimate, found.lower, found.upper))]
    rows += _relative(found, wording)
    if found.baseline is not None:
        rows.append((Message("exports.baseline"), amount(found.baseline)))
    if found.total is not None:
        over = Message("exports.total", rows=found.total_rows or 0)
        rows.append((over, wording.interval(found.total, found.total_lower, found.total_upper)))
    elif found.total_reason is not None:
        rows.append((Message("exports.no-total"), wording(found.total_reason)))
    if found.mean_cost is not None:
        rows.append((Message("exports.mean-cost"), amount(found.mean_cost)))
    if found.net_of_cost is not None:
        net = wording.interval(found.net_of_cost, found.net_lower, found.net_upper)
        rows.append((Message("exports.net-of-cost"), net))
    facts = Facts(rows=tuple((wording(name), value) for name, value in rows))
    return Section(name="effect", heading=heading, blocks=(facts,))


def _relative(found: Effect, wording: Wording) -> list[tuple[Message, str]]:
    heading = Message("exports.relative")
    if found.relative is None:
        return [] if found.relative_reason is None else [(heading, wording(found.relative_reason))]
    percent = 100 * found.relative
    if found.relative_lower is None or found.relative_upper is None:
        if found.relative_reason is None:
            return [(heading, wording(Message("exports.percent", number=amount(percent))))]
        said = Message("exports.percent-without-interval", number=amount(percent), reason=found.relative_reason)
        return [(heading, wording(said))]
    value, lower, upper = wording.bounds(percent, 100 * found.relative_lower, 100 * found.relative_upper)
    said = Message("exports.percent-and-interval", number=value, level=wording.level, lower=lower, upper=upper)
    return [(heading, wording(said))]
