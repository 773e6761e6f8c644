"""Panels of the policies: breakers, retries, bulkheads, and the drain of a process."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.conditions import (
    AT_GATEWAY,
    FORWARDED,
    HALF_OPEN,
    NO_PROBES,
    OPEN,
    TRACES,
    runbook,
)
from cqox.dashboards.operations.own_series import UP
from cqox.dashboards.panels import Panel, Row
from cqox.dashboards.queries import Gauge, Increase, Legend, Rate, Ratio, Sum
from cqox.telemetry import metric_definitions
from cqox.telemetry.metric_definitions import CIRCUIT_STATE, DEGRADED

__all__ = ["BREAKERS", "LOAD"]

SERVER, CLIENT = metric_definitions.HTTP_SERVER_DURATION, metric_definitions.HTTP_CLIENT_DURATION

BREAKERS = Row(
    id="breakers",
    title=Message("dashboards.row-breakers"),
    panels=(
        Panel(
            id="circuits",
            title=Message("dashboards.circuits-title"),
            help=Message("dashboards.circuits-help"),
            queries=(
                Sum(
                    parts=(
                        Gauge(series=CIRCUIT_STATE, by=("job", "policy"), how="max", where=(OPEN,), times=2),
                        Gauge(series=CIRCUIT_STATE, by=("job", "policy"), how="max", where=(HALF_OPEN,)),
                    ),
                    legend=Legend(labels=("job", "policy")),
                ),
            ),
            kind="state",
            columns=12,
            warn=1,
            alarm=2,
            links=(runbook("CqoxCircuitOpen"),),
        ),
        Panel(
            id="circuit-changes",
            title=Message("dashboards.circuit-changes-title"),
            help=Message("dashboards.circuit-changes-help"),
            queries=(
                Increase(
                    series=metric_definitions.CIRCUIT_TRANSITIONS,
                    by=("policy", "state"),
                    window=600,
                    legend=Legend(labels=("policy", "state")),
                ),
            ),
            columns=6,
            links=(runbook("CqoxCircuitOpen"),),
        ),
        Panel(
            id="retries",
            title=Message("dashboards.retries-title"),
            help=Message("dashboards.retries-help"),
            queries=(
                Rate(
                    series=metric_definitions.RETRIES,
                    by=("policy",),
                    legend=Legend(word=Message("dashboards.word-retried"), labels=("policy",)),
                ),
                Rate(
                    series=metric_definitions.GIVEN_UP,
                    by=("policy",),
                    legend=Legend(word=Message("dashboards.word-given-up"), labels=("policy",)),
                ),
            ),
            unit="per_second",
            columns=6,
            links=(TRACES,),
        ),
        Panel(
            id="retry-share",
            title=Message("dashboards.retry-share-title"),
            help=Message("dashboards.retry-share-help"),
            queries=(
                Ratio(
                    part=Rate(series=metric_definitions.RETRIES, by=("job",), where=(AT_GATEWAY,)),
                    whole=Rate(series=SERVER, by=("job",), where=(AT_GATEWAY, NO_PROBES, FORWARDED)),
                    legend=Legend(labels=("job",)),
                ),
            ),
            warn=0.2,
            alarm=1,
        ),
        Panel(
            id="retry-budget",
            title=Message("dashboards.retry-budget-title"),
            help=Message("dashboards.retry-budget-help"),
            queries=(
                Gauge(
                    series=metric_definitions.RETRY_BUDGET,
                    by=("policy", "instance"),
                    how="min",
                    legend=Legend(labels=("policy", "instance")),
                ),
            ),
        ),
        Panel(
            id="timeouts",
            title=Message("dashboards.timeouts-title"),
            help=Message("dashboards.timeouts-help"),
            queries=(
                Rate(series=metric_definitions.TIMEOUTS, by=("job", "policy"), legend=Legend(labels=("job", "policy"))),
            ),
            unit="per_second",
            links=(TRACES,),
        ),
    ),
)
"""The row about breakers."""

LOAD = Row(
    id="load",
    title=Message("dashboards.row-load"),
    panels=(
        Panel(
            id="bulkheads",
            title=Message("dashboards.bulkheads-title"),
            help=Message("dashboards.bulkheads-help"),
            queries=(
                Ratio(
                    part=Gauge(series=metric_definitions.BULKHEAD_RUNNING, by=("policy", "instance")),
                    whole=Gauge(series=metric_definitions.BULKHEAD_LIMIT, by=("policy", "instance")),
                    legend=Legend(labels=("policy", "instance")),
                ),
            ),
            unit="ratio",
            columns=6,
            warn=0.8,
            alarm=1,
            links=(runbook("CqoxSaturated"),),
        ),
        Panel(
            id="bulkhead-queues",
            title=Message("dashboards.bulkhead-queues-title"),
            help=Message("dashboards.bulkhead-queues-help"),
            queries=(
                Gauge(
                    series=metric_definitions.BULKHEAD_QUEUED,
                    by=("policy", "instance"),
                    legend=Legend(labels=("policy", "instance")),
                ),
            ),
            columns=6,
            links=(runbook("CqoxSaturated"),),
        ),
        Panel(
            id="refusals",
            title=Message("dashboards.refusals-title"),
            help=Message("dashboards.refusals-help"),
            queries=(
                Rate(
                    series=metric_definitions.REJECTIONS,
                    by=("job", "policy", "reason"),
                    legend=Legend(labels=("reason", "policy", "job")),
                ),
            ),
            unit="per_second",
            columns=6,
            stacked=True,
            links=(runbook("CqoxSaturated"),),
        ),
        Panel(
            id="parts",
            title=Message("dashboards.parts-title"),
            help=Message("dashboards.parts-help"),
            queries=(Gauge(series=DEGRADED, by=("job", "part"), how="max", legend=Legend(labels=("job", "part"))),),
            kind="state",
            columns=6,
            alarm=1,
            links=(runbook("CqoxDegraded"),),
        ),
        Panel(
            id="instances",
            title=Message("dashboards.instances-title"),
            help=Message("dashboards.instances-help"),
            queries=(Gauge(series=UP, by=("job", "instance"), legend=Legend(labels=("job", "instance"))),),
            kind="state",
            links=(runbook("CqoxDown"),),
        ),
        Panel(
            id="in-flight",
            title=Message("dashboards.in-flight-title"),
            help=Message("dashboards.in-flight-help"),
            queries=(
                Gauge(
                    series=metric_definitions.HTTP_SERVER_ACTIVE,
                    by=("job", "instance"),
                    legend=Legend(labels=("job", "instance")),
                ),
            ),
        ),
        Panel(
            id="connections",
            title=Message("dashboards.connections-title"),
            help=Message("dashboards.connections-help"),
            queries=(
                Gauge(
                    series=metric_definitions.CONNECTIONS,
                    by=("job", "instance"),
                    legend=Legend(word=Message("dashboards.word-open"), labels=("job", "instance")),
                ),
                Rate(
                    series=metric_definitions.CONNECTIONS_CLOSED,
                    by=("job", "reason"),
                    legend=Legend(word=Message("dashboards.word-closed"), labels=("reason", "job")),
                ),
            ),
        ),
    ),
)
"""The row about load."""
