"""PromQL of the queries, for Prometheus and for Grafana."""

from collections.abc import Sequence

from cqox.dashboards.queries import Gauge, Increase, Match, MetricQuery, Quantile, Rate, Ratio, Sum

__all__ = ["OURS", "expression", "selector"]

OURS = Match(label="job", how="=~", value="cqox-.*")
"""Samples of our services, where a Prometheus has those of others."""


def expression(query: MetricQuery, *, window: str, where: Sequence[Match] = (OURS,)) -> str:
    """Write a query as PromQL.

    Args:
        query: the query.
        window: PromQL's duration that a rate looks back where the query says none.
        where: conditions in addition to those of the query.
    """
    match query:
        case Gauge():
            inside = query.series.prometheus_name + selector((*where, *query.where))
            level = f"{query.how} by ({', '.join(query.by)}) ({inside})"
            return _times(f"({level} - time())" if query.until else level, query.times)
        case Rate() | Increase():
            name = query.series.prometheus_name + ("_count" if query.series.kind == "histogram" else "")
            function = "rate" if isinstance(query, Rate) else "increase"
            inside = f"{name}{selector((*where, *query.where))}[{_window(query.window, window)}]"
            return f"sum by ({', '.join(query.by)}) ({function}({inside}))"
        case Quantile():
            inside = f"{query.series.prometheus_name}_bucket{selector((*where, *query.where))}"
            summed = f"sum by ({', '.join(('le', *query.by))}) (rate({inside}[{_window(query.window, window)}]))"
            return f"histogram_quantile({query.rank:g}, {summed})"
        case Ratio():
            part = expression(query.part, window=window, where=where)
            whole = expression(query.whole, window=window, where=where)
            return _times(f"(({part}) or ({whole}) * 0) / ({whole})", query.times)
        case Sum():
            return " + ".join(expression(part, window=window, where=where) for part in query.parts)


def selector(where: Sequence[Match]) -> str:
    """Write conditions as the part of a selector in braces."""
    return "{" + ", ".join(f"{each.label}{each.how}{_quoted(each.value)}" for each in where) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _window(own: int | None, otherwise: str) -> str:
    return otherwise if own is None else f"{own}s"


def _times(text: str, factor: float) -> str:
    return text if factor == 1 else f"{text} * {factor:.12g}"
