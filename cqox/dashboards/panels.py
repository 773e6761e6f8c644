"""Definitions of dashboards: rows of panels, each with what it asks. They name no server and no browser.

Titles, helps and names are messages of the catalogs, so that each reader has them in the own language. A panel of a
dashboard about operations asks `queries` of series; one about analyses asks views of the result store.
"""

from dataclasses import dataclass
from typing import Literal

from cqox.contract.messages import Message
from cqox.dashboards.queries import MetricQuery

__all__ = ["Dashboard", "Kind", "Link", "Panel", "Query", "Row", "Unit", "View"]

type Kind = Literal["timeseries", "stat", "state", "table", "bars"]
"""The form of a panel: lines over time, the newest value, bands over time, rows, or one bar for each name."""

type Unit = Literal[
    "number", "ratio", "seconds", "bytes", "bytes_per_second", "per_second", "requests_per_second", "cores", "timestamp"
]
"""Unit of a panel's values; `ratio` is 0 to 1 and shown in percent, `timestamp` is seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view of the result store, filtered to the tenant of the reader.

    Of a `timeseries` and a `state` it has the columns `at` (ISO 8601 with a zone, or seconds since the epoch), `name`
    and `value`; of `bars` and a `stat` `name` and `value`; of a `table` those that `headings` name, in their order.

    Attributes:
        name: of the view; letters, digits and underscores.
        headings: columns of a table with what stands above them.
    """

    name: str
    headings: tuple[tuple[str, Message], ...] = ()


type Query = MetricQuery | View


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place to read on.

    Attributes:
        kind: `runbook` is a page of the documentation; `traces` is the trace viewer of the installation; `page` is a
            path of the page of this service.
        target: of a runbook its file below `docs/` and, after `#`, the alert; of traces the service whose traces are
            shown; of a page the path.
        title: a few words.
    """

    kind: Literal["runbook", "traces", "page"]
    target: str
    title: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        id: unique in its dashboard; lower case letters, digits and hyphens. Part of addresses, so it does not change.
        title: a few words.
        help: what it shows in an incident; one or two sentences.
        unit: of its values.
        kind: how it is drawn.
        columns: width of 24.
        warn: value from which on it warns.
        alarm: value from which on it alarms; where it is below `warn`, small values are the bad ones.
        stacked: whether lines add up.
        queries: what it asks; at least one.
        links: where to read on.
    """

    id: str
    title: Message
    help: Message
    queries: tuple[Query, ...]
    unit: Unit = "number"
    kind: Kind = "timeseries"
    columns: int = 8
    warn: float | None = None
    alarm: float | None = None
    stacked: bool = False
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels below one heading.

    Attributes:
        id: unique in its dashboard.
        title: the heading.
        panels: from left to right; those that do not fit go on below.
    """

    id: str
    title: Message
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Rows of panels about one matter.

    Attributes:
        id: `operations` or `analysis`.
        title: a few words.
        rows: from top to bottom.
    """

    id: str
    title: Message
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels in their order."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def panel(self, panel_id: str) -> Panel:
        """Return the panel with this id.

        Raises:
            KeyError: there is none.
        """
        for panel in self.panels:
            if panel.id == panel_id:
                return panel
        raise KeyError(panel_id)
