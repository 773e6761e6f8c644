"""Panels of the work that requests cause: analyses, stores, estimators."""

from cqox.telemetry import metric_definitions
from deploy.grafana.panel import WHERE, Panel, Query, Row, increase, level, quantile, ranks, rate

__all__ = ["analyses", "estimators", "stores"]


def analyses() -> Row:
    """The row `Analyses and workers`."""
    return Row(
        title="Analyses and workers",
        panels=(
            Panel(
                title="Computing and waiting",
                help="Waiting grows while all places are taken: add engines, or places (CQOX_CONCURRENT_ANALYSES).",
                queries=[
                    Query(expr=level(metric_definitions.ANALYSES_RUNNING, "job"), legend="computing"),
                    Query(expr=level(metric_definitions.QUEUE_DEPTH, "job"), legend="waiting"),
                    Query(expr=level(metric_definitions.ANALYSIS_PLACES, "job"), legend="places"),
                ],
            ),
            Panel(
                title="Wait for a place",
                help="How long computations waited, those that gave up included, and the longest wait there is now.",
                queries=[
                    *ranks(metric_definitions.QUEUE_WAIT, "outcome", "{{outcome}}"),
                    Query(
                        expr=f"max by (instance) ({metric_definitions.QUEUE_OLDEST.prometheus_name}{{{WHERE}}})",
                        legend="oldest {{instance}}",
                    ),
                ],
                unit="s",
                alarm=30,
            ),
            Panel(
                title="Steps of an analysis",
                help="95th percentile of reading, planning, diagnostics and figures.",
                queries=[Query(expr=quantile(0.95, metric_definitions.STEP_DURATION, "step"), legend="{{step}}")],
                unit="s",
            ),
            Panel(
                title="Worker processes",
                help="By what they do; one more than there are places is kept warm.",
                queries=[
                    Query(expr=level(metric_definitions.WORKERS, "instance, state"), legend="{{state}} {{instance}}")
                ],
                stacked=True,
            ),
            Panel(
                title="Workers replaced",
                help="Ended, killed or lost. Many: memory (CQOX_WORKER_MEMORY_BYTES), or one data set that ends them.",
                queries=[
                    Query(
                        expr=increase(metric_definitions.WORKER_RESTARTS, "instance", "10m"),
                        legend="{{instance}}, in 10 minutes",
                    )
                ],
                warn=1,
                alarm=5,
            ),
            Panel(
                title="CPU of tasks",
                help="Cores that worker processes use for analyses and previews; quotas of tenants count this time.",
                queries=[Query(expr=rate(metric_definitions.CPU_SECONDS, "task"), legend="{{task}}")],
            ),
            Panel(
                title="CPU of workers",
                help="Cores that all worker processes use, their starts included.",
                queries=[Query(expr=rate(metric_definitions.WORKER_CPU, "instance"), legend="{{instance}}")],
            ),
            Panel(
                title="Memory of workers",
                help="Resident memory of all worker processes of an engine.",
                queries=[Query(expr=level(metric_definitions.WORKER_MEMORY, "instance"), legend="{{instance}}")],
                unit="bytes",
            ),
            Panel(
                title="Uploaded",
                help="Bytes of files that arrive at gateways.",
                queries=[Query(expr=rate(metric_definitions.UPLOADED_BYTES, "job"), legend="bytes a second")],
                unit="Bps",
            ),
            Panel(
                title="Rows of data sets",
                help="Of those that are analysed.",
                queries=ranks(metric_definitions.DATASET_ROWS, "job", "rows"),
            ),
        ),
    )


def stores() -> Row:
    """The row `Stores`."""
    store = metric_definitions.STORE_DURATION
    hits = rate(metric_definitions.CACHE_REQUESTS, "cache", 'outcome="hit"')
    return Row(
        title="Stores",
        panels=(
            Panel(
                title="Operations",
                help="A second, by store and operation.",
                queries=[
                    Query(
                        expr=rate(store, "db_system_name, db_operation_name"),
                        legend="{{db_system_name}} {{db_operation_name}}",
                    )
                ],
                unit="ops",
            ),
            Panel(
                title="Operations that fail",
                help="By kind of error. Analyses go on without a store; listings and uploads need PostgreSQL.",
                queries=[
                    Query(
                        expr=rate(store, "db_system_name, error_type", 'error_type!=""'),
                        legend="{{db_system_name}} {{error_type}}",
                    )
                ],
                unit="ops",
                stacked=True,
            ),
            Panel(
                title="Time of an operation",
                help="Waiting for a connection included.",
                queries=ranks(store, "db_system_name", "{{db_system_name}}"),
                unit="s",
            ),
            Panel(
                title="Operations in hand",
                help="Those that hold a connection or wait for one. Flat at the size of the pool: it is exhausted.",
                queries=[
                    Query(
                        expr=level(metric_definitions.STORE_ACTIVE, "instance, db_system_name"),
                        legend="{{db_system_name}} {{instance}}",
                    )
                ],
            ),
            Panel(
                title="Connections of a pool",
                help="Those in use, those that are idle, and the most there may be.",
                queries=[
                    Query(
                        expr=level(
                            metric_definitions.POOL_CONNECTIONS,
                            "db_client_connection_pool_name, db_client_connection_state",
                        ),
                        legend="{{db_client_connection_pool_name}} {{db_client_connection_state}}",
                    ),
                    Query(
                        expr=level(metric_definitions.POOL_LIMIT, "db_client_connection_pool_name"),
                        legend="{{db_client_connection_pool_name}} most",
                    ),
                ],
            ),
            Panel(
                title="Calls that wait for a connection",
                help="Above 0 for long: the store is slow, or the pool is too small for what comes.",
                queries=[
                    Query(
                        expr=level(metric_definitions.POOL_WAITING, "db_client_connection_pool_name"),
                        legend="{{db_client_connection_pool_name}}",
                    )
                ],
            ),
            Panel(
                title="Reports found in a cache",
                help="Share of look-ups.",
                queries=[
                    Query(expr=f"{hits} / {rate(metric_definitions.CACHE_REQUESTS, 'cache')}", legend="{{cache}}"),
                ],
                unit="percentunit",
            ),
            Panel(
                title="Reports that no store has taken",
                help="They are in memory, and lost with their engine.",
                queries=[Query(expr=level(metric_definitions.REPORTS_UNSTORED, "instance"), legend="{{instance}}")],
                warn=1,
            ),
            Panel(
                title="Space left on disks",
                help="Share of each disk of an engine. Below a twentieth, or 64 MiB, new files are refused.",
                queries=[
                    Query(
                        expr=f"{level(metric_definitions.DISK_FREE, 'instance, disk')}"
                        f" / {level(metric_definitions.DISK_SIZE, 'instance, disk')}",
                        legend="{{disk}} {{instance}}",
                    )
                ],
                unit="percentunit",
            ),
            Panel(
                title="Size of uploads",
                help="95th percentile.",
                queries=[Query(expr=quantile(0.95, metric_definitions.DATASET_SIZE, "job"), legend="p95")],
                unit="bytes",
            ),
        ),
    )


def estimators() -> Row:
    """The row `Estimators`."""
    return Row(
        title="Estimators",
        panels=(
            Panel(
                title="Time of an estimator",
                help="95th percentile on one contrast. The longest line is what analyses wait for.",
                queries=[
                    Query(
                        expr=quantile(0.95, metric_definitions.ESTIMATOR_DURATION, "estimator"), legend="{{estimator}}"
                    )
                ],
                unit="s",
                columns=12,
            ),
            Panel(
                title="How estimators end",
                help="`failed` is an estimator that could not do what it should: its reason is in the report.",
                queries=[
                    Query(expr=rate(metric_definitions.ESTIMATOR_DURATION, "status"), legend="{{status}}"),
                    Query(expr=rate(metric_definitions.ESTIMATOR_SKIPPED, "job"), legend="skipped"),
                ],
                unit="ops",
                columns=6,
                stacked=True,
            ),
            Panel(
                title="Estimators that fail",
                help="By name.",
                queries=[
                    Query(
                        expr=rate(metric_definitions.ESTIMATOR_DURATION, "estimator", 'status="failed"'),
                        legend="{{estimator}}",
                    )
                ],
                unit="ops",
                columns=6,
            ),
            Panel(
                title="Quality gates",
                help="What they said. A sudden change after an upgrade is a change of the code, not of the world.",
                queries=[
                    Query(expr=rate(metric_definitions.GATE_RESULTS, "gate, status"), legend="{{gate}} {{status}}")
                ],
                unit="ops",
                columns=24,
                stacked=True,
            ),
        ),
    )
