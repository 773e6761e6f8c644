"""Dashboards: their definitions, once for our own page and for Grafana, and answers from a process's own samples."""

from cqox.dashboards.answers import MOST_LINES, MOST_POINTS, MOST_ROWS, Cell, Line, PanelAnswer, PanelSource, Span
from cqox.dashboards.panels import Dashboard, Kind, Link, Panel, Query, Row, Unit, View
from cqox.dashboards.queries import Gauge, Increase, Legend, Match, MetricQuery, Quantile, Rate, Ratio, Sum

__all__ = [
    "MOST_LINES",
    "MOST_POINTS",
    "MOST_ROWS",
    "Cell",
    "Dashboard",
    "Gauge",
    "Increase",
    "Kind",
    "Legend",
    "Line",
    "Link",
    "Match",
    "MetricQuery",
    "Panel",
    "PanelAnswer",
    "PanelSource",
    "Quantile",
    "Query",
    "Rate",
    "Ratio",
    "Row",
    "Span",
    "Sum",
    "Unit",
    "View",
]
