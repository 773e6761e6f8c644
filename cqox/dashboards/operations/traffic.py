"""Panels of requests: what a person looks at first."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.conditions import (
    FAILED_ATTEMPT,
    NO_PROBES,
    OPEN,
    TRACES,
    counted,
    failed,
    ranks,
    runbook,
)
from cqox.dashboards.operations.own_series import UP
from cqox.dashboards.panels import Panel, Row
from cqox.dashboards.queries import Gauge, Legend, Quantile, Rate, Ratio
from cqox.telemetry import metric_definitions
from cqox.telemetry.metric_definitions import CIRCUIT_STATE, DEGRADED

__all__ = ["NOW", "REQUESTS"]

SERVER, CLIENT = metric_definitions.HTTP_SERVER_DURATION, metric_definitions.HTTP_CLIENT_DURATION
ENGINE = ("server_address", "server_port")

NOW = Row(
    id="now",
    title=Message("dashboards.row-now"),
    panels=(
        Panel(
            id="answering",
            title=Message("dashboards.answering-title"),
            help=Message("dashboards.answering-help"),
            queries=(Gauge(series=UP, by=("job",), legend=Legend(labels=("job",))),),
            kind="stat",
            columns=4,
            # None at all is an alarm; how many there should be, only the operator knows.
            warn=0.9,
            alarm=0.5,
            links=(runbook("CqoxDown"),),
        ),
        Panel(
            id="requests",
            title=Message("dashboards.requests-title"),
            help=Message("dashboards.requests-help"),
            queries=(Rate(series=SERVER, by=("job",), where=(NO_PROBES,), legend=Legend(labels=("job",))),),
            unit="requests_per_second",
            kind="stat",
            columns=4,
        ),
        Panel(
            id="failing",
            title=Message("dashboards.failing-title"),
            help=Message("dashboards.failing-help"),
            queries=(Ratio(part=failed("job"), whole=counted("job"), legend=Legend(labels=("job",))),),
            unit="ratio",
            kind="stat",
            columns=4,
            warn=0.005,
            alarm=0.05,
            links=(runbook("CqoxErrorBudgetBurnsFast"), TRACES),
        ),
        Panel(
            id="slowest",
            title=Message("dashboards.slowest-title"),
            help=Message("dashboards.slowest-help"),
            queries=(
                Quantile(rank=0.99, series=SERVER, by=("job",), where=(NO_PROBES,), legend=Legend(labels=("job",))),
            ),
            unit="seconds",
            kind="stat",
            columns=4,
            links=(TRACES,),
        ),
        Panel(
            id="circuits-open",
            title=Message("dashboards.circuits-open-title"),
            help=Message("dashboards.circuits-open-help"),
            queries=(Gauge(series=CIRCUIT_STATE, by=("job",), where=(OPEN,), legend=Legend(labels=("job",))),),
            kind="stat",
            columns=4,
            alarm=1,
            links=(runbook("CqoxCircuitOpen"),),
        ),
        Panel(
            id="degraded",
            title=Message("dashboards.degraded-title"),
            help=Message("dashboards.degraded-help"),
            queries=(Gauge(series=DEGRADED, by=("job",), legend=Legend(labels=("job",))),),
            kind="stat",
            columns=4,
            alarm=1,
            links=(runbook("CqoxDegraded"),),
        ),
    ),
)
"""The row about now."""

REQUESTS = Row(
    id="requests",
    title=Message("dashboards.row-requests"),
    panels=(
        Panel(
            id="routes",
            title=Message("dashboards.routes-title"),
            help=Message("dashboards.routes-help"),
            queries=(
                Rate(
                    series=SERVER,
                    by=("job", "http_route"),
                    where=(NO_PROBES,),
                    legend=Legend(labels=("job", "http_route")),
                ),
            ),
            unit="requests_per_second",
        ),
        Panel(
            id="statuses",
            title=Message("dashboards.statuses-title"),
            help=Message("dashboards.statuses-help"),
            queries=(
                Rate(
                    series=SERVER,
                    by=("job", "http_response_status_code"),
                    where=(NO_PROBES,),
                    legend=Legend(labels=("job", "http_response_status_code")),
                ),
            ),
            unit="requests_per_second",
            links=(TRACES,),
        ),
        Panel(
            id="failing-routes",
            title=Message("dashboards.failing-routes-title"),
            help=Message("dashboards.failing-routes-help"),
            queries=(
                Ratio(
                    part=failed(("job", "http_route")),
                    whole=counted(("job", "http_route")),
                    legend=Legend(labels=("job", "http_route")),
                ),
            ),
            unit="ratio",
            warn=0.005,
            alarm=0.05,
            links=(TRACES,),
        ),
        Panel(
            id="durations",
            title=Message("dashboards.durations-title"),
            help=Message("dashboards.durations-help"),
            queries=ranks(SERVER, ("job",), (NO_PROBES,)),
            unit="seconds",
            links=(TRACES,),
            columns=6,
        ),
        Panel(
            id="attempts",
            title=Message("dashboards.attempts-title"),
            help=Message("dashboards.attempts-help"),
            queries=(
                Rate(
                    series=CLIENT,
                    by=("server_address", "server_port", "http_response_status_code", "error_type"),
                    legend=Legend(labels=("server_address", "server_port", "http_response_status_code", "error_type")),
                ),
            ),
            unit="requests_per_second",
            columns=6,
        ),
        Panel(
            id="attempts-failing",
            title=Message("dashboards.attempts-failing-title"),
            help=Message("dashboards.attempts-failing-help"),
            queries=(
                Ratio(
                    part=Rate(series=CLIENT, by=ENGINE, where=(FAILED_ATTEMPT,)),
                    whole=Rate(series=CLIENT, by=ENGINE),
                    legend=Legend(labels=ENGINE),
                ),
            ),
            unit="ratio",
            warn=0.05,
            alarm=0.5,
            links=(runbook("CqoxCircuitOpen"), TRACES),
            columns=6,
        ),
        Panel(
            id="attempt-durations",
            title=Message("dashboards.attempt-durations-title"),
            help=Message("dashboards.attempt-durations-help"),
            queries=(Quantile(rank=0.95, series=CLIENT, by=ENGINE, legend=Legend(labels=ENGINE)),),
            unit="seconds",
            columns=6,
        ),
    ),
)
"""The row about requests."""
