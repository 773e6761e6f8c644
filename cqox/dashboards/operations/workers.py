"""Panels of worker processes, and of what uploads bring."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.conditions import (
    runbook,
)
from cqox.dashboards.panels import Panel, Row
from cqox.dashboards.queries import Gauge, Increase, Legend, Rate
from cqox.telemetry import metric_definitions

__all__ = ["WORKERS"]

WORKERS = Row(
    id="workers",
    title=Message("dashboards.row-workers"),
    panels=(
        Panel(
            id="workers",
            title=Message("dashboards.workers-title"),
            help=Message("dashboards.workers-help"),
            queries=(
                Gauge(
                    series=metric_definitions.WORKERS,
                    by=("instance", "state"),
                    legend=Legend(labels=("state", "instance")),
                ),
            ),
            stacked=True,
        ),
        Panel(
            id="worker-restarts",
            title=Message("dashboards.worker-restarts-title"),
            help=Message("dashboards.worker-restarts-help"),
            queries=(
                Increase(
                    series=metric_definitions.WORKER_RESTARTS,
                    by=("instance",),
                    window=600,
                    legend=Legend(labels=("instance",)),
                ),
            ),
            warn=1,
            alarm=5,
            links=(runbook("CqoxWorkersKeepDying"),),
        ),
        Panel(
            id="worker-cpu",
            title=Message("dashboards.worker-cpu-title"),
            help=Message("dashboards.worker-cpu-help"),
            queries=(
                Rate(series=metric_definitions.WORKER_CPU, by=("instance",), legend=Legend(labels=("instance",))),
            ),
            unit="cores",
        ),
        Panel(
            id="worker-memory",
            title=Message("dashboards.worker-memory-title"),
            help=Message("dashboards.worker-memory-help"),
            queries=(
                Gauge(series=metric_definitions.WORKER_MEMORY, by=("instance",), legend=Legend(labels=("instance",))),
            ),
            unit="bytes",
            links=(runbook("CqoxWorkersKeepDying"),),
        ),
        Panel(
            id="task-cpu",
            title=Message("dashboards.task-cpu-title"),
            help=Message("dashboards.task-cpu-help"),
            queries=(Rate(series=metric_definitions.CPU_SECONDS, by=("task",), legend=Legend(labels=("task",))),),
            unit="cores",
            stacked=True,
        ),
        Panel(
            id="uploaded",
            title=Message("dashboards.uploaded-title"),
            help=Message("dashboards.uploaded-help"),
            queries=(
                Rate(series=metric_definitions.UPLOADED_BYTES, by=("instance",), legend=Legend(labels=("instance",))),
            ),
            unit="bytes_per_second",
        ),
    ),
)
"""The row about workers."""
