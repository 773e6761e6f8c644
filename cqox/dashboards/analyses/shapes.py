"""Rows of views as lines, bars, numbers and tables of panels. Counts that are absent are zeros, figures are not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cqox.contract.messages import Message
from cqox.dashboards.answers import MOST_LINES, MOST_POINTS, MOST_ROWS, Cell, Line, PanelAnswer, Span
from cqox.dashboards.panels import Panel
from cqox.dashboards.views import ViewQuery, ViewRows

__all__ = [
    "Asked",
    "Shape",
    "Shown",
    "answer_of",
    "bars",
    "counts",
    "figures",
    "number",
    "pivot",
    "refuter_coverage",
    "report_path",
    "reuses",
    "share",
    "table",
    "time_of",
    "value_of",
]

type Row = Sequence[str | float | None]
type Shown = PanelAnswer
"""An answer without its notes."""

type Shape = Callable[[Sequence[ViewRows], Span], Shown | None]
"""Makes the answer of rows, one set for each question; None where there is nothing to show."""

_MOST_BARS = 30
_ENOUGH_REPLICATIONS = 39
_COVERAGE = (
    Message("studies.word-no-refuters"),
    Message("studies.word-few-refuters"),
    Message("studies.word-refuters"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A panel with its questions.

    Attributes:
        panel: the panel.
        queries: what it asks.
        shape: what it makes of the rows.
        nothing: why there is nothing.
    """

    panel: Panel
    queries: tuple[ViewQuery, ...]
    shape: Shape
    nothing: Message


def answer_of(asked: Asked, found: Sequence[ViewRows], span: Span) -> PanelAnswer:
    """Return the answer of a panel, with notes where it is not about everything."""
    shown = asked.shape(found, span)
    if shown is None:
        return PanelAnswer(reason=asked.nothing)
    notes = list(shown.notes)
    since = max((each.since for each in found if each.since is not None), default=None)
    if since is not None:
        most = min(query.most_analyses for query in asked.queries)
        notes.append(Message("studies.newest-only", count=most, since=time_of(since)))
    if any(each.is_cut for each in found) or len(shown.rows or ()) > MOST_ROWS:
        notes.append(Message("studies.rows-cut"))
    rows = None if shown.rows is None else shown.rows[:MOST_ROWS]
    return PanelAnswer(lines=shown.lines[:MOST_LINES], columns=shown.columns, rows=rows, notes=notes)


def time_of(second: float | str | None) -> str | None:
    """Return seconds since the epoch in ISO 8601, UTC."""
    return None if second is None else datetime.fromtimestamp(float(second), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def report_path(analysis_id: str | float | None) -> str:
    """Return the path of a report on the page."""
    return f"/a/{analysis_id}"


def value_of(value: str | float | None) -> float:
    """Return a figure of a row, 0 where it is absent."""
    return float(value) if value is not None else 0.0


def counts(*, of: int = 1, words: Sequence[str] = ()) -> Shape:
    """Return the shape of counts over time, stacked by names: rows of step, names and a count.

    Args:
        of: number of names in a row.
        words: names that have a line in any case, in this order.
    """

    def shape(found: Sequence[ViewRows], span: Span) -> Shown | None:
        rows = found[0].rows
        if not rows:
            return None
        values: dict[str, dict[int, float]] = {word: {} for word in words}
        for row in rows:
            line = values.setdefault(_name(row[1 : 1 + of]), {})
            second = int(value_of(row[0]))
            line[second] = line.get(second, 0.0) + value_of(row[1 + of])
        steps = _steps(span, found[0].since)
        lines = [
            Line(name=name, points=[(step, line.get(step, 0.0)) for step in steps]) for name, line in values.items()
        ]
        return PanelAnswer(lines=lines if words else _greatest(lines))

    return shape


def figures(*names: Message) -> Shape:
    """Return the shape of figures over time, one line for each measure: rows of step and figures."""

    def shape(found: Sequence[ViewRows], span: Span) -> Shown | None:
        lines = [
            Line(
                name=name,
                points=[(value_of(row[0]), value_of(row[place])) for row in found[0].rows if row[place] is not None],
            )
            for place, name in enumerate(names, start=1)
        ]
        return PanelAnswer(lines=lines) if any(line.points for line in lines) else None

    return shape


def bars(*, of: int = 1) -> Shape:
    """Return the shape of bars, the greatest first: rows of names and a figure."""

    def shape(found: Sequence[ViewRows], span: Span) -> Shown | None:
        values: dict[str, float] = {}
        for row in (row for each in found for row in each.rows if row[of] is not None):
            name = _name(row[:of])
            values[name] = values.get(name, 0.0) + value_of(row[of])
        ordered = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_BARS]
        lines = [Line(name=name, points=[(span.end, value)]) for name, value in ordered]
        return PanelAnswer(lines=lines) if lines else None

    return shape


def number(name: Message) -> Shape:
    """Return the shape of the first figure of the first row."""

    def shape(found: Sequence[ViewRows], span: Span) -> Shown | None:
        rows = found[0].rows
        if not rows or rows[0][0] is None:
            return None
        return PanelAnswer(lines=[Line(name=name, points=[(span.end, value_of(rows[0][0]))])])

    return shape


def share(name: Message, *, wanted: str) -> Shape:
    """Return the shape of a share: rows of a word and a count, of which the wanted word is the part."""

    def shape(found: Sequence[ViewRows], span: Span) -> Shown | None:
        whole = sum(value_of(row[1]) for row in found[0].rows)
        part = sum(value_of(row[1]) for row in found[0].rows if row[0] == wanted)
        return PanelAnswer(lines=[Line(name=name, points=[(span.end, part / whole)])]) if whole else None

    return shape


def pivot(heading: Message, words: Mapping[str, Message]) -> Shape:
    """Return the shape of a table of counts: rows of a name, a word and a count; a column for each word.

    Args:
        heading: above the names.
        words: headings of the words, in their order.
    """

    def shape(found: Sequence[ViewRows], span: Span) -> Shown | None:
        values: dict[str, dict[str, float]] = {}
        for row in found[0].rows:
            line = values.setdefault(_name(row[:1]), {})
            line[str(row[1])] = line.get(str(row[1]), 0.0) + value_of(row[2])
        # Sorted as the eye reads: by the last column, which is the one to act on, then by the one before it.
        order = list(words)[::-1]
        ordered = sorted(values.items(), key=lambda pair: ([-pair[1].get(word, 0.0) for word in order], pair[0]))
        cells: list[list[Cell]] = [[name, *(line.get(word, 0.0) for word in words)] for name, line in ordered]
        return PanelAnswer(columns=[heading, *words.values()], rows=cells) if cells else None

    return shape


def table(*headings: Message, timed: bool = True, reported: bool = True) -> Shape:
    """Return the shape of a table of the rows as they are.

    Args:
        headings: of the columns.
        timed: whether the first column is seconds since the epoch, shown as ISO 8601.
        reported: whether the last column is the id of a report, shown as its path.
    """

    def shape(found: Sequence[ViewRows], span: Span) -> Shown | None:
        rows = [_cells(row, timed=timed, reported=reported) for row in found[0].rows]
        return PanelAnswer(columns=headings, rows=rows) if rows else None

    return shape


def _cells(row: Row, *, timed: bool, reported: bool) -> list[Cell]:
    cells: list[Cell] = list(row)
    if timed:
        cells[0] = time_of(row[0])
    if reported:
        cells[-1] = report_path(row[-1])
    return cells


def refuter_coverage(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return reports by the number of replications that they asked for: rows of this number and a count."""
    values = dict.fromkeys(_COVERAGE, 0.0)
    for replications, count in found[0].rows:
        place = 0 if not replications else 1 if value_of(replications) < _ENOUGH_REPLICATIONS else 2
        values[_COVERAGE[place]] += value_of(count)
    lines = [Line(name=name, points=[(span.end, value)]) for name, value in values.items()]
    return PanelAnswer(lines=lines) if found[0].rows else None


def reuses(found: Sequence[ViewRows], span: Span) -> Shown | None:
    """Return answers without a computation over time: rows of step, stored reports, and shared computations."""
    if not found[0].rows:
        return None
    names = (Message("studies.word-cached"), Message("studies.word-shared"))
    return PanelAnswer(
        lines=[
            Line(name=name, points=[(value_of(row[0]), value_of(row[place])) for row in found[0].rows])
            for place, name in enumerate(names, start=1)
        ]
    )


def _steps(span: Span, since: int | None) -> Sequence[int]:
    """Return the beginnings of the steps of a span; of a part of it where earlier analyses are not counted."""
    step = max(1, int(span.step))
    first = int(max(span.start, since or 0)) // step * step
    return range(first, int(span.end) + 1, step)[-MOST_POINTS:]


def _name(words: Sequence[str | float | None]) -> str:
    """Return the words of a row as one name."""
    return " · ".join(str(word) for word in words if word is not None) or "–"


def _greatest(lines: Sequence[Line]) -> Sequence[Line]:
    return sorted(lines, key=lambda line: (-sum(value for _, value in line.points), line.name))[:MOST_LINES]
