"""Models of dashboards: their definitions, and what a panel shows."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from cqox.contract.answer_model import AnswerModel

__all__ = [
    "DashboardDescription",
    "DashboardListing",
    "DashboardSummary",
    "PanelData",
    "PanelDescription",
    "PanelLink",
    "PanelRow",
    "PanelSeries",
]


class DashboardSummary(AnswerModel):
    """A dashboard in the list."""

    id: str
    title: str
    panels: int = Field(description="How many panels it has.")


class DashboardListing(AnswerModel):
    """The dashboards that the caller may see."""

    dashboards: Sequence[DashboardSummary]


class PanelLink(AnswerModel):
    """A place to read on."""

    kind: Literal["runbook", "traces", "page"]
    title: str
    target: str = Field(description="The file and the section of a runbook, or the path of a page.")
    address: str | None = Field(description="Its address; null where the installation has none for it.")


class PanelDescription(AnswerModel):
    """The definition of a panel."""

    id: str
    title: str
    help: str
    unit: Literal[
        "number",
        "ratio",
        "seconds",
        "bytes",
        "bytes_per_second",
        "per_second",
        "requests_per_second",
        "cores",
        "timestamp",
    ]
    kind: Literal["timeseries", "stat", "state", "table", "bars"]
    columns: int = Field(description="Width of 24.")
    warn: float | None = Field(description="Value from which on it warns.")
    alarm: float | None = Field(description="Value from which on it alarms; below `warn` where small values are bad.")
    stacked: bool = Field(description="Whether lines add up.")
    links: Sequence[PanelLink]


class PanelRow(AnswerModel):
    """Panels below one heading."""

    id: str
    title: str
    panels: Sequence[PanelDescription]


class DashboardDescription(AnswerModel):
    """The definition of a dashboard, in the language of the request."""

    id: str
    title: str
    rows: Sequence[PanelRow]


class PanelSeries(AnswerModel):
    """One line, bar or number of a panel."""

    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]] = Field(description="Seconds since the epoch and values, by time.")


class PanelData(AnswerModel):
    """The content of a panel for a span of time."""

    panel: str
    unit: str
    start: float = Field(description="The first time, seconds since the epoch.")
    end: float = Field(description="The last time, seconds since the epoch.")
    step: float = Field(description="Seconds between two points.")
    series: Sequence[PanelSeries]
    columns: Sequence[str] | None = Field(description="Headings of a table.")
    rows: Sequence[Sequence[str | float | bool | None]] | None = Field(description="Rows of a table.")
    reason: str | None = Field(description="Why there is nothing; null where there is something.")
    notes: Sequence[str] = Field(description="What to know about what is there, such as another source.")
