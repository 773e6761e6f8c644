"""Panels of what is promised, and of the processes that keep it."""

from cqox.telemetry import metric_definitions
from deploy.grafana.panel import WHERE, Panel, Query, Row, increase, level, quantile, rate

__all__ = ["objectives", "processes"]

# As in deploy/prometheus: 99.5 % of requests a month.
_BUDGET = "0.005"


def objectives() -> Row:
    """The row `Objectives`."""
    burns = [
        Query(expr=f'cqox:request_errors:ratio_rate{window}{{job=~"$job"}} / {_BUDGET}', legend=f"{window} {{{{job}}}}")
        for window in ("5m", "30m", "1h", "6h")
    ]
    left = f'1 - avg_over_time(cqox:request_errors:ratio_rate5m{{job=~"$job"}}[30d]) / {_BUDGET}'
    slow = 'cqox:request_duration_seconds:p99_rate5m{job=~"$job"}'
    return Row(
        title="Objectives",
        panels=(
            Panel(
                title="Use of the error budget",
                help="Times what 99.5 % a month allows. 14.4 over an hour wakes somebody, 6 over six is a ticket.",
                queries=burns,
                warn=1,
                alarm=14.4,
            ),
            Panel(
                title="Error budget left",
                help="Of the last thirty days, or of as many as Prometheus keeps.",
                queries=[Query(expr=left)],
                unit="percentunit",
                kind="stat",
            ),
            Panel(
                title="Slowest of a hundred by route",
                help="99th percentile of the last five minutes.",
                queries=[Query(expr=slow, legend="{{job}} {{http_route}}")],
                unit="s",
            ),
        ),
    )


def processes() -> Row:
    """The row `Processes`."""
    return Row(
        title="Processes",
        panels=(
            Panel(
                title="Parts that are missing",
                help="1 while a part that a process depends on is unavailable, as its health says.",
                queries=[
                    Query(
                        expr=f"max by (job, instance, part) ({metric_definitions.DEGRADED.prometheus_name}{{{WHERE}}})",
                        legend="{{part}} {{job}} {{instance}}",
                    )
                ],
                warn=1,
            ),
            Panel(
                title="Certificates run out",
                help="Time until the certificate in use expires; empty without TLS.",
                queries=[
                    Query(
                        expr=f"min by (job, instance, certificate) "
                        f"({metric_definitions.CERTIFICATE_END.prometheus_name}{{{WHERE}}}) - time()",
                        legend="{{certificate}} {{job}} {{instance}}",
                    )
                ],
                unit="s",
            ),
            Panel(
                title="Event loop comes back late",
                help="99th percentile. Above 0.25 s something computes in the loop: health probes suffer first.",
                queries=[
                    Query(
                        expr=quantile(0.99, metric_definitions.LOOP_LAG, "job, instance"),
                        legend="{{job}} {{instance}}",
                    )
                ],
                unit="s",
                alarm=0.25,
            ),
            Panel(
                title="Telemetry lost",
                help="Spans and log records that never reached a collector: traces have holes from here on.",
                queries=[
                    Query(
                        expr=rate(metric_definitions.LOST, "job, signal, reason"),
                        legend="{{job}} {{signal}} {{reason}}",
                    )
                ],
                unit="ops",
            ),
            Panel(
                title="Memory",
                help="Of gateway and engine themselves; workers are processes of their own.",
                queries=[Query(expr=f"process_resident_memory_bytes{{{WHERE}}}", legend="{{job}} {{instance}}")],
                unit="bytes",
            ),
            Panel(
                title="CPU",
                help="Cores that gateway and engine themselves use.",
                queries=[
                    Query(
                        expr=f"rate(process_cpu_seconds_total{{{WHERE}}}[$__rate_interval])",
                        legend="{{job}} {{instance}}",
                    )
                ],
            ),
            Panel(
                title="Lost entries of the audit log",
                help="Readings that were answered and are in no log: the store was away for too long.",
                queries=[
                    Query(
                        expr=increase(metric_definitions.AUDIT_LOST, "instance", "1h"),
                        legend="{{instance}}, in an hour",
                    )
                ],
                warn=1,
                alarm=100,
            ),
            Panel(
                title="Open files",
                help="A line that only rises is a leak.",
                queries=[Query(expr=f"process_open_fds{{{WHERE}}}", legend="{{job}} {{instance}}")],
            ),
            Panel(
                title="Connections of clients",
                help="Open ones, and those that the service closed itself.",
                queries=[
                    Query(
                        expr=level(metric_definitions.CONNECTIONS, "job, instance"), legend="open {{job}} {{instance}}"
                    ),
                    Query(expr=rate(metric_definitions.CONNECTIONS_CLOSED, "job, reason"), legend="{{reason}} {{job}}"),
                ],
            ),
            Panel(
                title="Reports in memory",
                help="What an engine holds of reports, and of jobs that have ended.",
                queries=[
                    Query(
                        expr=level(metric_definitions.CACHE_BYTES, "instance, cache"), legend="{{cache}} {{instance}}"
                    )
                ],
                unit="bytes",
            ),
        ),
    )
