"""Panels of stores and caches."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.conditions import (
    FAILED_OPERATION,
    HIT,
    TRACES,
    USED,
    ranks,
    runbook,
)
from cqox.dashboards.panels import Panel, Row
from cqox.dashboards.queries import Gauge, Legend, Rate, Ratio
from cqox.telemetry import metric_definitions

__all__ = ["STORES"]

STORE = metric_definitions.STORE_DURATION
POOL = ("db_client_connection_pool_name",)

STORES = Row(
    id="stores",
    title=Message("dashboards.row-stores"),
    panels=(
        Panel(
            id="store-operations",
            title=Message("dashboards.store-operations-title"),
            help=Message("dashboards.store-operations-help"),
            queries=(
                Rate(
                    series=STORE,
                    by=("db_system_name", "db_operation_name"),
                    legend=Legend(labels=("db_system_name", "db_operation_name")),
                ),
            ),
            unit="per_second",
        ),
        Panel(
            id="store-failing",
            title=Message("dashboards.store-failing-title"),
            help=Message("dashboards.store-failing-help"),
            queries=(
                Ratio(
                    part=Rate(series=STORE, by=("db_system_name",), where=(FAILED_OPERATION,)),
                    whole=Rate(series=STORE, by=("db_system_name",)),
                    legend=Legend(labels=("db_system_name",)),
                ),
            ),
            unit="ratio",
            warn=0.01,
            alarm=0.2,
            links=(runbook("CqoxStoreFailing"), TRACES),
        ),
        Panel(
            id="store-durations",
            title=Message("dashboards.store-durations-title"),
            help=Message("dashboards.store-durations-help"),
            queries=ranks(STORE, ("db_system_name",)),
            unit="seconds",
        ),
        Panel(
            id="store-active",
            title=Message("dashboards.store-active-title"),
            help=Message("dashboards.store-active-help"),
            queries=(
                Gauge(
                    series=metric_definitions.STORE_ACTIVE,
                    by=("instance", "db_system_name"),
                    legend=Legend(labels=("db_system_name", "instance")),
                ),
            ),
        ),
        Panel(
            id="pools",
            title=Message("dashboards.pools-title"),
            help=Message("dashboards.pools-help"),
            queries=(
                Ratio(
                    part=Gauge(series=metric_definitions.POOL_CONNECTIONS, by=POOL, where=(USED,)),
                    whole=Gauge(series=metric_definitions.POOL_LIMIT, by=POOL),
                    legend=Legend(labels=POOL),
                ),
            ),
            unit="ratio",
            warn=0.8,
            alarm=1,
            links=(runbook("CqoxPoolExhausted"),),
        ),
        Panel(
            id="pool-waits",
            title=Message("dashboards.pool-waits-title"),
            help=Message("dashboards.pool-waits-help"),
            queries=(Gauge(series=metric_definitions.POOL_WAITING, by=POOL, legend=Legend(labels=POOL)),),
            warn=1,
            links=(runbook("CqoxPoolExhausted"),),
        ),
        Panel(
            id="cache-hits",
            title=Message("dashboards.cache-hits-title"),
            help=Message("dashboards.cache-hits-help"),
            queries=(
                Ratio(
                    part=Rate(series=metric_definitions.CACHE_REQUESTS, by=("cache",), where=(HIT,)),
                    whole=Rate(series=metric_definitions.CACHE_REQUESTS, by=("cache",)),
                    legend=Legend(labels=("cache",)),
                ),
            ),
            unit="ratio",
            links=(runbook("CqoxCacheAway"),),
        ),
        Panel(
            id="unstored",
            title=Message("dashboards.unstored-title"),
            help=Message("dashboards.unstored-help"),
            queries=(
                Gauge(
                    series=metric_definitions.REPORTS_UNSTORED, by=("instance",), legend=Legend(labels=("instance",))
                ),
            ),
            warn=1,
            alarm=20,
            links=(runbook("CqoxReportsUnstored"),),
        ),
        Panel(
            id="cache-sizes",
            title=Message("dashboards.cache-sizes-title"),
            help=Message("dashboards.cache-sizes-help"),
            queries=(
                Gauge(
                    series=metric_definitions.CACHE_BYTES,
                    by=("instance", "cache"),
                    legend=Legend(labels=("cache", "instance")),
                ),
            ),
            unit="bytes",
            stacked=True,
        ),
    ),
)
"""The row about stores."""
