"""Answers of panels from values: names of lines, bounds, and the reason where there is nothing."""

import math
from collections.abc import Sequence

from cqox.contract.messages import Language, Message
from cqox.dashboards.answers import MOST_LINES, Line, PanelAnswer
from cqox.dashboards.interpreter import Values
from cqox.dashboards.panels import Panel, View
from cqox.dashboards.queries import Legend, MetricQuery, Ratio, Sum

__all__ = ["answer_of", "labels_of", "line_name", "metric_queries"]


def metric_queries(panel: Panel) -> tuple[MetricQuery, ...]:
    """Return the queries of a panel about time series."""
    return tuple(query for query in panel.queries if not isinstance(query, View))


def labels_of(query: MetricQuery) -> tuple[str, ...]:
    """Return the labels that distinguish the lines of a query."""
    match query:
        case Ratio():
            return query.whole.by
        case Sum():
            return query.parts[0].by
        case _:
            return query.by


def answer_of(
    panel: Panel,
    answers: Sequence[Values],
    times: Sequence[float],
    *,
    language: Language,
    notes: Sequence[Message] = (),
    nothing: Message | None = None,
) -> PanelAnswer:
    """Return the lines of a panel, the greatest where there are too many.

    Args:
        panel: the panel.
        answers: values at the times, for each of its queries.
        times: seconds since the epoch.
        language: language of the names of lines.
        notes: see `PanelAnswer`.
        nothing: the reason where there is no value; that nothing was recorded if None.
    """
    lines = []
    for query, values in zip(metric_queries(panel), answers, strict=True):
        for key, line in values.items():
            labels = dict(zip(labels_of(query), key, strict=True))
            points = [(at, value) for at, value in zip(times, line, strict=True) if math.isfinite(value)]
            if points:
                lines.append(Line(name=line_name(query.legend, labels, language), points=points, labels=labels))
    if not lines:
        return PanelAnswer(reason=nothing or Message("dashboards.nothing-recorded"), notes=notes)
    if len(lines) > MOST_LINES:
        notes = (*notes, Message("dashboards.lines-cut", shown=MOST_LINES, count=len(lines)))
        greatest = sorted(lines, key=lambda line: -max(value for _, value in line.points))[:MOST_LINES]
        lines = [line for line in lines if line in greatest]
    return PanelAnswer(lines=lines, notes=notes)


def line_name(legend: Legend, labels: dict[str, str], language: Language) -> str:
    """Return the name of a line; the values of its labels if there is no word."""
    words = [] if legend.word is None else [legend.word.in_language(language)]
    # A kind of error that is its status is said once.
    values = dict.fromkeys(labels[label] for label in legend.labels if labels.get(label))
    return " ".join([*words, *values]) or "–"
