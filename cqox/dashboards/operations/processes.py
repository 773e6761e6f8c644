"""Panels of machines and processes."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.conditions import (
    runbook,
)
from cqox.dashboards.operations.own_series import PROCESS_CPU, PROCESS_FILES, PROCESS_MEMORY, UP
from cqox.dashboards.panels import Panel, Row
from cqox.dashboards.queries import Gauge, Increase, Legend, Quantile, Rate, Ratio
from cqox.telemetry import metric_definitions

__all__ = ["PROCESSES"]

PROCESSES = Row(
    id="processes",
    title=Message("dashboards.row-processes"),
    panels=(
        Panel(
            id="disk-free",
            title=Message("dashboards.disk-free-title"),
            help=Message("dashboards.disk-free-help"),
            queries=(
                Ratio(
                    part=Gauge(series=metric_definitions.DISK_FREE, by=("instance", "disk")),
                    whole=Gauge(series=metric_definitions.DISK_SIZE, by=("instance", "disk")),
                    legend=Legend(labels=("disk", "instance")),
                ),
            ),
            unit="ratio",
            columns=6,
            warn=0.15,
            alarm=0.05,
            links=(runbook("CqoxDiskNearlyFull"),),
        ),
        Panel(
            id="certificates",
            title=Message("dashboards.certificates-title"),
            help=Message("dashboards.certificates-help"),
            queries=(
                Gauge(
                    series=metric_definitions.CERTIFICATE_END,
                    by=("job", "certificate"),
                    how="min",
                    until=True,
                    legend=Legend(labels=("job", "certificate")),
                ),
                Gauge(
                    series=metric_definitions.CERTIFICATE_BEGIN,
                    by=("job", "certificate"),
                    how="min",
                    until=True,
                    times=-1.0,
                    legend=Legend(word=Message("dashboards.word-age"), labels=("job", "certificate")),
                ),
            ),
            unit="seconds",
            columns=6,
            warn=604_800,
            alarm=86_400,
            links=(runbook("CqoxCertificateEndsSoon"),),
        ),
        Panel(
            id="loop-lag",
            title=Message("dashboards.loop-lag-title"),
            help=Message("dashboards.loop-lag-help"),
            queries=(
                Quantile(
                    rank=0.99,
                    series=metric_definitions.LOOP_LAG,
                    by=("job", "instance"),
                    legend=Legend(labels=("job", "instance")),
                ),
            ),
            unit="seconds",
            columns=6,
            warn=0.1,
            alarm=0.25,
            links=(runbook("CqoxEventLoopBlocked"),),
        ),
        Panel(
            id="memory",
            title=Message("dashboards.memory-title"),
            help=Message("dashboards.memory-help"),
            queries=(Gauge(series=PROCESS_MEMORY, by=("job", "instance"), legend=Legend(labels=("job", "instance"))),),
            unit="bytes",
            columns=6,
        ),
        Panel(
            id="cpu",
            title=Message("dashboards.cpu-title"),
            help=Message("dashboards.cpu-help"),
            queries=(Rate(series=PROCESS_CPU, by=("job", "instance"), legend=Legend(labels=("job", "instance"))),),
            unit="cores",
            columns=6,
        ),
        Panel(
            id="open-files",
            title=Message("dashboards.open-files-title"),
            help=Message("dashboards.open-files-help"),
            queries=(Gauge(series=PROCESS_FILES, by=("job", "instance"), legend=Legend(labels=("job", "instance"))),),
            columns=6,
        ),
        Panel(
            id="telemetry-lost",
            title=Message("dashboards.telemetry-lost-title"),
            help=Message("dashboards.telemetry-lost-help"),
            queries=(
                Ratio(
                    part=Increase(series=metric_definitions.LOST, by=("job", "instance"), window=3600),
                    whole=Gauge(series=UP, by=("job", "instance")),
                    legend=Legend(labels=("job", "instance")),
                ),
            ),
            columns=6,
            warn=1,
            links=(runbook("CqoxTelemetryLost"),),
        ),
        Panel(
            id="audit-lost",
            title=Message("dashboards.audit-lost-title"),
            help=Message("dashboards.audit-lost-help"),
            queries=(
                Ratio(
                    part=Increase(series=metric_definitions.AUDIT_LOST, by=("job", "instance"), window=3600),
                    whole=Gauge(series=UP, by=("job", "instance")),
                    legend=Legend(labels=("job", "instance")),
                ),
            ),
            columns=6,
            warn=1,
            alarm=100,
            links=(runbook("CqoxAuditLost"),),
        ),
    ),
)
"""The row about processes."""
