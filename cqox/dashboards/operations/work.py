"""Panels of analyses: the queue, the steps, estimators and gates."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.conditions import (
    FAILED_GATE,
    FAILED_STATUS,
    TRACES,
    runbook,
)
from cqox.dashboards.panels import Panel, Row
from cqox.dashboards.queries import Gauge, Legend, Quantile, Rate, Ratio
from cqox.telemetry import metric_definitions

__all__ = ["ANALYSES"]

ESTIMATOR, GATES = metric_definitions.ESTIMATOR_DURATION, metric_definitions.GATE_RESULTS

ANALYSES = Row(
    id="analyses",
    title=Message("dashboards.row-analyses"),
    panels=(
        Panel(
            id="computing",
            title=Message("dashboards.computing-title"),
            help=Message("dashboards.computing-help"),
            queries=(
                Gauge(
                    series=metric_definitions.ANALYSES_RUNNING,
                    by=("instance",),
                    legend=Legend(word=Message("dashboards.word-computing"), labels=("instance",)),
                ),
                Gauge(
                    series=metric_definitions.QUEUE_DEPTH,
                    by=("instance",),
                    legend=Legend(word=Message("dashboards.word-waiting"), labels=("instance",)),
                ),
            ),
            links=(runbook("CqoxQueueLong"),),
        ),
        Panel(
            id="places",
            title=Message("dashboards.places-title"),
            help=Message("dashboards.places-help"),
            queries=(
                Ratio(
                    part=Gauge(series=metric_definitions.ANALYSES_RUNNING, by=("instance",)),
                    whole=Gauge(series=metric_definitions.ANALYSIS_PLACES, by=("instance",)),
                    legend=Legend(labels=("instance",)),
                ),
            ),
            unit="ratio",
            warn=0.9,
            alarm=1.01,
            links=(runbook("CqoxQueueLong"),),
        ),
        Panel(
            id="queue-outcomes",
            title=Message("dashboards.queue-outcomes-title"),
            help=Message("dashboards.queue-outcomes-help"),
            queries=(Rate(series=metric_definitions.QUEUE_WAIT, by=("outcome",), legend=Legend(labels=("outcome",))),),
            unit="per_second",
            stacked=True,
            links=(runbook("CqoxJam"),),
        ),
        Panel(
            id="queue-waits",
            title=Message("dashboards.queue-waits-title"),
            help=Message("dashboards.queue-waits-help"),
            queries=(
                Quantile(
                    rank=0.95, series=metric_definitions.QUEUE_WAIT, by=("outcome",), legend=Legend(labels=("outcome",))
                ),
            ),
            unit="seconds",
            warn=10,
            alarm=30,
            links=(runbook("CqoxQueueLong"),),
        ),
        Panel(
            id="queue-oldest",
            title=Message("dashboards.queue-oldest-title"),
            help=Message("dashboards.queue-oldest-help"),
            queries=(
                Gauge(
                    series=metric_definitions.QUEUE_OLDEST,
                    by=("instance",),
                    how="max",
                    legend=Legend(labels=("instance",)),
                ),
            ),
            unit="seconds",
            warn=30,
            alarm=120,
            links=(runbook("CqoxJam"),),
        ),
        Panel(
            id="steps",
            title=Message("dashboards.steps-title"),
            help=Message("dashboards.steps-help"),
            queries=(
                Quantile(
                    rank=0.95, series=metric_definitions.STEP_DURATION, by=("step",), legend=Legend(labels=("step",))
                ),
            ),
            unit="seconds",
        ),
        Panel(
            id="estimators",
            title=Message("dashboards.estimators-title"),
            help=Message("dashboards.estimators-help"),
            queries=(Quantile(rank=0.95, series=ESTIMATOR, by=("estimator",), legend=Legend(labels=("estimator",))),),
            unit="seconds",
        ),
        Panel(
            id="estimator-ends",
            title=Message("dashboards.estimator-ends-title"),
            help=Message("dashboards.estimator-ends-help"),
            queries=(
                Rate(series=ESTIMATOR, by=("status",), legend=Legend(labels=("status",))),
                Rate(
                    series=metric_definitions.ESTIMATOR_SKIPPED,
                    by=("job",),
                    legend=Legend(word=Message("dashboards.word-skipped")),
                ),
            ),
            unit="per_second",
            stacked=True,
        ),
        Panel(
            id="estimators-failing",
            title=Message("dashboards.estimators-failing-title"),
            help=Message("dashboards.estimators-failing-help"),
            queries=(
                Ratio(
                    part=Rate(series=ESTIMATOR, by=("estimator",), where=(FAILED_STATUS,)),
                    whole=Rate(series=ESTIMATOR, by=("estimator",)),
                    legend=Legend(labels=("estimator",)),
                ),
            ),
            unit="ratio",
            warn=0.1,
            alarm=0.5,
            links=(TRACES,),
        ),
        Panel(
            id="gates-failing",
            title=Message("dashboards.gates-failing-title"),
            help=Message("dashboards.gates-failing-help"),
            queries=(
                Ratio(
                    part=Rate(series=GATES, by=("gate",), where=(FAILED_GATE,)),
                    whole=Rate(series=GATES, by=("gate",)),
                    legend=Legend(labels=("gate",)),
                ),
            ),
            unit="ratio",
            columns=12,
        ),
        Panel(
            id="dataset-rows",
            title=Message("dashboards.dataset-rows-title"),
            help=Message("dashboards.dataset-rows-help"),
            queries=(
                Quantile(
                    rank=0.95, series=metric_definitions.DATASET_ROWS, by=("job",), legend=Legend(labels=("job",))
                ),
            ),
            columns=6,
        ),
        Panel(
            id="dataset-sizes",
            title=Message("dashboards.dataset-sizes-title"),
            help=Message("dashboards.dataset-sizes-help"),
            queries=(
                Quantile(
                    rank=0.95, series=metric_definitions.DATASET_SIZE, by=("job",), legend=Legend(labels=("job",))
                ),
            ),
            unit="bytes",
            columns=6,
        ),
    ),
)
"""The row about analyses."""
