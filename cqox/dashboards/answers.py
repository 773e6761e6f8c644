"""Answers of panels for a span of time, and the interface of their sources."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cqox.contract.messages import Message
from cqox.dashboards.panels import Panel

__all__ = ["MOST_LINES", "MOST_POINTS", "MOST_ROWS", "Cell", "Line", "PanelAnswer", "PanelSource", "Span"]

MOST_POINTS = 500
"""The most points of one line."""

MOST_LINES = 60
"""The most lines of a panel; those with the greatest values are kept."""

_FINE_SECONDS = 3_660.0
_WINDOW_SECONDS = 60.0
_COARSE_WINDOW_SECONDS = 480.0

MOST_ROWS = 500
"""The most rows of a table."""

type Cell = str | float | bool | None
"""A value of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Times at which a panel is answered: `start`, `start + step`, and so on, up to `end`.

    Attributes:
        start: seconds since the epoch.
        end: seconds since the epoch, not before `start`.
        step: seconds, above 0; at most `MOST_POINTS` points.
    """

    start: float
    end: float
    step: float

    @property
    def times(self) -> Sequence[float]:
        """The times."""
        return [
            self.start + number * self.step for number in range(int((self.end - self.start) / self.step + 1e-9) + 1)
        ]

    @property
    def window(self) -> float:
        """Seconds that rates look back: several samples, and all of the time between two points."""
        fine = self.end - self.start <= _FINE_SECONDS
        return max(_WINDOW_SECONDS if fine else _COARSE_WINDOW_SECONDS, self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, bar or number.

    Attributes:
        name: as it is shown.
        points: seconds since the epoch and values, in the order of time; a time without a value has no point.
        labels: labels of the line, for links.
    """

    name: str
    points: Sequence[tuple[float, float]]
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelAnswer:
    """The content of a panel.

    Attributes:
        lines: of every kind but a table; a bar and a number show the last point.
        columns: headings of a table, else None.
        rows: rows of a table, each as long as `columns`, else None.
        reason: why there is nothing; None where there is something.
        notes: what a reader must know about what is there, such as that it comes from another source.
    """

    lines: Sequence[Line] = ()
    columns: Sequence[Message] | None = None
    rows: Sequence[Sequence[Cell]] | None = None
    reason: Message | None = None
    notes: Sequence[Message] = ()


class PanelSource(Protocol):
    """Answers the panels of one dashboard."""

    async def answer(self, panel: Panel, span: Span) -> PanelAnswer:
        """Answer a panel for a span.

        Raises:
            ServiceError: what it asks does not answer.
        """
        ...
