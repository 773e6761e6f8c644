"""Queries of the dashboard as Prometheus is asked them, without Grafana in between."""

import re

__all__ = ["filled", "names_in"]

_WORDS = {"sum", "max", "min", "by", "or", "and", "rate", "increase", "changes", "vector", "le", "histogram_quantile"}
_WORDS |= {"avg_over_time", "time"}


def filled(expr: str, window: str = "5m") -> str:
    """The query with everything chosen."""
    return expr.replace("$__rate_interval", window).replace("$job", ".*").replace("$instance", ".*")


def names_in(expr: str) -> set[str]:
    """The series that a query asks for."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|\"[^\"]*\"", " ", expr)
    return {name for name in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare) if name not in _WORDS}
