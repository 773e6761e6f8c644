"""Panels of the service level: the share of failures, and how fast it uses up what is allowed."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.conditions import (
    NO_PROBES,
    TRACES,
    counted,
    failed,
    runbook,
)
from cqox.dashboards.panels import Panel, Row
from cqox.dashboards.queries import Legend, Quantile, Ratio
from cqox.telemetry import metric_definitions

__all__ = ["OBJECTIVES"]

SERVER = metric_definitions.HTTP_SERVER_DURATION
_BUDGET = 0.005
"""Share of requests that may fail: 99.5% a month are promised, as in deploy/prometheus."""

_WINDOWS = (
    (300, Message("dashboards.word-5m")),
    (1800, Message("dashboards.word-30m")),
    (3600, Message("dashboards.word-1h")),
    (21_600, Message("dashboards.word-6h")),
)

OBJECTIVES = Row(
    id="objectives",
    title=Message("dashboards.row-objectives"),
    panels=(
        Panel(
            id="burn-rate",
            title=Message("dashboards.burn-rate-title"),
            help=Message("dashboards.burn-rate-help"),
            queries=tuple(
                Ratio(
                    part=failed("job", window),
                    whole=counted("job", window),
                    times=1 / _BUDGET,
                    legend=Legend(word=word, labels=("job",)),
                )
                for window, word in _WINDOWS
            ),
            columns=12,
            warn=1,
            alarm=14.4,
            links=(runbook("CqoxErrorBudgetBurnsFast"), TRACES),
        ),
        Panel(
            id="budget-used",
            title=Message("dashboards.budget-used-title"),
            help=Message("dashboards.budget-used-help"),
            queries=(
                Ratio(
                    part=failed("job", 86_400),
                    whole=counted("job", 86_400),
                    times=1 / _BUDGET,
                    legend=Legend(labels=("job",)),
                ),
            ),
            unit="ratio",
            columns=6,
            warn=0.5,
            alarm=1,
            links=(runbook("CqoxErrorBudgetBurns"),),
        ),
        Panel(
            id="slowest-routes",
            title=Message("dashboards.slowest-routes-title"),
            help=Message("dashboards.slowest-routes-help"),
            queries=(
                Quantile(
                    rank=0.99,
                    series=SERVER,
                    by=("job", "http_route"),
                    where=(NO_PROBES,),
                    window=300,
                    legend=Legend(labels=("job", "http_route")),
                ),
            ),
            unit="seconds",
            columns=6,
            links=(TRACES,),
        ),
    ),
)
"""The row about objectives."""
