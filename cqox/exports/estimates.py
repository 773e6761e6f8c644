"""Tables of the estimates: the primary, then the others, and the estimators without a number."""

from collections.abc import Mapping, Sequence

from cqox.contract import EstimateReport, Report
from cqox.contract.amounts import amount
from cqox.contract.labels import described, estimand_name
from cqox.contract.messages import Message, of
from cqox.exports.document import Block, Column, Entries, Entry, Folded, Paragraph, Section, Table
from cqox.exports.reading import main_contrast
from cqox.exports.wording import Wording

__all__ = ["estimates"]

_LEAST_P = 0.001


def estimates(report: Report, wording: Wording) -> Section:
    """Return the section of the estimates."""
    numbers = [each for each in report.estimates if each.estimate is not None]
    primary = _primary(report, numbers)
    others = [each for each in numbers if each is not primary]
    compared = any(each.contrast for each in numbers)
    blocks: list[Block] = [Paragraph(text=wording(report.decision.primary_rule))]
    if primary is not None:
        blocks.append(_table(Message("exports.primary-estimate"), [primary], wording, compared=compared))
    if others:
        blocks.append(Paragraph(text=wording(report.decision.note)))
        blocks.append(_table(Message("exports.other-estimates"), others, wording, compared=compared))
    if not numbers:
        blocks.append(Paragraph(text=wording(Message("exports.no-estimates"))))
    blocks += _without_number(report.estimates, wording)
    return Section(name="estimates", heading=wording(Message("exports.estimates")), blocks=tuple(blocks))


def _primary(report: Report, numbers: Sequence[EstimateReport]) -> EstimateReport | None:
    main = main_contrast(report)
    return next(
        (each for each in numbers if each.name == report.decision.primary and each.contrast in (main, None)), None
    )


def _table(caption: Message, rows: Sequence[EstimateReport], wording: Wording, *, compared: bool) -> Table:
    columns = [Column(heading=wording(Message("exports.column-estimator")), wide=True)]
    if compared:
        columns.append(Column(heading=wording(Message("exports.column-contrast")), wide=True))
    columns += [
        Column(heading=wording(Message("exports.column-estimand"))),
        Column(heading=wording(Message("exports.column-estimate")), numeric=True),
        Column(heading=wording(Message("exports.column-interval", level=wording.level)), numeric=True),
        Column(heading=wording(Message("exports.column-standard-error")), numeric=True),
        Column(heading=wording(Message("exports.column-p-value")), numeric=True),
        Column(heading=wording(Message("exports.column-rows")), numeric=True),
    ]
    return Table(
        caption=wording(caption),
        columns=tuple(columns),
        rows=tuple(_row(each, wording, compared=compared) for each in rows),
    )


def _row(found: EstimateReport, wording: Wording, *, compared: bool) -> tuple[str, ...]:
    assert found.estimate is not None
    value, lower, upper = wording.bounds(found.estimate, found.ci_lower, found.ci_upper)
    bounded = found.ci_lower is not None or found.ci_upper is not None
    label = described(found.name)
    if found.status == "warning":
        label = Message("exports.with-warning", estimator=label)
    return (
        wording(label),
        *((wording(found.contrast or ""),) if compared else ()),
        wording(estimand_name(found.estimand)),
        value if bounded else amount(found.estimate),
        f"[{lower}, {upper}]" if bounded else "–",
        "–" if found.standard_error is None else amount(found.standard_error),
        "–" if found.p_value is None else _p(found.p_value),
        "–" if found.n is None else f"{found.n:,}",
    )


def _p(value: float) -> str:
    return f"< {_LEAST_P:g}" if value < _LEAST_P else f"{value:.2g}"


def _without_number(found: Sequence[EstimateReport], wording: Wording) -> list[Block]:
    blocks: list[Block] = []
    failed = _by_reason([each for each in found if each.estimate is None and each.status != "skipped"], wording)
    if failed:
        entries = tuple(Entry(name=wording(names), text=wording(reason)) for reason, names in failed.items())
        blocks.append(Entries(heading=wording(Message("exports.failed-estimators")), entries=entries, tone="bad"))
    skipped = [each for each in found if each.estimate is None and each.status == "skipped"]
    if skipped:
        names = len({each.name for each in skipped})
        lines = (
            wording(Message("exports.line", name=each, text=of(reason)))
            for reason, each in _by_reason(skipped, wording).items()
        )
        summary = wording(Message("exports.skipped-estimators", estimators=names))
        blocks.append(Folded(summary=summary, lines=tuple(lines)))
    return blocks


def _by_reason(found: Sequence[EstimateReport], wording: Wording) -> Mapping[str, Message]:
    """Return the estimators of each reason, as one text."""
    names: dict[str, dict[str, None]] = {}
    for each in found:
        names.setdefault(each.reason or "–", {})[wording(described(each.name))] = None
    return {reason: Message("exports.names", names=list(of_reason)) for reason, of_reason in names.items()}
