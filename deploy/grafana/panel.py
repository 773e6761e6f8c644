"""Panels of the dashboard, and their queries to Prometheus."""

from collections.abc import Sequence
from dataclasses import dataclass

from cqox.telemetry.metric_definitions import Series

__all__ = ["NO_PROBES", "WHERE", "Panel", "Query", "Row", "both", "increase", "level", "quantile", "ranks", "rate"]

WHERE = 'job=~"$job", instance=~"$instance"'
"""Selector of the instances that the reader has chosen."""

NO_PROBES = 'http_route!~"/health.*|/api/health|/metrics"'
"""Requests that somebody makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question of a panel.

    Attributes:
        expr: PromQL, with Grafana's `$job`, `$instance` and `$__rate_interval`.
        legend: the name of a line, with labels in double braces.
    """

    expr: str
    legend: str = "{{job}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: a few words.
        help: what it shows in an incident; one or two sentences.
        queries: what it asks.
        unit: Grafana's name of the unit.
        kind: `timeseries`, `stat` or `state-timeline`.
        columns: its width of 24.
        warn: from where on it is yellow; red from `alarm` on.
        alarm: from where on it is red.
        stacked: whether lines add up.
    """

    title: str
    help: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    columns: int = 8
    warn: float | None = None
    alarm: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels below one heading."""

    title: str
    panels: Sequence[Panel]


def rate(one: Series, by: str, where: str = "") -> str:
    """A second, summed by these labels; of a histogram, how many."""
    name = one.prometheus_name + ("_count" if one.kind == "histogram" else "")
    return f"sum by ({by}) (rate({name}{{{both(where)}}}[$__rate_interval]))"


def quantile(rank: float, one: Series, by: str, where: str = "") -> str:
    """A quantile of a histogram by these labels."""
    inside = f"sum by (le, {by}) (rate({one.prometheus_name}_bucket{{{both(where)}}}[$__rate_interval]))"
    return f"histogram_quantile({rank}, {inside})"


def level(one: Series, by: str, where: str = "") -> str:
    """A gauge, summed by these labels."""
    return f"sum by ({by}) ({one.prometheus_name}{{{both(where)}}})"


def both(where: str) -> str:
    """The chosen jobs and instances, and `where`."""
    return f"{WHERE}, {where}" if where else WHERE


def ranks(one: Series, by: str, legend: str, where: str = "") -> list[Query]:
    """The median, the 95th and the 99th percentile."""
    return [Query(expr=quantile(rank / 100, one, by, where), legend=f"p{rank} {legend}") for rank in (50, 95, 99)]


def increase(one: Series, by: str, window: str) -> str:
    """Return the query of a counter's increase within a window, summed by these labels."""
    return f"sum by ({by}) (increase({one.prometheus_name}{{{WHERE}}}[{window}]))"
